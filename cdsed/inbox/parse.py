"""Read a dropped file: its options, and the products it names."""

import re
import shlex
from collections.abc import Callable, Iterator
from enum import Enum, auto
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from cdsed.errors import InboxError
from cdsed.inbox.formats.json_documents import Layout, find_products, read_document
from cdsed.inbox.formats.json_lines import are_json_lines, read_json_lines
from cdsed.inbox.formats.parquet import check_parquet, read_parquet
from cdsed.inbox.formats.text_lines import read_rows
from cdsed.inbox.source import LINE_BYTES_MAX, fingerprint, never, open_listing, parquet_at
from cdsed.inbox.unexpected import refuse_unexpected
from cdsed.model.choice import Choice, checked_pattern
from cdsed.model.eodata import BUCKET
from cdsed.model.layout import ProductLayout
from cdsed.model.listing import ListingLine, ListingOptions

PRIORITY_MAX = 1000

_PATH_CHARACTERS_MAX = 1000  # PATH_MAX is 4096 bytes, and the paths inside a product are appended
_NAME_CHARACTERS_MAX = 255

_OPTIONS = ("priority", "group", "outputdir", "layout", "include", "exclude")
_OPTIONS_LINE = re.compile(r"#\s*cdsed:(.*)")
# Comments may stand before it. Lists with single quotes are Python's, and read as lines.
_JSON = re.compile(rb"(?:\s*#[^\r\n]*[\r\n])*\s*(?=[\[{](?!\s*'))")
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def read_options(path: Path) -> ListingOptions:
    """Read the options of a listing: its first line ``# cdsed: priority=5 group=x outputdir=/abs layout={year}``.

    Raises
    ------
    InboxError
        The file cannot be read as a listing, an option is unknown, given twice, or has a bad value.
    """
    with open_listing(path) as file:
        first = file.readline(LINE_BYTES_MAX).partition(b"\r")[0]
    found = _OPTIONS_LINE.fullmatch(first.decode(errors="replace").strip())
    if not found:
        return ListingOptions()
    try:
        return _options(found.group(1))
    except ValueError as error:
        raise InboxError(f"the first line of {path.name}, '# cdsed: …', cannot be used: {error}") from error


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


def _options(text: str) -> ListingOptions:
    pairs = [word.partition("=")[::2] for word in shlex.split(text)]
    given = dict(pairs)
    if len(given) < len(pairs):
        raise ValueError("an option is given twice")
    if given.keys() - {*_OPTIONS}:
        raise ValueError(f"it has an unknown option; the options are {', '.join(_OPTIONS[:-1])} and {_OPTIONS[-1]}")
    include, exclude = patterns_of(given.get("include")), patterns_of(given.get("exclude"))
    Choice.of(include, exclude)  # refuses too many
    return ListingOptions(
        _priority(given.get("priority", "0")),
        _group(given.get("group")),
        _outputdir(given.get("outputdir")),
        layout_of(given.get("layout")),
        include,
        exclude,
    )


def layout_of(text: str | None) -> ProductLayout | None:
    """Read the option ``layout``; None without it.

    Raises
    ------
    ValueError
        It is not a layout; the text says why.
    """
    if text is None:
        return None
    try:
        return ProductLayout.parse(text)
    except ValueError as error:
        raise ValueError(f"layout {error}") from error


def patterns_of(text: str | None) -> tuple[str, ...]:
    """Read the option ``include`` or ``exclude``: patterns with commas between them.

    Raises
    ------
    ValueError
        A pattern is not valid; the text says why.
    """
    return () if text is None else tuple(checked_pattern(each) for each in text.split(","))


def _priority(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,4}", text) or abs(int(text)) > PRIORITY_MAX:
        raise ValueError(f"priority should be a whole number from -{PRIORITY_MAX} to {PRIORITY_MAX}")
    return int(text)


def _group(text: str | None) -> str | None:
    if text is not None and not _GROUP.fullmatch(text):
        raise ValueError("group should be the name of an account group")
    return text


def _outputdir(text: str | None) -> str | None:
    if text is None:
        return None
    path = PurePosixPath(text)
    if not path.is_absolute() or ".." in path.parts:
        raise ValueError("outputdir should be an absolute path without '..'")
    if not text.isprintable() or len(text) > _PATH_CHARACTERS_MAX or max(map(len, path.parts)) > _NAME_CHARACTERS_MAX:
        raise ValueError("outputdir should be a shorter, printable path of a directory")
    return text
