"""cdsed in Python: ``cdsed.search``, ``resolve``, ``download``, ``status`` and ``verify``, for notebooks and scripts.

>>> import cdsed
>>> found = cdsed.search(collection="SENTINEL-1", name="S1A_IW_GRDH_*", start="2024-06-04", end="2024-06-05",
...                      area="POINT (-5 48.4)")
>>> cdsed.download(found, "products")

All of them read the settings where the command ``cdsed`` does; searching and resolving need none.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypedDict, Unpack, cast

from cdsed.api.results import Downloads, Resolution, Status, Verification
from cdsed.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    from shapely.geometry.base import BaseGeometry

    from cdsed.catalogue.attributes import AttributeFilter
    from cdsed.catalogue.query import Query
    from cdsed.catalogue.search import SearchProgress
    from cdsed.view.progress import DownloadProgress

    Products: TypeAlias = str | Path | Iterable[str] | pd.DataFrame

__all__ = ["Conditions", "download", "resolve", "search", "status", "verify"]

Setting: TypeAlias = str | os.PathLike[str] | None


class Conditions(TypedDict, total=False):
    """What `search` takes; see `cdsed.catalogue.query.Query` for each.

    Times may be ISO 8601 text, dates, datetimes, or those of numpy and pandas (UTC when they have no zone). The area
    may be WKT, GeoJSON, the path of a file, or a table of geopandas. Conditions on attributes may be text such as
    ``orbitNumber >= 100``.
    """

    start: object
    end: object
    area: "BaseGeometry | gpd.GeoDataFrame | gpd.GeoSeries | str | Path | None"
    collection: str | None
    name: str | None
    sensor_mode: str | None
    product_type: str | None
    polarisation: str | None
    orbit: int | None
    relative_orbit: int | None
    orbit_direction: str | None
    cloud_max_percent: float | None
    online: bool | None
    attributes: "Sequence[AttributeFilter | str] | str"
    columns: Sequence[str] | str


def search(
    query: "Query | None" = None,
    *,
    sea_percent: bool = False,
    cache: bool = True,
    progress: "Callable[[SearchProgress], None] | None" = None,
    config: Setting = None,
    **conditions: Unpack[Conditions],
) -> "gpd.GeoDataFrame":
    """Return every product that meets the conditions.

    Parameters
    ----------
    query
        A query; None: it is made from the conditions.
    sea_percent
        Add a column of this name: how much of each footprint is sea, in percent of its area.
    cache
        Whether responses are cached, and cached ones used, so that an interrupted search is resumed.
    progress
        Called after each slice of time.
    config
        Settings file; None: the default search path, or the defaults.

    Returns
    -------
    geopandas.GeoDataFrame
        Its columns are described in `cdsed.catalogue.frame`; the same when nothing was found.

    Raises
    ------
    ValueError
        A condition is not valid, or nothing was found because the catalogue does not have a collection, type, mode or
        attribute; the text says which.
    Incomplete
        The catalogue returned fewer products than it counts.
    ServiceError
        The catalogue could not be asked.
    """
    from cdsed.catalogue import sea
    from cdsed.catalogue.cache import Cache, cache_directory
    from cdsed.catalogue.client import connect
    from cdsed.catalogue.search import search as search_catalogue
    from cdsed.catalogue.unknown_words import unknown_words
    from cdsed.config.load import settings_or_defaults

    if query is not None and conditions:
        raise ValueError(f"give either a query or conditions such as {min(conditions)}")
    wanted = query or _query(conditions)
    settings = settings_or_defaults(_path(config), os.environ)
    ttl_s = settings.catalogue.cache_ttl_s
    kept = Cache(cache_directory(settings, os.environ), ttl_s, SYSTEM_CLOCK) if cache else None
    with connect(settings, clock=SYSTEM_CLOCK, stop=threading.Event()) as service:
        found = search_catalogue(wanted, service, cache=kept, progress=progress)
        if found.empty and (unknown := unknown_words(wanted, service)):
            raise ValueError("; ".join(unknown))
    return found.assign(sea_percent=sea.sea_percent(found.geometry)) if sea_percent else found


def resolve(products: "Products", *, config: Setting = None) -> Resolution:
    """Look up the S3 paths of products in the catalogue.

    Parameters
    ----------
    products
        A listing (its path), names or ids, or a table with a column ``name``, ``safename`` or ``safe``.
    config
        Settings file; None: the default search path, or the defaults.

    Returns
    -------
    Resolution
        The products that can be downloaded, and why the others cannot.

    Raises
    ------
    ServiceError
        The catalogue could not be asked. This does not mean that a product is unavailable.
    """
    from cdsed.api.arguments import safenames
    from cdsed.catalogue.client import connect
    from cdsed.catalogue.names import Names
    from cdsed.config.load import settings_or_defaults

    settings = settings_or_defaults(_path(config), os.environ)
    names = safenames(products)
    with connect(settings, clock=SYSTEM_CLOCK, stop=threading.Event()) as service:
        facts = Names(service, per_filter=settings.catalogue.names_per_request).look_up(names)
    return Resolution.of(names, facts)


def download(  # noqa: PLR0913 - each is one option of the user
    products: "Products",
    outputdir: Setting = None,
    *,
    group: str | None = None,
    priority: int = 0,
    progress: bool | None = None,
    on_progress: "Callable[[DownloadProgress], None] | None" = None,
    idle_timeout_s: float = 600.0,
    config: Setting = None,
) -> Downloads:
    """Download products with the running daemon, or else with one that runs only during this call.

    Parameters
    ----------
    products
        A listing (its path), names, or a table as `search` returns it.
    outputdir
        Where they appear; None for the spool.
    group
        The account group to use; None: the default group of the settings.
    priority
        Products with a higher number are downloaded first.
    progress
        Whether a bar shows the sessions, the counts, the rate and the time to go. None: in a terminal or a notebook.
    on_progress
        Called with the same as values, about twice a second and at the end. What it raises ends the call. The state
        keeps unfinished products.
    idle_timeout_s
        Stop after this many seconds without progress; the state keeps unfinished products.
    config
        Settings file; None: the default search path.

    Returns
    -------
    Downloads
        The result of each product.

    Raises
    ------
    ConfigError
        The settings are missing or wrong.
    InboxError
        An option is not valid, e.g. the group does not exist; the text says why.
    CdsedError
        The daemon could not be run; the text says why.
    """
    from cdsed import foreground
    from cdsed.api.arguments import listing_text
    from cdsed.config.locate import settings_file
    from cdsed.model.listing import ListingOptions

    file = settings_file(_path(config), os.environ).resolve()
    text, names = listing_text(products)
    place = None if outputdir is None else str(Path(outputdir).absolute())
    request = foreground.DownloadRequest(text, names, ListingOptions(priority, group, place), idle_timeout_s)
    with _watchers(progress, on_progress) as show:
        results = foreground.download(file, request, show, os.environ)
    return Downloads.of(names, results)


def status(*, config: Setting = None) -> Status:
    """Return what ``cdsed status`` shows about the daemon, whether it runs or not.

    Raises
    ------
    StateError
        The state cannot be read.
    """
    from cdsed.config.locate import state_dir
    from cdsed.view.read import read_status

    return Status(read_status(state_dir(_path(config), os.environ)))


def verify(path: str | os.PathLike[str]) -> Verification:
    """Compare a product on disk, a directory or a zip, with its own manifest: the digest of each file.

    A product that was published although it differs from its manifest is compared with what was downloaded. A single
    file must look like what its name says.

    Raises
    ------
    OSError
        The product does not exist, or cannot be read.
    """
    from cdsed.local.intact import check_product

    return Verification(check_product(Path(path)))


@contextmanager
def _watchers(
    progress: bool | None, on_progress: "Callable[[DownloadProgress], None] | None"
) -> "Iterator[Callable[[DownloadProgress], None] | None]":
    """Yield what is called with the progress: the bar, the function of the caller, both, or None."""
    from cdsed.view.transfer_bar import is_interactive, transfer_bar

    shown = is_interactive(sys.stderr) if progress is None else progress
    with transfer_bar(sys.stderr) if shown else nullcontext() as draw:
        watchers = [each for each in (draw, on_progress) if each is not None]

        def show(seen: "DownloadProgress") -> None:
            for watcher in watchers:
                watcher(seen)

        yield show if watchers else None


def _path(config: Setting) -> Path | None:
    return None if config is None else Path(config)


def _query(conditions: Conditions) -> "Query":
    """Make a query from the conditions of a caller."""
    from cdsed.catalogue.areafile import area_of
    from cdsed.catalogue.attributes import parse_condition
    from cdsed.catalogue.query import Query

    values: dict[str, object] = dict(conditions)
    if values.get("area") is not None:
        values["area"] = area_of(values["area"])
    for name in ("attributes", "columns"):
        given = values.get(name) or ()
        if not isinstance(given, Iterable):
            raise ValueError(f"{name} {given!r} is neither text nor several")  # noqa: TRY004 - what search raises
        values[name] = (given,) if isinstance(given, str) else tuple(given)
    values["attributes"] = tuple(
        parse_condition(each) if isinstance(each, str) else each for each in cast("tuple[object]", values["attributes"])
    )
    return Query(**values)  # type: ignore[arg-type]
