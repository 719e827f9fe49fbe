"""cdsodatacli's ``query``: a search of the catalogue for each row of a table."""

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
from shapely.geometry.base import BaseGeometry

from cdsed.catalogue.attributes import AttributeFilter, Operator, parse_condition
from cdsed.catalogue.cache import Cache
from cdsed.catalogue.client import connect
from cdsed.catalogue.frame import frame_of, whole_frame
from cdsed.catalogue.odata_client import ODataClient
from cdsed.catalogue.query import Query
from cdsed.catalogue.sea import sea_percent
from cdsed.catalogue.search import search
from cdsed.catalogue.timestamps import timestamp_of
from cdsed.catalogue.unknown_words import unknown_words
from cdsed.clock import SYSTEM_CLOCK
from cdsed.compat.errors import MissingColumn
from cdsed.compat.rows import as_rows
from cdsed.compat.token import bearer
from cdsed.config.load import settings_or_defaults
from cdsed.config.settings import Settings
from cdsed.model.families import EXTENSIONS
from cdsed.view.terminal import Live

_log = logging.getLogger(__name__)

_OTHER_NAMES = {"startdate": "start_datetime", "stopdate": "end_datetime", "geofeature": "geometry", "Name": "name"}
_MANDATORY = ("start_datetime", "end_datetime", "id_query")
_WORKERS = {"seq": 1, "multi": 4}

_Ask = Callable[[Query], gpd.GeoDataFrame]


def fetch_data(  # noqa: PLR0913, PLR0917 - cdsodatacli's own parameters
    gdf: pd.DataFrame,
    timedelta_slice: timedelta | None = None,
    min_sea_percent: float | None = None,
    top: int | None = None,  # noqa: ARG001 - pages are always as long as the catalogue allows
    cache_dir: str | os.PathLike[str] | None = None,
    querymode: str = "seq",
    email: str | None = None,
    password: str | None = None,
    display_tqdm: bool = False,
    checkpoint_dir: str | os.PathLike[str] | None = None,
) -> gpd.GeoDataFrame:
    """Search the catalogue for each row, and return all results, by ``id_query``.

    Parameters
    ----------
    gdf
        Columns ``start_datetime`` and ``end_datetime`` (UTC where they have no zone, the end itself excluded) and
        ``id_query``; perhaps ``name`` (part of a safename, or a pattern with ``*``), ``collection``, ``sensormode``,
        ``producttype``, ``geometry``, ``Attributes`` (``cloudCover,20``: at most; or ``orbitNumber = 5``).
    timedelta_slice
        Longest window of one query; a window with too many products is always cut further.
    min_sea_percent
        Keep only products with at least this percentage of sea; adds a column ``sea_percent``.
    cache_dir
        Where responses are cached, for ``catalogue.cache_ttl_s``; None: nowhere.
    querymode, email, password, display_tqdm
        ``seq``, or ``multi`` to read four slices at a time; the account to ask as; whether to show progress.
    checkpoint_dir
        The same as `cache_dir`, if that is None: an interrupted search is resumed, with the rows of all queries.

    Returns
    -------
    GeoDataFrame
        One row per product and ``id_query``: the columns of `cdsed.compat.rows`, even when nothing was found.

    Raises
    ------
    MissingColumn, ValueError
        A column is missing; a row has a condition that is not valid. The text says which.
    Incomplete, ServiceError
        The catalogue did not return everything; partial results are not returned.
    """
    if querymode not in _WORKERS:
        raise ValueError(f"querymode {querymode!r} should be seq or multi")
    asked = gdf.rename(columns={old: new for old, new in _OTHER_NAMES.items() if new not in gdf.columns})
    if missing := [name for name in _MANDATORY if name not in asked.columns]:
        raise MissingColumn(f"the table lacks the column {missing[0]!r}; it needs {', '.join(_MANDATORY)}")
    queries = [(row["id_query"], _query(row, number)) for number, (_, row) in enumerate(asked.iterrows())]
    settings, stop = settings_or_defaults(None, os.environ), threading.Event()
    kept = _cache(cache_dir or checkpoint_dir, settings)
    with (
        bearer(settings, email, password, stop) as token,
        connect(settings, clock=SYSTEM_CLOCK, stop=stop, token=token) as service,
    ):
        workers = _WORKERS[querymode]
        ask = partial(search, service=service, cache=kept, workers=workers, slice_length=timedelta_slice)
        found = _together(_by_id(queries, partial(_asked, ask, service), Live(sys.stderr) if display_tqdm else None))
    return found if min_sea_percent is None else _at_sea(found, min_sea_percent)


def _cache(place: str | os.PathLike[str] | None, settings: Settings) -> Cache | None:
    return Cache(Path(place), settings.catalogue.cache_ttl_s, SYSTEM_CLOCK) if place else None


def _asked(ask: _Ask, service: ODataClient, query: Query) -> gpd.GeoDataFrame:
    """Run a query; log which of its words the catalogue does not have, if it finds nothing."""
    found = ask(query)
    for problem in unknown_words(query, service) if found.empty else ():
        _log.warning("%s", problem)
    return found


def _together(frames: Iterator[gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else as_rows(frame_of([]), None)


def _by_id(queries: list[tuple[Any, Query]], ask: _Ask, live: Live | None) -> Iterator[gpd.GeoDataFrame]:
    """Run every query; yield the results of each identifier, each product once."""
    frames: dict[Any, list[gpd.GeoDataFrame]] = {}
    rows = 0
    for done, (number, query) in enumerate(queries, start=1):
        frame = ask(query)
        frames.setdefault(number, []).append(frame)
        rows += len(frame)
        if live is not None:
            live.draw([f"individual CDSE queries: {done} of {len(queries)}, {rows} products"])
    for number, parts in frames.items():
        yield as_rows(whole_frame(parts), number)


def _query(row: Mapping[str, Any], number: int) -> Query:
    try:
        return Query(
            start=_timestamp(row["start_datetime"]),
            end=_timestamp(row["end_datetime"]),
            area=_area(row.get("geometry")),
            collection=_text(row, "collection"),
            name=_pattern(_text(row, "name")),
            sensor_mode=_text(row, "sensormode"),
            product_type=_text(row, "producttype"),
            attributes=_conditions(_text(row, "Attributes")),
        )
    except ValueError as error:
        raise ValueError(f"row {number} of the table: {error}") from error


def _timestamp(value: Any) -> datetime | None:
    if value is None or value is pd.NaT or value != value:  # NaN is not equal to itself  # noqa: PLR0124
        return None
    return timestamp_of(pd.Timestamp(value) if isinstance(value, str) else value)


def _area(value: Any) -> BaseGeometry | None:
    if value is None or isinstance(value, BaseGeometry):
        return value
    if pd.isna(value):
        return None
    raise ValueError(f"its geometry is a {type(value).__name__}, not one of shapely's")


def _text(row: Mapping[str, Any], column: str) -> str | None:
    value = row.get(column)
    return None if value is None or pd.isna(value) else str(value)


def _pattern(name: str | None) -> str | None:
    """Return the pattern for a part of a name; a whole safename is its own pattern."""
    return name if name is None or "*" in name or name.endswith(EXTENSIONS) else f"*{name}*"


def _conditions(text: str | None) -> tuple[AttributeFilter, ...]:
    if text is None:
        return ()
    name, comma, value = text.replace(" ", "").partition(",")
    return (AttributeFilter(name, Operator.LE, float(value)) if comma else parse_condition(text),)


def _at_sea(found: gpd.GeoDataFrame, min_sea_percent: float) -> gpd.GeoDataFrame:
    with_sea = found.assign(sea_percent=sea_percent(found.geometry))
    return with_sea[with_sea["sea_percent"] >= min_sea_percent].reset_index(drop=True)
