"""Manifests of Sentinel products: which files belong to a product, with size and digest.

All of them are XFDU (CCSDS 661.0-B-1), whatever their mission calls them. The elements read here have no namespace.
"""

import re
from contextlib import suppress
from functools import lru_cache
from typing import Final, Literal
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from cdsed.frozen import frozen
from cdsed.model.eodata import safe_segments
from cdsed.model.families import Family, family_by_beginning
from cdsed.model.safename import Safename, normalise, parse

MANIFEST_BYTES_MAX: Final = 16 * 1024 * 1024  # the largest seen has 3.2 MB: SY_2_VG1 of Europe, 2021

Algorithm = Literal["md5", "sha3_256"]

_NAMES_MAX = 1024  # to judge one product asks several times for its name
_ALGORITHMS: dict[str, tuple[Algorithm, int]] = {"MD5": ("md5", 32), "SHA3-256": ("sha3_256", 64)}
_HEXADECIMAL = re.compile("[0-9a-f]+").fullmatch
_SIZE = re.compile("[0-9]{1,18}").fullmatch


class ManifestError(ValueError):
    """A file is not a manifest, or a manifest names files outside its product."""


@frozen
class ManifestEntry:
    """One file of a product.

    Attributes
    ----------
    path
        Path below the product, without ``./`` and without a factory's directory; every segment is safe as a file name.
    size_bytes
        None when the manifest does not say. Some manifests state a size that is not that of the file.
    algorithm
        Its name in :mod:`hashlib`.
    digest
        Hexadecimal, lower case.
    """

    path: str
    size_bytes: int | None
    algorithm: Algorithm
    digest: str


@frozen
class Manifest:
    """The files that a manifest names.

    Attributes
    ----------
    entries
        The files, in the manifest's order. Manifests do not list themselves, schemas, icons and quick-looks.
    complete
        False if the manifest names no files, or has entries without a path or a digest. Then there may be more files
        than the entries say.
    """

    entries: tuple[ManifestEntry, ...]
    complete: bool


def manifest_of(name: str) -> tuple[str | None, bool]:
    """Return the name of the manifest of a product, and whether it must have one.

    Names that have the form of no mission, such as those of Sentinel-1 slices and auxiliary files, begin like those of
    one. Such a product need not have its manifest. If it has one, the manifest counts.
    """
    family = product_of(name).family
    required = family.mission.manifest is not None
    shown_by = family if required or family.mission.form else family_by_beginning(name)
    return shown_by.mission.manifest, required


@lru_cache(_NAMES_MAX)
def product_of(name: str) -> Safename:
    """Return the fields of a name, also of one that lacks its extension, as some in the catalogue do."""
    with suppress(ValueError):
        name = normalise(name)
    return parse(name)


def parse_manifest(data: bytes, safename: str | None = None) -> Manifest:
    """Read a manifest.

    Parameters
    ----------
    safename
        Of the product. An absolute path is one of a file of it if it leads through the directory in which the factory
        made this product; what follows is the path in the product. None: any product.

    Raises
    ------
    ManifestError
        It is too large, not well-formed, has a DOCTYPE, or names a file by a path that leads elsewhere.
    """
    if len(data) > MANIFEST_BYTES_MAX:
        raise ManifestError(f"the manifest has {len(data)} bytes; none has more than {MANIFEST_BYTES_MAX}")
    try:
        root = fromstring(data, forbid_dtd=True)
    except DefusedXmlException as error:
        raise ManifestError("the manifest has a DOCTYPE or entities; no Sentinel manifest does") from error
    except (ParseError, ValueError, LookupError) as error:  # LookupError: an encoding Python does not know
        raise ManifestError(f"the manifest is not well-formed XML: {error}") from error
    product = None if safename is None else product_of(safename)
    found = [_entry(stream, product) for stream in root.iter("byteStream")]
    entries = tuple(entry for entry in found if entry is not None)
    return Manifest(entries, complete=bool(entries) and None not in found)


def _entry(stream: Element, product: Safename | None) -> ManifestEntry | None:
    """Read one byteStream; None when it lacks its file or a digest we can compute."""
    location, checksum = stream.find("fileLocation"), stream.find("checksum")
    href = "" if location is None else location.get("href", "")
    if not href or checksum is None:
        return None
    try:
        path = _path(href, product)
    except ValueError as error:
        raise ManifestError(f"the manifest names the file {href[:200]!r}: {error}") from error
    algorithm, digits = _ALGORITHMS.get(checksum.get("checksumName", "").strip().upper(), (None, 0))
    digest = (checksum.text or "").strip().lower()
    if algorithm is None or len(digest) != digits or not _HEXADECIMAL(digest):
        return None
    size = stream.get("size", "")
    return ManifestEntry(path, int(size) if _SIZE(size) else None, algorithm, digest)


def _path(href: str, product: Safename | None) -> str:
    """Return the path in the product; raise ValueError for a path that leads elsewhere."""
    segments = safe_segments(href.removeprefix("/" if href.startswith("/") else "./"))
    if not href.startswith("/"):
        return "/".join(segments)
    missions = [family.mission for family in Family] if product is None else [product.family.mission]
    for number, segment in enumerate(segments[:-1]):
        if any(mission.is_factory(segment, product) for mission in missions):
            return "/".join(segments[number + 1 :])
    raise ValueError("it is absolute, and does not lead through the factory's directory of this product")
