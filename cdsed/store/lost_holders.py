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
    """Let what these leases work on begin again; call it in the transaction that releases their pieces.

    Their products are planned again, which takes the pieces from other leases, too. Those may be lost as well, and
    their holders may still write. So each object of which a piece is held begins again: the plan makes a new file.
    """
    for row in db.rows(_SQL.products, fences=json.dumps(list(fences))):
        product = products.get(db, row["product"])
        db.rows(_SQL.forget_digests, product=product.id)
        db.rows(_SQL.reset_pieces, product=product.id)
        products.move(db, clock, product, Move(State.READY, cause="a holder was lost: what it wrote is fetched again"))
