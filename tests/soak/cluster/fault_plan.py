"""The faults of a cluster, drawn from a seed: the same seed gives the same faults, in the same order."""

import random
from dataclasses import dataclass

from tests.soak.cluster.cluster import HEAD, S3, SCHEDULER, WORKERS

# How often each is drawn. A pilot is a task in the process of a worker, so it dies and stops with it.
_KINDS = {
    "kill holder": 16,
    "stop holder": 12,
    "kill worker and pilot": 4,
    "stop worker and pilot": 4,
    "kill nanny": 2,
    "stop nanny": 2,
    "kill machine": 1,
    "kill scheduler": 1,
    "stop scheduler": 1,
    "kill download": 2,
    "stop download": 1,
    "kill publish": 1,
    "stop publish": 1,
    "kill daemon": 1,
    "cut worker from scheduler": 5,
    "cut worker from S3": 5,
    "cut worker from all": 5,
    "cut head from scheduler": 4,
    "cut head from S3": 2,
    "cut all workers from S3": 2,
    "cut scheduler from all": 1,
}
_STOP_S, _CUT_S = ((0.5, 4.0, 9.0, 15.0), (4, 3, 2, 1)), ((1.0, 4.0, 9.0, 20.0, 40.0), (4, 4, 3, 2, 1))
_PAUSE_MAX_S = 4.0


@dataclass(frozen=True)
class PlannedFault:
    """One fault.

    Attributes
    ----------
    pause_s
        Before it.
    machine
        The worker's machine, if it concerns one.
    which
        Which of several processes: a share of their number.
    lasts_s
        Of a stop or a cut; 0: a kill.
    """

    number: int
    pause_s: float
    kind: str
    machine: str
    which: float
    lasts_s: float

    @property
    def cuts(self) -> list[tuple[str, str]]:
        """The pairs of machines that it cuts from each other."""
        worker = self.machine
        return {
            "cut worker from scheduler": [(worker, SCHEDULER)],
            "cut worker from S3": [(worker, S3)],
            "cut worker from all": [(worker, SCHEDULER), (worker, S3)],
            "cut head from scheduler": [(HEAD, SCHEDULER)],
            "cut head from S3": [(HEAD, S3)],
            "cut all workers from S3": [(each, S3) for each in WORKERS],
            "cut scheduler from all": [(each, SCHEDULER) for each in (HEAD, *WORKERS)],
        }.get(self.kind, [])


def plan(seed: int, count: int) -> list[PlannedFault]:
    """Return so many faults."""
    dice = random.Random(seed)
    planned = []
    for number in range(1, count + 1):
        [kind] = dice.choices(list(_KINDS), list(_KINDS.values()))
        lasts = _STOP_S if kind.startswith("stop") else _CUT_S
        [lasts_s] = dice.choices(*lasts)
        kill = kind.startswith("kill")
        pause_s, machine, which = dice.uniform(0, _PAUSE_MAX_S), dice.choice(WORKERS), dice.random()
        planned.append(PlannedFault(number, pause_s, kind, machine, which, 0.0 if kill else lasts_s))
    return planned
