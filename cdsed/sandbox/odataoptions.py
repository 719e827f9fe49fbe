"""Query options of OData, and the errors of the service for wrong ones: 422 with FastAPI's bodies, otherwise 400.

The limits are those of the documentation of CDSE, in force since November 2024.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cdsed.sandbox.catalogue import Orders
from cdsed.sandbox.odatafilter import Filter, FilterError, parse_filter
from cdsed.sandbox.rows import DELETED_FIELD_KINDS, EXPANSIONS, FIELD_KINDS

SKIP_MAX = 10_000
_TOP_MAX, _TOP_DEFAULT = 1000, 20
# `Id` is not documented but works, and old clients use it.
_ORDERS = ("ContentDate/Start", "ContentDate/End", "PublicationDate", "ModificationDate", "Id")
_DELETED_ORDERS = ("ContentDate/Start", "ContentDate/End", "DeletionDate", "Id")
_ORDER = re.compile(r"\s*(\S+)(?:\s+(asc|desc))?\s*")
_SELECTABLE = (
    "Id",
    "Name",
    "ContentType",
    "ContentLength",
    "OriginDate",
    "PublicationDate",
    "ModificationDate",
    "Online",
    "EvictionDate",
    "S3Path",
    "Checksum",
    "ContentDate",
    "Footprint",
    "GeoFootprint",
)
_DELETED_SELECTABLE = ("DeletionDate", "DeletionCause")


class Unanswerable(Exception):
    """The request is answered with an error.

    Parameters
    ----------
    status
        The HTTP status.
    detail
        The ``detail`` of the response.
    """

    def __init__(self, status: int, detail: Any) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


@dataclass(frozen=True)
class Options:
    """The options of a request.

    Parameters
    ----------
    wanted
        The filter.
    orders
        Fields to order by, each with whether it is descending; empty: any order.
    top, skip
        The page; `top`: None when absent.
    count
        Whether the response has the number of all rows.
    select
        Fields; empty: all.
    expand
        Fields to expand, in the order of `EXPANSIONS`.
    """

    wanted: Filter
    orders: Orders
    top: int | None
    skip: int
    count: bool
    select: frozenset[str]
    expand: tuple[str, ...]

    @property
    def page_rows(self) -> int:
        """Return how many rows a page of a query has."""
        return _TOP_DEFAULT if self.top is None else self.top


def read_options(pairs: Sequence[tuple[str, str]], *, deleted: bool = False) -> Options:
    """Read the decoded parameters of a query; unknown parameters are ignored, as the service does.

    Parameters
    ----------
    pairs
        Names and values; ``$expand`` may occur several times.
    deleted
        Whether the query is for deleted products, which have other fields.

    Raises
    ------
    Unanswerable
        An option is wrong: 422 for numbers, otherwise 400.
    """
    values = dict(pairs)
    problems: list[dict[str, Any]] = []
    top = _number(values, "$top", _TOP_MAX, problems)
    skip = _number(values, "$skip", SKIP_MAX, problems)
    if problems:
        raise Unanswerable(422, problems)
    try:
        wanted = parse_filter(values.get("$filter", ""), DELETED_FIELD_KINDS if deleted else FIELD_KINDS)
    except FilterError as error:
        raise Unanswerable(400, f"Invalid value: {error}") from error
    return Options(
        wanted,
        _orders(values.get("$orderby", ""), _DELETED_ORDERS if deleted else _ORDERS),
        top,
        skip or 0,
        values.get("$count", "").lower() in {"true", "1"},
        frozenset(_choices(pairs, "$select", (*_SELECTABLE, *_DELETED_SELECTABLE) if deleted else _SELECTABLE)),
        tuple(_choices(pairs, "$expand", EXPANSIONS)),
    )


def problem(
    kind: str, where: Sequence[str | int], message: str, given: Any, context: Mapping[str, Any]
) -> dict[str, Any]:
    """Return one item of the ``detail`` of a 422 in the form of pydantic."""
    item = {"type": kind, "loc": list(where), "msg": message, "input": given}
    return item | ({"ctx": dict(context)} if context else {})


def _number(values: Mapping[str, str], option: str, limit: int, problems: list[dict[str, Any]]) -> int | None:
    text = values.get(option)
    if text is None:
        return None
    where = ("query", option)
    if not re.fullmatch(r"[+-]?[0-9]+", text.strip()):
        message = "Input should be a valid integer, unable to parse string as an integer"
        problems.append(problem("int_parsing", where, message, text, {}))
    elif int(text) > limit:
        message = f"Input should be less than or equal to {limit}"
        problems.append(problem("less_than_equal", where, message, text, {"le": limit}))
    elif int(text) < 0:
        message = "Input should be greater than or equal to 0"
        problems.append(problem("greater_than_equal", where, message, text, {"ge": 0}))
    else:
        return int(text)
    return None


def _orders(text: str, known: Sequence[str]) -> Orders:
    orders = []
    for part in text.split(",") if text.strip() else ():
        match = _ORDER.fullmatch(part)
        if match is None or match[1] not in known:
            raise Unanswerable(400, f"Invalid value: $orderby takes {', '.join(known)} with asc or desc, not {part!r}")
        orders.append((match[1], match[2] == "desc"))
    return tuple(orders)


def _choices(pairs: Sequence[tuple[str, str]], option: str, known: Sequence[str]) -> list[str]:
    given = {part.strip() for name, value in pairs if name == option for part in value.split(",") if part.strip()}
    unknown = sorted(given - set(known))
    if unknown:
        raise Unanswerable(400, f"Invalid value: {option} takes {', '.join(known)}, not {', '.join(unknown)}")
    return [each for each in known if each in given]
