"""What becomes of each line of a listing: a product asked for, known, present or named twice; or a rejection."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cdsed.clock import Clock
from cdsed.local import marker
from cdsed.local.presence import Presence
from cdsed.local.whole import is_whole
from cdsed.log import redact
from cdsed.model.listing import Counts, Ignored, ListingHead, ListingLine, Named, Rejected, Remark, Verdict
from cdsed.model.product import FINAL, GOOD, Product
from cdsed.store import disks, listings, products
from cdsed.store.database import Database
from cdsed.store.products import Wish


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


@dataclass(frozen=True, slots=True)
class Look:
    """What a look for a product found: where the state said by then that it lies, and where it really does."""

    told: str | None
    found: Path | None


_NO_LOOK = Look(None, None)


class Lines:
    """Enters the lines of listings into the state."""

    def __init__(self, db: Database, clock: Clock, presence: Presence) -> None:
        self._db = db
        self._clock = clock
        self._presence = presence

    def places(self, head: ListingHead, lines: Sequence[ListingLine]) -> dict[str, Look]:
        """Look for the products that are not under way.

        Ask before the transaction: disks may be slow, and it must not be.
        """
        return dict(self._places(head, lines))

    def enter(
        self, head: ListingHead, items_taken: int, lines: Sequence[ListingLine], places: Mapping[str, Look]
    ) -> None:
        """Commit some lines, together with how far their listing is taken then."""
        batch = _Batch()
        with self._db.write():
            for line in lines:
                match line:
                    case Named():
                        self._take(head, line, places.get(line.safename, _NO_LOOK), batch)
                    case Rejected():
                        batch.add(line.line, Verdict.REJECTED, None, redact(line.told))
                    case Ignored():
                        batch.add(line.line, Verdict.IGNORED)
            listings.count(self._db, head.id, items_taken, batch.counts, batch.remarks)

    def _places(self, head: ListingHead, lines: Sequence[ListingLine]) -> Iterator[tuple[str, Look]]:
        outputdir = Path(head.outputdir) if head.outputdir else None
        for line in lines:
            if not isinstance(line, Named):
                continue
            known = products.find(self._db, line.safename)
            if known is not None and known.state not in FINAL:
                continue
            told = _told(known)
            found = Path(told) if told and self._is_there(Path(told)) else None
            yield line.safename, Look(told, found or self._presence.find(line.safename, outputdir))

    def _is_there(self, place: Path) -> bool:
        """Tell whether a product lies where it appeared, whole, or will when its disk is mounted, or answers, again."""
        try:
            ground = disks.get(self._db, place.parent)
            if place.exists():
                return is_whole(place)
            return ground is not None and ground.is_lost(marker.look(place.parent))
        except OSError:
            return True

    def _take(self, head: ListingHead, line: Named, look: Look, batch: _Batch) -> None:
        wish = Wish(line.safename, head.group, head.priority, head.outputdir, line.product_id, line.s3_path)
        known = products.find(self._db, line.safename)
        told, found = _told(known), look.found
        if told and told != look.told:  # it has appeared since the look, and needs none
            found = Path(told)
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


def _told(known: Product | None) -> str | None:
    """Return where a product lies by the state's word; None where it does not say so."""
    return known.whereabouts if known is not None and known.state in GOOD else None
