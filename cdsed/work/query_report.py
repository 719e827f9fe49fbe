"""What one run of a standing query found: which products go into its listing, and what its report says."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cdsed.clock import iso
from cdsed.config.standing_queries import StandingQuery
from cdsed.frozen import frozen
from cdsed.model.catalogue_change import ChangedProduct, Changes, DeletedProduct
from cdsed.model.product_state import SUCCEEDED, Product
from cdsed.model.safename import normalise, parse
from cdsed.model.versions import shared_parts, shows_the_same
from cdsed.store import products, standing
from cdsed.store.database import Database
from cdsed.store.standing import SeenProduct

SCHEMA = 1


class ChangeKind(StrEnum):
    """What happened to a product in the catalogue."""

    NEW = "new"
    LATE = "late"  # published long after sensing
    CORRECTED = "corrected"  # another version of a product that is on disk, or another content of it
    DELETED = "deleted"


@frozen
class ReportedChange:
    """One line of a report; `listed` says whether the product is in the listing, `about` adds what matters."""

    kind: ChangeKind
    safename: str
    listed: bool
    about: str


@dataclass(slots=True)
class RunFindings:
    """What a run found: the rows to list, all others that it saw, deleted ones to note, and the lines of its report."""

    listed: list[ChangedProduct] = field(default_factory=list)
    seen: list[ChangedProduct] = field(default_factory=list)
    deleted: list[DeletedProduct] = field(default_factory=list)
    changes: list[ReportedChange] = field(default_factory=list)

    def of(self, kind: ChangeKind) -> list[ReportedChange]:
        """Return the lines of one kind."""
        return [each for each in self.changes if each.kind is kind]

    def counts(self, kinds: Iterable[ChangeKind]) -> str:
        """Return how many lines there are of each of some kinds, in words."""
        return ", ".join(f"{len(of_kind)} {kind}" for kind in kinds if (of_kind := self.of(kind)))


def judge(db: Database, query: StandingQuery, changes: Changes) -> RunFindings:
    """Compare what the catalogue says with what the query has seen and what is on disk."""
    found = RunFindings()
    known = standing.seen(db, query.name, (each.product_id for each in changes.products))
    for row in changes.products:
        _judge_row(db, query, row, known.get(row.product_id), found)
    gone = standing.seen(db, query.name, (each.product_id for each in changes.deleted or ()))
    for deleted in changes.deleted or ():
        _judge_deleted(db, deleted, gone, found)
    return found


def _judge_row(
    db: Database, query: StandingQuery, row: ChangedProduct, before: SeenProduct | None, found: RunFindings
) -> None:
    product = _on_disk(db, row.safename)
    former_md5 = before.md5 if before else product.md5 if product else None
    other_content = bool(former_md5 and row.md5 and former_md5 != row.md5)
    if before and before.deleted and before.changed_at == row.changed_at:
        return  # a row that was deleted, and is still among the others
    if before and not before.deleted and not other_content:
        if before.changed_at != row.changed_at:  # only its metadata changed
            found.seen.append(row)
        return
    if product is not None:
        found.seen.append(row)
        if other_content:
            about = f"the catalogue has another content now; the copy in {product.path} was kept"
            found.changes.append(ReportedChange(ChangeKind.CORRECTED, row.safename, False, about))
        return
    found.listed.append(row)
    found.changes.append(_listed_change(db, query, row))


def _listed_change(db: Database, query: StandingQuery, row: ChangedProduct) -> ReportedChange:
    offline = "" if row.online else "; offline at CDSE"
    if older := _other_versions(db, row.safename):
        about = f"replaces {', '.join(older)}, which {'was' if len(older) == 1 else 'were'} kept{offline}"
        return ReportedChange(ChangeKind.CORRECTED, row.safename, True, about)
    if row.published_at and row.sensed_at and row.published_at - row.sensed_at > query.late_after_s:
        days = (row.published_at - row.sensed_at) / 86_400
        return ReportedChange(ChangeKind.LATE, row.safename, True, f"published {days:.1f} days after sensing{offline}")
    return ReportedChange(ChangeKind.NEW, row.safename, True, offline.removeprefix("; "))


def _judge_deleted(db: Database, row: DeletedProduct, known: Mapping[str, SeenProduct], found: RunFindings) -> None:
    """Report the deletion of a product that this query has listed, or that is on disk, once."""
    before, product = known.get(row.product_id), _on_disk(db, row.safename)
    if (before and before.deleted) or (before is None and product is None):
        return
    found.deleted.append(row)
    kept = f"; the copy in {product.path} was kept" if product else "; it is not on disk"
    about = f"{row.cause or 'no cause is given'}, {iso(row.deleted_at)}{kept}"
    found.changes.append(ReportedChange(ChangeKind.DELETED, row.safename, False, about))


def _on_disk(db: Database, name: str) -> Product | None:
    try:
        product = products.find(db, normalise(name))
    except ValueError:
        return None
    return product if product is not None and product.state in SUCCEEDED else None


def _other_versions(db: Database, name: str) -> list[str]:
    """Return the products on disk that are versions of the same observation."""
    try:
        wanted = parse(normalise(name))
    except ValueError:
        return []
    beginning, _ = shared_parts(wanted)
    if not beginning:
        return []
    return [each for each in standing.on_disk_beginning(db, beginning) if shows_the_same(wanted, parse(each))]


def as_json(query: StandingQuery, listing: str, at: float, found: RunFindings, changes: Changes) -> str:
    """Return the report of a run as JSON; its member ``schema`` is 1."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "query": query.name,
        "at": iso(at),
        "listing": listing if found.listed else None,
        "counts": {kind.value: len(found.of(kind)) for kind in ChangeKind},
        "complete": changes.complete_until_at is None,
        "deleted_products_known": changes.deleted is not None,
        "changes": [
            {"kind": each.kind.value, "safename": each.safename, "listed": each.listed, "about": each.about}
            for each in found.changes
        ],
    }
    return json.dumps(document, ensure_ascii=False)


def as_text(document: Mapping[str, Any]) -> str:
    """Return a report, read from its JSON, for people."""
    counts = ", ".join(f"{count} {kind}" for kind, count in document["counts"].items())
    lines = [f"Query {document['query']}, {document['at']}: {counts}", f"Listing: {document['listing'] or 'none'}"]
    if not document["complete"]:
        lines.append("More products changed than one run takes; the next run continues.")
    if not document["deleted_products_known"]:
        lines.append("The catalogue does not say which products were deleted.")
    for kind in ChangeKind:
        of_kind = [each for each in document["changes"] if each["kind"] == kind]
        lines += ["", f"{kind.value.capitalize()}:"] if of_kind else []
        lines += [f"  {each['safename']}" + (f"  {each['about']}" if each["about"] else "") for each in of_kind]
    return "\n".join(lines) + "\n"
