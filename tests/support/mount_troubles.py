"""What goes wrong between machines and the file server of their mounts, at random."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol


class Mounted(Protocol):
    """A machine with a mount that keeps in memory what its server does not get."""

    def cut(self) -> None:
        """Cut it off from its file server."""

    def heal(self) -> int:
        """End the cut, and wait until all in its memory is written; return how many bytes came so late."""

    def kill_holders(self) -> None:
        """Kill the processes that have connections there."""


class MountTroubles:
    """Cuts machines off from their file server, kills holders and the head, and lets late bytes arrive.

    Attributes
    ----------
    faults
        How many of each kind were made.
    written_late
        The most bytes that came late at once.
    """

    def __init__(self, machines: Sequence[Mounted], kill_head: Callable[[], None], dice: random.Random) -> None:
        self._machines, self._kill_head, self._dice = machines, kill_head, dice
        self._cut: set[Mounted] = set()
        self.faults: Counter[str] = Counter()
        self.written_late = 0

    def make(self) -> None:
        """Let one thing go wrong, or one end."""
        machine = self._dice.choice(self._machines)
        [kind] = self._dice.choices(["cut", "heal", "kill holders", "kill head"], [4, 4, 4, 1])
        if kind == "cut":
            machine.cut()
            self._cut.add(machine)
        elif kind == "heal":
            self._heal(machine)
        elif kind == "kill head":
            self._kill_head()
        else:
            machine.kill_holders()
        self.faults[kind] += 1

    def end(self) -> None:
        """End all cuts."""
        for machine in list(self._cut):
            self._heal(machine)

    def _heal(self, machine: Mounted) -> None:
        self.written_late = max(self.written_late, machine.heal())
        self._cut.discard(machine)
