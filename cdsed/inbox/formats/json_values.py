"""What a JSON value says about products, as catalogues, their clients, STAC and tools for S3 write it."""

from collections.abc import Iterator, Mapping
from typing import Any

from cdsed.inbox.formats.records import Record, key_of, record_of
from cdsed.inbox.formats.words import Certainty, certainty_of, is_plain

#: The members that hold the products of a response.
CONTAINERS = (
    "value",  # OData
    "features",  # GeoJSON, STAC, OpenSearch
    "Contents",  # S3: objects
    "CommonPrefixes",  # S3: directories
    "products",  # cdsed convert
    "found",  # cdsed resolve
    "missing",
    "matches",  # cdsed match
    "absent",  # cdsed missing
    "results",
    "items",
    "data",
)
_NAMES_OF_CONTAINERS = frozenset(CONTAINERS)


def items_in(value: object) -> Iterator[object]:
    """Yield the items of a JSON value that should each name a product: the members of a response, or the value."""
    members = _members(value)
    if members is None:
        yield value
    for each in members or ():
        yield from items_in(each) if isinstance(each, list) else (each,)


def is_container(value: object) -> bool:
    """Tell whether a JSON value is a response that holds products, not a product."""
    return _members(value) is not None


def _members(value: object) -> list[object] | None:
    if isinstance(value, list):
        return value
    if not isinstance(value, Mapping) or _NAMES_OF_CONTAINERS.isdisjoint(value):
        return None
    arrays = [value[name] for name in CONTAINERS if isinstance(value.get(name), list)]
    return [member for array in arrays for member in array] if arrays else None


def record(item: object) -> Record:
    """Return the words about products in one item: a JSON object, a row, or a name alone."""
    if isinstance(item, str):
        return record_of([("", item)])
    if isinstance(item, list):
        return record_of(("", each) for each in item if isinstance(each, str))
    if not isinstance(item, Mapping):
        return Record()
    return record_of((key_of(name), each) for name, each in [*_texts(item), *_asset_links(item)])


def _texts(item: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for members in (item.get("properties"), item):
        for name, each in members.items() if isinstance(members, Mapping) else ():
            if isinstance(each, str) and name:
                yield name, each
            elif isinstance(each, list):  # a pair or a stack may be an array of names
                yield from ((name, text) for text in each if isinstance(text, str) and _is_a_name(text))


def _is_a_name(text: str) -> bool:
    return is_plain(text) and certainty_of(text) is Certainty.FULL


def _asset_links(item: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    assets = item.get("assets")
    for asset in assets.values() if isinstance(assets, Mapping) else ():
        href = asset.get("href") if isinstance(asset, Mapping) else None
        if isinstance(href, str):
            yield "href", href
