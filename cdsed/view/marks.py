"""Bars, sparklines and the marks of sessions; `Canvas.marks` replaces them on a terminal without UTF-8."""

from collections.abc import Sequence

from cdsed.model.product_state import State
from cdsed.model.status_report import AccountStatus, SessionMark
from cdsed.view.wording import number

BUSY = "●"
OUT_OF_USE = "✕"
WAITS = "·"
WARNS = "!"
_MARKS = {SessionMark.BUSY: BUSY, SessionMark.FREE: "○"}
_STEPS = "▁▂▃▄▅▆▇█"
_BAR_COLUMNS = 20


def bar(finished: float, total: float, columns: int = _BAR_COLUMNS) -> str:
    """Return a bar of how much of `total` is finished; it is full only when all is finished."""
    filled = min(columns, int(columns * finished // total)) if total else columns
    return "█" * filled + "░" * (columns - filled)


def sparkline(values: Sequence[float]) -> str:
    """Return one mark for each value, as high as its share of the largest; zero is always the lowest."""
    largest = max(values, default=0.0)
    if largest <= 0:
        return _STEPS[0] * len(values)
    return "".join(_STEPS[min(len(_STEPS) - 1, int(len(_STEPS) * value / largest))] for value in values)


def by_state(counts: dict[State, int]) -> list[str]:
    """Return ``3 downloading``, ``40 done`` and so on, in the order in which a product passes its states."""
    return [f"{number(counts[state])} {state}" for state in State if counts.get(state)]


def session_marks(account: AccountStatus, *, running: bool) -> str:
    """Return one mark per session; without a running daemon all are out of use."""
    if not running:
        return OUT_OF_USE * len(account.sessions)
    return "".join(
        OUT_OF_USE if account.error and mark is not SessionMark.BUSY else _MARKS.get(mark, WAITS)
        for mark in account.sessions
    )
