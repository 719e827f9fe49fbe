"""Read the options of a listing: its first line."""

import re
import shlex
from pathlib import Path, PurePosixPath

from cdsed.errors import InboxError
from cdsed.inbox.source import LINE_BYTES_MAX, open_listing
from cdsed.model.choice import Choice, checked_pattern
from cdsed.model.layout import ProductLayout
from cdsed.model.listing import ListingOptions

PRIORITY_MAX = 1000

_PATH_CHARACTERS_MAX = 1000  # PATH_MAX is 4096 bytes, and the paths inside a product are appended
_NAME_CHARACTERS_MAX = 255

_OPTIONS = ("priority", "group", "outputdir", "layout", "include", "exclude")
_OPTIONS_LINE = re.compile(r"#\s*cdsed:(.*)")
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
