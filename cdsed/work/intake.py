"""Intake: a dropped listing becomes products, its owner gets a receipt at once and a report at the end.

A listing is read in batches; each batch is one transaction together with how far it got, so that a kill
neither loses nor doubles a line.
"""

import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from cdsed.clock import Clock
from cdsed.config.settings import Settings
from cdsed.errors import InboxError
from cdsed.inbox import place, receipt
from cdsed.inbox.parse import read_listing, read_options
from cdsed.inbox.scan import DroppedFile, InboxScan
from cdsed.inbox.source import fingerprint
from cdsed.local.presence import Presence
from cdsed.log import redact
from cdsed.model.listing import Counts, Ignored, ListingHead, ListingLine, Named, Rejected, Remark, Verdict
from cdsed.model.product import FINAL, GOOD, Product
from cdsed.store import listings, products
from cdsed.store.database import Database
from cdsed.store.listings import Listing
from cdsed.store.products import Wish

_log = logging.getLogger(__name__)

_BATCH = 500


@dataclass(slots=True)
class _Batch:
    """What came of the lines of one batch."""

    remarks: list[Remark] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    def add(self, line: int, verdict: Verdict, safename: str | None = None, text: str = "") -> None:
        self.verdicts.append(verdict)
        if verdict not in (Verdict.ACCEPTED, Verdict.IGNORED):
            self.remarks.append(Remark(line, verdict, safename, text))

    @property
    def counts(self) -> Counts:
        return Counts(**{verdict.value: self.verdicts.count(verdict) for verdict in Verdict})


class Intake:
    """Takes listings from the inbox, and reports on those whose last product is settled.

    Parameters
    ----------
    groups
        Names of the account groups there are.
    between_batches
        Called every few hundred lines of a listing; may raise to leave the rest of it for another time.
    """

    def __init__(
        self,
        db: Database,
        clock: Clock,
        settings: Settings,
        groups: Collection[str],
        presence: Presence,
        between_batches: Callable[[], None],
    ) -> None:
        self._db = db
        self._clock = clock
        self._root = settings.inbox.path
        self._default_group = settings.default_group
        self._groups = groups
        self._presence = presence
        self._between_batches = between_batches
        self._scan = InboxScan(self._root, groups, settings.inbox.rest_s, clock)
        self._stuck: set[Path] = set()

    def go_on(self) -> None:
        """After a start: finish what a kill interrupted."""
        for listing in listings.half_taken(self._db):
            self._take_rest(listing, Path(listing.path))
        for path in place.taken(self._root):
            place.sync_directory(path.parent)  # the kill may have come before the move was on the disk
            folder = path.parent.relative_to(self._root / place.TAKING)
            group = str(folder) if folder.parts else None
            self._take(path, DroppedFile(path, group, path.stat().st_size, None))

    def look(self) -> None:
        """Take every complete listing in the inbox, oldest first."""
        for dropped in self._scan.complete():
            try:
                taken = place.take(dropped.path, self._root)
            except FileNotFoundError:
                continue  # its owner has taken it back
            except OSError as error:
                self._complain(dropped.path, error)
                continue
            self._take(taken, dropped)

    def report(self) -> None:
        """Write the reports of listings whose last product is settled."""
        for listing in listings.finished(self._db):
            receipt.write_report(Path(listing.path), listing.head, listings.report_rows(self._db, listing.head.id))
            listings.reported(self._db, self._clock, listing.head.id)
            _log.info("listing %s: every product is settled; its report is written", listing.head.name)

    def _complain(self, path: Path, error: OSError) -> None:
        """Say once that a listing cannot be moved, in a sticky inbox for example; it is tried again at every scan."""
        if path not in self._stuck:
            _log.error("%s cannot be taken (%s); let the daemon's user write to that directory", path, error.strerror)
            self._stuck.add(path)

    def _take(self, path: Path, dropped: DroppedFile) -> None:
        head = ListingHead(
            id=0,
            name=path.name,
            sha256="",
            group="",
            priority=0,
            outputdir=None,
            taken_at=self._clock.utc_s(),
            user=dropped.user,
        )
        try:
            head = self._read_head(path, head, dropped.group)
            next(read_listing(path), None)  # what cannot be read at all is refused before anything is entered
        except InboxError as error:
            _log.warning("%s: %s", path.name, error)
            refused = place.settle(path, self._root, accepted=False)
            receipt.write_refusal(refused, path.name, str(error))
            listings.refuse(self._db, self._clock, head, str(refused), str(error))
            return
        self._take_rest(listings.begin(self._db, self._clock, head, str(path)), path)

    def _read_head(self, path: Path, head: ListingHead, directory_group: str | None) -> ListingHead:
        options = read_options(path)
        group = options.group or directory_group or self._default_group
        if group not in self._groups:
            raise InboxError(f"there is no account group {group!r}; there are {', '.join(sorted(self._groups))}")
        sha256 = fingerprint(path)
        return replace(head, sha256=sha256, group=group, priority=options.priority, outputdir=options.outputdir)

    def _take_rest(self, listing: Listing, path: Path) -> None:
        """Read a listing from where it was left, then hand out its receipt."""
        if path.exists():  # else it was moved on before the kill, which happens after its last line
            taken = listing.items_taken
            for batch in _batches(islice(_to_its_end(path), taken, None)):
                taken += len(batch)
                self._take_batch(listing, taken, batch)
                self._between_batches()
        settled = place.settle(path, self._root, accepted=True)
        now = listings.get(self._db, listing.head.id)
        receipt.write_receipt(settled, now.head, now.counts, listings.remarks(self._db, now.head.id))
        listings.settle(self._db, now.head.id, accepted=True, path=str(settled))
        _log.info("listing %s: %d lines, %d accepted", now.head.name, now.counts.lines, now.counts.accepted)

    def _take_batch(self, listing: Listing, items_taken: int, lines: list[ListingLine]) -> None:
        # Disks are asked before the transaction: they may be slow, and it must not be.
        places = dict(self._places(listing, lines))
        batch = _Batch()
        with self._db.write():
            for line in lines:
                match line:
                    case Named():
                        self._take_line(listing, line, places.get(line.safename), batch)
                    case Rejected():
                        text = line.reason if line.text in line.reason else f"{line.reason}: {line.text!r}"
                        batch.add(line.line, Verdict.REJECTED, None, redact(text))  # an accounts file, by mistake
                    case Ignored():
                        batch.add(line.line, Verdict.IGNORED)
            listings.count(self._db, listing.head.id, items_taken, batch.counts, batch.remarks)

    def _places(self, listing: Listing, lines: list[ListingLine]) -> Iterator[tuple[str, Path]]:
        """Yield where products lie that are not under way."""
        outputdir = Path(listing.head.outputdir) if listing.head.outputdir else None
        for line in lines:
            if not isinstance(line, Named):
                continue
            known = products.find(self._db, line.safename)
            if known is not None and known.state not in FINAL:
                continue
            if known is not None and known.state in GOOD and known.whereabouts and Path(known.whereabouts).exists():
                yield line.safename, Path(known.whereabouts)
            elif found := self._presence.find(line.safename, outputdir):
                yield line.safename, found

    def _take_line(self, listing: Listing, line: Named, found: Path | None, batch: _Batch) -> None:
        head = listing.head
        wish = Wish(line.safename, head.group, head.priority, head.outputdir, line.product_id, line.s3_path)
        known = products.find(self._db, line.safename)
        if known is None:
            number = products.add(self._db, self._clock, wish, whereabouts=str(found) if found else None)
        else:
            number = known.id
        earlier = listings.want(self._db, head.id, number, line.line)
        if earlier is not None:
            batch.add(line.line, Verdict.DUPLICATE, line.safename, f"line {earlier} names it already")
        elif known is not None and known.state not in FINAL:
            products.hurry(self._db, number, head.priority)
            batch.add(line.line, Verdict.KNOWN, line.safename, f"under way for an earlier listing ({known.state})")
        elif found is not None:
            if known is not None:
                self._found_again(known, found)
            batch.add(line.line, Verdict.PRESENT, line.safename, str(found))
        else:
            if known is not None:
                products.ask_again(self._db, self._clock, number, wish)
            batch.add(line.line, Verdict.ACCEPTED)

    def _found_again(self, known: Product, found: Path) -> None:
        if known.state not in GOOD or known.whereabouts != str(found):
            products.found_present(self._db, self._clock, known.id, str(found))


def _batches(lines: Iterator[ListingLine]) -> Iterator[list[ListingLine]]:
    while batch := list(islice(lines, _BATCH)):
        yield batch


def _to_its_end(path: Path) -> Iterator[ListingLine]:
    """Yield the lines of a listing; where it cannot be read any further, that is its last line."""
    read = 0
    try:
        for line in read_listing(path):
            read += 1
            yield line
    except InboxError as error:
        yield Rejected(read + 1, "", f"the rest of the file cannot be read: {error}")
