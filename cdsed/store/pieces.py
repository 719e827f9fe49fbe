"""Pieces: plan a product as pieces, hand them to sessions, and note what has arrived."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cdsed.clock import Clock
from cdsed.errors import LeaseLost
from cdsed.model.objects import Digests, Lease, ListedObject, Piece, Places, StoredObject
from cdsed.model.product_state import Product
from cdsed.store import cutting, leases, products, suspects
from cdsed.store.database import Database, Row
from cdsed.store.queries import Queries

_SQL = Queries("pieces")

_PLAN_REQUESTS = 2  # the list of a product, and the head of one that is a single file
_UNKNOWN_PACING = cutting.Pacing()
_POSTPONED_FROM = 3
_LOST = ""  # instead of the digest of a bad copy: bytes had arrived, and the disk has lost them


@dataclass(frozen=True, slots=True)
class Work:
    """Work for a session: fetch `pieces` of a product or, without pieces, plan it.

    It may send `requests` requests for this; each further one must be claimed first (`leases.claim_one_more`).
    """

    product: Product
    pieces: tuple[Piece, ...]
    requests: int = 1


def next_work(
    db: Database, clock: Clock, lease: Lease, process: int, pacing: cutting.Pacing = _UNKNOWN_PACING
) -> Work | None:
    """Hand the next work to a session: pieces of a planned product, or a product to plan.

    The number of pieces is limited by the requests and the volume that the account has left. Both are reserved here.
    """
    with db.write(durable=False):
        allowed = leases.allowance(db, clock, lease)
        chosen = _chosen(db, clock, lease, process) if allowed else None
        if allowed is None or chosen is None:
            return None
        at = {"account": lease.account, "slot": lease.slot, "fence": lease.fence, "product": chosen["id"]}
        plenty = allowed.usage.requests_left > allowed.usage.requests_per_minute // 2
        if not chosen["planned"]:
            requests = min(_PLAN_REQUESTS, allowed.requests) if plenty else 1
            db.rows(_SQL.works_on, requests=requests, **at)
            return Work(products.claim_ready(db, clock, chosen["id"], process), (), requests)
        most = min(pacing.batch_pieces, allowed.requests)
        rows = db.rows(_SQL.open_pieces, product=chosen["id"], now_s=clock.boot_s(), most=most)
        batch = cutting.batch(db, lease.group, rows, allowed.usage.handout_bytes, pacing, may_cut=plenty)
        pieces = tuple(map(_piece, batch))
        if not pieces:
            return None
        db.rows(_SQL.works_on, requests=len(pieces), **at)
        db.rows(_SQL.hold, fence=lease.fence, ids=json.dumps([piece.id for piece in pieces]))
        return Work(products.get(db, chosen["id"]), pieces, len(pieces))


def _chosen(db: Database, clock: Clock, lease: Lease, process: int) -> Row | None:
    """Return the product that a session works on next, or None."""
    mine: dict[str, Any] = {"group": lease.group, "account": lease.account}
    control = db.row(_SQL.control, **mine)
    assert control is not None, "a row of values always exists"
    duty = suspects.duty(db, clock, process) if control["suspects"] else suspects.ANY_WORK
    if duty.drains or control["paused"]:
        return None
    begins = control["drained_at"] is None
    mine |= {"now_s": clock.boot_s(), "begins": begins, "begun_by": math.inf if begins else control["drained_at"]}
    if duty.only is not None:
        return db.row(_SQL.next_of_suspect, only=duty.only, **mine)
    row = db.row(_SQL.next_product, **mine)
    if row is not None and not row["planned"] and begun_enough(db, clock, lease.group):
        return db.row(_SQL.next_product, **mine | {"begins": False})
    return row


def begun_enough(db: Database, clock: Clock, group: str) -> bool:
    """Tell whether so many products of a group wait for their verification that its sessions begin no others.

    Otherwise the sessions would go ahead of a slow disk, further with each restart, and the oldest listings end last.
    A session has one product at a time, so at most twice as many products as sessions are begun, besides those that
    processes verify, those that cannot continue, and those that gave way to a higher priority.
    """
    return bool(db.value(_SQL.begun_enough, group=group, now_s=clock.boot_s()))


def rests(db: Database, product: Product) -> bool:
    """Tell whether a product in transfer is to rest, because it, its listings or its disk are paused or cancelled."""
    return bool(db.value(_SQL.rests, product=product.id))


def forget_lost(db: Database, product: Product, staged: Mapping[str, int]) -> list[str]:
    """Reset the arrived bytes of objects whose staged file is missing or too short.

    Call it before the files are preallocated again as sparse files, which have the full size without the bytes.

    Parameters
    ----------
    staged
        Sizes in bytes of the files in the staging directory of the product, by path.

    Returns
    -------
    list of str
        The paths of the objects that were lost for the second time.

    Raises
    ------
    LeaseLost
        Another worker has claimed the product meanwhile.
    """
    with db.write():
        products.check_claim(db, product)
        begun = {row["path"] for row in db.rows(_SQL.begun, product=product.id)}
        arrived = [stored for stored in objects(db, product.id) if stored.path in begun]
        lost = [stored for stored in arrived if staged.get(stored.path) != stored.size_bytes]
        mark_bad(db, {stored.id: _LOST for stored in lost})
        return [stored.path for stored in lost if stored.bad_digest == _LOST]


def forget_arrived(db: Database, product: Product) -> None:
    """Reset the arrived bytes of a product, before it is downloaded as one zip instead."""
    with db.write():
        mark_bad(db, {stored.id: stored.bad_digest for stored in objects(db, product.id)})


def arrived(db: Database, product: Product, listed: Sequence[ListedObject]) -> frozenset[str]:
    """Return the paths of unchanged objects of which some bytes have arrived."""
    begun = {
        row["path"]: (row["key"], row["size_bytes"], row["etag"]) for row in db.rows(_SQL.begun, product=product.id)
    }
    return frozenset(item.path for item in listed if begun.get(item.path) == (item.key, item.size_bytes, item.etag))


def plan(
    db: Database,
    product: Product,
    listed: Sequence[ListedObject],
    places: Places,
    piece_bytes: int,
    *,
    partial: bool = False,
) -> None:
    """Store the objects of a claimed product, and open it to every free session.

    Parameters
    ----------
    listed
        The objects to fetch. Arrived bytes of an object are kept if its key, size and ETag are unchanged. The others
        are fetched from the start.
    piece_bytes
        The size of the largest piece.
    partial
        Whether the product has more objects.

    Raises
    ------
    LeaseLost
        Another worker has claimed the product meanwhile.
    """
    with db.write():
        planned = db.row(
            _SQL.planned,
            product=product.id,
            fence=product.fence,
            size_bytes=sum(item.size_bytes for item in listed),
            destination=places.destination,
            staging=places.staging,
            partial=partial,
        )
        if planned is None:
            raise LeaseLost(f"{product.safename}: another worker has taken it over")
        known = {stored.path: stored for stored in objects(db, product.id)} if planned["has_objects"] else {}
        new: list[ListedObject] = []
        for item in listed:
            stored = known.get(item.path)
            if stored and (stored.key, stored.size_bytes, stored.etag) == (item.key, item.size_bytes, item.etag):
                del known[item.path]
            else:
                new.append(item)
        for stored in known.values():  # changed or vanished
            db.rows(_SQL.drop_object, id=stored.id)
        _add_objects(db, product.id, new, piece_bytes)


def arrived_whole(db: Database, product: Product) -> None:
    """Note that every piece of a planned product is on the disk; call it in the transaction of `plan`."""
    db.rows(_SQL.arrived_whole, product=product.id)


def advance(db: Database, lease: Lease, piece: Piece, done_bytes: int) -> None:
    """Note how many bytes of a piece are durable on disk.

    Raises
    ------
    LeaseLost
        Another lease holds the piece now.
    """
    with db.write():
        if db.row(_SQL.advance, id=piece.id, fence=lease.fence, done_bytes=done_bytes) is None:
            raise LeaseLost(f"{piece.key}: this piece has been given to another session")
        db.rows(_SQL.advanced, piece=piece.id)


def finish(db: Database, lease: Lease, arrived: Mapping[Piece, Digests]) -> None:
    """Note pieces of a product that are complete and durable, with the digests of those that are a whole object."""
    if not arrived:
        return
    ids = [piece.id for piece in arrived]
    known = [(piece.object_id, each) for piece, each in arrived.items() if each != Digests()]
    digested = [(number, each.md5, each.sha3_256, each.stamp) for number, each in known]
    with db.write():
        ours = {row["id"] for row in db.rows(_SQL.finish, ids=json.dumps(ids), fence=lease.fence)}
        if lost := [piece.key for piece in arrived if piece.id not in ours]:
            raise LeaseLost(f"{lost[0]}: this piece has been given to another session")
        db.rows(_SQL.set_digests, digests=json.dumps(digested))
        db.rows(_SQL.advanced, piece=ids[0])


def let_go(db: Database, lease: Lease, piece: Piece, *, transient_failure: bool = False, due_s: float = 0.0) -> bool:
    """Release an unfinished piece; it may be tried again from `due_s` on (seconds since boot).

    Returns
    -------
    bool
        Whether the lease still held the piece. If not, its product has changed, and the caller must leave it alone.
    """
    with db.write():
        return (
            db.row(_SQL.let_go, id=piece.id, fence=lease.fence, transient_failures=int(transient_failure), due_s=due_s)
            is not None
        )


def postpone(db: Database, product: int, due_s: float, failed_min: int = _POSTPONED_FROM) -> None:
    """Let all pieces of a product wait until `due_s` if so many of them have failed: the others probably fail, too.

    Sessions work on other products meanwhile.
    """
    with db.write():
        db.rows(_SQL.postpone, product=product, due_s=due_s, failed_min=failed_min)


def objects(db: Database, product: int) -> list[StoredObject]:
    """Return the objects of a product, by path."""
    return [
        StoredObject(digests=Digests(row.pop("md5"), row.pop("sha3_256"), row.pop("stamp")), **row)
        for row in db.rows(_SQL.objects, product=product)
    ]


def have_all_arrived(db: Database, product: int) -> bool:
    """Tell whether every byte of a product is on its disk; then it may even have been published."""
    return bool(db.value(_SQL.have_all_arrived, product=product))


def mark_bad(db: Database, bad: Mapping[int, str | None]) -> None:
    """Make sessions fetch objects again.

    Parameters
    ----------
    bad
        By number of the object: the digest with which it last failed verification; None if it never did.
    """
    with db.write():
        for number, digest in bad.items():
            db.rows(_SQL.mark_bad, id=number, digest=digest)
            db.rows(_SQL.reset_pieces, id=number)


def count_damaged(db: Database, damaged: Iterable[int]) -> int:
    """Count one more damaged copy of each of these objects (by number); return the highest count."""
    with db.write():
        counts = [int(db.value(_SQL.count_damaged, id=number)) for number in damaged]
    return max(counts, default=0)


def _add_objects(db: Database, product: int, new: Sequence[ListedObject], piece_bytes: int) -> None:
    objects = [(item.key, item.path, item.size_bytes, item.etag) for item in new]
    pieces = [
        (item.path, first_byte, min(piece_bytes, item.size_bytes - first_byte))
        for item in new
        for first_byte in range(0, item.size_bytes, piece_bytes)
    ]
    db.rows(_SQL.add_objects, product=product, objects=json.dumps(objects))
    db.rows(_SQL.add_pieces, product=product, pieces=json.dumps(pieces))


def _piece(row: Row) -> Piece:
    return Piece(object_id=row["object"], **{name: row[name] for name in Piece.__slots__ if name != "object_id"})
