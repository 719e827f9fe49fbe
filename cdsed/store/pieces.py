"""Pieces: cutting a planned product into them, handing them to sessions, and noting what has arrived."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from cdsed.clock import Clock
from cdsed.errors import LeaseLost
from cdsed.model.objects import Digests, Lease, ListedObject, Piece, Places, StoredObject
from cdsed.model.product_state import Product
from cdsed.store import leases, products, quota_usage, suspects
from cdsed.store.database import Database, Row
from cdsed.store.queries import Queries

_SQL = Queries("pieces")

# Small pieces are handed out by the handful: each hand-out costs a commit, that is an fsync.
_BATCH_BYTES = 8 * 2**20
_BATCH_PIECES = 32
_LOST = ""  # instead of the digest of a bad copy: something had arrived, and the disk has not kept it


@dataclass(frozen=True, slots=True)
class Work:
    """What a session is to do: fetch `pieces` of a product, or, when there are none, plan it.

    `requests` may be sent for it; each one more must be claimed first (`leases.claim_requests`).
    """

    product: Product
    pieces: tuple[Piece, ...]
    requests: int = 1


def next_work(db: Database, clock: Clock, lease: Lease, process: int) -> Work | None:
    """Hand the next work to a session: pieces of a product already begun, or a product to plan.

    Pieces are as many as its account has requests and volume left for; they count as used from here on.
    """
    with db.write():
        chosen = _chosen(db, clock, lease, process)
        if chosen is None:
            return None
        left = quota_usage.of(db, clock, lease.account)
        claimed = leases.claim_requests(db, clock, lease, _BATCH_PIECES if chosen["planned"] else 1)
        if left is None or not claimed:
            return None
        if not chosen["planned"]:
            return Work(products.claim_ready(db, clock, chosen["id"], process), ())
        rows = db.rows(_SQL.open_pieces, product=chosen["id"], now_s=clock.boot_s(), most=claimed)
        pieces = _batch([_piece(row) for row in rows], left.handout_bytes)
        if not pieces:
            return None
        leases.claim_requests(db, clock, lease, len(pieces))
        db.rows(_SQL.hold, fence=lease.fence, ids=json.dumps([piece.id for piece in pieces]))
        return Work(products.get(db, chosen["id"]), pieces, len(pieces))


def _chosen(db: Database, clock: Clock, lease: Lease, process: int) -> Row | None:
    """Return the product that a session is to work on next, if there is one for it."""
    duty = suspects.duty(db, clock, process)
    mine = {"group": lease.group, "account": lease.account, "now_s": clock.boot_s()}
    if duty.drains:
        return None
    if duty.only is not None:
        return db.row(_SQL.next_of_suspect, only=duty.only, **mine)
    return db.row(_SQL.next_product, **mine)


def forget_lost(db: Database, product: Product, staged: Mapping[str, int]) -> list[str]:
    """Forget what arrived of objects whose file is not there whole, before it is made again, as a hole.

    Parameters
    ----------
    staged
        Sizes in bytes of the files that are in its staging directory, by path.

    Returns
    -------
    list of str
        The paths of those that were lost before, too.

    Raises
    ------
    LeaseLost
        Someone else has claimed the product meanwhile.
    """
    with db.write():
        if products.get(db, product.id).fence != product.fence:
            raise LeaseLost(f"{product.safename}: another worker has taken it over")
        begun = {row["path"] for row in db.rows(_SQL.begun, product=product.id)}
        arrived = [stored for stored in objects(db, product.id) if stored.path in begun]
        lost = [stored for stored in arrived if staged.get(stored.path) != stored.size_bytes]
        mark_bad(db, {stored.id: _LOST for stored in lost})
        return [stored.path for stored in lost if stored.bad_digest == _LOST]


def forget_arrived(db: Database, product: Product) -> None:
    """Forget all that arrived of a product, before it is fetched whole another way."""
    with db.write():
        mark_bad(db, {stored.id: stored.bad_digest for stored in objects(db, product.id)})


def arrived(db: Database, product: Product, listed: Sequence[ListedObject]) -> frozenset[str]:
    """Return the paths of unchanged objects of which something has arrived."""
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
) -> None:
    """Note what a claimed product is made of, and open it to every free session.

    Parameters
    ----------
    listed
        All its objects. What arrived of one whose size and ETag are unchanged is kept; the others begin again.
    piece_bytes
        The largest piece.

    Raises
    ------
    LeaseLost
        Someone else has claimed the product meanwhile.
    """
    with db.write():
        known = {stored.path: stored for stored in objects(db, product.id)}
        for item in listed:
            stored = known.pop(item.path, None)
            if stored is not None:
                same = (stored.key, stored.size_bytes, stored.etag) == (item.key, item.size_bytes, item.etag)
                if same:
                    continue
                db.rows(_SQL.drop_object, id=stored.id)
            _add_object(db, product.id, item, piece_bytes)
        for vanished in known.values():
            db.rows(_SQL.drop_object, id=vanished.id)
        planned = db.row(
            _SQL.planned,
            product=product.id,
            fence=product.fence,
            size_bytes=sum(item.size_bytes for item in listed),
            destination=places.destination,
            staging=places.staging,
        )
        if planned is None:
            raise LeaseLost(f"{product.safename}: another worker has taken it over")


def arrived_whole(db: Database, product: Product) -> None:
    """Note that every piece of a planned product is on the disk; call it in the transaction of `plan`."""
    db.rows(_SQL.arrived_whole, product=product.id)


def advance(db: Database, lease: Lease, piece: Piece, done_bytes: int) -> None:
    """Note how much of a piece is safely on disk.

    Raises
    ------
    LeaseLost
        The piece belongs to another lease now.
    """
    with db.write():
        if db.row(_SQL.advance, id=piece.id, fence=lease.fence, done_bytes=done_bytes) is None:
            raise LeaseLost(f"{piece.key}: this piece has been given to another session")
        db.rows(_SQL.advanced, piece=piece.id)


def finish(db: Database, lease: Lease, arrived: Mapping[Piece, Digests]) -> None:
    """Note pieces that are whole and on disk, with the digests of those that are whole objects."""
    with db.write():
        for piece, digests in arrived.items():
            if db.row(_SQL.finish, id=piece.id, fence=lease.fence) is None:
                raise LeaseLost(f"{piece.key}: this piece has been given to another session")
            if digests != Digests():
                db.rows(_SQL.set_digests, id=piece.object_id, **asdict(digests))
            db.rows(_SQL.advanced, piece=piece.id)


def let_go(db: Database, lease: Lease, piece: Piece, *, transient_failure: bool = False, due_s: float = 0.0) -> bool:
    """Give a piece back unfinished; `due_s` (seconds since boot) says when it may be tried again.

    Returns
    -------
    bool
        Whether the lease still held it: else its product has moved on, and is nobody's business here.
    """
    with db.write():
        return (
            db.row(_SQL.let_go, id=piece.id, fence=lease.fence, transient_failures=int(transient_failure), due_s=due_s)
            is not None
        )


def objects(db: Database, product: int) -> list[StoredObject]:
    """Return what a product is made of, by path."""
    return [
        StoredObject(digests=Digests(row.pop("md5"), row.pop("sha3_256"), row.pop("stamp")), **row)
        for row in db.rows(_SQL.objects, product=product)
    ]


def have_all_arrived(db: Database, product: int) -> bool:
    """Tell whether every byte of a product is on its disk: it may even have been published."""
    return bool(db.value(_SQL.have_all_arrived, product=product))


@dataclass(frozen=True, slots=True)
class WholeObject:
    """An object of a product under way whose bytes have all arrived, and whose digests nobody knows yet."""

    id: int
    product: int
    path: str


def claim_digesting(db: Database, clock: Clock, process: int) -> WholeObject | None:
    """Claim an object in order to compute its digests before its product is verified."""
    if _to_digest(db, clock, process) is None:
        return None
    with db.write():
        row = db.row(_SQL.claim_digesting, id=_to_digest(db, clock, process), process=process)
    return None if row is None else WholeObject(**row)


def _to_digest(db: Database, clock: Clock, process: int) -> int | None:
    duty = suspects.duty(db, clock, process)
    number: int | None = None if duty.drains else db.value(_SQL.to_digest, now_s=clock.boot_s(), only=duty.only)
    return number


def digested(db: Database, process: int, claimed: WholeObject, digests: Digests) -> None:
    """Note the digests of a claimed object, or, where there are none, only that nobody is at it any more."""
    with db.write():
        db.rows(_SQL.digested, id=claimed.id, process=process, **asdict(digests))


def mark_bad(db: Database, bad: Mapping[int, str | None]) -> None:
    """Have objects (by number) fetched again that last failed verification with these digests; None: they never did."""
    with db.write():
        for number, digest in bad.items():
            db.rows(_SQL.mark_bad, id=number, digest=digest)
            db.rows(_SQL.reset_pieces, id=number)


def count_damaged(db: Database, damaged: Iterable[int]) -> int:
    """Count one more copy of each of these objects (by number) that was damaged; return how often the worst one was."""
    with db.write():
        counts = [int(db.value(_SQL.count_damaged, id=number)) for number in damaged]
    return max(counts, default=0)


def _add_object(db: Database, product: int, item: ListedObject, piece_bytes: int) -> None:
    number = db.value(
        _SQL.add_object,
        product=product,
        key=item.key,
        path=item.path,
        size_bytes=item.size_bytes,
        etag=item.etag,
    )
    for first_byte in range(0, item.size_bytes, piece_bytes):
        size_bytes = min(piece_bytes, item.size_bytes - first_byte)
        db.rows(_SQL.add_piece, product=product, object=number, first_byte=first_byte, size_bytes=size_bytes)


def _batch(pieces: list[Piece], most_bytes: int) -> tuple[Piece, ...]:
    """Return the first piece, and as many after it as still make a small handful, of `most_bytes` in all."""
    batch: list[Piece] = []
    size_bytes = 0
    for piece in pieces:
        size_bytes += piece.size_bytes
        if size_bytes > most_bytes or (batch and size_bytes > _BATCH_BYTES):
            break
        batch.append(piece)
    return tuple(batch)


def _piece(row: Row) -> Piece:
    return Piece(object_id=row["object"], **{name: row[name] for name in Piece.__slots__ if name != "object_id"})
