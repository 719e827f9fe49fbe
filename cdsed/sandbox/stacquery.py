"""Searches of the STAC API as filters over the rows of the catalogue: ids, collections, time, area, properties."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import shapely
from shapely.geometry.base import BaseGeometry

from cdsed.sandbox.catalogue import Orders
from cdsed.sandbox.odataarea import meets
from cdsed.sandbox.odatafilter import Filter, FilterRecord, Value
from cdsed.sandbox.rows import Row
from cdsed.sandbox.stacitems import collection_id, item, item_id
from cdsed.sandbox.timestamps import timestamp_ns

_LIMIT_DEFAULT, _LIMIT_MAX = 10, 1000
_KNOWN = frozenset(("ids", "collections", "datetime", "bbox", "intersects", "query", "sortby", "limit", "token"))
# Parameters of extensions that the sandbox lacks: ignoring them would give too many items. The rest is ignored.
_NOT_OFFERED = frozenset(("filter", "fields"))
_EXTENSIONS = ("", ".SAFE", ".SEN3", ".SEN6", ".nc")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")
# Fields by which items can be sorted, and the field of the catalogue of each.
_SORTABLE = {
    "id": "Name",
    "datetime": "ContentDate/Start",
    "start_datetime": "ContentDate/Start",
    "end_datetime": "ContentDate/End",
    "published": "PublicationDate",
    "updated": "ModificationDate",
    "created": "OriginDate",
}
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda value, wanted: bool(value == wanted),
    "neq": lambda value, wanted: bool(value != wanted),
    "lt": lambda value, wanted: bool(value < wanted),
    "lte": lambda value, wanted: bool(value <= wanted),
    "gt": lambda value, wanted: bool(value > wanted),
    "gte": lambda value, wanted: bool(value >= wanted),
    "in": lambda value, wanted: value in wanted,
    "contains": lambda value, wanted: wanted in value,
    "startsWith": lambda value, wanted: str(value).startswith(wanted),
    "endsWith": lambda value, wanted: str(value).endswith(wanted),
}


class BadSearch(ValueError):
    """A parameter of a search is not valid."""


@dataclass(frozen=True)
class StacSearch:
    """A search.

    Parameters
    ----------
    wanted, orders
        Which rows, and in which order.
    limit
        Items of a page.
    token
        ``next:COLLECTION:ITEM``, the last item of the page before; empty: the first page.
    """

    wanted: Filter
    orders: Orders
    limit: int
    token: str


def from_query(parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters of a GET in the form of the body of a POST; raises BadSearch when one is not valid."""
    body: dict[str, Any] = dict(parameters)
    try:
        for name in ("ids", "collections"):
            if name in body:
                body[name] = [each for each in body[name].split(",") if each]
        for name in ("intersects", "query"):
            if name in body:
                body[name] = json.loads(body[name])
        if "bbox" in body:
            body["bbox"] = [float(each) for each in body["bbox"].split(",")]
        if "limit" in body:
            body["limit"] = int(body["limit"])
    except ValueError as error:
        raise BadSearch(str(error)) from error
    if "sortby" in body:
        parts = [part.strip() for part in body["sortby"].split(",")]
        body["sortby"] = [
            {"field": part.lstrip("+-"), "direction": "desc" if part.startswith("-") else "asc"} for part in parts
        ]
    return body


def read_search(body: Mapping[str, Any]) -> StacSearch:
    """Read the body of a search.

    Parameters
    ----------
    body
        As POST has it.

    Raises
    ------
    BadSearch
        A parameter is not valid, or of an extension that the sandbox does not have.
    """
    if not_offered := sorted(_NOT_OFFERED.intersection(body)):
        raise BadSearch(f"the sandbox does not have the parameter {not_offered[0]}")
    limit = body.get("limit", _LIMIT_DEFAULT)
    if not isinstance(limit, int) or not 1 <= limit <= _LIMIT_MAX:
        raise BadSearch(f"limit is a number from 1 to {_LIMIT_MAX}, not {limit!r}")
    try:
        wanted = _filter(body)
        orders = _orders(body.get("sortby") or ())
    except (TypeError, AttributeError, KeyError, shapely.errors.ShapelyError) as error:
        raise BadSearch(f"a parameter has a wrong form: {error}") from error
    return StacSearch(wanted, orders, limit, str(body.get("token") or ""))


def _filter(body: Mapping[str, Any]) -> Filter:
    ids = [str(each) for each in body.get("ids") or ()]
    collections = frozenset(body.get("collections") or ())
    from_ns, to_ns = _interval(body.get("datetime") or "")
    area = _area(body)
    conditions = _conditions(body.get("query") or {})

    def matches(record: FilterRecord) -> bool:
        row = cast("Row", record)  # the catalogue tests its rows
        collection = collection_id(row.name)
        return (
            collection is not None
            and (not collections or collection in collections)
            and (not ids or item_id(row.name) in ids)
            and (to_ns is None or row.start_ns <= to_ns)
            and (from_ns is None or _end_ns(row) >= from_ns)
            and (area is None or meets(area, row.geometry()))
            and (not conditions or _holds(conditions, item(row.entry(("Attributes",)), "", "")["properties"]))
        )

    names: frozenset[Value] = frozenset(f"{each}{extension}" for each in ids for extension in _EXTENSIONS)
    question = {name: value for name, value in body.items() if name in _KNOWN - {"limit", "token", "sortby"}}
    text = f"STAC {json.dumps(question, sort_keys=True)}"
    return Filter(text, matches, {"Name": names} if ids else {}, None, to_ns)


def _end_ns(row: Row) -> int:
    value = row.value("ContentDate/End")
    assert isinstance(value, int)
    return value


def _interval(text: str) -> tuple[int | None, int | None]:
    first, slash, last = text.partition("/")
    times = [None if each in {"", ".."} else _time(each) for each in (first, last if slash else first)]
    if text and times == [None, None]:
        raise BadSearch("datetime needs a beginning or an end")
    if times[0] is not None and times[1] is not None and times[0] > times[1]:
        raise BadSearch("datetime begins after its end")
    return times[0], times[1]


def _time(text: str) -> int:
    if not _TIME.fullmatch(text):
        raise BadSearch(f"datetime needs times as in RFC 3339, not {text!r}")
    try:
        return timestamp_ns(text.upper())
    except ValueError as error:
        raise BadSearch(str(error)) from error


def _area(body: Mapping[str, Any]) -> BaseGeometry | None:
    box, shape = body.get("bbox"), body.get("intersects")
    if box and shape:
        raise BadSearch("bbox and intersects exclude each other")
    if shape:
        area = shapely.geometry.shape(shape)
    elif box:
        if len(box) not in {4, 6}:
            raise BadSearch("bbox has 4 or 6 numbers")
        west, south = box[:2]
        east, north = box[len(box) // 2 :][:2]
        parts = [(west, east)] if west <= east else [(west, 180), (-180, east)]
        area = shapely.MultiPolygon([shapely.box(left, south, right, north) for left, right in parts])
    else:
        return None
    shapely.prepare(area)
    return area


def _conditions(query: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    conditions = [(name, word, wanted) for name, each in query.items() for word, wanted in each.items()]
    if unknown := sorted({word for _name, word, _wanted in conditions} - set(_OPERATORS)):
        raise BadSearch(f"query has no operator {unknown[0]}")
    return conditions


def _holds(conditions: Iterable[tuple[str, str, Any]], properties: Mapping[str, Any]) -> bool:
    try:
        return all(
            name in properties and _OPERATORS[word](properties[name], wanted) for name, word, wanted in conditions
        )
    except TypeError:
        return False  # a text is not greater than a number


def _orders(sortby: Iterable[Mapping[str, str]]) -> Orders:
    orders = []
    for each in sortby:
        name = each["field"].removeprefix("properties.")
        if name not in _SORTABLE:
            raise BadSearch(f"items are sorted by {', '.join(_SORTABLE)}, not by {name}")
        orders.append((_SORTABLE[name], each.get("direction") == "desc"))
    return tuple(orders) or (("ContentDate/Start", True), ("Name", True))
