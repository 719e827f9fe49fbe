"""Cut the last pieces of the last products, so that all sessions end at about the same time.

As long as other products are ready, a session that has no piece plans the next one, and nothing is cut.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from cdsed.model.objects import ResumePoint
from cdsed.store.database import Database, Row
from cdsed.store.queries import Queries

_SQL = Queries("cutting")

#: What could arrive in the time to the first byte of a response: a piece takes as long as one with so much more.
REQUEST_BYTES = 512 * 2**10
_LEAST_BYTES, _LEAST_WHOLE_BYTES = 2 * 2**20, 8 * 2**20

#: Where the file of a session is, by account and slot.
SessionLock = Callable[[str, int], Path]


def share_bytes(db: Database, group: str, most_bytes: int, session_lock: SessionLock | None) -> int | None:
    """Return what a session takes now, if all sessions of its group are to end at the same time.

    Call it in the transaction that hands out pieces.

    Parameters
    ----------
    most_bytes
        The most that the session could take.
    session_lock
        Tells how far sessions are with what they hold; None: as far as the state says.

    Returns
    -------
    int or None
        Bytes, with `REQUEST_BYTES` for each piece; None if the session may take the most.
    """
    if db.value(_SQL.waits, group=group):
        return None
    left = db.row(_SQL.left, group=group)
    assert left is not None, "a row of two values always exists"
    open_bytes = left["open_bytes"] + left["pieces"] * REQUEST_BYTES
    sessions = max(1, left["sessions"])
    if open_bytes >= most_bytes * sessions:
        return None
    held = sorted(_held_bytes(db.rows(_SQL.held, group=group), session_lock))
    return max(_LEAST_BYTES, _level(open_bytes, [0] * max(1, sessions - len(held)) + held))


def cut(db: Database, row: Row, share: int) -> None:
    """Leave of a piece that is handed out now only a share; the rest becomes another piece.

    A whole object is cut only if much would be left, because its digest is computed while it arrives.

    Parameters
    ----------
    row
        The piece, of `cdsed.store.pieces`. Its size is changed.
    """
    size_bytes = row["done_bytes"] + share
    is_whole = row["size_bytes"] == row["object_bytes"] and not row["done_bytes"]
    if row["size_bytes"] - size_bytes >= (_LEAST_WHOLE_BYTES if is_whole else _LEAST_BYTES):
        db.rows(_SQL.rest, id=row["id"], size_bytes=size_bytes)
        db.rows(_SQL.shorten, id=row["id"], size_bytes=size_bytes)
        row["size_bytes"] = size_bytes


def _level(open_bytes: int, held: Sequence[int]) -> int:
    """Return what each session has in the end if those that hold least (`held` is sorted) take what is open."""
    total = open_bytes
    for count, size_bytes in enumerate(held):
        if count and total <= size_bytes * count:
            return total // count
        total += size_bytes
    return total // len(held)


def _held_bytes(rows: Iterable[Row], session_lock: SessionLock | None) -> list[int]:
    """Return how much each session that holds pieces has still to fetch; `rows` are in the order of fetching."""
    held: list[int] = []
    for (account, slot), pieces in groupby(rows, lambda row: (row["account"], row["slot"])):
        point = _resume_point(session_lock(account, slot)) if session_lock is not None else None
        size_bytes = 0
        for row in pieces:
            missing_bytes = row["size_bytes"] - row["done_bytes"]
            if point is not None and (point.fence, point.piece) == (row["fence"], row["id"]):
                size_bytes, missing_bytes = 0, row["size_bytes"] - max(row["done_bytes"], point.done_bytes)
            size_bytes += max(0, missing_bytes) + REQUEST_BYTES
        held.append(size_bytes)
    return held


def _resume_point(lock: Path) -> ResumePoint | None:
    with suppress(OSError):
        return ResumePoint.unpack(lock.read_bytes())
    return None
