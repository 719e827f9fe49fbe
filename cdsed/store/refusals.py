"""How long S3 has not delivered a product that the catalogue offers: it refuses it to all, or does not list it."""

from cdsed.clock import Clock
from cdsed.frozen import frozen
from cdsed.model.product_state import Product
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("refusals")

#: The factor on the time until refusals are final, if the accounts have read nothing else: the fault may be theirs.
_UNPROVEN_TIMES = 7


@frozen
class Refusals:
    """The rounds in a row in which every account was refused a product.

    Attributes
    ----------
    rounds
        Their number, including this one.
    lasting
        Whether the refusals have lasted long enough to be final.
    offered
        Whether the catalogue was asked again after they had lasted that long.
    """

    rounds: int
    lasting: bool
    offered: bool


def of(db: Database, clock: Clock, product: Product, lasts_s: float) -> Refusals:
    """Return the refusals of a product after the last of its accounts was refused it.

    The shorter of two times counts: the wall clock may have been set, and a reboot cuts the pauses short. If the clock
    was set back to before they began, only the pauses count, or the product would wait until it is that late again.
    """
    row = db.row(_SQL.get, id=product.id)
    assert row is not None, f"product {product.id} does not exist"
    now_at = clock.utc_s()
    began_at = now_at if row["refused_at"] is None else row["refused_at"]
    for_s = min(now_at - began_at, row["refused_for_s"]) if began_at <= now_at else row["refused_for_s"]
    proven = bool(db.value(_SQL.reads_others, id=product.id, since_hour=int(min(began_at, now_at) // 3600)))
    lasting = row["refusals"] > 0 and for_s >= lasts_s * (1 if proven else _UNPROVEN_TIMES)
    return Refusals(row["refusals"] + 1, lasting, bool(row["offered_again"]))


def last_failure(db: Database, product: Product) -> tuple[str | None, int]:
    """Return the code of the product's last failure, and how often in a row S3 did not deliver it."""
    row = db.row(_SQL.last_failure, id=product.id)
    assert row is not None, f"product {product.id} does not exist"
    return row["code"], row["refusals"]


def add_denial(db: Database, clock: Clock, product: Product, account: str) -> int:
    """Note that the service refused a product to an account; return how many accounts could still try."""
    with db.write():
        db.rows(_SQL.add_denial, id=product.id, account=account)
        left = db.value(_SQL.accounts_left, id=product.id, account_group=product.account_group, now=clock.utc_s())
        return int(left)


def count(db: Database, clock: Clock, product: Product, pause_s: float) -> None:
    """Note a round in which S3 did not deliver a product; after a pause all accounts try again."""
    with db.write():
        db.rows(_SQL.count, id=product.id, at=clock.utc_s(), pause_s=pause_s)
        forget_denials(db, product.id)


def forget_denials(db: Database, product: int) -> None:
    """Delete the refusals of a product, so that every account tries it again."""
    with db.write():
        db.rows(_SQL.forget_denials, id=product)


def ask_catalogue(db: Database, product: Product) -> None:
    """Note that the catalogue is asked again whether it still offers the product."""
    with db.write():
        db.rows(_SQL.offered_again, id=product.id)
