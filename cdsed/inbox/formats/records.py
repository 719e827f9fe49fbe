"""What one line, row or JSON object says about products, and the judgement on it, for every form of a listing."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from cdsed.inbox.formats.words import (
    Certainty,
    Place,
    certainty_of,
    id_of,
    is_absent,
    is_path,
    is_plain,
    name_of,
    place_of,
)
from cdsed.model.families.other import ANY_NAME
from cdsed.model.listing import Named, Rejected
from cdsed.model.quoting import NotAName, holds_like_a_name, quotable
from cdsed.model.safename import normalise

_NAMES = (
    "safename safe name title identifier filename producturi productidentifier productname product scenename scene "
    "sceneid granulename granule granuleid fileid file id key prefix path location"
)
#: Headers of columns and names of JSON members, without blanks and underscores; the first one of names is used first.
_RANKS = {word: rank for rank, word in enumerate(_NAMES.split())}
_IDS = frozenset({"id", "uuid", "uid", "productid", "productuuid"})
_PATHS = frozenset({"s3path", "productidentifier", "downloadlink", "key", "prefix", "location"})
#: Of these columns a path that cannot be used deserves a remark: they are for the paths of this service.
_S3_PATHS = frozenset({"s3path"})
#: Columns with the names of other products than the row's: `cdsed match` writes one.
_OTHER_PRODUCTS = frozenset({"counterpartof"})
#: As long as the shortest names with a date and time: a shorter word that is not a name is not a lost product.
_NAME_CHARACTERS_MIN = 24
#: A misspelt name in a column of unknown meaning.
_LIKE_A_NAME = re.compile(r"(?i:S[0-9A-Z_]{2}_[\w.]{20,})")


class Meaning(Enum):
    """What the header says about a column."""

    NAME = auto()
    ID = auto()
    S3_PATH = auto()
    PATH = auto()
    OTHER_PRODUCT = auto()


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of a row, or one member of a JSON object: its header, or '', and its text."""

    header: str
    text: str


@dataclass(frozen=True, slots=True)
class Record:
    """The words about products in one line, row or JSON object, as they are written.

    Attributes
    ----------
    names
        Each must be a good name; else the line is rejected.
    ids
        UUIDs, in small letters.
    paths
        Paths in the object store.
    links
        Paths that are used if they can be, without a remark otherwise.
    """

    names: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


def key_of(header: str) -> str:
    """Return a header as it is compared: ``S3 Path``, ``s3_path`` and ``x:s3Path`` are the same."""
    key = header.rpartition(":")[2].lower()
    return "".join(character for character in key if character not in " _-'\"")


def is_known(header: str) -> bool:
    """Tell whether a header is that of a column of names, ids or S3 paths."""
    key = key_of(header)
    return key in _RANKS or key in _IDS or key in _PATHS or key in _S3_PATHS


def only_ids(headers: Iterable[str]) -> bool:
    """Tell whether a header has a column of ids, and none of names or paths."""
    keys = {key_of(header) for header in headers if is_known(header)}
    return bool(keys) and keys <= _IDS


def judge(line: int, record: Record, text: str) -> list[Named | Rejected]:
    """Check what a line, row or JSON object says about products.

    Parameters
    ----------
    line
        Its number; that of the product in a JSON document.
    text
        The whole line, or what stands for it.

    Returns
    -------
    list
        Each product once, or one rejection: a line is never taken in part.
    """
    try:
        return list(_named(line, record))
    except NotAName as error:
        return [Rejected(line, quotable(text), error.why, len(text))]


def record_of(cells: Iterable[Cell]) -> Record:
    """Choose the words about products in a row, by their headers and by what stands in them."""
    sorter = _Sorter()
    for cell in cells:
        sorter.add(key_of(cell.header) if cell.header else "", cell.text.strip(" '\""))
    return sorter.record()


def _named(line: int, record: Record) -> Iterable[Named]:
    names = list(dict.fromkeys(normalise(word) if is_plain(word) else name_of(word)[0] for word in record.names))
    places = [place_of(path, names) for path in record.paths]
    links = [place_of(path, names) for path in record.links]
    if not names:
        names = list(dict.fromkeys(place.name for place in [*places, *links] if place.name))
    elif any(place.name and place.name not in names for place in [*places, *filter(_is_sure, links)]):
        raise NotAName("", "has an S3 path that leads to another product than its name")
    if not names and record.ids:
        return [Named(line, each, each) for each in dict.fromkeys(record.ids)]
    if not names:
        for path in record.paths:
            name_of(path)  # says why it names nothing
        raise NotAName("", "there is no product name")
    product_id = record.ids[0] if len(record.ids) == 1 and len(names) == 1 else None
    paths: dict[str, str] = {}
    for place in [*places, *links]:
        if place.name and place.s3_path:
            paths.setdefault(place.name, place.s3_path)
    remark = "" if paths else next((place.remark for place in places if place.remark), "")
    if len(set(record.ids)) > 1 and len(names) == 1:
        remark = remark or "it has several ids, and none of them was used"
    return [Named(line, name, product_id, paths.get(name), remark) for name in names]


def _is_sure(place: Place) -> bool:
    return place.name is not None and certainty_of(place.name) is Certainty.FULL


class _Sorter:
    """Collects the fields of one row by what they are."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._marked_ids: list[str] = []
        self._paths: list[str] = []
        self._links: list[str] = []
        self._words: list[tuple[str, str]] = []  # header and text of those that may be names

    def add(self, key: str, text: str) -> None:
        """Sort one field."""
        if is_absent(text) or key in _OTHER_PRODUCTS:
            return
        found = id_of(text)
        if found:
            (self._marked_ids if key in _IDS else self._ids).append(found)
        elif key in _S3_PATHS or (is_path(text) and (not key or key in _PATHS)):
            (self._paths if not key or key in _S3_PATHS else self._links).append(text)
        elif is_path(text):
            self._links.append(text)
        elif not key or key in _RANKS or ANY_NAME.search(text) or _LIKE_A_NAME.fullmatch(text):
            # A catalogue's row has dozens of other fields, which are left out.
            self._words.append((key, text))

    def record(self) -> Record:
        """Return the words about products."""
        ids = self._marked_ids[:1] or self._ids
        paths = (*self._paths, *self._links)
        names = _chosen(self._words, beside_a_path=bool(paths)) or ([] if ids or paths else _first(self._words))
        return Record(tuple(names), tuple(ids), tuple(self._paths), tuple(self._links))


def _chosen(words: list[tuple[str, str]], *, beside_a_path: bool) -> list[str]:
    """Return the names among the words of a row: by what they are, then by their headers."""
    if len(words) == 1 and words[0][0] in _RANKS and is_plain(words[0][1]) and ANY_NAME.match(words[0][1]):
        return [words[0][1]]  # in most rows: nothing else is tried
    certain = [(certainty_of(text), key, text) for key, text in words]
    by_header = sorted(
        (-certainty, _RANKS[key], text) for certainty, key, text in certain if certainty and key in _RANKS
    )
    best = Certainty(-by_header[0][0]) if by_header else Certainty.NOT
    full = [text for certainty, _, text in certain if certainty is Certainty.FULL]
    if best is Certainty.FULL:
        return full
    if best > Certainty.LIKE_ONE:
        return [by_header[0][2], *full]
    timed = [text for certainty, _, text in certain if certainty > Certainty.LIKE_ONE]
    timed += [text for certainty, key, text in certain if not certainty and _is_misspelt(key, text)]
    if timed or by_header:
        return timed or [by_header[0][2]]
    # Words for types and missions are like names, too.
    return [] if beside_a_path else [text for certainty, _, text in certain if certainty]


def _is_misspelt(key: str, text: str) -> bool:
    """Tell whether a word that cannot be a name should have been one."""
    if key and key not in _RANKS:
        return _LIKE_A_NAME.fullmatch(text) is not None
    return len(text) >= _NAME_CHARACTERS_MIN and holds_like_a_name(text)


def _first(words: list[tuple[str, str]]) -> list[str]:
    """Return the word that should have been the name; a column of ids may also hold row numbers."""
    words = [(key, text) for key, text in words if key not in _IDS]
    return [min(words, key=lambda each: _RANKS.get(each[0], len(_RANKS)))[1]] if words else []
