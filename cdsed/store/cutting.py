"""How much a session takes at once, and cutting of the last pieces, so that all sessions end at about the same time.

The last pieces become smaller and smaller. A digest follows whole pieces, so what is in transfer at the end is digested
after it.

As long as other products are ready, a session that has no piece plans the next one, and only a slow session gets less
than a whole piece.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from cdsed.model.objects import ResumePoint
from cdsed.store.database import Database, Row
from cdsed.store.queries import Queries

_SQL = Queries("cutting")

#: Small pieces are handed out in batches of at most so much, because each hand-out costs a commit.
BATCH_BYTES, BATCH_PIECES = 8 * 2**20, 32
#: To a holder, because each hand-out costs messages, too.
_REMOTE_BATCH_BYTES, _REMOTE_BATCH_PIECES = 32 * 2**20, 128

_FIRST_BYTE_S = 0.03  # of CDSE: a piece takes so much longer than its bytes
_USUAL_BYTES_PER_S = 20_000_000  # of a connection to CDSE
_LEAST_S, _LEAST_BYTES = 0.1, 2**19  # of a piece that is left, or that is taken
#: A whole object is cut only if so much is left.
LEAST_WHOLE_BYTES = 8 * 2**20
_UNKNOWN_MOST_BYTES = 32 * 2**20  # for a session that has not shown yet how fast it is
_PART, _LAST_S = 2 / 3, 0.4  # at the end, a session takes a part of its share, so that the last pieces are small
_SLOW_SHARE, _SLOW_LEAST_BYTES = 0.5, 8 * 2**20

#: Where the file of a session is, by account and slot.
SessionLock = Callable[[str, int], Path]


@dataclass(frozen=True, slots=True)
class Pacing:
    """What is known of how fast the sessions are.

    Attributes
    ----------
    session_lock
        Tells how far the sessions are with what they hold; None: as far as the state says.
    bytes_per_s
        Of the session that asks; None: not known yet.
    typical_bytes_per_s
        Of all sessions of this process; None: not known yet.
    batch_s
        A batch may be larger if it arrives within so many seconds.
    """

    session_lock: SessionLock | None = None
    bytes_per_s: float | None = None
    typical_bytes_per_s: float | None = None
    batch_s: float = 0.0

    @property
    def batch_bytes(self) -> int:
        """How much a batch has at most, besides its first piece."""
        least_bytes = _REMOTE_BATCH_BYTES if self.batch_s else BATCH_BYTES
        return max(least_bytes, int(self.batch_s * (self.bytes_per_s or 0)))

    @property
    def batch_pieces(self) -> int:
        """How many pieces a batch has at most."""
        return _REMOTE_BATCH_PIECES if self.batch_s else BATCH_PIECES

    @property
    def request_bytes(self) -> int:
        """What could arrive in the time to the first byte of a response."""
        return int((self.typical_bytes_per_s or _USUAL_BYTES_PER_S) * _FIRST_BYTE_S)

    @property
    def least_bytes(self) -> int:
        """The size below which no piece is cut."""
        size_bytes = int((self.typical_bytes_per_s or _USUAL_BYTES_PER_S) * _LEAST_S)
        return min(LEAST_WHOLE_BYTES, max(_LEAST_BYTES, size_bytes))

    @property
    def last_bytes(self) -> int:
        """How large the last pieces of an object are that is cut: smaller ones would cost more than they save."""
        return int((self.typical_bytes_per_s or _USUAL_BYTES_PER_S) * _LAST_S)

    @property
    def relative(self) -> float:
        """How fast the session is, compared to the others; at most 1."""
        if self.bytes_per_s is None or not self.typical_bytes_per_s:
            return 1.0
        return min(1.0, self.bytes_per_s / self.typical_bytes_per_s)


def batch(
    db: Database, group: str, rows: Sequence[Row], most_bytes: int, pacing: Pacing, *, may_cut: bool
) -> list[Row]:
    """Return what a session takes: the first piece, or a part of it, and as many after it as fit into a batch.

    Call it in the transaction that hands the pieces out.

    Parameters
    ----------
    rows
        The open pieces of a product, of `cdsed.store.pieces`. The size of the first one is changed if it is cut.
    most_bytes
        What the account may receive.
    may_cut
        False: requests are scarce, and a cut costs one.
    """
    if not rows:
        return []
    request_bytes = pacing.request_bytes
    most = rows[0]["size_bytes"] + 2 * (pacing.batch_bytes + pacing.batch_pieces * request_bytes)
    if pacing.relative < _SLOW_SHARE:
        most = max(_SLOW_LEAST_BYTES, int(rows[0]["size_bytes"] * pacing.relative))
    share = _share_bytes(db, group, most, pacing)
    if may_cut:
        _cut(db, rows[0], share, pacing.least_bytes)
    taken: list[Row] = []
    size_bytes = 0
    # Of a batch, half a share: the others do not see how far a session is with it.
    for row in rows:
        size_bytes += row["size_bytes"]
        fits = size_bytes <= pacing.batch_bytes and size_bytes + len(taken) * request_bytes <= share // 2
        if size_bytes > most_bytes or (taken and not fits):
            break
        taken.append(row)
    return taken


def _share_bytes(db: Database, group: str, most_bytes: int, pacing: Pacing) -> int:
    """Return what a session takes now: `most_bytes`, or less so that all sessions of its group end together.

    `Pacing.request_bytes` count for each piece, too.
    """
    if db.value(_SQL.waits, group=group):
        return most_bytes
    left = db.row(_SQL.left, group=group)
    assert left is not None, "a row of two values always exists"
    open_bytes = left["open_bytes"] + left["pieces"] * pacing.request_bytes
    sessions = left["sessions"]
    if pacing.bytes_per_s is None:
        most_bytes = min(most_bytes, _UNKNOWN_MOST_BYTES)
    if sessions <= 1 or open_bytes >= most_bytes * sessions:
        return most_bytes
    held = sorted(_held_bytes(db.rows(_SQL.held, group=group), pacing))
    level = _level(open_bytes, [0] * max(1, sessions - len(held)) + held)
    share = int(level * pacing.relative)
    part = max(pacing.last_bytes, int(share * _PART))
    if share - part >= pacing.last_bytes // 2:
        share = part
    return min(most_bytes, max(pacing.least_bytes, share))


def _cut(db: Database, row: Row, share: int, least_bytes: int) -> None:
    """Leave of a piece only a share; the rest becomes another piece.

    A whole object is cut only if much would be left, because its digest is computed while it arrives.
    """
    size_bytes = row["done_bytes"] + share
    is_whole = row["size_bytes"] == row["object_bytes"] and not row["done_bytes"]
    if row["size_bytes"] - size_bytes >= (LEAST_WHOLE_BYTES if is_whole else least_bytes):
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


def _held_bytes(rows: Iterable[Row], pacing: Pacing) -> list[int]:
    """Return how much each session that holds pieces has still to fetch; `rows` are in the order of fetching."""
    held: list[int] = []
    for (account, slot), pieces in groupby(rows, lambda row: (row["account"], row["slot"])):
        point = _resume_point(pacing.session_lock(account, slot)) if pacing.session_lock is not None else None
        size_bytes = 0
        for row in pieces:
            missing_bytes = row["size_bytes"] - row["done_bytes"]
            if point is not None and (point.fence, point.piece) == (row["fence"], row["id"]):
                size_bytes, missing_bytes = 0, row["size_bytes"] - max(row["done_bytes"], point.done_bytes)
            size_bytes += max(0, missing_bytes) + pacing.request_bytes
        held.append(size_bytes)
    return held


def _resume_point(lock: Path) -> ResumePoint | None:
    with suppress(OSError):
        return ResumePoint.unpack(lock.read_bytes())
    return None
