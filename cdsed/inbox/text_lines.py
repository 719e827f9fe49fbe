"""Listings of lines: bare names, two columns, or CSV with a header."""

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cdsed.errors import InboxError
from cdsed.inbox.source import physical_lines
from cdsed.model.eodata import is_place_of, split_s3_path
from cdsed.model.listing import Ignored, ListingLine, Named, Rejected
from cdsed.model.quoting import NotAName, quotable
from cdsed.model.safename import normalise

_DELIMITERS = ",;\t"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_S3_PATH = re.compile(r"(s3://|/?eodata/|Sentinel-[^/]+/)")
_COLUMNS = {
    "id": "product_id",
    "safename": "safename",
    "safe": "safename",
    "name": "safename",
    "s3path": "s3_path",
    "s3_path": "s3_path",
}


@dataclass(frozen=True, slots=True)
class Words:
    """What one line or JSON object says about a product, as it was written."""

    safename: str | None = None
    product_id: str | None = None
    s3_path: str | None = None


def product(line: int, words: Words, text: str) -> Named | Rejected:
    """Check what a line or a JSON object says about one product.

    Parameters
    ----------
    line
        Number of the line, or of the product in a JSON response.
    words
        The name may be missing if there is a path: then the last segment of the path is the name.
    text
        The whole line, or the name in the response.
    """
    try:
        return _named(line, words)
    except NotAName as error:
        return Rejected(line, quotable(text), error.why, len(text))


def _named(line: int, words: Words) -> Named:
    try:
        location = split_s3_path(words.s3_path) if words.s3_path else None
    except ValueError as error:
        raise NotAName(words.s3_path or "", "has an S3 path that cannot be used") from error
    s3_path = location.s3_path if location else None
    safename = normalise(words.safename or s3_path or "")
    if location and not is_place_of(location, safename):
        raise NotAName(location.s3_path, "has an S3 path that leads to another product than its name")
    # An `id` column may also hold row numbers.
    product_id = words.product_id if _UUID.fullmatch(words.product_id or "") else None
    return Named(line, safename, product_id, s3_path)


def read_rows(file: BinaryIO) -> Iterator[ListingLine]:
    """Read a listing of lines; every physical line becomes exactly one item.

    Raises
    ------
    InboxError
        There is a header, but no column of it names products.
    """
    read: Callable[[str], Words] | None = None
    for line in physical_lines(file):
        text = line.text.strip(" \x1a")  # not tabs: they may delimit an empty field; Ctrl-Z ends DOS files
        if line.problem:
            yield Rejected(line.number, "", line.problem)
        elif not text.strip() or text.startswith("#"):
            yield Ignored(line.number)
        elif read is None and (header := _Header.of(text)):
            read = header.words
            yield Ignored(line.number)
        else:
            read = read or _by_content
            yield product(line.number, read(text), text)


@dataclass(frozen=True, slots=True)
class _Header:
    """The first line of a CSV listing: which column holds what."""

    delimiter: str
    columns: dict[str, int]

    @classmethod
    def of(cls, text: str) -> "_Header | None":
        """Read a line as a header; None if it names no known column."""
        readings = [cls(delimiter, _known_columns(text, delimiter)) for delimiter in _DELIMITERS]
        best = max(readings, key=lambda reading: len(reading.columns))
        if best.columns.keys() == {"product_id"}:
            raise InboxError("its header has no column safename, Name or S3Path")
        return best if best.columns else None

    def words(self, text: str) -> Words:
        fields = _fields(text, self.delimiter)
        return Words(
            **{word: fields[column] for word, column in self.columns.items() if column < len(fields) and fields[column]}
        )


def _known_columns(text: str, delimiter: str) -> dict[str, int]:
    columns: dict[str, int] = {}
    for number, field in enumerate(_fields(text, delimiter)):
        if word := _COLUMNS.get(field.lower()):
            columns.setdefault(word, number)
    return columns


def _fields(text: str, delimiter: str) -> list[str]:
    """Split a line; a field in double quotes may hold the delimiter, as polygons do."""
    row = next(csv.reader([text], delimiter=delimiter)) if '"' in text else text.split(delimiter)
    return [field.strip(" '") for field in row]


def _by_content(text: str) -> Words:
    """Recognise the fields of a line without a header by their form."""
    delimiter = next((each for each in reversed(_DELIMITERS) if each in text), None)
    fields = _fields(text, delimiter) if delimiter else [text.strip("'\"")]
    product_id = next((field for field in fields if _UUID.fullmatch(field)), None)
    s3_path = next((field for field in fields if _S3_PATH.match(field)), None)
    names = [field for field in fields if field and field not in {product_id, s3_path}]
    best = next((name for name in names if _is_name(name)), names[0] if names and not s3_path else None)
    return Words(best, product_id, s3_path)


def _is_name(field: str) -> bool:
    try:
        normalise(field)
    except ValueError:
        return False
    return True
