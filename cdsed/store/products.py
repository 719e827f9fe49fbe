"""Products: request them, claim them for one step, and move them to the next state.

A claim sets the process and a fence. Every move of a claimed product names its fence, and raises `LeaseLost` when the
claim has ended.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from cdsed.clock import Clock
from cdsed.errors import LeaseLost
from cdsed.frozen import frozen
from cdsed.model.listing import ProductRequest
from cdsed.model.objects import Places
from cdsed.model.product_state import TERMINAL, PathSource, Product, State
from cdsed.store import refusals, suspects
from cdsed.store.database import Database, Row
from cdsed.store.leases import next_fence
from cdsed.store.move import Move, as_commanded, back_to_former
from cdsed.store.queries import Queries

_SQL = Queries("products")


def get(db: Database, product: int) -> Product:
    """Return the product with this number."""
    row = db.row(_SQL.get, id=product)
    assert row is not None, f"product {product} vanished from the database"
    return _product(row)


def find(db: Database, safename: str) -> Product | None:
    """Return the product with this name; None if it was never requested."""
    row = db.row(_SQL.by_safename, safename=safename)
    return None if row is None else _product(row)


def similar_names(db: Database, safename: str) -> list[str]:
    """Return a few known names that are next to this one in the alphabet, to suggest for a misspelt name."""
    return [row["safename"] for row in db.rows(_SQL.similar_names, safename=safename)]


def add(db: Database, clock: Clock, request: ProductRequest, *, path: str | None = None, partial: bool = False) -> int:
    """Enter a new product: queued, or already present when `path` says where it is on disk, perhaps in part."""
    with db.write():
        return int(
            db.value(
                _SQL.add,
                state=State.ALREADY_PRESENT if path else State.QUEUED,
                path=path,
                partial=partial,
                at=clock.utc_s(),
                **_requested(request),
            )
        )


def name(db: Database, product: Product, safename: str) -> Product:
    """Give a claimed product, of which only the id was known, its name, which no other product has."""
    with db.write():
        db.rows(_SQL.name, id=product.id, fence=product.fence, safename=safename)
    return get(db, product.id)


def ask_again(db: Database, clock: Clock, product: int, request: ProductRequest) -> None:
    """Queue a finished product again, without its earlier attempts."""
    values = _requested(request)
    del values["safename"]
    with db.write():
        db.rows(_SQL.ask_again, id=product, at=clock.utc_s(), **values)
        refusals.forget_denials(db, product)


def requeue(db: Database, clock: Clock, product: Product) -> None:
    """Start a waiting or failed product again, at once and without its earlier attempts.

    A waiting product keeps its arrived bytes and its S3 path. A failed product is resolved again, unless a listing gave
    its S3 path.
    """
    with db.write():
        db.rows(_SQL.requeue, id=product.id, at=clock.utc_s())
        refusals.forget_denials(db, product.id)
        db.rows(_SQL.hasten_pieces, id=product.id)


def to_requeue(
    db: Database, states: Iterable[State], listing: int | None, code: str | None = None
) -> Iterator[Product]:
    """Yield the products in these states (with this code), of all listings or of one, read page by page."""
    wanted = json.dumps([state.value for state in states])
    query = _SQL.in_states if listing is None else _SQL.in_states_of_listing
    values: dict[str, Any] = {"code": code} if listing is None else {"code": code, "listing": listing}
    for row in db.stream(query, states=wanted, **values):
        yield get(db, row["position"])


def found_present(
    db: Database, clock: Clock, product: int, path: str, cause: str | None = None, *, partial: bool | None = False
) -> None:
    """Note that a finished product is on disk although it failed, or at another path than the state says.

    ``partial``: whether only a part is there; None: as it was planned.
    """
    with db.write():
        db.rows(_SQL.return_to_queue, id=product, at=clock.utc_s())
        move(db, clock, get(db, product), Move(State.ALREADY_PRESENT, cause=cause, path=path, partial=partial))


def raise_priority(db: Database, product: int, priority: int) -> None:
    """Raise the priority of a product under way to at least this one."""
    with db.write():
        db.rows(_SQL.raise_priority, id=product, priority=priority)


def queued(db: Database, most: int, *, asks_catalogue: bool = False, but: Iterable[int] = ()) -> list[Product]:
    """Return up to `most` queued products by priority: those to look up in the catalogue, or the others."""
    rows = db.rows(_SQL.queued, asks_catalogue=asks_catalogue, but=json.dumps(list(but)), most=most)
    return [_product(row) for row in rows]


def ask_catalogue(db: Database, chosen: Iterable[int]) -> None:
    """Note that the S3 paths of these queued products are only known to the catalogue."""
    with db.write():
        db.rows(_SQL.ask_catalogue, ids=json.dumps(list(chosen)))


def claim_resolving(db: Database, clock: Clock, process: int, chosen: Iterable[int]) -> list[Product]:
    """Claim those of the chosen products that are still queued."""
    with db.write():
        rows = db.rows(
            _SQL.claim_resolving, ids=json.dumps(list(chosen)), process=process, fence=next_fence(db), at=clock.utc_s()
        )
    return [_product(row) for row in rows]


@frozen
class Found:
    """The S3 path of a product and what else was resolved."""

    s3_path: str
    source: PathSource
    product_id: str | None = None
    md5: str | None = None
    size_bytes: int | None = None


def resolved(db: Database, clock: Clock, product: Product, found: Found) -> None:
    """Store the S3 path of a product; it is ready to be fetched."""
    with db.write():
        db.rows(
            _SQL.resolved,
            id=product.id,
            fence=product.fence,
            s3_path=found.s3_path,
            path_source=found.source,
            product_id=found.product_id,
            md5=found.md5,
            size_bytes=found.size_bytes,
            at=clock.utc_s(),
        )


def claim_ready(db: Database, clock: Clock, product: int, process: int) -> Product:
    """Claim a ready product in order to plan its transfer; call it inside the transaction that chose it."""
    row = db.row(_SQL.claim_ready, id=product, process=process, fence=next_fence(db), at=clock.utc_s())
    assert row is not None, f"product {product} was not ready"
    return _product(row)


def claim_verifying(db: Database, clock: Clock, process: int, destination: str | None = None) -> Product | None:
    """Claim a product whose last piece has arrived, if there is one; call `Database.sync` before you publish it."""
    if _arrived(db, clock, process, destination) is None:
        return None
    with db.write(durable=False):
        arrived = _arrived(db, clock, process, destination)
        if arrived is None:
            return None
        row = db.row(_SQL.claim_verifying, id=arrived, process=process, fence=next_fence(db), at=clock.utc_s())
    assert row is not None, f"product {arrived} had arrived"
    return _product(row)


def _arrived(db: Database, clock: Clock, process: int, destination: str | None) -> int | None:
    at = {"now_s": clock.boot_s(), "destination": destination}
    row = db.row(_SQL.arrived, only=None, **at)
    assert row is not None, "a row of values always exists"
    if row["suspects"] and (duty := suspects.duty(db, clock, process)) != suspects.ANY_WORK:
        return None if duty.drains else db.value(_SQL.arrived, only=duty.only, **at)
    number: int | None = row["id"]
    return number


def move(db: Database, clock: Clock, product: Product, move: Move) -> None:
    """Move a product to its next state.

    Raises
    ------
    LeaseLost
        The claim has ended: another worker has the product now.
    """
    with db.write():
        command = db.row(_SQL.commanded, id=product.id)
        move = as_commanded(move, command)
        moved = db.row(
            _SQL.move,
            id=product.id,
            fence=product.fence,
            state=move.state,
            cause=move.cause,
            code=move.code,
            due_s=move.due_s,
            path=move.path,
            attempts=move.attempts,
            transient_failures=move.transient_failures,
            planned=move.state in (State.DOWNLOADING, State.VERIFYING),
            goes_on=move.state not in TERMINAL,
            partial=move.partial,
            at=clock.utc_s(),
        )
        if moved is None:
            raise LeaseLost(f"{product.safename}: another worker has taken it over")
        if move.refute_path:
            db.rows(_SQL.refute_path, id=product.id)
        if move.state in TERMINAL:
            db.rows(_SQL.forget_objects, id=product.id)  # with all pieces
            refusals.forget_denials(db, product.id)
        else:
            db.rows(_SQL.drop_pieces_held, id=product.id)
        if former := back_to_former(move, command):
            found_present(db, clock, product.id, str(former.path), cause=former.cause, partial=None)


def check_claim(db: Database, product: Product) -> None:
    """Raise `LeaseLost` if the claim of a product has ended: it was cancelled, or another worker has it."""
    if db.value(_SQL.fence_of, id=product.id) != product.fence:
        raise LeaseLost(f"{product.safename}: it was cancelled, or another worker has taken it over")


def give_up(db: Database, clock: Clock, product: int, *, code: str, cause: str) -> None:
    """Move an unclaimed product under way to *failed*."""
    with db.write():
        move(db, clock, get(db, product), Move(State.FAILED, cause=cause, code=code))


def wake_due(db: Database, clock: Clock) -> None:
    """Queue every product whose back-off is over, or make it ready."""
    if db.row(_SQL.any_due, now_s=clock.boot_s()):  # a commit would wake every process
        with db.write():
            db.rows(_SQL.wake_due, now_s=clock.boot_s(), at=clock.utc_s())


def groups_at_work(db: Database, clock: Clock) -> list[str]:
    """Return the account groups in which there is work for a session."""
    return [row["account_group"] for row in db.rows(_SQL.groups_at_work, now_s=clock.boot_s())]


def choose_place(db: Database, product: Product, places: Places, size_bytes: int) -> bool:
    """Reserve space for a claimed product at its staging, before it is planned; return whether it was planned before.

    Bytes that arrived at another place are forgotten: the new place may have sparse files of the same names and sizes.

    Raises
    ------
    LeaseLost
        Another worker has claimed the product meanwhile.
    """
    with db.write():
        chosen = db.row(
            _SQL.choose_place,
            id=product.id,
            fence=product.fence,
            destination=places.destination,
            staging=places.staging,
            size_bytes=size_bytes,
        )
        if chosen is None:
            raise LeaseLost(f"{product.safename}: another worker has taken it over")
        if places.staging == product.staging or not chosen["has_objects"]:
            return bool(chosen["has_objects"])
        db.rows(_SQL.forget_objects, id=product.id)
        return False


def forget_objects(db: Database, product: Product) -> None:
    """Delete the objects of a product with all that has arrived, because another state has written to its place."""
    with db.write():
        db.rows(_SQL.forget_objects, id=product.id)


def forget_place(db: Database, product: Product) -> None:
    """Forget the place of a claimed product of which nothing has arrived, so that it is chosen again."""
    with db.write():
        db.rows(_SQL.forget_place, id=product.id, fence=product.fence)


def _requested(request: ProductRequest) -> dict[str, Any]:
    return {
        "safename": request.safename,
        "account_group": request.account_group,
        "priority": request.priority,
        "outputdir": request.outputdir,
        "product_id": request.product_id,
        "s3_path": request.s3_path,
        "path_source": PathSource.LISTING if request.s3_path else None,
        "layout": request.layout,
        "choice": request.choice.to_json() if request.choice else None,
    }


def _product(row: Row) -> Product:
    source = row["path_source"]
    return Product(
        **{name: row[name] for name in _PLAIN},
        state=State(row["state"]),
        path_source=PathSource(source) if source else None,
        planned=bool(row["planned"]),
        partial=bool(row["partial"]),
    )


_CONVERTED = ("state", "path_source", "planned", "partial")
_PLAIN = [name for name in Product.__dataclass_fields__ if name not in _CONVERTED]
