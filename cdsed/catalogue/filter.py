"""Pure functions that write a query as the text of ``$filter``.

The forms are those of the OData page of the CDSE documentation, read in 2025.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

from cdsed.catalogue.area import parts
from cdsed.catalogue.attributes import AttributeFilter, Operator, Value
from cdsed.catalogue.query import Query
from cdsed.model.safename import spellings


def filter_text(query: Query, start: datetime | None, end: datetime | None) -> str:
    """Return the filter for the part of a query between two times.

    Parameters
    ----------
    query
        The conditions; its own window is not used.
    start, end
        Half-open window of the sensing start; None: open on that side.

    Returns
    -------
    str
        Not yet encoded for a URL; empty without conditions.
    """
    return " and ".join(_conditions(query, start, end))


def selects_everything(query: Query) -> bool:
    """Tell whether a query has no condition: neither a window nor anything that `filter_text` writes."""
    return not filter_text(query, query.start, query.end)


def _conditions(query: Query, start: datetime | None, end: datetime | None) -> Iterator[str]:
    if query.collection is not None:
        yield f"Collection/Name eq {literal(query.collection)}"
    if start is not None:
        yield f"ContentDate/Start ge {literal(start)}"
    if end is not None:
        yield f"ContentDate/Start lt {literal(end)}"
    if query.name is not None:
        yield from _name(query.name)
    if query.online is not None:
        yield f"Online eq {literal(query.online)}"
    for condition in _attributes(query):
        yield _attribute(condition)
    if query.area is not None:
        areas = [f"OData.CSC.Intersects(area=geography'SRID=4326;{part.wkt}')" for part in parts(query.area)]
        yield areas[0] if len(areas) == 1 else f"({' or '.join(areas)})"
    if query.changed_since is not None:
        since = literal(query.changed_since)
        yield f"(PublicationDate ge {since} or ModificationDate ge {since})"
    if query.changed_until is not None:
        until = literal(query.changed_until)
        yield f"PublicationDate lt {until} and ModificationDate lt {until}"


def literal(value: Value) -> str:
    """Return an OData literal: text in quotes, times in UTC without."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return f"{Decimal(repr(value)):f}"  # the shortest that reads back the same, without an exponent
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return "'{}'".format(value.replace("'", "''"))


def _name(pattern: str) -> Iterator[str]:
    """Yield conditions for the pieces of a pattern; `Query.fits` checks their order."""
    first, *others = pattern.split("*")
    if not others:
        names = [f"Name eq {literal(name)}" for name in spellings(first)]
        yield names[0] if len(names) == 1 else f"({' or '.join(names)})"
        return
    if first:
        yield f"startswith(Name,{literal(first)})"
    for piece in others[:-1]:
        if piece:
            yield f"contains(Name,{literal(piece)})"
    if others[-1]:
        yield f"endswith(Name,{literal(others[-1])})"


def _attributes(query: Query) -> Iterator[AttributeFilter]:
    named = {
        "operationalMode": query.sensor_mode,
        "productType": query.product_type,
        "polarisationChannels": query.channels,
        "orbitNumber": query.orbit,
        "relativeOrbitNumber": query.relative_orbit,
        "orbitDirection": query.orbit_direction,
    }
    for name, value in named.items():
        if value is not None:
            yield AttributeFilter(name, Operator.EQ, value)
    if query.cloud_max_percent is not None:
        yield AttributeFilter("cloudCover", Operator.LE, query.cloud_max_percent)
    yield from query.attributes


def _attribute(condition: AttributeFilter) -> str:
    kind = f"OData.CSC.{condition.type}Attribute"
    return (
        f"Attributes/{kind}/any(att:att/Name eq {literal(condition.name)} "
        f"and att/{kind}/Value {condition.operator} {literal(condition.value)})"
    )
