"""Decide each line of a listing: its product is accepted, known, already present or a duplicate, or it is rejected."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cdsed.clock import Clock
from cdsed.frozen import frozen
from cdsed.local import marker
from cdsed.local.partial import is_marked
from cdsed.local.presence import Presence
from cdsed.local.whole import satisfies
from cdsed.log import redact
from cdsed.model.choice import Choice, union
from cdsed.model.listing import Counts, Ignored, LineVerdict, ListingHead, ListingLine, Named, Rejected, Remark
from cdsed.model.product_state import SUCCEEDED, TERMINAL, Product
from cdsed.store import cancelling, choices, disks, listings, new_products, products
from cdsed.store.database import Database


@dataclass(slots=True)
class _Batch:
    """What came of the lines of one batch."""

    remarks: list[Remark] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)

    def add(self, line: int, verdict: LineVerdict, safename: str | None = None, text: str = "") -> None:
        self.counted[verdict.value] += 1
        if text or verdict not in (LineVerdict.ACCEPTED, LineVerdict.IGNORED):
            self.remarks.append(Remark(line, verdict, safename, text))

    @property
    def counts(self) -> Counts:
        return Counts(**self.counted)


@frozen
class PresenceCheck:
    """Where the state said that a product is when it was looked for, and where it was found, perhaps in part."""

    reported_before: str | None
    found: Path | None
    in_part: bool = False


_NOT_CHECKED = PresenceCheck(None, None)


class Lines:
    """Enters the lines of listings into the state."""

    def __init__(self, db: Database, clock: Clock, presence: Presence) -> None:
        self._db = db
        self._clock = clock
        self._presence = presence
        self._asked: tuple[tuple[int, int], set[str]] | None = None
        self._known_of_asked: set[str] = set()

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
        new: list[Named] = []
        with self._db.write():
            named = self._known(_names(lines))
            for line in lines:
                match line:
                    case Named() if line.safename not in named and _is_to_queue(head, line, places):
                        named.add(line.safename)
                        new.append(line)
                        if line.remark:
                            batch.remarks.append(Remark(line.line, LineVerdict.ACCEPTED, line.safename, line.remark))
                    case Named():
                        self._queue(head, new, batch)  # it may name one of them
                        new = []
                        self._take(head, line, places.get(line.safename, _NOT_CHECKED), batch)
                    case Rejected():
                        batch.add(line.line, LineVerdict.REJECTED, None, redact(line.message))
                    case Ignored():
                        batch.add(line.line, LineVerdict.IGNORED)
            self._queue(head, new, batch)
            listings.count(self._db, head.id, items_taken, batch.counts, batch.remarks)
            cancelling.cancel_rest(self._db, self._clock, head.id)

    def _known(self, names: set[str]) -> set[str]:
        """Return those of the names that products have; asked twice, the state is read again only if it has changed."""
        asked = self._db.changes(), names
        if asked != self._asked:
            self._asked, self._known_of_asked = asked, new_products.known(self._db, names)
        return set(self._known_of_asked)

    def _queue(self, head: ListingHead, new: Sequence[Named], batch: _Batch) -> None:
        new_products.add(self._db, self._clock, head, new)
        batch.counted[LineVerdict.ACCEPTED.value] += len(new)

    def _places(self, head: ListingHead, lines: Sequence[ListingLine]) -> Iterator[tuple[str, PresenceCheck]]:
        outputdir, choice = Path(head.outputdir) if head.outputdir else None, head.choice
        names = _names(lines)
        named = self._known(names)
        absent = self._presence.surely_absent(names - named, outputdir, choice) if head.layout is None else frozenset()
        for line in lines:
            if not isinstance(line, Named) or line.safename in absent or line.known_name is None:
                continue
            known = products.find(self._db, line.safename) if line.safename in named else None
            if (known is not None and known.state not in TERMINAL) or _misfit(head, line):
                continue
            reported_before = _reported_path(known)
            there = known is not None and reported_before is not None and self._is_there(known, choice)
            found = Path(reported_before) if reported_before and there else None
            if found is None or not os.path.exists(found):  # noqa: PTH110
                # What seems to be on a disk that is away may have moved to another spool.
                below = head.below(line.safename)
                found = self._presence.find(line.safename, outputdir, below, choice) or found
            yield line.safename, PresenceCheck(reported_before, found, in_part=found is not None and is_marked(found))

    def _is_there(self, known: Product, choice: Choice | None) -> bool:
        """Tell whether a product is at its path by the state, with all files of a choice.

        True also if its disk is not mounted or does not respond, unless only a part was there and the whole is wanted.
        """
        if known.partial and choice is None:
            return False
        place = Path(known.path or "")
        # A layout puts the product below the directory that is known as a disk.
        top = Path(known.destination) if known.destination else place.parent
        top = top if place.is_relative_to(top) else place.parent
        try:
            identity = disks.get(self._db, top)
            if place.exists():
                return satisfies(place, known.safename, choice)
            return identity is not None and identity.is_lost(marker.look(top))
        except OSError:
            return True

    def _take(self, head: ListingHead, line: Named, check: PresenceCheck, batch: _Batch) -> None:
        if why := _misfit(head, line):
            batch.add(line.line, LineVerdict.REJECTED, None, why)
            return
        request, known = head.request(line), products.find(self._db, line.safename)
        reported_before, found, in_part = _reported_path(known), check.found, check.in_part
        if known and reported_before and reported_before != check.reported_before and _covers(known, head.choice):
            found, in_part = Path(reported_before), known.partial  # it was published after the look for it
        if known is None:
            number = products.add(self._db, self._clock, request, path=str(found) if found else None, partial=in_part)
        else:
            number = known.id
        found = self._if_enough(number, head.choice, found, in_part=in_part)
        earlier = listings.want(self._db, head.id, number, line.line)
        if earlier is not None:
            batch.add(line.line, LineVerdict.DUPLICATE, line.safename, f"line {earlier} names it already")
        elif known is not None and known.state not in TERMINAL:
            products.raise_priority(self._db, number, head.priority)
            cancelling.undo(self._db, number)  # it was cancelled, and that is not decided yet: this listing wants it
            choices.widen(self._db, known, head.choice)
            text = f"under way for an earlier listing ({known.state}){_elsewhere(head, known)}"
            batch.add(line.line, LineVerdict.KNOWN, line.safename, text)
        elif found is not None:
            if known is not None:
                self._found_again(known, found, in_part=in_part)
            batch.add(line.line, LineVerdict.ALREADY_PRESENT, line.safename, str(found))
        else:
            if known is not None:
                if (
                    known.partial and known.state in SUCCEEDED
                ):  # the larger part takes the place of the one that is there
                    request = replace(request, choice=union(Choice.from_json(known.choice), head.choice))
                products.ask_again(self._db, self._clock, number, request)
                choices.follow_listings(self._db, number)
            batch.add(line.line, LineVerdict.ACCEPTED, line.safename, line.remark)

    def _if_enough(self, number: int, choice: Choice | None, found: Path | None, *, in_part: bool) -> Path | None:
        """Return where a product was found; None if another open listing wants more than the part that is there."""
        return found if not in_part or choices.is_enough(self._db, number, choice) else None

    def _found_again(self, known: Product, found: Path, *, in_part: bool) -> None:
        if known.state not in SUCCEEDED or known.path != str(found) or known.partial != in_part:
            products.found_present(self._db, self._clock, known.id, str(found), partial=in_part)


def _names(lines: Sequence[ListingLine]) -> set[str]:
    return {line.safename for line in lines if isinstance(line, Named)}


def _is_to_queue(head: ListingHead, line: Named, places: Mapping[str, PresenceCheck]) -> bool:
    """Tell whether a product that is not known is only to be queued: it is not on disk, and the layout has a place."""
    check = places.get(line.safename)
    return (check is None or check.found is None) and (head.layout is None or _misfit(head, line) is None)


def _reported_path(known: Product | None) -> str | None:
    """Return the path of a product according to the state; None if the state has none."""
    return known.path if known is not None and known.state in SUCCEEDED else None


def _misfit(head: ListingHead, line: Named) -> str | None:
    """Return why a product has no place in the layout of its listing; None if it has, or only its id is known."""
    if head.layout is None or line.known_name is None:
        return None
    try:
        head.below(line.safename)
    except ValueError as error:
        return f"it has no place in the layout {head.layout}: {error}"
    return None


def _covers(known: Product, choice: Choice | None) -> bool:
    """Tell whether a product, as it was asked for, has all files of a choice."""
    if not known.partial:
        return True
    own = Choice.from_json(known.choice)
    return choice is not None and union(own, choice) == own


def _elsewhere(head: ListingHead, known: Product) -> str:
    """Return what a receipt adds if a product will not be where its listing's layout says."""
    if known.layout == head.layout:
        return ""
    return f"; it will be where that listing wants it (layout {known.layout or '.'}), not by {head.layout or '.'}"
