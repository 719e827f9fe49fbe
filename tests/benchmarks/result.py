"""One measured ratio."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """A ratio against something run beside it; ``at_least`` and ``at_most`` are goals, None without one."""

    what: str
    ratio: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def missed(self) -> bool:
        """Whether it has a goal and misses it."""
        below = self.at_least is not None and self.ratio < self.at_least
        above = self.at_most is not None and self.ratio > self.at_most
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
