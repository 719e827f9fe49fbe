"""What is still to fetch for each listing: requests and bytes, estimated where a product is not planned yet."""

from collections.abc import Iterable
from dataclasses import replace

from cdsed.clock import Clock
from cdsed.frozen import frozen
from cdsed.model.estimate import Load
from cdsed.model.product_state import Product
from cdsed.store.database import Database, Row
from cdsed.store.queries import Queries

_SQL = Queries("backlog")

_LEARNT_FROM = 100  # a mean forgets what was more products ago
_LATE_LOOKED_AT = 500
_FAMILY = slice(0, 2)


@frozen
class ListingLoad:
    """What is to fetch for one listing.

    Attributes
    ----------
    taking
        Whether its lines are still being read.
    due_in_s
        Seconds until its last product in back-off is tried again; 0 without one.
    """

    id: int
    group: str
    outputdir: str
    taking: bool
    load: Load
    due_in_s: float = 0.0


@frozen
class Backlog:
    """What is to fetch.

    Attributes
    ----------
    listings
        In the order of their work: by priority, then by age.
    to_go_bytes
        Of all products; None if of some no size is known and cannot be estimated.
    requests_known
        Whether the requests are estimated from products that were planned; else they are too few.
    """

    listings: tuple[ListingLoad, ...]
    to_go_bytes: float | None
    requests_known: bool


def learn(db: Database, product: Product, requests: int) -> None:
    """Note how many requests a product needs that was just planned, and its size."""
    db.rows(_SQL.learn, product=product.id, requests=requests, most=_LEARNT_FROM)


def read(db: Database, clock: Clock) -> Backlog:
    """Return what is to fetch."""
    needs = _Needs(db.rows(_SQL.kinds))
    planned = db.rows(_SQL.planned)
    everything = db.rows(_SQL.all)
    total = needs.of_all(everything, planned)
    of_listing: dict[int, list[Row]] = {}
    for row in planned:
        for listing in db.rows(_SQL.listings_of, product=row["id"]):
            of_listing.setdefault(listing["listing"], []).append(row)
    due = {row["listing"]: row["due_s"] for row in db.rows(_SQL.last_due, most=_LATE_LOOKED_AT)}
    rows: dict[int, list[Row]] = {}
    for row in db.rows(_SQL.listings):
        rows.setdefault(row["id"], []).append(row)
    found = [
        ListingLoad(
            number,
            kinds[0]["account_group"],
            kinds[0]["outputdir"],
            kinds[0]["state"] == "taking",
            needs.of_all(kinds, of_listing.get(number, ())),
            max(0.0, due.get(number, 0.0) - clock.boot_s()),
        )
        for number, kinds in rows.items()
    ]
    known = needs.know_sizes(everything)
    return Backlog(_without_doubles(found, total), total.size_bytes if known else None, needs.known)


def _without_doubles(found: list[ListingLoad], total: Load) -> tuple[ListingLoad, ...]:
    """Count products that several listings want only once, by a factor that is the same for all listings."""
    doubled = sum((each.load for each in found), Load())
    factor = min(1.0, total.requests / doubled.requests) if doubled.requests else 1.0
    return tuple(replace(each, load=each.load * factor) for each in found)


class _Needs:
    """What one product of a kind needs; of an unknown kind, the mean of its family or else of all."""

    def __init__(self, kinds: Iterable[Row]) -> None:
        self._rows = list(kinds)
        self._kinds = {row["kind"]: Load(row["requests"], row["size_bytes"]) for row in self._rows}
        self._all = _mean(self._rows)

    @property
    def known(self) -> bool:
        return self._all is not None

    def know_sizes(self, rows: Iterable[Row]) -> bool:
        """Tell whether the size of every product is known or can be estimated."""
        return self.known or all(row["sized"] == row["products"] for row in rows)

    def of_all(self, kinds: Iterable[Row], planned: Iterable[Row]) -> Load:
        """Return what unfinished products need; those in `planned` are among them, and need only what is open."""
        load = sum((self._of_kind(row) for row in kinds), Load())
        for row in planned:
            whole = self._of_kind({**row, "products": 1, "sized": 1})
            load += Load(row["open_pieces"] - whole.requests, row["open_bytes"] - whole.size_bytes)
        return Load(max(0.0, load.requests), max(0.0, load.size_bytes))

    def _of_kind(self, row: Row) -> Load:
        one = self._one(row["kind"])
        unsized = row["products"] - row["sized"]
        return Load(row["products"] * one.requests, (row["size_bytes"] or 0) + unsized * one.size_bytes)

    def _one(self, kind: str) -> Load:
        if kind not in self._kinds:
            family = _mean(row for row in self._rows if row["kind"][_FAMILY] == kind[_FAMILY])
            self._kinds[kind] = family or self._all or Load(1.0)
        return self._kinds[kind]


def _mean(rows: Iterable[Row]) -> Load | None:
    rows = list(rows)
    products = sum(row["products"] for row in rows)
    if not products:
        return None
    total = sum((Load(row["requests"], row["size_bytes"]) * row["products"] for row in rows), Load())
    return total * (1.0 / float(products))
