"""Read the products that a dropped file names."""

import re
from collections.abc import Callable, Iterator
from enum import Enum, auto
from pathlib import Path
from typing import BinaryIO

from cdsed.inbox.formats.json_documents import Layout, find_products, read_document
from cdsed.inbox.formats.json_lines import are_json_lines, read_json_lines
from cdsed.inbox.formats.parquet import check_parquet, read_parquet
from cdsed.inbox.formats.text_lines import read_rows
from cdsed.inbox.source import LINE_BYTES_MAX, fingerprint, never, open_listing, parquet_at
from cdsed.inbox.unexpected import refuse_unexpected
from cdsed.model.eodata import BUCKET
from cdsed.model.listing import ListingLine

# Comments may stand before it. Lists with single quotes are Python's, and read as lines.
_JSON = re.compile(rb"(?:\s*#[^\r\n]*[\r\n])*\s*(?=[\[{](?!\s*'))")


class Form(Enum):
    """The form of a listing."""

    LINES = auto()
    JSON = auto()
    JSON_LINES = auto()
    PARQUET = auto()


def form_of(file: BinaryIO) -> Form:
    """Recognise the form of an open listing by its content."""
    start = file.tell()
    try:
        if parquet_at(file.read(LINE_BYTES_MAX)) is not None:
            return Form.PARQUET
        file.seek(start)
        if not _at_json(file):
            return Form.LINES
        return Form.JSON_LINES if are_json_lines(file) else Form.JSON
    finally:
        file.seek(start)


def read_listing(path: Path, heartbeat: Callable[[], None] = never, *, bucket: str = BUCKET) -> Iterator[ListingLine]:
    """Read a listing of any form, in memory that does not grow with its size.

    Parameters
    ----------
    heartbeat
        Called every few megabytes while the file is checked, before the first item; may raise.
    bucket
        The one of the settings: of others, paths are not used.

    Returns
    -------
    iterator of ListingLine
        One item per physical line, row, or product of a JSON document; for several products in one, an item for each.

    Raises
    ------
    InboxError
        At once, before the first item: the file is neither text nor parquet, or not like a listing. While iterating:
        a header names no column with products.
    """
    fingerprint(path, heartbeat)  # refuses what is neither text nor parquet
    with open_listing(path) as file:
        form = form_of(file)
        layout = None
        if form is Form.PARQUET:
            check_parquet(file, path.name)
        if form is Form.JSON:
            _at_json(file)
            layout = find_products(file, path.name, heartbeat)
        if form is not Form.PARQUET:
            file.seek(0)
            refuse_unexpected(file, path.name, is_json=form is not Form.LINES)
    return _read(path, form, layout, bucket)


def _read(path: Path, form: Form, layout: Layout | None, bucket: str) -> Iterator[ListingLine]:
    with open_listing(path) as file:
        if form is Form.PARQUET:
            yield from read_parquet(file, path.name, bucket)
        elif layout is not None:
            _at_json(file)
            yield from read_document(file, layout, path.name, bucket)
        else:
            yield from (read_rows if form is Form.LINES else read_json_lines)(file, bucket)


def _at_json(file: BinaryIO) -> bool:
    """Move past the comments at the beginning; return whether JSON follows."""
    start = file.tell()
    found = _JSON.match(file.read(LINE_BYTES_MAX))
    file.seek(start + (found.end() if found else 0))
    return found is not None
