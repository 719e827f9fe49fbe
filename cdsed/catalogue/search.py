"""Searching the catalogue: every product that a query selects, each once, or an error."""

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import geopandas as gpd
from shapely.geometry.base import BaseGeometry

from cdsed.catalogue.areaparts import in_requests
from cdsed.catalogue.cache import Cache
from cdsed.catalogue.filter import filter_text
from cdsed.catalogue.frame import frame_of, whole_frame
from cdsed.catalogue.http_errors import PASSING
from cdsed.catalogue.json_body import parse_json
from cdsed.catalogue.odata_client import ODataClient, Reply
from cdsed.catalogue.query import Query
from cdsed.catalogue.slices import REACH, SKIP_MAX, TOP_MAX, Window, windows
from cdsed.errors import Incomplete, ServiceError, Stopped

_COUNT_MAX = 10**10  # rows; the catalogue has some 10**8
_FIELDS = (
    "Id,Name,S3Path,ContentLength,Online,ContentDate,PublicationDate,ModificationDate,EvictionDate,Checksum,"
    "Footprint,GeoFootprint"
)
_TELL_EVERY_S = 0.5

_Part = TypeVar("_Part")


@dataclass(frozen=True, slots=True)
class SearchProgress:
    """How far a search is: rows received, slices done, slices known so far."""

    rows: int
    slices_done: int
    slices: int


def search(
    query: Query,
    service: ODataClient,
    *,
    cache: Cache | None = None,
    progress: Callable[[SearchProgress], None] | None = None,
    workers: int = 4,
    slice_length: timedelta | None = None,
) -> gpd.GeoDataFrame:
    """Return every product that a query selects.

    Parameters
    ----------
    query
        What to search for.
    service
        The catalogue.
    cache
        Where each page is stored as it arrives, so that an interrupted search can be resumed.
    progress
        Called about every half second, in this thread.
    workers
        Slices read at the same time, under the one rate limit of `service`.
    slice_length
        Longest window of time in one query; None begins with the whole window. A window with more rows than the
        catalogue returns is cut further.

    Returns
    -------
    geopandas.GeoDataFrame
        As `cdsed.catalogue.frame` describes, ordered by sensing time; when several rows have one name, the newest of
        those that are online.

    Raises
    ------
    Incomplete
        The catalogue returned fewer rows than it counted, twice; or more products than it returns begin at the same
        time.
    ServiceError
        The catalogue could not be asked, or refused the query.
    Stopped
        `service` was stopped.
    """
    if cache:
        cache.prune()
    make = partial(frame_of, columns=query.columns)
    searching = _Searching(query, service, cache, make, expand=bool(query.columns))
    areas = [None] if query.area is None else in_requests(query.area)
    with ThreadPoolExecutor(workers, thread_name_prefix="search") as pool:
        first = [_Slice(area, each) for area in areas for each in windows(query.start, query.end, slice_length)]
        frames = searching.parts(pool, first, progress)
    found = whole_frame(frames, query.columns)
    fitting = found["name"].map(query.fits).astype(bool)
    return found if fitting.all() else found[fitting].reset_index(drop=True)


def search_rows(query: Query, service: ODataClient, *, workers: int = 4) -> list[Mapping[str, Any]]:
    """Return every product that a query without an area selects, as whole rows with their attributes.

    Parameters
    ----------
    query, service, workers
        As for `search`.

    Returns
    -------
    list of mapping
        Rows of ``Products`` in the form of the catalogue, ordered by sensing time and name; when several rows have one
        name, the newest of those that are online.

    Raises
    ------
    Incomplete, ServiceError, Stopped
        As for `search`.
    """
    searching = _Searching(query, service, None, _whole_rows, expand=True)
    with ThreadPoolExecutor(workers, thread_name_prefix="search") as pool:
        parts = searching.parts(pool, [_Slice(None, each) for each in windows(query.start, query.end, None)], None)
    best_last = sorted(
        (row for part in parts for row in part), key=lambda row: (row["Online"], row["ModificationDate"])
    )
    rows = {row["Name"]: row for row in best_last if query.fits(row["Name"])}
    return sorted(rows.values(), key=lambda row: (row["ContentDate"]["Start"], row["Name"]))


def _whole_rows(rows: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return rows whose keys, by which they are sorted, are as documented; TypeError or KeyError otherwise."""
    for row in rows:
        texts = (row["Id"], row["Name"], row["ModificationDate"], row["ContentDate"]["Start"])
        if not all(isinstance(text, str) for text in texts) or not isinstance(row["Online"], bool):
            raise TypeError("a key of a row is of another type")
    return rows


@dataclass(frozen=True, slots=True)
class _Slice:
    """What one filter selects: a part of the area, and a window of time."""

    area: BaseGeometry | None
    window: Window


@dataclass(frozen=True, slots=True)
class _Shorter:
    """The slices to read instead of one that has too many rows."""

    slices: list[_Slice]


class _Searching(Generic[_Part]):
    """What the threads of one search share; `make` makes what is returned of the rows of a slice."""

    def __init__(
        self,
        query: Query,
        service: ODataClient,
        cache: Cache | None,
        make: Callable[[list[Mapping[str, Any]]], _Part],
        *,
        expand: bool,
    ) -> None:
        self._make = make
        self._expand = expand
        self._abandoned = threading.Event()
        self._rows_received = 0
        self._counting = threading.Lock()
        self._query = query
        self._service = service
        self._cache = cache

    def parts(
        self, pool: ThreadPoolExecutor, first: Iterable[_Slice], progress: Callable[[SearchProgress], None] | None
    ) -> list[_Part]:
        """Read all slices, and the shorter ones they are cut into; the first failure stops the others."""
        parts: list[_Part] = []
        waiting = {pool.submit(self._read, each) for each in first}
        try:
            while waiting:
                done, waiting = wait(waiting, _TELL_EVERY_S, FIRST_COMPLETED)
                for part in [future.result() for future in done]:
                    if isinstance(part, _Shorter):
                        waiting |= {pool.submit(self._read, each) for each in part.slices}
                    else:
                        parts.append(part)
                if progress:
                    progress(SearchProgress(self._rows_received, len(parts), len(parts) + len(waiting)))
        finally:
            self._abandoned.set()
            for future in waiting:
                future.cancel()
        return parts

    def _read(self, part: _Slice) -> _Part | _Shorter:
        """Return the rows of a slice, or the shorter slices to read instead."""
        first, window = self._first_url(part), part.window
        for fresh in (False, True):  # rows change while pages are read, and cached pages may be from different times
            page = self._page(first, fresh=fresh)
            count = _count(page, self._service.url)
            if count > REACH:
                return _Shorter([replace(part, window=shorter) for shorter in _cut(window, count)])
            rows = self._rows(page, first, fresh=fresh)
            if len(rows) == count:
                return self._made(list(rows.values()))
            self._received(-len(rows))
        raise Incomplete(
            f"{self._service.url}: counts {count} products from {window} and gave {len(rows)}; search again later"
        )

    def _first_url(self, part: _Slice) -> str:
        query = replace(self._query, area=part.area)
        options = {
            "$filter": filter_text(query, part.window.start, part.window.end),
            "$orderby": "ContentDate/Start asc",
            "$top": str(TOP_MAX),
            "$count": "True",
        }
        options |= {"$expand": "Attributes"} if self._expand else {"$select": _FIELDS}
        return self._service.address("Products", {name: text for name, text in options.items() if text})

    def _rows(self, page: dict[str, Any], first: str, *, fresh: bool) -> dict[str, Mapping[str, Any]]:
        """Follow the pages of a slice from its first one; return the rows that arrive, by id."""
        count = _count(page, self._service.url)
        rows = self._by_id(page["value"])
        self._received(len(rows))
        while len(rows) < count and (following := self._following(page, first, len(rows))):
            before = len(rows)
            page = self._page(following, fresh=fresh)
            rows |= self._by_id(page["value"])
            self._received(len(rows) - before)
            if len(rows) == before:
                break
        return rows

    def _following(self, page: dict[str, Any], first: str, received: int) -> str | None:
        """Return the URL of the next page: the catalogue's link, else one made from the count of rows."""
        link = page.get("@odata.nextLink") or page.get("@OData.nextLink")
        if link:
            # Only the options are used: behind a proxy, the link names another host than the settings.
            return f"{self._service.url}/Products?{_options(str(link), self._service.url)}"
        return f"{first}&$skip={received}" if page["value"] and received <= SKIP_MAX else None

    def _page(self, url: str, *, fresh: bool) -> dict[str, Any]:
        if self._abandoned.is_set():
            raise Stopped
        kept = self._cache.read(url) if self._cache and not fresh else None
        page = _page_of(kept) if kept is not None else None
        if page is not None:
            return page
        reply = self._fetch(url)
        if not isinstance(reply.content.get("value"), list):
            raise _invalid_response(self._service.url, "there is no list of rows")
        if self._cache:
            self._cache.write(url, reply.body)
        return reply.content

    def _fetch(self, url: str) -> Reply:
        """Send the request with twice the usual tries, because no schedule repeats a failed search."""
        try:
            return self._service.fetch(url)
        except ServiceError as error:
            if error.code not in PASSING or self._abandoned.is_set():
                raise
            return self._service.fetch(url)

    def _received(self, rows: int) -> None:
        with self._counting:
            self._rows_received += rows

    def _by_id(self, rows: list[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
        try:
            return {row["Id"]: row for row in rows}
        except (KeyError, TypeError) as error:
            raise _invalid_response(self._service.url, f"{type(error).__name__}: {error}") from error

    def _made(self, rows: list[Mapping[str, Any]]) -> _Part:
        try:
            return self._make(rows)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise _invalid_response(self._service.url, f"{type(error).__name__}: {error}") from error


def _cut(window: Window, count: int) -> list[Window]:
    try:
        return window.cut(count)
    except ValueError as error:
        raise Incomplete(f"{error}, and the catalogue returns {REACH} at most; narrow the query") from error


def _page_of(kept: bytes) -> dict[str, Any] | None:
    """Return a cached page; None when it is damaged."""
    try:
        page = parse_json(kept)
    except (ValueError, RecursionError):
        return None
    return page if isinstance(page, dict) and isinstance(page.get("value"), list) else None


def _options(link: str, url: str) -> str:
    try:
        return urlsplit(link).query
    except ValueError as error:
        raise _invalid_response(url, f"its next page is at {link[:100]!r}") from error


def _count(page: dict[str, Any], url: str) -> int:
    count = page.get("@odata.count")
    if not isinstance(count, int):
        raise _invalid_response(url, "it does not say how many rows there are")
    if count > _COUNT_MAX:  # windows are cut by it
        raise _invalid_response(url, "it counts more rows than there can be")
    return count


def _invalid_response(url: str, why: str) -> ServiceError:
    return ServiceError(f"{url}: a response that is not as documented: {why:.200}", code="InvalidResponse")
