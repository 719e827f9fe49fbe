"""The catalogue's rows: products of the bucket, loaded entries, and generated entries."""

import hashlib
import threading
import uuid
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Any

from cdsed.sandbox.entries import DeletedEntry, Delivered, EntryFacts, made_geometry
from cdsed.sandbox.names import eodata_path, make_name, parse_name
from cdsed.sandbox.odatafilter import Filter
from cdsed.sandbox.products import ProductSpec, SandboxProduct
from cdsed.sandbox.rows import LoadedRow, MadeRow, Row
from cdsed.sandbox.zipper import zipped

Orders = tuple[tuple[str, bool], ...]  # fields, each with whether it is descending
_REMEMBERED_ANSWERS = 32
_DISORDER = Random()  # without the seed: the order of the service cannot be reproduced either
_KINDS_OF_COLLECTION = {
    "SENTINEL-1": ("S1_GRD", "S1_SLC", "S1_OCN", "S1_WV"),
    "SENTINEL-2": ("S2_L1C", "S2_L2A"),
    "SENTINEL-3": ("S3",),
    "SENTINEL-5P": ("S5P",),
}


@dataclass(frozen=True)
class SandboxCatalogueSettings:
    """What is not known of the real catalogue, or differs from day to day.

    Parameters
    ----------
    filter_list_max
        Names that a FilterList may hold; a longer one is answered with 422.
    filter_list_page
        Rows that the response to a FilterList has at most, without a note; None: all.
    requests_per_s
        Of all clients together; the WAF answers 429 to more. None: any number.
    retry_after_s
        ``Retry-After`` of those responses; None: the header is absent.
    """

    filter_list_max: int = 1000
    filter_list_page: int | None = None
    requests_per_s: float | None = None
    retry_after_s: int | None = 2

    def changed(self, values: Mapping[str, Any]) -> "SandboxCatalogueSettings":
        """Return these settings with other values; ValueError for an unknown setting."""
        unknown = sorted(set(values) - {field.name for field in fields(self)})
        if unknown:
            raise ValueError(f"the catalogue has no setting {', '.join(unknown)}")
        return replace(self, **values)


class _Shelf:
    """Rows by id, by name and by start; the indexes are made again when they are needed."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._by_name: dict[str, list[Row]] = {}
        self._by_start: list[Row] = []
        self._is_sorted = True

    def put(self, row: Row) -> None:
        self._rows[row.product_id] = row
        self._is_sorted = False

    def remove(self, product_id: str) -> None:
        if self._rows.pop(product_id, None):
            self._is_sorted = False

    def get(self, product_id: str) -> Row | None:
        return self._rows.get(product_id)

    def candidates(self, wanted: Filter) -> list[Row]:
        """Return a new list of the rows that may match."""
        if "Id" in wanted.among:
            return [self._rows[str(each)] for each in wanted.among["Id"] if each in self._rows]
        self._sort()
        if "Name" in wanted.among:
            return [row for name in wanted.among["Name"] for row in self._by_name.get(str(name), ())]
        first = 0 if wanted.from_ns is None else bisect_left(self._by_start, wanted.from_ns, key=_start)
        last = None if wanted.to_ns is None else bisect_right(self._by_start, wanted.to_ns, key=_start)
        return self._by_start[first:last]

    def named(self, name: str) -> list[Row]:
        self._sort()
        return list(self._by_name.get(name, ()))

    def _sort(self) -> None:
        if self._is_sorted:
            return
        self._by_start = sorted(self._rows.values(), key=_start)
        self._by_name = {}
        for row in self._by_start:
            self._by_name.setdefault(row.name, []).append(row)
        self._is_sorted = True


class SandboxCatalogue:
    """All rows; those of deleted products are separate.

    Parameters
    ----------
    seed
        Decides the content of every object, and so their digests.
    """

    def __init__(self, seed: int) -> None:
        self.settings = SandboxCatalogueSettings()
        self._seed = seed
        self._lock = threading.Lock()
        self._shelves = (_Shelf(), _Shelf())
        # the pages of one query are requested one after the other
        self._answers: OrderedDict[tuple[str, Orders, bool], list[Row]] = OrderedDict()

    def add(self, rows: Iterable[Row]) -> int:
        """Add rows, each of which replaces a row with its id; return how many."""
        count = 0
        with self._lock:
            for count, row in enumerate(rows, start=1):  # noqa: B007 - the last number is the result
                self._shelves[not row.is_deleted].remove(row.product_id)
                self._shelves[row.is_deleted].put(row)
            self._changed()
        return count

    def add_product(self, product: SandboxProduct) -> None:
        """Add a product of the bucket, or remove it when the catalogue is not to know it."""
        if product.spec.in_catalogue:
            self.add([_row_of(product, self._seed)])
        else:
            with self._lock:
                for shelf in self._shelves:
                    shelf.remove(product.product_id)
                self._changed()

    def clear(self) -> None:
        """Remove every row; the bucket keeps its products."""
        with self._lock:
            self._shelves = (_Shelf(), _Shelf())
            self._changed()

    def get(self, product_id: str, *, deleted: bool = False) -> Row | None:
        """Return the row with an id in lower case."""
        with self._lock:
            return self._shelves[deleted].get(product_id)

    def named(self, name: str) -> list[Row]:
        """Return the rows of that name, in a new list."""
        with self._lock:
            return self._shelves[False].named(name)

    def select(self, wanted: Filter, orders: Orders, *, deleted: bool = False) -> list[Row]:
        """Return the rows that a filter selects, in the order of `ordered`, in a new list."""
        question = (wanted.text, orders, deleted)
        with self._lock:
            responses = self._answers  # replaced as soon as a row changes
            if orders and question in responses:
                return list(responses[question])
            candidates = self._shelves[deleted].candidates(wanted)
        rows = ordered([row for row in candidates if wanted.matches(row)], orders)
        if orders:
            with self._lock:
                responses[question] = rows
                if len(responses) > _REMEMBERED_ANSWERS:
                    responses.popitem(last=False)
        return list(rows)

    def _changed(self) -> None:
        self._answers = OrderedDict()


def ordered(rows: list[Row], orders: Orders) -> list[Row]:
    """Return rows in the given order, ties by id; without an order, in a random one each time."""
    if not orders:
        _DISORDER.shuffle(rows)
        return rows
    rows.sort(key=lambda row: row.product_id)
    for path, descending in reversed(orders):
        rows.sort(key=lambda row: row.value(path) or 0, reverse=descending)
    return rows


def load_rows(document: Any) -> Iterator[LoadedRow]:
    """Yield the rows of response pages.

    Parameters
    ----------
    document
        A page (``{"value": [row, …]}``), a row, or a list of either.

    Raises
    ------
    ValueError
        It is something else.
    """
    for item in document if isinstance(document, list) else [document]:
        if not isinstance(item, dict):
            raise ValueError("a page of the catalogue, or a list of them, is needed")  # noqa: TRY004 - what is read
        for row in item.get("value", [item]):
            yield LoadedRow(row)


def generate_rows(count: int, seed: int, collection: str, start: datetime, end: datetime) -> Iterator[MadeRow]:
    """Yield `count` rows with distinct names, spread evenly over ``[start, end)``; the same for the same seed.

    Parameters
    ----------
    count
        How many.
    seed
        Another seed gives other names, ids and times.
    collection
        E.g. ``SENTINEL-1``.
    start, end
        Times between which sensing begins, UTC.

    Raises
    ------
    ValueError
        The collection is unknown, or the time span is too short for `count` products.
    """
    kinds = _KINDS_OF_COLLECTION.get(collection)
    if kinds is None:
        raise ValueError(f"no collection {collection!r}; there are {', '.join(_KINDS_OF_COLLECTION)}")
    step = (end - start) / max(1, count)
    if step < timedelta(microseconds=1):
        raise ValueError(f"{count} products do not fit between {start} and {end}")
    random = Random(f"{collection} {seed}")
    names: set[str] = set()
    for number in range(count):
        timestamp = start + step * (number + random.random())
        kind = random.choice(kinds)
        name = make_name(kind, random, timestamp)
        while name in names:
            name = make_name(kind, random, timestamp)
        names.add(name)
        yield _generated(name, timestamp, random)


def _generated(name: str, start: datetime, random: Random) -> MadeRow:
    product_id = str(uuid.UUID(int=random.getrandbits(128), version=4))
    size_bytes = random.randrange(50_000_000, 8_000_000_000)
    path = eodata_path(parse_name(name))
    facts = EntryFacts(name, product_id, path, start, start + timedelta(hours=6, seconds=random.random() * 3600))
    return MadeRow(facts, lambda: _unmade(size_bytes, path))


def _row_of(product: SandboxProduct, seed: int) -> MadeRow:
    spec = product.spec
    fraction = int.from_bytes(hashlib.md5(spec.safename.encode()).digest()[:4], "big") % 1_000_000
    facts = EntryFacts(
        spec.safename,
        product.product_id,
        product.s3_path,
        product.name.start + timedelta(microseconds=fraction),
        product.published,
        online=spec.online,
        footprint=spec.footprint,
        has_checksums=spec.has_checksums,
        deletion=DeletedEntry(spec.deletion_cause, product.deleted_at) if spec.deletion_cause else None,
        catalogue_name=spec.catalogue_name,
    )
    made_geometry(facts)  # raise now if the footprint is not valid
    return MadeRow(facts, lambda: _delivered(seed, spec))  # a reference to the product would keep its files in memory


@lru_cache(maxsize=100_000)
def _delivered(seed: int, spec: ProductSpec) -> Delivered:
    product = SandboxProduct(seed, spec)
    if product.is_single_object:
        truth = product.truth()[spec.safename]
        return Delivered(truth.size_bytes, truth.md5)
    if spec.zipped:
        body = zipped(product)
        return Delivered(body.size_bytes, body.digest("md5"))
    return _unmade(spec.size_bytes, product.s3_path)


def _unmade(size_bytes: int, path: str) -> Delivered:
    """Return length and digest of a zip without making it."""
    return Delivered(size_bytes, hashlib.md5(path.encode()).hexdigest())


def _start(row: Row) -> int:
    return row.start_ns
