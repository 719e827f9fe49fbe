"""What has appeared, changed or been deleted in the catalogue since a time, for a standing query."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from cdsed.catalogue import sea
from cdsed.catalogue.areafile import read_area
from cdsed.catalogue.attributes import parse_condition, parse_timestamp
from cdsed.catalogue.filter import filter_text, literal
from cdsed.catalogue.odata_client import ODataClient
from cdsed.catalogue.query import Query
from cdsed.catalogue.search import search
from cdsed.catalogue.slices import SKIP_MAX, TOP_MAX
from cdsed.catalogue.unknown_words import unknown_words
from cdsed.config.standing_queries import QueryConditions, StandingQuery
from cdsed.errors import ServiceError
from cdsed.model.catalogue_change import ChangedProduct, Changes, DeletedProduct

_SHORTEST = timedelta(seconds=1)  # of a window: more rows than a run takes may change in one second
_AHEAD = timedelta(days=2)  # our clock may be wrong by some
_NOT_OFFERED = frozenset({"BadQuery", "NotTheCatalogue"})  # where `Products` accepts the same conditions


def query_of(conditions: QueryConditions) -> Query:
    """Return the query of the settings.

    Raises
    ------
    ValueError
        A condition is not valid; the text says which.
    """
    given = conditions.model_dump(exclude={"area", "attributes", "sea_min_percent"})
    return Query(
        area=None if conditions.area is None else read_area(conditions.area),
        attributes=tuple(map(parse_condition, conditions.attributes)),
        **given,
    )


class ChangeSearch:
    """Asks the catalogue for the changes of one query.

    Parameters
    ----------
    service
        The catalogue.
    heartbeat
        Called about every half second during a search.
    """

    def __init__(self, service: ODataClient, heartbeat: Callable[[], None] = lambda: None) -> None:
        self._service = service
        self._heartbeat = heartbeat

    def changes(self, query: StandingQuery, mark_at: float, deleted_at: float, now_at: float) -> Changes:
        """Return what has changed since a time.

        Parameters
        ----------
        query
            Its conditions; how far it looks back; and the number of rows at most after the mark: if more changed, the
            window ends earlier.
        mark_at, deleted_at
            The newest publication or modification, and the newest deletion, that are known, seconds UTC.
        now_at
            By our own clock; it only bounds the search for a shorter window.

        Raises
        ------
        ServiceError
            The catalogue could not be asked, or its response was incomplete.
        ValueError
            A condition is not valid.
        """
        asked, sea_min_percent = query_of(query.search), query.search.sea_min_percent
        until = self._until(replace(asked, changed_since=_utc(mark_at)), _utc(now_at) + _AHEAD, query.products_max)
        window = replace(asked, changed_since=_utc(mark_at - query.overlap_s), changed_until=until)
        found = search(window, self._service, progress=lambda _: self._heartbeat())
        if sea_min_percent is not None:
            found = found[sea.sea_percent(found.geometry) >= sea_min_percent]
        products = tuple(_product(row) for row in found.itertuples(index=False))
        deleted = self._deleted(asked, _utc(deleted_at - query.overlap_s))
        return Changes(products, None if until is None else until.timestamp(), deleted)

    def unknown_words(self, conditions: QueryConditions) -> list[str]:
        """Return a sentence for each word of a query that the catalogue does not have; ask when it finds nothing."""
        return unknown_words(query_of(conditions), self._service)

    def _until(self, query: Query, latest: datetime, products_max: int) -> datetime | None:
        """Return an end of the window below which at most so many rows changed; None if it needs none."""
        if self._count(query) <= products_max:
            return None
        assert query.changed_since is not None
        first, last = query.changed_since, max(latest, query.changed_since + _AHEAD)
        while last - first > _SHORTEST:
            self._heartbeat()
            middle = first + (last - first) / 2
            if self._count(replace(query, changed_until=middle)) <= products_max:
                first = middle
            else:
                last = middle
        # A window without rows would never advance: then take those of the second that has too many.
        return last if self._count(replace(query, changed_until=first)) == 0 else first

    def _count(self, query: Query) -> int:
        page = self._service.get(
            "Products", {"$filter": filter_text(query, query.start, query.end), "$top": "1", "$count": "True"}
        )
        count = page.get("@odata.count")
        if not isinstance(count, int):
            message = f"{self._service.url}: a response that is not as documented: it does not count its rows"
            raise ServiceError(message, code="InvalidResponse")
        return count

    def _deleted(self, query: Query, since: datetime) -> tuple[DeletedProduct, ...] | None:
        """Return the rows deleted since a time, by the date of deletion; None if the catalogue does not offer them."""
        plain = replace(query, online=None)
        conditions = filter_text(plain, query.start, query.end)
        found: dict[str, DeletedProduct] = {}
        skip = 0  # rows of the same moment as `since` that were read
        while True:
            self._heartbeat()
            options = {
                "$filter": " and ".join(filter(None, (conditions, f"DeletionDate ge {literal(since)}"))),
                "$orderby": "DeletionDate asc",
                "$top": str(TOP_MAX),
                "$skip": str(skip),
                "$select": "Id,Name,DeletionDate,DeletionCause",
            }
            try:
                page = [_deleted(row) for row in self._service.get("DeletedProducts", options)["value"]]
            except ServiceError as error:
                if error.code in _NOT_OFFERED:
                    return None
                raise
            except (KeyError, TypeError, ValueError) as error:
                message = f"{self._service.url}: a response that is not as documented: {type(error).__name__}: {error}"
                raise ServiceError(message, code="InvalidResponse") from error
            found |= {row.product_id: row for row in page if query.fits(row.safename)}
            if len(page) < TOP_MAX:
                return tuple(found.values())
            last = _utc(page[-1].deleted_at)
            if last > since:
                since, skip = last, 0
            elif skip < SKIP_MAX:  # more were deleted in one moment than a page has
                skip += TOP_MAX
            else:  # the catalogue gives no more rows of this moment
                since, skip = since + timedelta(milliseconds=1), 0


def _deleted(row: dict[str, Any]) -> DeletedProduct:
    at = parse_timestamp(row["DeletionDate"]).timestamp()
    return DeletedProduct(str(row["Id"]), str(row["Name"]), at, str(row.get("DeletionCause") or ""))


def _product(row: Any) -> ChangedProduct:
    published_at, modified_at = _seconds(row.published), _seconds(row.modified)
    return ChangedProduct(
        product_id=str(row.id),
        safename=str(row.name),
        s3_path=_text(row.s3_path),
        md5=_text(row.md5),
        online=bool(row.online),
        sensed_at=_seconds(row.end),
        published_at=published_at,
        changed_at=max(published_at or 0.0, modified_at or 0.0),
    )


def _seconds(timestamp: Any) -> float | None:
    return None if pd.isna(timestamp) else float(timestamp.timestamp())


def _text(value: Any) -> str | None:
    return None if pd.isna(value) else str(value)


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
