"""Listings that are responses of a catalogue: OData or OpenSearch JSON, read in bounded memory."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

import ijson

from cdsed.errors import InboxError
from cdsed.inbox.source import never
from cdsed.inbox.text_lines import Words, product
from cdsed.model.listing import ListingLine

# The event that shows the kind of a response, and the ijson prefix of its products.
_PRODUCTS_AT = {
    ("value", "start_array"): "value.item",  # OData
    ("features", "start_array"): "features.item",  # OpenSearch
    ("Name", "string"): "",  # OData, one product
}
# ijson processes a whole buffer at a time. Its time and memory grow with the square of the levels in the buffer.
_DEPTH_MAX = 100
_DEPTH_BETWEEN_PRODUCTS = 2
_PREFIX_CHARACTERS_MAX = 64 * 1024
_BUFFER_BYTES = 4096
# Limit of one string or one product, which ijson holds in memory. A product with all attributes has 20 000 bytes.
_VALUE_BYTES_MAX = 1024 * 1024
_HEARTBEAT_BYTES = 16 * 1024 * 1024


class _Metered:
    """A file for ijson that limits the bytes of one value."""

    def __init__(self, file: BinaryIO, name: str, heartbeat: Callable[[], None]) -> None:
        self._file = file
        self._name = name
        self._heartbeat = heartbeat
        self._heartbeat_at_bytes = _HEARTBEAT_BYTES
        self._bytes = 0
        self._heard_at_bytes = 0

    def read(self, size: int) -> bytes:
        if self._bytes - self._heard_at_bytes > _VALUE_BYTES_MAX:
            raise InboxError(f"{self._name} is JSON with a value of more than 1 MiB, which no catalogue sends")
        if self._bytes >= self._heartbeat_at_bytes:
            self._heartbeat_at_bytes += _HEARTBEAT_BYTES
            self._heartbeat()
        data = self._file.read(size)
        self._bytes += len(data)
        return data

    def heard(self) -> None:
        """Note that a value has ended; the count of bytes starts again."""
        self._heard_at_bytes = self._bytes


def products_at(file: BinaryIO, name: str, heartbeat: Callable[[], None] = never) -> str:
    """Check that a file is one complete JSON response, and return the ijson prefix of its products.

    Parameters
    ----------
    heartbeat
        Called every few megabytes.

    Raises
    ------
    InboxError
        It is not well-formed, or not a response that names products.
    """
    found, depth = [], 0
    metered = _Metered(file, name, heartbeat)
    try:
        # Without use_float a number of 5000 digits ends the process (SIGSEGV in yajl2_c of ijson 3.6).
        for prefix, event, _ in ijson.parse(metered, buf_size=_BUFFER_BYTES, use_float=True):
            depth += event.startswith("start_") - event.startswith("end_")
            if depth <= _DEPTH_BETWEEN_PRODUCTS:
                metered.heard()
            if depth > _DEPTH_MAX or len(prefix) > _PREFIX_CHARACTERS_MAX:
                raise InboxError(f"{name} is JSON of more than {_DEPTH_MAX} levels, which no catalogue sends")
            if (prefix, event) in _PRODUCTS_AT:
                found.append(_PRODUCTS_AT[prefix, event])
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise InboxError(f"{name} begins like JSON, with [ or {{, but is broken or not JSON") from error
    if not found:
        raise InboxError(f"{name} is JSON without products: it has neither 'value' nor 'features' nor 'Name'")
    return found[0]


def read_response(file: BinaryIO, prefix: str, name: str) -> Iterator[ListingLine]:
    """Read the products of a response; each becomes one item, numbered from 1.

    Raises
    ------
    InboxError
        The file has changed since `products_at` read it, or one of its products is too large.
    """
    metered = _Metered(file, name, never)
    try:
        for number, item in enumerate(ijson.items(metered, prefix, buf_size=_BUFFER_BYTES, use_float=True), start=1):
            metered.heard()
            words = _words(item) if isinstance(item, Mapping) else Words()
            yield product(number, words, words.safename or words.s3_path or "")
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise InboxError(f"{name} was changed while it was read") from error


def _words(item: Mapping[str, Any]) -> Words:
    properties = item.get("properties")
    if isinstance(properties, Mapping):  # OpenSearch
        return Words(_text(properties.get("title")), _text(item.get("id")), _text(properties.get("productIdentifier")))
    return Words(_text(item.get("Name")), _text(item.get("Id")), _text(item.get("S3Path")))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
