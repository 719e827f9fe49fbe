"""Recognise what one word of a listing is: a name, how surely; an id; a path; or nothing."""

import re
from collections.abc import Collection
from enum import IntEnum
from functools import lru_cache
from urllib.parse import unquote

from cdsed.frozen import frozen
from cdsed.model.eodata import BUCKET, split_s3_path
from cdsed.model.families import Family
from cdsed.model.families.form import TIME
from cdsed.model.families.other import ANY_NAME, PLATFORM
from cdsed.model.quoting import UUID, NotAName
from cdsed.model.safename import is_canonical, normalise, parse, stem_of

_ABSENT_CHARACTERS_MAX = 4
_ABSENT = frozenset({"", "na", "n/a", "#n/a", "nan", "nat", "null", "nil", "none", "<na>", "-", "--"})
_ID = re.compile(UUID)
_ID_CHARACTERS = 36
_ID_IN_ADDRESS = re.compile(rf"(?i:https?)://\S*\bProducts\(({UUID})\)")
# How GDAL writes an object: its handlers may be chained.
_HANDLERS = re.compile(r"(?:/vsi(?:s3|curl|zip|tar|gzip)(?:_streaming)?/)+")
_S3_SCHEME = re.compile(r"s3[an]?://", re.IGNORECASE)
_ADDRESS = re.compile(r"https?://[^/?#]*/?([^?#]*)", re.IGNORECASE)
_IN_BUCKET = f"/{BUCKET}/"
_SAFE_FOLDER = re.compile(rf"/{BUCKET}(?:/[A-Za-z0-9][A-Za-z0-9_-]{{0,99}}){{1,20}}")
_UNIT_CHARACTERS = 4  # S1A_
_PATH = re.compile(rf"(?:/vsi|s3[an]?://|https?://|/?{BUCKET}/|Sentinel-[^/]+/)", re.IGNORECASE)
# As some archives write the file of a product: the level is appended.
_APPENDED = re.compile(r"-[A-Z_]+$")
_PLAIN = re.compile(r"[A-Za-z0-9_.+]+")
_TIME = re.compile(TIME)
# Of a name, to its first time; S1A_…__S1A_… is one product of two acquisitions.
_BEGINNING = re.compile(rf"(?<!__)S[1-9][A-Z_]_[A-Z0-9_]*?{TIME}")
_GLUED_CHARACTERS_MIN = 110  # two names are longer than this, and one is rarely
#: What may stand around a name: quotes of all kinds, and the brackets of lists.
AROUND = " '\"`\u201c\u201d\u2018\u2019[](){}"


class Certainty(IntEnum):
    """How surely a word is the name of a product."""

    NOT = 0
    LIKE_ONE = 1  # it only begins like a name, as words for missions and types do
    TIMED = 2  # it has a date and time, too: an auxiliary file, a misspelt name
    FULL = 3  # it has the form of its mission's names


@frozen
class Place:
    """What a path says.

    Attributes
    ----------
    s3_path
        The product's ``/eodata/…``; None if the path cannot be used.
    name
        The product to which it leads, or None.
    remark
        Why it cannot be used, as a sentence; or empty.
    """

    s3_path: str | None
    name: str | None
    remark: str = ""


def is_absent(word: str) -> bool:
    """Tell whether a field is empty, or says that it has no value."""
    return len(word) <= _ABSENT_CHARACTERS_MAX and word.lower() in _ABSENT


def id_of(word: str) -> str | None:
    """Return the id that a word is, or that the address of a product at the catalogue has; in small letters."""
    if len(word) == _ID_CHARACTERS:
        return word.lower() if _ID.fullmatch(word) else None
    found = _ID_IN_ADDRESS.match(word) if "Products(" in word else None
    return found[1].lower() if found else None


def is_path(word: str) -> bool:
    """Tell whether a word has the form of a path in an object store, or of an address."""
    return "/" in word and _PATH.match(word) is not None


def has_time(word: str) -> bool:
    """Tell whether a word has a date and time, as the names of products have."""
    return _TIME.search(word) is not None


def is_plain(word: str) -> bool:
    """Tell whether a word has nothing around a name, so that its normal form is all that there is to find out."""
    return _PLAIN.fullmatch(word) is not None


def is_in_normal_form(word: str) -> bool:
    """Tell whether a word is surely a name of one product that needs no change; quick, for listings of a million."""
    return len(word) < _GLUED_CHARACTERS_MIN and is_canonical(word)


def normal_form(word: str) -> str:
    """Return the name of the product that a word names, as `name_of` does; quick for a word that is plain.

    Raises
    ------
    NotAName
        It cannot be a name.
    """
    return normalise(word) if len(word) < _GLUED_CHARACTERS_MIN and is_plain(word) else name_of(word)[0]


@lru_cache(maxsize=256)  # a word is classified first, and then read
def name_of(word: str) -> tuple[str, Certainty]:
    """Return the name of the product that a word names, and how surely.

    The word may also be the path of a file inside a product.

    Raises
    ------
    NotAName
        It cannot be a name, or it has the names of several products.
    """
    found = _name_of(word)
    if len(set(_BEGINNING.findall(word))) > 1:
        raise NotAName(word, "names several products in one word; write each on a line of its own")
    return found


def _name_of(word: str) -> tuple[str, Certainty]:
    segments = re.split(r"[/\\]", word)
    if len(segments) > 1 and segments[-1] and _certainty(segments[-1]) is not Certainty.FULL:
        inside = next((each for each in segments[:-1] if _certainty(each) is Certainty.FULL), None)
        if inside is not None:
            return normalise(inside), Certainty.FULL
    name = normalise(word)
    certainty = _of_name(name)
    if certainty is Certainty.FULL:
        return name, certainty
    appended = _APPENDED.search(word)
    if appended and _certainty(word[: appended.start()]) is Certainty.FULL:
        return normalise(word[: appended.start()]), Certainty.FULL
    return name, certainty


def certainty_of(word: str) -> Certainty:
    """Return how surely a word names a product; `Certainty.NOT` if it cannot."""
    try:
        return name_of(word)[1]
    except NotAName:
        return Certainty.NOT


def place_of(path: str, names: Collection[str], bucket: str = BUCKET) -> Place:
    """Read a path as people and tools write it.

    Parameters
    ----------
    names
        The products that the line names. A path that leads below one of them is shortened to its own.
    bucket
        The one of the settings. Its paths are returned as ``/eodata/…``, which means it, too.

    Raises
    ------
    NotAName
        It is a path of that bucket that is not safe.
    """
    folder, _, last = path.rpartition("/")
    if last in names and last[:_UNIT_CHARACTERS] not in folder and _SAFE_FOLDER.fullmatch(folder):
        return Place(path, last)  # in most rows: nothing else is tried
    plain = path
    if not path.startswith(_IN_BUCKET):
        plain = _S3_SCHEME.sub("s3://", _HANDLERS.sub("", path, count=1), count=1)
        address = _ADDRESS.match(plain)
        if address:
            plain = unquote(address[1])
            if not plain.startswith((f"{BUCKET}/", f"{bucket}/")):
                return _not_used(plain, names, "its path is a web address and was not used")
        elif _HANDLERS.match(path) and not plain.startswith(("/", "s3://")):
            plain = f"/{plain}"
        if _bucket(plain) not in {bucket, BUCKET}:
            return _not_used(plain, names, f"its path is not in the bucket {bucket} and was not used")
    try:
        location = split_s3_path(plain)
    except ValueError as error:
        if names and ".." not in plain.split("/"):
            return Place(None, None, "its path cannot be used and was not used")
        raise NotAName(path, "has an S3 path that cannot be used") from error
    segments = location.key.split("/")
    number, name = _product_among(segments, names)
    if name is None:
        return Place(None, None, "its path does not lead to a product and was not used")
    return Place(_IN_BUCKET + "/".join(segments[: number + 1]), name)


def _bucket(plain: str) -> str:
    first = plain.removeprefix("s3://").removeprefix("/").partition("/")[0]
    if plain.startswith(("s3://", "/")) or first == BUCKET or not ANY_NAME.match(first):
        return first
    return BUCKET  # older tools leave it out: Sentinel-1/SAR/…


def _not_used(plain: str, names: Collection[str], remark: str) -> Place:
    return Place(None, _product_among(plain.split("/"), names)[1], remark)


def _product_among(segments: list[str], names: Collection[str]) -> tuple[int, str | None]:
    """Return the position of the product in a path, and its name: one of `names` if it is there."""
    segments = [each for each in segments if each] or [""]
    stems = [(stem_of(name), name) for name in names]
    for number, segment in enumerate(segments):
        for stem, name in stems:
            if segment.startswith(stem) and stem_of(segment) == stem:  # their extensions may differ
                return number, name
    full = next((number for number, each in enumerate(segments) if _certainty(each) is Certainty.FULL), None)
    last = len(segments) - 1
    if full is None and _certainty(segments[last]) is not Certainty.NOT and last > 0:
        full = last
    return (0, None) if full is None else (full, normalise(segments[full]))


def _certainty(segment: str) -> Certainty:
    try:
        return _of_name(normalise(segment))
    except NotAName:
        return Certainty.NOT


def _of_name(name: str) -> Certainty:
    if PLATFORM.fullmatch(name):
        return Certainty.NOT
    if parse(name).family is not Family.OTHER:
        return Certainty.FULL
    return Certainty.TIMED if _TIME.search(name) else Certainty.LIKE_ONE
