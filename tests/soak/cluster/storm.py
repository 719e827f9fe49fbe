"""Injects the planned faults into a cluster, and lets them overlap: each ends in its own time."""

import signal
import time
from collections import Counter
from collections.abc import Callable

from tests.soak.cluster.cluster import SCHEDULER, Cluster, signalled
from tests.soak.cluster.fault_plan import PlannedFault

_TURN_S = 0.1


class Storm:
    """Faults under way.

    Attributes
    ----------
    made
        How many of each kind.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._under_way: list[tuple[float, Callable[[], None]]] = []
        self.made: Counter[str] = Counter()

    def make(self, fault: PlannedFault) -> str:
        """Wait until it is due, and begin it; return what was done."""
        self._pass_s(fault.pause_s)
        if fault.cuts:
            done = self._cut(fault)
        else:
            what, _, victim = fault.kind.partition(" ")
            done = self._signal(
                fault, signal.SIGKILL if what == "kill" else signal.SIGSTOP, self._victims(victim, fault)
            )
        self.made[fault.kind] += 1
        lasts = f" for {fault.lasts_s:g} s" if fault.lasts_s else ""
        return f"{fault.number:4d}  {fault.kind}{lasts}: {done}"

    def end(self) -> None:
        """End all."""
        self._end_due(float("inf"))

    def _pass_s(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while True:
            self._end_due(time.monotonic())
            self._cluster.revive()
            if time.monotonic() >= until_s:
                return
            time.sleep(_TURN_S)

    def _end_due(self, now_s: float) -> None:
        for one in [one for one in self._under_way if one[0] <= now_s]:
            self._under_way.remove(one)
            one[1]()

    def _cut(self, fault: PlannedFault) -> str:
        machines = self._cluster.machines
        for pair in fault.cuts:
            machines.cut(*pair)
            self._later(fault.lasts_s, lambda pair=pair: machines.heal(*pair))
        return ", ".join(f"{one} from {other}" for one, other in fault.cuts)

    def _signal(self, fault: PlannedFault, number: signal.Signals, pids: list[int]) -> str:
        if fault.kind == "kill daemon":
            self._cluster.daemon.kill_all()
            self._cluster.daemon.start()
            return "and started again"
        if fault.kind != "kill machine" and pids:
            pids = [pids[int(fault.which * len(pids))]]
        for pid in pids:
            signalled(pid, number)
            if number is signal.SIGSTOP:
                self._later(fault.lasts_s, lambda pid=pid: signalled(pid, signal.SIGCONT))
        if not pids:
            return "none runs there now"
        return f"{pids}" if fault.kind.endswith(("scheduler", "download", "publish")) else f"{fault.machine} {pids}"

    def _victims(self, victim: str, fault: PlannedFault) -> list[int]:
        cluster, machine = self._cluster, fault.machine
        match victim:
            case "holder":
                return cluster.holders(machine)
            case "worker and pilot":
                return cluster.workers(machine)
            case "nanny":
                return [cluster.units[machine].process.pid]
            case "machine":
                return cluster.machines.of[machine].pids()
            case "scheduler":
                return [cluster.units[SCHEDULER].process.pid]
            case "download" | "publish" as role:
                return cluster.daemon.worker_pids(role)
        return []

    def _later(self, seconds: float, undo: Callable[[], None]) -> None:
        self._under_way.append((time.monotonic() + seconds, undo))
