"""What carries messages between the head and its pilots: the interface, of which `dask_link` is the one over Dask.

A link may delay, lose, repeat and reorder messages. That costs time, and never a promise (`cdsed.engine.grant_rules`).
"""

from collections.abc import Sequence
from typing import Protocol


class Link(Protocol):
    """The head's end. Methods raise MachineError when the carrier is gone."""

    def tend(self) -> None:
        """Start a pilot on each machine that has none; call it every second or so."""

    def receive(self, timeout_s: float) -> Sequence[str]:
        """Return messages of pilots and holders, as lines; none after the time-out."""

    def send(self, pilot: str, lines: Sequence[str]) -> None:
        """Send messages to a pilot, for itself or its holders."""

    def close(self) -> None:
        """End the carrier."""


class PilotLink(Protocol):
    """A pilot's end."""

    def receive(self, timeout_s: float) -> Sequence[str]:
        """Return messages of the head, as lines; none after the time-out; MachineError when the carrier is gone."""

    def send(self, line: str) -> None:
        """Send a message to the head, as a line; any thread may call it, and it does not wait."""
