"""The next state of a product, and what a person has commanded of it meanwhile."""

from dataclasses import replace

from cdsed.frozen import frozen
from cdsed.model.product_state import SUCCEEDED, TERMINAL, State
from cdsed.store.database import Row

#: In these states a product whose bytes have all arrived may have been published: the disk decides.
_PERHAPS_PUBLISHED = frozenset({State.READY, State.DOWNLOADING, State.VERIFYING, State.RETRY_WAIT})


@frozen
class Move:
    """The next state of a product, and why.

    ``due_s`` (seconds since boot) belongs to `State.RETRY_WAIT`; ``attempts`` and ``transient_failures`` are added.
    ``partial``: whether only a part is on disk; None: as it was planned.
    """

    state: State
    cause: str | None = None
    code: str | None = None
    due_s: float | None = None
    path: str | None = None
    attempts: int = 0
    transient_failures: int = 0
    refute_path: bool = False
    partial: bool | None = None


def as_commanded(move: Move, command: Row | None) -> Move:
    """Return the move of a product that a person may have cancelled when its bytes had arrived.

    It is cancelled, unless it ends now, or was perhaps published: then it stays as the move says, and the disk decides.
    """
    if command is None or not command["cancels"] or move.state in TERMINAL:
        return move
    if command["arrived"] and move.state in _PERHAPS_PUBLISHED and not move.refute_path:
        return move
    return Move(State.CANCELLED, cause="cancelled")


def back_to_former(move: Move, command: Row | None) -> Move | None:
    """Return the move back to the former copy if a product that replaces one ends without a new one; else None."""
    if command is None or command["replaces"] is None or move.state not in TERMINAL - SUCCEEDED:
        return None
    cause = f"the former copy stays, because a new one did not come: {move.cause or move.state}"
    return replace(Move(State.ALREADY_PRESENT), cause=cause, path=command["replaces"])
