"""Words of a query that the catalogue does not have: the difference between "nothing yet" and a misspelt word."""

import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from cdsed.catalogue.filter import filter_text
from cdsed.catalogue.odata_client import ODataClient
from cdsed.catalogue.query import Query
from cdsed.errors import ServiceError
from cdsed.model.families import Family
from cdsed.model.quoting import NotAName
from cdsed.model.safename import misfit, normalise

# Of the service's documentation; another one counts as known as soon as it has a product.
_LANDSAT = ("LANDSAT-5", "LANDSAT-7", "LANDSAT-8", "LANDSAT-8-ESA")
_OTHERS = ("CCM", "COP-DEM", "ENVISAT", "GLOBAL-MOSAICS", "S2GLC", "SMOS", "TERRAAQUA")
_MISSIONS = [family.mission.collection for family in Family if family.mission.collection]
_COLLECTIONS = [*_MISSIONS, *_LANDSAT, *_OTHERS]
_SHORT = re.compile(r"^S(?:ENTINEL)?[ _-]?(?=\d)", re.IGNORECASE)
_ATTRIBUTES = {"product_type": "productType", "sensor_mode": "operationalMode"}
_SAMPLE = 100
_SHOWN = 5

_log = logging.getLogger(__name__)


def unknown_words(query: Query, service: ODataClient) -> list[str]:
    """Return a sentence for each condition that no product meets, whatever its time and area.

    Call it when a search found nothing. It costs a request for each word. If the catalogue cannot be asked, a warning
    is logged.

    Parameters
    ----------
    query
        Its collection, type, mode and attributes are asked for. A whole name must have the form of one.
    service
        The catalogue.
    """
    try:
        return list(_unknown(query, service))
    except ServiceError as error:
        _log.warning(
            "nothing was found, and whether the catalogue knows the words of the query is not known: %s", error
        )
        return []


def _unknown(query: Query, service: ODataClient) -> Iterator[str]:
    if query.name and "*" not in query.name and (wrong := _misspelt(query.name)):
        yield wrong
        return
    collection = Query(collection=query.collection)
    conditions = [
        *((f"{name.replace('_', ' ')} {getattr(query, name)!r}", _only(query, name)) for name in _ATTRIBUTES),
        *(
            (f"{each.name} {each.operator} {each.value!r}", _only(query, attributes=(each,)))
            for each in query.attributes
        ),
    ]
    if query.collection not in {None, *_COLLECTIONS} and not _rows(collection, service):
        near = _near(_SHORT.sub("SENTINEL-", query.collection or ""), _COLLECTIONS)
        yield f"the catalogue has no collection {query.collection!r}; it has {', '.join(near)}"
        return
    missing = [(words, alone) for words, alone in conditions if alone != collection and not _rows(alone, service)]
    if missing and query.collection and not _rows(collection, service):
        return  # a collection that has no products yet
    place = f" in {query.collection}" if query.collection else ""
    for words, alone in missing:
        yield f"the catalogue has no products of {words}{place}{_known(alone, service)}"


def _misspelt(name: str) -> str | None:
    """Return a sentence for a whole name that no product can have; None for a name that one may have later."""
    try:
        canonical = normalise(name)
    except NotAName as error:
        return str(error)
    if wrong := misfit(canonical):
        return f"the catalogue has no product {name!r}; perhaps misspelt: {wrong}"
    return f"the catalogue has no product {name!r}; give the name alone" if re.search(r"[/\\ ]", name) else None


def _only(query: Query, name: str = "", **fields: Any) -> Query:
    """Return the query of one condition in the collection."""
    fields |= {name: getattr(query, name)} if name else {}
    return replace(Query(collection=query.collection), **fields)


def _rows(query: Query, service: ODataClient, **options: str) -> list[dict[str, Any]]:
    condition = filter_text(query, None, None)
    page = service.get("Products", {"$top": "1", **({"$filter": condition} if condition else {}), **options})
    rows: list[dict[str, Any]] = page.get("value") or []
    return rows


def _known(alone: Query, service: ODataClient) -> str:
    """Return some values that products of the collection have, the most similar first."""
    name, value = next(
        ((_ATTRIBUTES[field], getattr(alone, field)) for field in _ATTRIBUTES if getattr(alone, field)), ("", "")
    )
    if not name:
        return ""
    rows = _rows(
        replace(alone, product_type=None, sensor_mode=None),
        service,
        **{
            "$top": str(_SAMPLE),
            "$expand": "Attributes",
        },
    )
    attributes = [each for row in rows for each in row.get("Attributes") or ()]
    known = sorted({str(each["Value"]) for each in attributes if each.get("Name") == name})
    return f"; it has, for example, {', '.join(_near(value, known))}" if known else ""


def _near(word: str, known: list[str]) -> list[str]:
    """Return a few of the known words, those most like `word`."""
    plain = {each.upper(): each for each in known}
    containing = [each for each in known if word.upper() in each.upper()]
    similar = [plain[each] for each in get_close_matches(word.upper(), plain, _SHOWN, 0.3)]
    return list(dict.fromkeys([*containing, *similar]))[:_SHOWN] or list(known)[:_SHOWN]
