"""One measured figure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Form:
    """How thoroughly to measure.

    Attributes
    ----------
    short
        Fewer repeats and smaller tasks.
    repeats
        How often, whatever the form says; None: as it says.
    """

    short: bool = False
    repeats: int | None = None

    def times(self, full: int, short: int) -> int:
        """Return how often to repeat something that has these two numbers."""
        return self.repeats or (short if self.short else full)


@dataclass(frozen=True)
class Result:
    """A figure, mostly a ratio against something run beside it.

    Attributes
    ----------
    value
        The figure; of several runs the median.
    at_least, at_most
        Goals; None without one.
    unit
        Empty for a ratio.
    lowest, highest, runs
        The spread over `runs` runs; None for a single one.
    """

    what: str
    value: float
    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""
    lowest: float | None = None
    highest: float | None = None
    runs: int = 1

    @property
    def missed(self) -> bool:
        """Whether it has a goal and misses it."""
        below = self.at_least is not None and self.value < self.at_least
        above = self.at_most is not None and self.value > self.at_most
        return below or above

    @property
    def goal_text(self) -> str:
        """Its goal, for people."""
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return f"<= {self.at_most:g}" if self.at_most is not None else "-"

    @property
    def verdict(self) -> str:
        """Whether the goal is met, for people."""
        return "missed" if self.missed else "met" if self.goal_text != "-" else ""

    @property
    def value_text(self) -> str:
        """The figure with its spread, for people."""
        text = f"{self.value:,.0f}" if self.value >= 1000 else f"{self.value:.3g}"
        if self.lowest is not None and self.highest is not None:
            text += f" ({self.lowest:.3g} to {self.highest:.3g}, n={self.runs})"
        return f"{text} {self.unit}".rstrip()

    def document(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def spread(
    what: str, values: Sequence[float], unit: str = "", *, at_least: float | None = None, at_most: float | None = None
) -> Result:
    """Return the median of some runs, with the lowest and the highest."""
    return Result(what, median(values), at_least, at_most, unit, min(values), max(values), len(values))
