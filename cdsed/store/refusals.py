"""How long a product has been refused (403) to every account: a service that flaps refuses what it gives later."""

from dataclasses import dataclass

from cdsed.clock import Clock
from cdsed.model.product_state import Product
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("refusals")

#: When the accounts have read nothing else meanwhile, so that the trouble may be theirs: so many times longer.
_UNPROVEN_TIMES = 7


@dataclass(frozen=True, slots=True)
class Refusals:
    """The rounds in a row in which every account was refused a product.

    Attributes
    ----------
    rounds
        This one included.
    lasting
        Whether that has gone on for so long that it is final.
    offered
        Whether the catalogue was asked again since it was so.
    """

    rounds: int
    lasting: bool
    offered: bool


def of(db: Database, clock: Clock, product: Product, lasts_s: float) -> Refusals:
    """Return what is known of a product that the last of its accounts was refused just now.

    Two clocks have to agree: the wall clock may have been set, and the pauses are cut short by a reboot.
    """
    row = db.row(_SQL.get, id=product.id)
    assert row is not None, f"there is no product {product.id}"
    began_at = clock.utc_s() if row["refused_at"] is None else row["refused_at"]
    for_s = min(clock.utc_s() - began_at, row["refused_for_s"])
    proven = bool(db.value(_SQL.reads_others, id=product.id, since_hour=int(began_at // 3600)))
    lasting = row["refusals"] > 0 and for_s >= lasts_s * (1 if proven else _UNPROVEN_TIMES)
    return Refusals(row["refusals"] + 1, lasting, bool(row["offered_again"]))


def add_denial(db: Database, clock: Clock, product: Product, account: str) -> int:
    """Note that the service refused this product to this account; return how many accounts could still try."""
    with db.write():
        db.rows(_SQL.add_denial, id=product.id, account=account)
        left = db.value(_SQL.accounts_left, id=product.id, account_group=product.account_group, now=clock.utc_s())
        return int(left)


def count(db: Database, clock: Clock, product: Product, pause_s: float) -> None:
    """Note a round in which every account was refused a product; after a pause all of them try again."""
    with db.write():
        db.rows(_SQL.count, id=product.id, at=clock.utc_s(), pause_s=pause_s)
        forget_denials(db, product.id)


def forget_denials(db: Database, product: int) -> None:
    """Let every account try a product again."""
    with db.write():
        db.rows(_SQL.forget_denials, id=product)


def ask_catalogue(db: Database, product: Product) -> None:
    """Note that the catalogue is asked once more whether it still offers the product."""
    with db.write():
        db.rows(_SQL.offered_again, id=product.id)
