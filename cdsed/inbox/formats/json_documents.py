"""Listings that are JSON documents: responses of catalogues and exports of tables, read in bounded memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, BinaryIO

import ijson

from cdsed.errors import InboxError
from cdsed.inbox.formats.json_values import CONTAINERS, items_in, record
from cdsed.inbox.formats.records import is_known, judge, key_of
from cdsed.inbox.source import never
from cdsed.model.listing import ListingLine

# ijson processes a whole buffer at a time. Its time and memory grow with the square of the levels in the buffer.
_DEPTH_MAX = 100
_DEPTH_BETWEEN_PRODUCTS = 2
_STEPS = {"start_map": 1, "start_array": 1, "end_map": -1, "end_array": -1}
_PREFIX_CHARACTERS_MAX = 64 * 1024
_BUFFER_BYTES = 4096
# Limit of one string or one product, which ijson holds in memory. A product with all attributes has 20 000 bytes.
_VALUE_BYTES_MAX = 1024 * 1024
_HEARTBEAT_BYTES = 16 * 1024 * 1024
# A table by columns has the names of all rows before the paths of the first, so it is held in memory.
_BY_COLUMNS_BYTES_MAX = 64 * 1024 * 1024
_HEADERS_MAX = 1000


class Shape(Enum):
    """How a document holds its products."""

    ARRAYS = auto()  # arrays of items, of a response or the document itself
    COLUMNS = auto()  # {"Name": {"0": …}}, as pandas writes a table
    ROWS = auto()  # {"0": {"Name": …}}, or by id
    ALONE = auto()  # each document is one product


@dataclass(slots=True)
class Layout:
    """Where the products of a file are.

    Attributes
    ----------
    prefixes
        Of ijson, in their order: of the arrays, or of the columns.
    headers
        The headers of the rows, if they are given apart from these.
    """

    shape: Shape = Shape.ALONE
    prefixes: dict[str, None] = field(default_factory=dict)
    headers: list[str] = field(default_factory=list)


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


class _ShapeFinder:
    """Notes where products are while the events of a file pass."""

    def __init__(self) -> None:
        self._found: dict[Shape, dict[str, None]] = {shape: {} for shape in Shape}
        self._headers: list[str] = []

    def see(self, prefix: str, event: str, value: object) -> None:
        """Note one event of `ijson.parse`."""
        if prefix == "item" and event in ("start_map", "start_array", "string"):
            self._found[Shape.ARRAYS]["item"] = None
        elif event == "start_array" and prefix in CONTAINERS:
            self._found[Shape.ARRAYS][f"{prefix}.item"] = None
        elif event == "start_map" and prefix and "." not in prefix and is_known(key_of(prefix)):
            self._found[Shape.COLUMNS][prefix] = None
        elif event == "string" and "item" not in self._found[Shape.ARRAYS]:
            self._see_text(prefix, str(value))

    def _see_text(self, prefix: str, text: str) -> None:
        name, _, rest = prefix.partition(".")
        if name in CONTAINERS or "." in rest:
            return
        if prefix == "columns.item":
            if len(self._headers) < _HEADERS_MAX:
                self._headers.append(text)
        elif not rest or name == "properties":
            if is_known(key_of(rest or name)):
                self._found[Shape.ALONE][""] = None
        elif is_known(key_of(rest)):
            self._found[Shape.ROWS][""] = None

    def layout(self) -> Layout | None:
        """Return where the products are; None if there are none."""
        for shape, prefixes in self._found.items():
            if prefixes and not (shape is Shape.ROWS and self._found[Shape.ALONE]):
                return Layout(shape, prefixes, self._headers)
        return None


def find_products(file: BinaryIO, name: str, heartbeat: Callable[[], None] = never) -> Layout:
    """Check that a file has only complete JSON documents, and return where their products are.

    Parameters
    ----------
    heartbeat
        Called every few megabytes.

    Raises
    ------
    InboxError
        It is not well-formed, or does not name products, or is a table by columns that is too large.
    """
    finder, depth = _ShapeFinder(), 0
    begin = file.tell()
    metered = _Metered(file, name, heartbeat)
    try:
        # Without use_float a number of 5000 digits ends the process (SIGSEGV in yajl2_c of ijson 3.6).
        events = ijson.parse(metered, buf_size=_BUFFER_BYTES, use_float=True, multiple_values=True)
        for prefix, event, value in events:
            depth += _STEPS.get(event, 0)
            if depth <= _DEPTH_BETWEEN_PRODUCTS:
                metered.heard()
                finder.see(prefix, event, value)
            if depth > _DEPTH_MAX or len(prefix) > _PREFIX_CHARACTERS_MAX:
                raise InboxError(f"{name} is JSON of more than {_DEPTH_MAX} levels, which no catalogue sends")
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise InboxError(f"{name} begins like JSON, with [ or {{, but is broken or not JSON") from error
    layout = finder.layout()
    if layout is None:
        raise InboxError(f"{name} is JSON without products: it has neither 'value' nor 'features' nor 'Name'")
    if layout.shape is Shape.COLUMNS and file.tell() - begin > _BY_COLUMNS_BYTES_MAX:
        raise InboxError(f"{name} is a table by columns of more than 64 MiB; write it by rows, e.g. orient='records'")
    return layout


def read_document(file: BinaryIO, layout: Layout, name: str, bucket: str) -> Iterator[ListingLine]:
    """Read the products of a file; each item is numbered from 1.

    Raises
    ------
    InboxError
        The file has changed since `find_products` read it, or one of its products is too large.
    """
    number = 0
    try:
        for item in _items(file, layout, name):
            for each in [item] if _is_row(item) else items_in(item):
                number += 1
                words = record(_with_headers(each, layout.headers))
                yield from judge(number, words, words.text, bucket)
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise InboxError(f"{name} was changed while it was read") from error


def _items(file: BinaryIO, layout: Layout, name: str) -> Iterator[object]:
    if layout.shape is Shape.COLUMNS:
        yield from _by_columns(file, layout, name)
        return
    begin = file.tell()
    for prefix in layout.prefixes:
        file.seek(begin)
        metered = _Metered(file, name, never)
        read = ijson.kvitems if layout.shape is Shape.ROWS else ijson.items
        options: dict[str, Any] = {"buf_size": _BUFFER_BYTES, "use_float": True, "multiple_values": True}
        for item in read(metered, prefix, **options):
            metered.heard()
            yield item[1] if layout.shape is Shape.ROWS else item


def _by_columns(file: BinaryIO, layout: Layout, name: str) -> Iterator[dict[str, object]]:
    rows: dict[str, dict[str, object]] = {}
    begin = file.tell()
    for header in layout.prefixes:
        file.seek(begin)
        metered = _Metered(file, name, never)
        for key, value in ijson.kvitems(metered, header, buf_size=_BUFFER_BYTES, use_float=True, multiple_values=True):
            metered.heard()
            rows.setdefault(key, {})[header] = value
    yield from rows.values()


def _is_row(item: object) -> bool:
    return isinstance(item, list) and not any(isinstance(each, list | dict) for each in item)


def _with_headers(item: object, headers: list[str]) -> object:
    return dict(zip(headers, item, strict=False)) if headers and isinstance(item, list) else item
