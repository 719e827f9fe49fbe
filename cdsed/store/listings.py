"""Listings: how far each is taken, the remarks about its lines, and whether it is finished."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from cdsed.clock import Clock
from cdsed.frozen import frozen
from cdsed.model.choice import Choice, Patterns
from cdsed.model.listing import Counts, LineVerdict, ListingHead, Remark, ReportRow
from cdsed.store.database import Database, Row
from cdsed.store.queries import Queries

_SQL = Queries("listings")


@frozen
class Listing:
    """A listing in the database; ``items_taken`` of its items are committed.

    ``reason`` says why a file was refused as a whole.
    """

    head: ListingHead
    state: str
    path: str
    items_taken: int
    counts: Counts
    reason: str | None


def begin(db: Database, clock: Clock, head: ListingHead, path: str) -> Listing:
    """Enter a new listing; of reported listings with the same content only the sums are kept."""
    identity = {"sha256": head.sha256, "account_group": head.group, "outputdir": head.outputdir or ""}
    with db.write():
        for twin in db.rows(_SQL.twins, **identity):
            for forget in (_SQL.forget_wants, _SQL.forget_tally):
                db.rows(forget, id=twin["id"])
        number = db.value(
            _SQL.begin,
            priority=head.priority,
            name=head.name,
            owner=head.user,
            path=path,
            at=clock.utc_s(),
            layout=head.layout,
            choice=head.choice.to_json() if head.choice else None,
            **identity,
        )
        return get(db, number)


def refuse(db: Database, clock: Clock, head: ListingHead, path: str, reason: str) -> None:
    """Enter a file that was refused as a whole, so that its owner can see why."""
    with db.write():
        db.rows(_SQL.refuse, name=head.name, owner=head.user, path=path, at=clock.utc_s(), reason=reason)


def get(db: Database, number: int) -> Listing:
    """Return the listing with this number."""
    row = db.row(_SQL.get, id=number)
    assert row is not None, f"listing {number} vanished from the database"
    return _listing(row)


def find(db: Database, name: str) -> Listing | None:
    """Return the listing last dropped under this file name or path."""
    row = db.row(_SQL.by_name, name=name)
    return None if row is None else _listing(row)


def half_taken(db: Database) -> list[Listing]:
    """Return the listings that are only partly taken, because the daemon was interrupted."""
    return [_listing(row) for row in db.rows(_SQL.taking)]


def want(db: Database, listing: int, product: int, line: int) -> int | None:
    """Note that a line wants a product; return the earlier line that already wanted it, or None."""
    with db.write():
        earlier: int | None = db.value(_SQL.want_line, listing=listing, product=product)
        if earlier is None:
            db.rows(_SQL.want, listing=listing, product=product, line=line)
        return earlier


def count(db: Database, listing: int, items_taken: int, counts: Counts, remarks: Iterable[Remark]) -> None:
    """Commit one batch of whole lines: their verdicts, and how far the listing is taken now."""
    with db.write():
        for line, about_line in groupby(remarks, key=lambda remark: remark.line):
            for part, remark in enumerate(about_line):
                db.rows(
                    _SQL.remark,
                    listing=listing,
                    line=line,
                    part=part,
                    verdict=remark.verdict,
                    safename=remark.safename,
                    text=remark.text,
                )
        db.rows(
            _SQL.count,
            id=listing,
            items_taken=items_taken,
            **{verdict.value: getattr(counts, verdict.value) for verdict in LineVerdict},
        )


def finish(db: Database, listing: int, *, accepted: bool, path: str) -> None:
    """Note that a listing is completely taken (or refused), that its receipt is written, and the path of its file."""
    with db.write():
        db.rows(_SQL.forget_remarks, id=listing)
        db.rows(_SQL.finish, id=listing, state="open" if accepted else "refused", path=path)


def finished(db: Database, most: int, after: int = 0) -> list[Listing]:
    """Return up to `most` open listings whose products are all finished, by number, with numbers above `after`."""
    return [_listing(row) for row in db.rows(_SQL.finished, most=most, after=after)]


def newest_event(db: Database) -> int:
    """Return the number of the latest change of a product's state."""
    return int(db.value(_SQL.newest_event))


def reported(db: Database, clock: Clock, listing: int, *, seen: int) -> None:
    """Note that the report of a listing is written, unless one of its products has changed after the event `seen`.

    You may requeue products while their report is being written: then the listing stays open for another report.
    """
    with db.write():
        db.rows(_SQL.reported, id=listing, at=clock.utc_s(), seen=seen)


def take_up(db: Database, listing: int) -> None:
    """Take back that a listing is cancelled; nothing happens if it is not."""
    with db.write():
        db.rows(_SQL.take_up, id=listing)


def reopen(db: Database, product: int) -> None:
    """Open the reported listings that want a product which is requeued: they get a new report."""
    with db.write():
        db.rows(_SQL.reopen, product=product)


def unreported(db: Database) -> int:
    """Return how many listings still wait for their report."""
    return int(db.value(_SQL.unreported))


def any_unreported_below(db: Database, folder: Path) -> bool:
    """Tell whether the file of a listing without a report is in a directory, or below it."""
    return bool(db.value(_SQL.any_unreported_below, folder=f"{folder}/"))


def unsatisfied(db: Database, since: float) -> int:
    """Return how many listings since `since` (s UTC) lack a product, have a rejected line or are refused."""
    return int(db.value(_SQL.unsatisfied, since=since))


def remarks(db: Database, listing: int) -> Iterator[Remark]:
    """Yield the remarks about the lines of a listing, by line and in their order within it."""
    for row in db.stream(_SQL.remarks, listing=listing):
        yield Remark(row["position"], LineVerdict(row["verdict"]), row["safename"], row["text"])


def report_rows(db: Database, listing: int) -> Iterator[ReportRow]:
    """Yield the result of each product of a listing."""
    for row in db.stream(_SQL.report_rows, listing=listing):
        yield _report_row(row)


def failed_products(db: Database, listing: int, most: int) -> list[ReportRow]:
    """Return up to `most` failed products of a listing, by line."""
    return [_report_row(row) for row in db.rows(_SQL.failed_products, listing=listing, most=most)]


def _report_row(row: Row) -> ReportRow:
    return ReportRow(
        **{name: row[name] for name in ReportRow.__slots__ if name != "partial"}, partial=bool(row["partial"])
    )


def _listing(row: Row) -> Listing:
    choice = Choice.from_json(row["choice"])
    patterns = choice.alternatives[0] if choice else Patterns()
    head = ListingHead(
        id=row["id"],
        name=row["name"],
        sha256=row["sha256"],
        group=row["account_group"],
        priority=row["priority"],
        outputdir=row["outputdir"] or None,
        taken_at=row["taken_at"],
        user=row["owner"],
        layout=row["layout"],
        include=patterns.include,
        exclude=patterns.exclude,
    )
    counts = Counts(**{verdict.value: row[verdict.value] for verdict in LineVerdict})
    return Listing(head, row["state"], row["path"], row["items_taken"], counts, row["reason"])
