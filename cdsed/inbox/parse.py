"""Read a dropped file: its options, and the products it names."""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from cdsed.errors import InboxError
from cdsed.inbox.catalogue_json import products_at, read_response
from cdsed.inbox.source import LINE_BYTES_MAX, fingerprint, never, open_listing
from cdsed.inbox.text_lines import read_rows
from cdsed.inbox.unexpected import refuse_unexpected
from cdsed.model.listing import ListingLine, ListingOptions

PRIORITY_MAX = 1000

_PATH_CHARACTERS_MAX = 1000  # PATH_MAX is 4096 bytes, and the paths inside a product are appended
_NAME_CHARACTERS_MAX = 255

_OPTIONS_LINE = re.compile(r"#\s*cdsed:(.*)")
_JSON = re.compile(rb"(?:\s*#[^\r\n]*[\r\n])*\s*(?=[\[{])")  # comments may stand before it
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def read_options(path: Path) -> ListingOptions:
    """Read the options of a listing: its first line ``# cdsed: priority=5 group=x outputdir=/abs``.

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


def read_listing(path: Path, heartbeat: Callable[[], None] = never) -> Iterator[ListingLine]:
    """Read a listing of any format, in memory that does not grow with its size.

    Parameters
    ----------
    heartbeat
        Called every few megabytes while the file is checked, before the first item; may raise.

    Returns
    -------
    iterator of ListingLine
        One item per physical line; of a JSON response, one per product.

    Raises
    ------
    InboxError
        At once, before the first item: the file is not a text, not a known response, or not like a listing. While
        iterating: a header names no column with products.
    """
    fingerprint(path, heartbeat)  # refuses what is not text
    with open_listing(path) as file:
        is_json = _at_json(file)
        prefix = products_at(file, path.name, heartbeat) if is_json else ""
        file.seek(0)
        refuse_unexpected(file, path.name, is_json=is_json)
    return _from_response(path, prefix) if is_json else _from_rows(path)


def _from_rows(path: Path) -> Iterator[ListingLine]:
    with open_listing(path) as file:
        yield from read_rows(file)


def _from_response(path: Path, prefix: str) -> Iterator[ListingLine]:
    with open_listing(path) as file:
        _at_json(file)
        yield from read_response(file, prefix, path.name)


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
    if given.keys() - {"priority", "group", "outputdir"}:
        raise ValueError("it has an unknown option; the options are priority, group and outputdir")
    return ListingOptions(
        _priority(given.get("priority", "0")), _group(given.get("group")), _outputdir(given.get("outputdir"))
    )


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
