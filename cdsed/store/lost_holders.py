"""What a holder on another machine may have left when it was lost: bytes that its machine has not written yet.

A network file system may write them much later, when its network is whole again. So the objects that it worked on
begin again, in new files: what is late reaches the old ones, which have no name any more.
"""

import json
from collections.abc import Iterable

from cdsed.clock import Clock
from cdsed.model.product_state import State
from cdsed.store import products
from cdsed.store.database import Database
from cdsed.store.move import Move
from cdsed.store.queries import Queries

_SQL = Queries("lost_holders")


def begin_again(db: Database, clock: Clock, fences: Iterable[int]) -> None:
    """Let the objects whose pieces these leases hold begin again; call it in the transaction that releases the pieces.

    Their products are planned again, which makes the files of objects without arrived bytes anew.
    """
    held = {"fences": json.dumps(list(fences))}
    found = db.rows(_SQL.products, **held)
    db.rows(_SQL.forget_digests, **held)
    db.rows(_SQL.reset_pieces, **held)
    for row in found:
        product = products.get(db, row["product"])
        products.move(db, clock, product, Move(State.READY, cause="a holder was lost: what it wrote is fetched again"))
