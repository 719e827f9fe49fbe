"""An hour (``CDSED_SOAK_MINUTES``) of random faults: nothing is lost, doubled, incomplete, overbooked or leaked.

The seed (``CDSED_SOAK_SEED``) decides what is dropped and what is broken, and in which order. It is printed. Which
process or product a fault hits also depends on timing.
"""

import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from tests.soak.faults import FAULTS, Undo
from tests.soak.owner import Owner
from tests.soak.world import World, dice_for, wait
from tests.support.invariants import leftovers

_REST_EVERY_S, _CHECK_EVERY_S = 240.0, 30.0
_TIDIED_WITHIN_S = 120.0  # every minute, by the daemon
_NEVER = (
    "lost",
    "doubled",
    "half-published",
    "overbooked",
    "leaked",
    "wrong bytes",
    "rules broken",
    "tracebacks",
    "left in staging",
)
_BUILD = Path(__file__).parents[2] / "build"


class Campaign:
    """Injects one fault after the other, each with an end of its own."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._owner = Owner(world)
        self._step = 0
        self._under_way: dict[str, tuple[float, Undo]] = {}

    def run(self, minutes: float) -> None:
        """Inject faults for so long, and pause now and then to check everything."""
        until_s = time.monotonic() + 60 * minutes
        while time.monotonic() < until_s:
            rest_s = min(time.monotonic() + _REST_EVERY_S, until_s)
            check_s = time.monotonic() + _CHECK_EVERY_S
            while time.monotonic() < rest_s:
                try:
                    self._inject_fault()
                    self._owner.drop()
                except (
                    OSError,
                    subprocess.SubprocessError,
                ) as error:  # not an error of cdsed, or the checks will show it
                    self._world.counts["stumbles of the soak itself"] += 1
                    self._world.found.append(f"the soak itself stumbled: {error!r}")
                if time.monotonic() > check_s:
                    self._look()
                    check_s = time.monotonic() + _CHECK_EVERY_S
            self._rest()

    def _inject_fault(self) -> None:
        """Inject the random fault of this step, unless the same one is still active."""
        self._step += 1
        world, dice = self._world, dice_for(self._world.seed, "step", self._step)
        wait(dice.uniform(0.1, 1.5))  # the moment is meant to be any moment
        world.revive()
        [fault] = dice.choices(list(FAULTS), [weight for weight, _ in FAULTS.values()])
        name, lasts_s = fault.__name__.replace("_", " "), dice.uniform(0.5, 1) * FAULTS[fault][1]
        if name not in self._under_way:
            undo = fault(world, dice)
            world.faults[name] += 1
            if undo is not None:
                self._under_way[name] = (time.monotonic() + lasts_s, undo)
        self._end_those_due(time.monotonic())

    def _end_those_due(self, now_s: float) -> None:
        for name, (due_s, undo) in list(self._under_way.items()):
            if due_s <= now_s:
                del self._under_way[name]
                undo()

    def _look(self) -> None:
        world = self._world
        # A worker stopped in a commit keeps the supervisor from reclaiming what dead workers held.
        if not {"state locked", "disk away", "stop and continue"} & self._under_way.keys():
            world.check()
        world.read_log()

    def _rest(self) -> None:
        """End every fault, wait for all products, and check everything."""
        world = self._world
        self._end_those_due(float("inf"))
        for fault, count in world.sandbox.counters()["faults"].items():
            world.faults[f"sandbox: {fault}"] += count
        world.sandbox.clear_faults()
        world.revive()
        self._owner.come_to_rest(600)
        world.finish_second_state(600)
        self._look()
        world.look_everywhere_for_secrets()
        tidied_s = time.monotonic() + _TIDIED_WITHIN_S
        while leftovers(world.lab) and time.monotonic() < tidied_s:
            wait(1)
        for name in leftovers(world.lab):
            world.counts["left in staging"] += 1
            world.found.append(f"{name} is left in the staging directory")
        for account in world.sandbox.counters()["accounts"].values():
            world.counts["most connections"] = max(world.counts["most connections"], account["open_max"])
            world.counts["overbooked"] += account["open_max"] > 4 or account["overbooked"] > 0
        world.sandbox.reset_counters()
        self._owner.leave()
        world.counts["doubled"] += len(world.watcher.doubled)
        world.counts["half-published"] += len(world.watcher.partial)
        world.found += [f"{name} appeared twice" for name in world.watcher.doubled]
        world.found += [f"{name} appeared half" for name in world.watcher.partial]
        world.watcher.doubled.clear()
        world.watcher.partial.clear()
        world.counts["rests"] += 1
        print(_table(world), flush=True)


def _table(world: World) -> str:
    reported = {**{what: world.counts[what] for what in _NEVER}, **dict(sorted(world.counts.items()))}
    lines = [f"{'seed':<40}{world.seed:>16}"]
    lines += [f"{what:<40}{count:>16,}" for what, count in reported.items()]
    lines += ["faults injected"]
    lines += [f"  {what:<38}{count:>16,}" for what, count in sorted(world.faults.items())]
    lines += ["at first, and at most"]
    lines += [
        f"  {what:<38}{world.memory.first[what]:>16,}{most:>16,}" for what, most in sorted(world.memory.most.items())
    ]
    return "\n".join(["", *lines, *(f"FOUND {each}" for each in world.found)])


@pytest.mark.soak
def test_nothing_is_lost_doubled_half_published_overbooked_or_leaked(tmp_path: Path) -> None:
    minutes = float(os.environ.get("CDSED_SOAK_MINUTES", "60"))
    seed = int(os.environ.get("CDSED_SOAK_SEED") or random.SystemRandom().randrange(10**9))
    print(f"\nsoak: {minutes:g} minutes, CDSED_SOAK_SEED={seed}", flush=True)
    with World(tmp_path, seed) as world:
        try:
            Campaign(world).run(minutes)
        finally:
            _BUILD.mkdir(exist_ok=True)
            (_BUILD / "soak.txt").write_text(f"{minutes:g} minutes\n{_table(world)}\n", encoding="utf-8")
    assert {what: world.counts[what] for what in _NEVER} == dict.fromkeys(_NEVER, 0), "\n".join(world.found)
