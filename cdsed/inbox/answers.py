"""Listings that are answers of a catalogue: OData or OpenSearch JSON, read in bounded memory."""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import ijson

from cdsed.errors import InboxError
from cdsed.inbox.rows import Words, product
from cdsed.model.listing import ListingLine

# What tells an answer's kind, and where (an ijson prefix) its products are then.
_PRODUCTS_AT = {
    ("value", "start_array"): "value.item",  # OData
    ("features", "start_array"): "features.item",  # OpenSearch
    ("Name", "string"): "",  # OData, one product
}
# ijson works off a whole buffer at a time, and what it takes grows with the square of the levels in it.
_DEPTH_MAX = 100
_BUFFER_BYTES = 4096


def products_at(file: BinaryIO, name: str) -> str:
    """Check that a file is one whole JSON answer, and return where (an ijson prefix) its products are.

    Raises
    ------
    InboxError
        It is not well-formed, or no answer that names products.
    """
    found, depth = [], 0
    try:
        for prefix, event, _ in ijson.parse(file, buf_size=_BUFFER_BYTES, use_float=True):
            depth += event.startswith("start_") - event.startswith("end_")
            if depth > _DEPTH_MAX:
                raise InboxError(f"{name} is JSON of more than {_DEPTH_MAX} levels, which no catalogue answers")
            if (prefix, event) in _PRODUCTS_AT:
                found.append(_PRODUCTS_AT[prefix, event])
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise InboxError(f"{name} begins like JSON, but is broken: {_first_line(error)}") from error
    if not found:
        raise InboxError(f"{name} is JSON without products: it has neither 'value' nor 'features' nor 'Name'")
    return found[0]


def read_answer(file: BinaryIO, prefix: str) -> Iterator[ListingLine]:
    """Read the products of an answer; each becomes one item, numbered from 1."""
    for number, item in enumerate(ijson.items(file, prefix, use_float=True), start=1):
        words = _words(item) if isinstance(item, Mapping) else Words()
        yield product(number, words, words.safename or words.s3_path or f"product {number} of the answer")


def _words(item: Mapping[str, Any]) -> Words:
    properties = item.get("properties")
    if isinstance(properties, Mapping):  # OpenSearch
        return Words(_text(properties.get("title")), _text(item.get("id")), _text(properties.get("productIdentifier")))
    return Words(_text(item.get("Name")), _text(item.get("Id")), _text(item.get("S3Path")))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
