"""Products that are fetched in part: what all listings want of one, and whether what is there is enough."""

from cdsed.clock import Clock
from cdsed.errors import ProductError
from cdsed.frozen import frozen
from cdsed.model.choice import Choice, union
from cdsed.model.manifest import manifest_of
from cdsed.model.objects import ListedObject
from cdsed.model.part_marker import MARKER, content
from cdsed.model.product_state import Product, State
from cdsed.model.single_file import single_file
from cdsed.store import products
from cdsed.store.database import Database
from cdsed.store.move import Move
from cdsed.store.queries import Queries

_SQL = Queries("choices")


@frozen
class ChosenObjects:
    """The objects of a product that are fetched; `marker` has the name and content of its marker if others are not."""

    taken: list[ListedObject]
    marker: dict[str, bytes]


def chosen(product: Product, listed: list[ListedObject]) -> ChosenObjects:
    """Return the objects that the listings of a product want; a product that is one file is taken whole.

    The manifest is always among them, because the others are compared with it.

    Raises
    ------
    ProductError
        ``NothingChosen``: no object fits.
    """
    choice = Choice.from_json(product.choice)
    if choice is None or single_file(listed, product.safename):
        return ChosenObjects(listed, {})
    if not any(choice.wants(item.path) for item in listed):
        raise ProductError(f"none of its {len(listed)} files fits {choice}", code="NothingChosen")
    manifest, _ = manifest_of(product.safename)
    taken = [item for item in listed if item.path == manifest or choice.wants(item.path)]
    left_out = [item for item in listed if not (item.path == manifest or choice.wants(item.path))]
    return ChosenObjects(taken, {MARKER: content(choice, taken, left_out)} if left_out else {})


def widen(db: Database, product: Product, choice: Choice | None) -> None:
    """Note that another listing wants these files of a product under way, too; None: all of them.

    A copy with fewer files does not count again if no new one comes, so the product does not replace it any more.
    """
    wider = union(Choice.from_json(product.choice), choice)
    with db.write():
        db.rows(_SQL.widen, id=product.id, choice=None if wider is None else wider.to_json())


def follow_listings(db: Database, number: int) -> None:
    """Note what all open listings want of a product that is queued again; each may want other files."""
    with db.write():
        for row in db.rows(_SQL.of_listings, product=number):
            widen(db, products.get(db, number), Choice.from_json(row["choice"]))


def is_enough(db: Database, number: int, choice: Choice | None) -> bool:
    """Tell whether no open listing wants more files of a product than a choice takes."""
    wanted = [Choice.from_json(row["choice"]) for row in db.rows(_SQL.of_listings, product=number)]
    return all(union(choice, each) == choice for each in wanted)


def settle(db: Database, clock: Clock, product: Product, end: Move) -> bool:
    """Finish a product that is on disk, unless it is there in part and another listing wants more of it meanwhile.

    Returns
    -------
    bool
        Whether it is finished; if not, it is planned again at once.

    Raises
    ------
    LeaseLost
        As for `move`.
    """
    with db.write():
        wider = bool(end.partial) and products.get(db, product.id).choice != product.choice
        products.move(db, clock, product, wanted_more(clock) if wider else end)
    return not wider


def wanted_more(clock: Clock) -> Move:
    """Return the move of a product that was fetched in part, of which a later listing wants more files."""
    return Move(State.RETRY_WAIT, cause="another listing wants more of its files", due_s=clock.boot_s())
