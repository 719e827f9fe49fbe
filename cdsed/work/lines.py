"""Decide each line of a listing: its product is accepted, known, already present or a duplicate, or it is rejected."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cdsed.clock import Clock
from cdsed.local import marker
from cdsed.local.presence import Presence
from cdsed.local.whole import is_whole
from cdsed.log import redact
from cdsed.model.listing import Counts, Ignored, LineVerdict, ListingHead, ListingLine, Named, Rejected, Remark
from cdsed.model.product_state import SUCCEEDED, TERMINAL, Product
from cdsed.store import cancelling, disks, listings, products
from cdsed.store.database import Database
from cdsed.store.products import ProductRequest


@dataclass(slots=True)
class _Batch:
    """What came of the lines of one batch."""

    remarks: list[Remark] = field(default_factory=list)
    verdicts: list[LineVerdict] = field(default_factory=list)

    def add(self, line: int, verdict: LineVerdict, safename: str | None = None, text: str = "") -> None:
        self.verdicts.append(verdict)
        if text or verdict not in (LineVerdict.ACCEPTED, LineVerdict.IGNORED):
            self.remarks.append(Remark(line, verdict, safename, text))

    @property
    def counts(self) -> Counts:
        return Counts(**{verdict.value: self.verdicts.count(verdict) for verdict in LineVerdict})


@dataclass(frozen=True, slots=True)
class PresenceCheck:
    """Where the state said that a product is when it was looked for, and where it was found."""

    reported_before: str | None
    found: Path | None


_NOT_CHECKED = PresenceCheck(None, None)


class Lines:
    """Enters the lines of listings into the state."""

    def __init__(self, db: Database, clock: Clock, presence: Presence) -> None:
        self._db = db
        self._clock = clock
        self._presence = presence

    def places(self, head: ListingHead, lines: Sequence[ListingLine]) -> dict[str, PresenceCheck]:
        """Look for the products that are not under way.

        Call it before the transaction: disks may be slow, and a transaction must be short.
        """
        return dict(self._places(head, lines))

    def enter(
        self, head: ListingHead, items_taken: int, lines: Sequence[ListingLine], places: Mapping[str, PresenceCheck]
    ) -> None:
        """Commit some lines, together with how far the listing is taken after them."""
        batch = _Batch()
        with self._db.write():
            for line in lines:
                match line:
                    case Named():
                        self._take(head, line, places.get(line.safename, _NOT_CHECKED), batch)
                    case Rejected():
                        batch.add(line.line, LineVerdict.REJECTED, None, redact(line.message))
                    case Ignored():
                        batch.add(line.line, LineVerdict.IGNORED)
            listings.count(self._db, head.id, items_taken, batch.counts, batch.remarks)
            cancelling.cancel_rest(self._db, self._clock, head.id)

    def _places(self, head: ListingHead, lines: Sequence[ListingLine]) -> Iterator[tuple[str, PresenceCheck]]:
        outputdir = Path(head.outputdir) if head.outputdir else None
        for line in lines:
            if not isinstance(line, Named) or line.known_name is None:
                continue
            known = products.find(self._db, line.safename)
            if known is not None and known.state not in TERMINAL:
                continue
            reported_before = _reported_path(known)
            there = reported_before is not None and self._is_there(Path(reported_before), line.safename)
            found = Path(reported_before) if reported_before and there else None
            yield line.safename, PresenceCheck(reported_before, found or self._presence.find(line.safename, outputdir))

    def _is_there(self, place: Path, safename: str) -> bool:
        """Tell whether a product is complete at its path; True also if its disk is not mounted or does not respond."""
        try:
            identity = disks.get(self._db, place.parent)
            if place.exists():
                return is_whole(place, safename)
            return identity is not None and identity.is_lost(marker.look(place.parent))
        except OSError:
            return True

    def _take(self, head: ListingHead, line: Named, check: PresenceCheck, batch: _Batch) -> None:
        request = ProductRequest(
            line.safename, head.group, head.priority, head.outputdir, line.product_id, line.s3_path
        )
        known = products.find(self._db, line.safename)
        reported_before, found = _reported_path(known), check.found
        if reported_before and reported_before != check.reported_before:  # it was published after the look for it
            found = Path(reported_before)
        if known is None:
            number = products.add(self._db, self._clock, request, path=str(found) if found else None)
        else:
            number = known.id
        earlier = listings.want(self._db, head.id, number, line.line)
        if earlier is not None:
            batch.add(line.line, LineVerdict.DUPLICATE, line.safename, f"line {earlier} names it already")
        elif known is not None and known.state not in TERMINAL:
            products.raise_priority(self._db, number, head.priority)
            batch.add(line.line, LineVerdict.KNOWN, line.safename, f"under way for an earlier listing ({known.state})")
        elif found is not None:
            if known is not None:
                self._found_again(known, found)
            batch.add(line.line, LineVerdict.ALREADY_PRESENT, line.safename, str(found))
        else:
            if known is not None:
                products.ask_again(self._db, self._clock, number, request)
            batch.add(line.line, LineVerdict.ACCEPTED, line.safename, line.remark)

    def _found_again(self, known: Product, found: Path) -> None:
        if known.state not in SUCCEEDED or known.path != str(found):
            products.found_present(self._db, self._clock, known.id, str(found))


def _reported_path(known: Product | None) -> str | None:
    """Return the path of a product according to the state; None if the state has none."""
    return known.path if known is not None and known.state in SUCCEEDED else None
