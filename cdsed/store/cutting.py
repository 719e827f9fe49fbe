"""Cut the last pieces of the last products smaller, so that all sessions end at about the same time.

As long as other products are ready, a session that has no piece plans the next one, and nothing is cut.
"""

from cdsed.store.database import Database, Row
from cdsed.store.queries import Queries

_SQL = Queries("cutting")

# A request costs the time to its first byte, in which about half a megabyte could arrive.
_LEAST_BYTES = 8 * 2**20


def cut(db: Database, group: str, row: Row) -> None:
    """Leave of a piece that is handed out now only a session's share of what is left for the group.

    The rest becomes another piece. A piece that is a whole object stays, because its digest is computed while it
    arrives, and so does one of which bytes have arrived. Call it in the transaction that hands the piece out.

    Parameters
    ----------
    row
        The piece, of `cdsed.store.pieces`. Its size is changed.
    """
    if row["size_bytes"] == row["object_bytes"] or row["done_bytes"] or row["size_bytes"] < 2 * _LEAST_BYTES:
        return
    if db.value(_SQL.waits, group=group):
        return
    left = db.row(_SQL.left, group=group)
    assert left is not None, "a row of two values always exists"
    share_bytes = max(_LEAST_BYTES, left["open_bytes"] // max(1, left["sessions"]))
    if row["size_bytes"] - share_bytes >= _LEAST_BYTES:
        db.rows(_SQL.rest, id=row["id"], size_bytes=share_bytes)
        db.rows(_SQL.shorten, id=row["id"], size_bytes=share_bytes)
        row["size_bytes"] = share_bytes
