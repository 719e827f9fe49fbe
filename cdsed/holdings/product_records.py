"""The records of an export: one for each product, with the same columns in every format."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cdsed.clock import iso
from cdsed.model.families import Family, family_by_beginning
from cdsed.model.product_state import SUCCEEDED, State
from cdsed.store import exports
from cdsed.store.database import Database, Row

Record = dict[str, Any]

#: The columns, in their order. docs/export.md says what each means. New ones are added at the end.
COLUMNS = (
    *("name", "family", "state", "path", "size_bytes", "group", "listings", "asked_at", "changed_at", "published_at"),
    *("attempts", "source_path", "source_path_from", "product_id", "md5", "code", "cause", "footprint"),
)
TIMES = ("asked_at", "changed_at", "published_at")
NUMBERS = ("size_bytes", "attempts")


@dataclass(frozen=True, slots=True)
class ExportFilter:
    """Which products are exported.

    Attributes
    ----------
    states
        In these states; by default those that are on disk.
    listing
        Of the listing with this number; None: of all.
    families
        Of these missions; empty: of all.
    since
        Whose state changed at or after this time, seconds UTC.
    """

    states: frozenset[State] = field(default=SUCCEEDED)
    listing: int | None = None
    families: frozenset[Family] = frozenset()
    since: float = 0.0


def read_records(db: Database, chosen: ExportFilter) -> Iterator[Record]:
    """Yield the records, read page by page; the footprint is None until something adds it."""
    states = [state for state in State if state in chosen.states]
    for row in exports.stream_products(db, states, listing=chosen.listing, since=chosen.since):
        family = family_by_beginning(row["safename"])
        if not chosen.families or family in chosen.families:
            yield _record(row, family)


def plain(records: Iterable[Record]) -> Iterator[Record]:
    """Yield the records for text formats: times in ISO 8601."""
    for record in records:
        times = {name: None if record[name] is None else iso(record[name]) for name in TIMES}
        yield record | times


def _record(row: Row, family: Family) -> Record:
    asked = [at for at in (row["entered_at"], row["taken_at"]) if at is not None]
    return {
        "name": row["safename"],
        "family": family.value,
        "state": row["state"],
        "path": row["path"] if row["state"] in SUCCEEDED else None,
        "size_bytes": row["size_bytes"],
        "group": row["account_group"],
        "listings": json.loads(row["listings"]),
        "asked_at": min(asked, default=None),
        "changed_at": row["changed_at"],
        "published_at": _published_at(row),
        "attempts": row["attempts"],
        "source_path": row["s3_path"],
        "source_path_from": row["path_source"],
        "product_id": row["product_id"],
        "md5": row["md5"],
        "code": row["code"],
        "cause": row["cause"],
        "footprint": None,
    }


def _published_at(row: Row) -> float | None:
    """Return when cdsed published a product, which may have been moved to another directory since."""
    if row["state"] == State.DONE:
        return float(row["changed_at"])
    return row["done_at"] if row["state"] in SUCCEEDED else None
