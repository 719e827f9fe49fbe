"""What one line, row or JSON object says about products, and the judgement on it, for every form of a listing."""

import re
from collections.abc import Iterable
from functools import lru_cache

from cdsed.frozen import frozen
from cdsed.inbox.formats.words import (
    Certainty,
    Place,
    certainty_of,
    has_time,
    id_of,
    is_absent,
    is_path,
    is_plain,
    name_of,
    normal_form,
    place_of,
)
from cdsed.model.families.other import ANY_NAME
from cdsed.model.listing import Named, Rejected
from cdsed.model.quoting import NotAName, holds_like_a_name, quotable

_NAMES = (
    "safename safe name title identifier filename producturi productidentifier productname product scenename scene "
    "sceneid granulename granule granuleid fileid file id key prefix path location"
)
#: Headers of columns and names of JSON members, without blanks and underscores; the first one of names is used first.
_RANKS = {word: rank for rank, word in enumerate(_NAMES.split())}
_IDS = frozenset({"id", "uuid", "uid", "productid", "productuuid"})
#: Of these columns a path that cannot be used deserves a remark: they are for the paths of this service.
_S3_PATHS = frozenset({"s3path"})
#: Columns with the names of other products than the row's: `cdsed match` writes one.
_OTHER_PRODUCTS = frozenset({"counterpartof"})
_KNOWN = _RANKS.keys() | _IDS | _S3_PATHS | {"downloadlink"}
_HEADER_CHARACTERS_MAX = 100  # no known one is so long
_NOT_COMPARED = str.maketrans("", "", " _-'\"")
#: As long as the shortest names with a date and time: a shorter word that is not a name is not a lost product.
_NAME_CHARACTERS_MIN = 24
#: A misspelt name in a column of unknown meaning.
_LIKE_A_NAME = re.compile(r"(?i:S[0-9A-Z_]{2}_[\w.]{20,})")


@frozen
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

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing about products."""
        return not (self.names or self.ids or self.paths or self.links)

    @property
    def text(self) -> str:
        """What stands for the row or object where its text would be quoted."""
        return next(iter((*self.names, *self.paths)), "")


def key_of(header: str) -> str:
    """Return a header as it is compared: ``S3 Path``, ``s3_path`` and ``x:s3Path`` are the same."""
    return _key_of(header[-_HEADER_CHARACTERS_MAX:])


@lru_cache(maxsize=256)  # the objects of a JSON document have the same members
def _key_of(header: str) -> str:
    return header.rpartition(":")[2].lower().translate(_NOT_COMPARED)


def is_known(key: str) -> bool:
    """Tell whether a key, as `key_of` returns it, is that of a column of names, ids or S3 paths."""
    return key in _KNOWN


def only_ids(keys: Iterable[str]) -> bool:
    """Tell whether a header has a column of ids, and none of names or paths."""
    known = _KNOWN.intersection(keys)
    return bool(known) and known <= _IDS


def judge(line: int, record: Record, text: str, bucket: str) -> list[Named | Rejected]:
    """Check what a line, row or JSON object says about products.

    Parameters
    ----------
    line
        Its number; that of the product in a JSON document.
    text
        The whole line, or what stands for it.
    bucket
        The one of the settings: paths of others are not used.

    Returns
    -------
    list
        Each product once, or one rejection: a line is never taken in part.
    """
    try:
        return list(_named(line, record, bucket))
    except NotAName as error:
        return [Rejected(line, quotable(text), error.why, len(text))]


def judge_name(line: int, name: str) -> Named | Rejected:
    """Check a line that is only a plain name, as `judge` does."""
    try:
        return Named(line, normal_form(name))
    except NotAName as error:
        return Rejected(line, quotable(name), error.why, len(name))


def record_of(fields: Iterable[tuple[str, str]]) -> Record:
    """Choose the words about products in a row, by their headers and by what is in them.

    Parameters
    ----------
    fields
        The key of each field, as `key_of` returns it, or ''; and its text.
    """
    ids: list[str] = []
    marked_ids: list[str] = []
    paths: list[str] = []
    links: list[str] = []
    words: list[tuple[str, str]] = []  # key and text of those that may be names
    for key, field in fields:
        text = field.strip(" '\"")
        if is_absent(text) or key in _OTHER_PRODUCTS:
            continue
        if found := id_of(text):
            (marked_ids if key in _IDS else ids).append(found)
        elif is_path(text) or (key in _S3_PATHS and not ANY_NAME.match(text)):
            (paths if key in _S3_PATHS or not key else links).append(text)
        elif not key or key in _RANKS or ANY_NAME.search(text) or _LIKE_A_NAME.fullmatch(text):
            # A catalogue's row has dozens of other fields, which are left out.
            words.append((key, text))
    ids = marked_ids[:1] or ids
    is_placed = bool(paths or links)
    names = _chosen(words, beside_a_path=is_placed) or ([] if ids or is_placed else _first(words))
    return Record(tuple(names), tuple(ids), tuple(paths), tuple(links))


def _named(line: int, record: Record, bucket: str) -> Iterable[Named]:
    names = list(dict.fromkeys(map(normal_form, record.names)))
    places = [place_of(path, names, bucket) for path in record.paths]
    links = [place_of(path, names, bucket) for path in record.links]
    if not names:
        names = list(dict.fromkeys(place.name for place in [*places, *links] if place.name))
    elif any(place.name and place.name not in names for place in [*places, *filter(_is_sure, links)]):
        raise NotAName("", "has an S3 path that leads to another product than its name")
    if not names and record.ids:
        return [Named(line, each, each) for each in dict.fromkeys(record.ids)]
    if not names:
        for path in record.paths:
            name_of(path)  # says why it names nothing
        raise NotAName("", "it has no product name")
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


def _chosen(words: list[tuple[str, str]], *, beside_a_path: bool) -> list[str]:
    """Return the names among the words of a row: by what they are, then by their headers."""
    if len(words) == 1:
        [(key, text)] = words
        if (key in _RANKS or has_time(text)) and is_plain(text) and ANY_NAME.match(text):
            return [text]  # in most rows: nothing else is tried
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
