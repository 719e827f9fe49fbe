"""Intake: enter the products of a dropped listing, write its receipt at once and its report at the end.

Many small listings are taken together, because each alone would wait for the disk a dozen times. A long one is read in
batches. The transaction of a batch also records how far the listing is read, so a kill loses or repeats no line.
"""

import logging
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cdsed.clock import Clock
from cdsed.config.groups import completed
from cdsed.config.settings import Settings
from cdsed.errors import CdsedError, InboxError
from cdsed.inbox import directory, receipt
from cdsed.inbox.durable_files import DurableFileBatch
from cdsed.inbox.parse import read_listing, read_options
from cdsed.inbox.scan import DroppedFile, InboxScan, shown, user_name
from cdsed.inbox.source import fingerprint
from cdsed.local.presence import Presence
from cdsed.log import redact
from cdsed.logevent import about
from cdsed.model.listing import ListingHead, ListingLine, Rejected
from cdsed.store import listings
from cdsed.store.database import Database
from cdsed.store.listings import Listing
from cdsed.work import listing_log, unreadable
from cdsed.work.forgotten import put_in_order
from cdsed.work.lines import Lines
from cdsed.work.reports import note_unwritten, write_reports
from cdsed.work.rounds import BatchSize, batches, rounds

_log = logging.getLogger(__name__)

_TRIES_MAX = 5
_SKIPPED_BETWEEN_HEARTBEATS = 100_000
_REPORTS_AT_ONCE = 200
_REST_PER_REPORT = 10  # the search for finished listings takes a tenth of the time at most


@dataclass(frozen=True, slots=True)
class _ListingRefusal:
    """A file that is not a listing, and why."""

    path: Path
    head: ListingHead
    reason: str


class Intake:
    """Takes listings from the inbox, and reports on those whose last product is finished.

    Parameters
    ----------
    groups
        Names of the account groups.
    between_batches
        Sends a heartbeat: called every few hundred lines, and as often while no line is entered. It may raise to
        leave the rest for later.
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
        self._settings = settings
        self._root = settings.inbox.path
        self._groups = groups
        self._lines = Lines(db, clock, presence)
        self._between_batches = between_batches
        inbox = settings.inbox
        self._scan = InboxScan(self._root, groups, inbox.stable_for_s, clock, inbox.ignored_names)
        self._stuck: set[Path] = set()
        self._deadly: set[Path] = set()
        self._left_behind = False
        self._report_again_s = 0.0
        self._report_put_off = False
        self._device: int | None = None
        self._identity: tuple[int, int] | None = None
        self._was_away = False

    def go_on(self) -> None:
        """After a start: finish what a kill interrupted, one listing at a time, as one of them may cause the crash."""
        self._find_inbox()
        tried = {Path(listing.path): listing.items_taken for listing in listings.half_taken(self._db)}
        tried = dict.fromkeys(directory.taken(self._root), 0) | tried
        for path, items_taken in tried.items():
            if directory.count_try(path, items_taken) > _TRIES_MAX:
                self._deadly.add(path)
        try:
            self._take_left_behind()
        except (CdsedError, OSError):  # stopped, or the state or the inbox fails: no listing caused a crash
            self._forget_tries(tried.keys() - self._deadly)
            raise

    def look(self, moved_in: Mapping[Path, bool] | None = None) -> None:
        """Take every complete listing in the inbox, oldest first.

        Parameters
        ----------
        moved_in
            Whether each file that was seen to change was moved in, or else written in place.
        """
        self._find_inbox()
        self._scan.note(moved_in or {})
        if self._left_behind:
            self._take_left_behind()
        for dropped in rounds(self._scan.complete()):
            directory.sync_contents([each.path for each in dropped])
            with DurableFileBatch() as batch:
                taken = [(path, each) for each in dropped if (path := self._move(each.path, batch))]
            self._take(taken)
            self._between_batches()
            self.report()

    def scan_at_s(self) -> float:
        """Return the boot-clock second at which a file may be complete that was not at the last look."""
        return self._scan.rested_s()

    def report_at_s(self) -> float:
        """Return the boot-clock second before which `report` does nothing; infinity after it has looked."""
        return self._report_again_s if self._report_put_off else math.inf

    def report(self) -> None:
        """Write the reports of listings whose last product is finished."""
        self._report_put_off = self._clock.boot_s() < self._report_again_s
        if self._report_put_off:
            return
        self._find_inbox()
        looked_s, last = 0.0, 0
        while True:
            begun_s = self._clock.boot_s()
            seen = listings.newest_event(self._db)
            finished = listings.finished(self._db, _REPORTS_AT_ONCE, after=last)
            looked_s += self._clock.boot_s() - begun_s
            if not finished:
                break
            write_reports(self._db, self._clock, finished, seen)
            self._between_batches()
            last = finished[-1].head.id
        # Only the search is limited: the time to write reports is not counted.
        self._report_again_s = self._clock.boot_s() + _REST_PER_REPORT * looked_s

    def _find_inbox(self) -> None:
        """Make the inbox at the start; raise InboxError or OSError if it is missing or unmounted later.

        An inbox that is mounted again, or another one, may have listings that this state does not know. It may even
        have been mounted since the daemon looked at its start.
        """
        try:
            if self._device is None:
                self._device = directory.prepare(self._root, used=listings.any_unreported_below(self._db, self._root))
            directory.check_mounted(self._root, self._device)
            status = self._root.stat()
        except (InboxError, OSError):
            self._was_away = True
            raise
        former, self._identity = self._identity, (status.st_dev, status.st_ino)
        if self._was_away or former != self._identity:
            put_in_order(self._db, self._root)
            self._was_away, self._left_behind, self._device = False, True, status.st_dev

    def _take_left_behind(self) -> None:
        self._left_behind = False
        with DurableFileBatch() as batch:
            for path in directory.taken(self._root):
                batch.moved(path, path)  # perhaps the move was not on the disk yet at the kill
        half_taken = list(listings.half_taken(self._db))
        for listing in half_taken:
            self._take_rest(listing)
        # A listing whose receipt still cannot be written stays there, and is not begun a second time.
        begun = {Path(listing.path) for listing in half_taken}
        for path in [path for path in directory.taken(self._root) if path not in begun]:
            folder = path.parent.relative_to(self._root / directory.TAKING)
            status = path.lstat()
            group, user = str(folder) if folder.parts else None, user_name(status.st_uid)
            self._take([(path, DroppedFile(path, group, status.st_size, user))])

    def _move(self, path: Path, batch: DurableFileBatch) -> Path | None:
        """Move a listing out of the inbox; None if that fails: it is logged once, and tried at every scan."""
        try:
            return directory.take(path, self._root, batch)
        except FileNotFoundError:
            return None  # its owner has taken it back
        except OSError as error:
            if path not in self._stuck:
                self._stuck.add(path)
                _log.error(
                    "%s cannot be taken (%s); let the daemon's user write to that directory",
                    shown(path),
                    error.strerror,
                )
            return None

    def _take(self, files: list[tuple[Path, DroppedFile]]) -> None:
        """Take the listings of one round: several small ones in one transaction, or a single one of any length."""
        heads: list[tuple[ListingHead, Path]] = []
        refusals: list[_ListingRefusal] = []
        for path, dropped in files:
            head = self._blank_head(path, dropped)
            try:
                head = self._read_head(path, head, dropped.group)
                next(read_listing(path, self._between_batches), None)  # refused before any line is entered
            except (InboxError, OSError) as error:
                listing_log.rejected(path, error)
                refusals.append(_ListingRefusal(path, head, redact(str(error))))
            else:
                heads.append((head, path))
        if refusals:
            self._hand_out([], refusals)
        if len(files) == 1:
            for head, path in heads:
                self._take_rest(listings.begin(self._db, self._clock, head, str(path)))
        elif heads:
            self._take_small(heads)

    def _blank_head(self, path: Path, dropped: DroppedFile) -> ListingHead:
        return ListingHead(0, path.name, "", "", 0, None, taken_at=self._clock.utc_s(), user=dropped.user)

    def _read_head(self, path: Path, head: ListingHead, directory_group: str | None) -> ListingHead:
        self._refuse_deadly(path)
        options = read_options(path)
        group = options.group or directory_group or self._settings.default_group
        if group not in self._groups:
            raise InboxError(f"there is no account group of that name; there are {', '.join(sorted(self._groups))}")
        for ours in filter(None, (self._root, self._settings.state_dir, self._settings.pre_spool)):
            if options.outputdir and Path(options.outputdir).resolve().is_relative_to(ours.resolve()):
                raise InboxError(f"its outputdir {options.outputdir!r} is in {ours}, which is not a place for products")
        sha256 = fingerprint(path, self._between_batches)
        return head.asking(completed(options, self._settings.groups.get(group)), group, sha256)

    def _take_small(self, heads: list[tuple[ListingHead, Path]]) -> None:
        lines = [list(self._unread(path, head.sha256, 0)) for head, path in heads]
        places = [self._lines.places(head, some) for (head, _), some in zip(heads, lines, strict=True)]
        begun = []
        with self._db.write():
            for (head, path), some, where in zip(heads, lines, places, strict=True):
                begun.append(listings.begin(self._db, self._clock, head, str(path)))
                self._lines.enter(begun[-1].head, len(some), some, where)
        self._hand_out(begun, [])

    def _take_rest(self, listing: Listing) -> None:
        """Read a listing from where it was left, then hand out its receipt."""
        path, taken = Path(listing.path), listing.items_taken
        # Else it was accepted before the kill: a listing is moved only after its last line.
        if path.exists() or not directory.finished(path, self._root, accepted=True).exists():
            size = BatchSize(self._clock)
            for batch, is_last in batches(self._unread(path, listing.head.sha256, taken), size):
                taken += len(batch)
                places = self._lines.places(listing.head, batch)
                # A power cut may lose the others, as they are read again. The receipt must follow the last one.
                with self._db.write(durable=is_last):
                    begun_s = self._clock.boot_s()
                    self._lines.enter(listing.head, taken, batch, places)
                size.timed(len(batch), begun_s)
                self._between_batches()
        self._hand_out([listing], [])

    def _unread(self, path: Path, sha256: str, taken: int) -> Iterator[ListingLine]:
        """Yield the lines that were not taken yet; if the rest cannot be read, the last one is a rejection."""
        read, number = 0, 0
        try:
            self._refuse_deadly(path)
            bucket = self._settings.services.s3_bucket
            for line in read_listing(path, self._between_batches, bucket=bucket):
                read, number = read + 1, line.line
                if read > taken:
                    yield line
                elif read % _SKIPPED_BETWEEN_HEARTBEATS == 0:
                    self._between_batches()
            self._refuse_changed(path, sha256)
        except (InboxError, OSError) as error:
            _log.warning("%s: %s", path.name, error, extra=about(listing=path.name))
            reason = f"from here on the file could not be taken; drop it again: {error}"
            yield Rejected((number if read >= taken else taken) + 1, "", reason)

    def _refuse_deadly(self, path: Path) -> None:
        if path in self._deadly:
            raise InboxError(f"{path.name} was tried {_TRIES_MAX} times, and the process that read it died each time")

    def _refuse_changed(self, path: Path, sha256: str) -> None:
        if fingerprint(path, self._between_batches) != sha256:
            raise InboxError(f"{path.name} was changed while it was read")

    def _hand_out(self, begun: list[Listing], refusals: list[_ListingRefusal]) -> None:
        """Write receipts, move the files to where they stay, and record it; if that fails, try at the next look."""
        self._db.sync()  # a listing may have been left before its last batch
        now = [listings.get(self._db, listing.head.id) for listing in begun]
        homes = [directory.finished(Path(listing.path), self._root, accepted=True) for listing in now]
        refused = [directory.finished(each.path, self._root, accepted=False) for each in refusals]
        handed = [*(Path(listing.path) for listing in now), *(each.path for each in refusals)]
        try:
            with DurableFileBatch() as batch:
                for listing, home in zip(now, homes, strict=True):
                    remarks = listings.remarks(self._db, listing.head.id)
                    receipt.write_receipt(batch, home, listing.head, listing.counts, remarks)
                    batch.move(Path(listing.path), home)
                for each, home in zip(refusals, refused, strict=True):
                    receipt.write_refusal(batch, home, each.head.name, each.reason)
                    batch.move(each.path, home)
        except OSError as error:
            note_unwritten(self._db, self._clock, self._root, f"no receipt can be written ({error})")
            self._left_behind = True
            self._forget_tries(handed)  # they were read to their ends without a crash
            return
        with self._db.write():
            for listing, home in zip(now, homes, strict=True):
                listings.finish(self._db, listing.head.id, accepted=True, path=str(home))
            for each, home in zip(refusals, refused, strict=True):
                listings.refuse(self._db, self._clock, each.head, str(home), each.reason)
        note_unwritten(self._db, self._clock, self._root, None)
        unreadable.notify(self._db, self._clock, refused)
        self._forget_tries(handed)
        for listing in now:
            listing_log.taken(listing)

    def _forget_tries(self, paths: Iterable[Path]) -> None:
        for path in paths:
            with suppress(OSError):  # the disk of the inbox fails: the tries are counted again
                directory.forget_tries(path)
