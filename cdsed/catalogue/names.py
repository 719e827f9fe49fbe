"""Looking up names or ids in bulk: which products the catalogue has, has deleted, or does not know."""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from cdsed.catalogue.batch_query import ROWS_MAX, BatchQuery, quoted
from cdsed.catalogue.odata_client import ODataClient
from cdsed.catalogue.response import parse_deletions, parse_entries
from cdsed.catalogue.successors import successors
from cdsed.clock import Clock
from cdsed.errors import ServiceError
from cdsed.model.catalogue_entry import CatalogueEntry, Deletion, Facts
from cdsed.model.safename import spellings

NAMES_PER_FILTER = 15

# How many names FilterList accepts, and how many rows it returns, is not documented: lists begin small, and grow
# while every page is complete.
# A query without $top has 20 rows; whether FilterList has this limit is not documented.
_FILTER_LIST = f"Products/OData.CSC.FilterList?$top={ROWS_MAX}"
_LIST_FIRST, _LIST_MOST = 20, 500
_REFUSALS = frozenset({"BadQuery", "Refused"})
_REMEMBERED_MAX = 100_000
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

_Row = TypeVar("_Row", CatalogueEntry, Deletion)
_Rows = dict[str, tuple[CatalogueEntry, ...]]

_log = logging.getLogger(__name__)


class Negatives:
    """Caches for a short time which products the catalogue does not have, to save requests.

    Parameters
    ----------
    ttl_s
        Seconds after which the catalogue is asked again, because the product may be published meanwhile.
    clock
        What time it is.
    """

    def __init__(self, ttl_s: float, clock: Clock) -> None:
        self._ttl_s = ttl_s
        self._clock = clock
        self._kept: dict[str, tuple[float, Deletion | None]] = {}

    def remember(self, facts: Facts) -> None:
        """Keep the products of `facts` that are deleted or unknown."""
        if len(self._kept) + len(facts.deleted) + len(facts.unknown) > _REMEMBERED_MAX:
            self._kept.clear()
        until_s = self._clock.boot_s() + self._ttl_s
        self._kept |= {asked: (until_s, deletion) for asked, deletion in facts.deleted.items()}
        self._kept |= dict.fromkeys(facts.unknown, (until_s, None))

    def recall(self, asked: Iterable[str]) -> Facts:
        """Return the products that are still cached as deleted or unknown."""
        now_s = self._clock.boot_s()
        kept = {each: self._kept[each][1] for each in asked if each in self._kept and self._kept[each][0] > now_s}
        deleted = {each: deletion for each, deletion in kept.items() if deletion}
        return Facts(deleted=deleted, unknown=frozenset(kept.keys() - deleted.keys()))


def look_up(names_or_ids: Sequence[str], service: ODataClient, *, cache: Negatives | None = None) -> Facts:
    """Look products up once; for repeated calls keep a `Names`, which learns the length of a list.

    Parameters
    ----------
    names_or_ids
        Safenames with their extension, or UUIDs, any number of them.
    service
        The catalogue.
    cache
        Products that are known to be absent.

    Raises
    ------
    ServiceError
        The catalogue could not be asked, even after retries where they may help.
    Stopped
        The service was stopped meanwhile.
    """
    return Names(service, cache=cache).look_up(names_or_ids)


class Names:
    """Looks products up, and learns how many names the service accepts in one list.

    Parameters
    ----------
    service
        The catalogue.
    per_filter
        Names in one ``$filter`` at most.
    cache
        Products that are known to be absent.
    """

    def __init__(
        self, service: ODataClient, *, per_filter: int = NAMES_PER_FILTER, cache: Negatives | None = None
    ) -> None:
        self._service = service
        self._cache = cache
        self._products = BatchQuery(service, "Products", per_filter)
        self._deleted = BatchQuery(service, "DeletedProducts", per_filter)
        self._lists = _Lists()

    def look_up(self, names_or_ids: Sequence[str]) -> Facts:
        """Look products up; see the function of this name.

        A name that is missing in a FilterList response is looked up again with ``$filter``, then with or without its
        extension, then in DeletedProducts. So a name is never in `Facts.unknown` because a page was cut.
        """
        asked = list(dict.fromkeys(names_or_ids))
        known = self._cache.recall(asked) if self._cache else Facts()
        to_ask = [each for each in asked if each not in known.deleted and each not in known.unknown]
        ids = [each for each in to_ask if _ID.fullmatch(each)]
        names = [each for each in to_ask if not _ID.fullmatch(each)]
        rows = _by_key([*self._by_list(names), *self._by_filter(ids)])
        rows |= self._otherwise_spelt([name for name in names if name not in rows])
        found = {each: rows[_key(each)] for each in to_ask if _key(each) in rows}
        gone = self._deletions([each for each in to_ask if each not in found])
        fresh = Facts(
            {each: several[0] for each, several in found.items()},
            gone,
            frozenset(to_ask) - found.keys() - gone.keys(),
            {each: several[1:] for each, several in found.items() if len(several) > 1},
        )
        if self._cache:
            self._cache.remember(fresh)
        return replace(fresh, deleted={**known.deleted, **fresh.deleted}, unknown=known.unknown | fresh.unknown)

    def _otherwise_spelt(self, names: Sequence[str]) -> _Rows:
        """Return the rows of products that the catalogue has under their name with or without its extension."""
        others = {name: spellings(name)[1:] for name in names}
        rows = _by_key(self._by_filter([other for several in others.values() for other in several]))
        return {name: rows[other] for name, several in others.items() for other in reversed(several) if other in rows}

    def _by_list(self, names: Sequence[str]) -> list[CatalogueEntry]:
        entries: list[CatalogueEntry] = []
        first = 0
        while first < len(names) and self._lists.size:
            batch = names[first : first + self._lists.size]
            page = self._page(batch)
            if page is None:
                continue  # refused: try a shorter list, or stop using lists
            lacking = _lacking(batch, page)
            late = self._by_filter(lacking)
            self._lists.answered(len(batch), len(batch) - len(lacking), whole=not late)
            entries += [*page, *late]
            first += len(batch)
        return entries + self._by_filter(names[first:])

    def _page(self, batch: Sequence[str]) -> list[CatalogueEntry] | None:
        """Request a list of names; None when the service refuses it."""
        body = {"FilterProducts": [{"Name": name} for name in batch]}
        try:
            return self._asked_for(batch, parse_entries(self._service.post(_FILTER_LIST, body), self._service.url))
        except ServiceError as error:
            self._lists.failed(len(batch), refused=error.code in _REFUSALS)
            if error.code not in _REFUSALS:
                raise
            _log.info("a list of %d names is refused: %s", len(batch), error)
            return None

    def _by_filter(self, names_or_ids: Sequence[str]) -> list[CatalogueEntry]:
        pages = self._products.pages([condition(each) for each in names_or_ids])
        entries = [entry for page in pages for entry in parse_entries(page, self._service.url)]
        return self._asked_for(names_or_ids, entries)

    def _asked_for(self, names_or_ids: Sequence[str], rows: list[_Row]) -> list[_Row]:
        """Return the rows of a response; refuse it if it has other products than the requested ones."""
        asked = {each.lower() for each in names_or_ids}
        if any(row.name.lower() not in asked and row.product_id.lower() not in asked for row in rows):
            raise ServiceError(f"{self._service.url}: a response to another request", code="InvalidResponse")
        return rows

    def _deletions(self, names_or_ids: Sequence[str]) -> dict[str, Deletion]:
        spelt = {each: (each,) if _ID.fullmatch(each) else spellings(each) for each in names_or_ids}
        asked = [spelling for several in spelt.values() for spelling in several]
        pages = self._deleted.pages([condition(each) for each in asked])
        found = [row for page in pages for row in parse_deletions(page, self._service.url)]
        rows = sorted(self._asked_for(asked, found), key=lambda row: (row.at is not None, row.at))
        by_key = {key: row for row in rows for key in (row.name, row.product_id.lower())}
        gone = {
            each: by_key[_key(spelling)]
            for each, several in spelt.items()
            for spelling in reversed(several)
            if _key(spelling) in by_key
        }
        later = successors([deletion.name for deletion in gone.values()], self._service)
        return {each: replace(row, successor=later.get(row.name, "")) for each, row in gone.items()}


@dataclass(slots=True)
class _Lists:
    """How long the next FilterList may be; 0 when the service accepts none."""

    size: int = _LIST_FIRST
    most: int = _LIST_MOST

    def answered(self, asked: int, given: int, *, whole: bool) -> None:
        """Learn from a response: a page without a product that the catalogue has shows how many rows a page holds."""
        if whole:
            self.size = min(max(self.size, 2 * asked), self.most)
        elif asked <= _LIST_FIRST:
            self.size = self.most = 0
        else:
            self.size = self.most = max(_LIST_FIRST, given)

    def failed(self, asked: int, *, refused: bool) -> None:
        """Learn from a failure: never use a refused length again; after any other failure, make the list shorter."""
        self.size = max(_LIST_FIRST, asked // 2)
        if refused:
            self.most = self.size = 0 if asked <= _LIST_FIRST else self.size


def _lacking(asked: Sequence[str], entries: Sequence[CatalogueEntry]) -> list[str]:
    names = {entry.name for entry in entries}
    return [name for name in asked if name not in names]


def _by_key(entries: Sequence[CatalogueEntry]) -> _Rows:
    """Return entries by name and by id: of a name those that can be had, the newest first, or else the newest."""
    rows: dict[str, dict[str, CatalogueEntry]] = {}
    for entry in sorted(entries, key=lambda entry: (entry.can_be_had, entry.modified_at), reverse=True):
        of_name = rows.setdefault(entry.name, {})
        if not of_name or entry.can_be_had:
            of_name.setdefault(entry.product_id.lower(), entry)
        rows.setdefault(entry.product_id.lower(), {}).setdefault(entry.product_id.lower(), entry)
    return {key: tuple(several.values()) for key, several in rows.items()}


def _key(name_or_id: str) -> str:
    return name_or_id.lower() if _ID.fullmatch(name_or_id) else name_or_id


def condition(name_or_id: str) -> str:
    """Return the condition of a ``$filter`` for the rows of a safename or a UUID."""
    return f"Id eq {name_or_id.lower()}" if _ID.fullmatch(name_or_id) else f"Name eq {quoted(name_or_id)}"
