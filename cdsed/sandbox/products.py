"""Products: their specification, and the objects that are made from it."""

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from cdsed.sandbox.content import ARCHIVES, Body, LiteralBody, random_body, single_body
from cdsed.sandbox.filesets import FileShape, file_shapes
from cdsed.sandbox.manifests import SandboxManifestEntry, manifest_algorithm, manifest_file_name, manifest_xml
from cdsed.sandbox.names import ParsedName, eodata_path, parse_name, realistic_safenames

# Larger objects were uploaded to eodata in parts: their ETag is not a digest of the content.
SINGLE_PART_BYTES = 16 * 2**20
# A manifest needs the digests of the whole product: that of a larger product is made only when it is fetched.
_CHEAP_MANIFEST_BYTES = 64 * 2**20
_ZERO_DIGESTS = {"md5": "0" * 32, "sha3_256": "0" * 64}


@dataclass(frozen=True)
class ProductSpec:
    """A product that the sandbox offers.

    Parameters
    ----------
    safename
        Decides the mission, the file set and the place.
    size_bytes
        Of all objects together, without the manifest.
    s3_path
        ``/eodata/…``; empty: the path that CDSE would use. With the extension of an archive it is a single object.
    catalogue_name
        The name that the catalogue has; empty: `safename`.
    online
        False: the catalogue has it as offline, and eodata has none of its objects.
    listed
        False: its objects exist, but a list of objects does not have them.
    in_catalogue
        False: OData does not know it.
    deletion_cause, deleted_at
        Not empty: it was deleted. OData then has it only among ``DeletedProducts``, and eodata has none of its objects.
        The time is in ISO 8601; empty: a year after its publication. In JSON ``deleted: {cause, at}``.
    footprint
        Well-known text; empty: made from the name; ``null``: without a footprint.
    has_checksums
        False: the catalogue states no checksums, as for old products.
    zipped
        True: the catalogue states length and MD5 of the zip that ``$value`` delivers, for which the zip has to be
        made. False: it states `size_bytes` and a made-up digest.
    published_at
        ISO 8601; empty: six hours after the acquisition.
    objects
        Minimum number of objects.
    folder_markers
        True: zero-byte objects whose keys end in a slash stand for the folders.
    manifest_lies
        Pattern of a path: the digest of the first such file is wrong in the manifest (the source is corrupt).
    missing_object
        Pattern of a path: the first such file is in the manifest but not on eodata.
    """

    safename: str
    size_bytes: int = 10_000_000
    s3_path: str = ""
    catalogue_name: str = ""
    online: bool = True
    listed: bool = True
    in_catalogue: bool = True
    deletion_cause: str = ""
    deleted_at: str = ""
    footprint: str = ""
    has_checksums: bool = True
    zipped: bool = False
    published_at: str = ""
    objects: int = 0
    folder_markers: bool = False
    manifest_lies: str = ""
    missing_object: str = ""

    @property
    def is_on_eodata(self) -> bool:
        """Return whether its objects can be fetched."""
        return self.online and not self.deletion_cause


@dataclass(frozen=True)
class Change:
    """A later change of an object: another ETag, and other content unless `same_content`."""

    variant: int
    same_content: bool


@dataclass(frozen=True)
class Truth:
    """What a downloaded file must have: its size in bytes and the MD5 of its content."""

    size_bytes: int
    md5: str


@dataclass(frozen=True)
class SandboxObject:
    """One object on eodata: its key, content and ETag (without the quotes)."""

    key: str
    body: Body
    etag: str
    modified: datetime


class SandboxProduct:
    """One product and its objects, which are made at the first access.

    Parameters
    ----------
    seed
        The sandbox's.
    spec
        The product to make.
    changes
        Objects that changed since, by key.

    Raises
    ------
    ValueError
        The sandbox cannot make products of the safename's mission, or the path does not begin with a bucket.
    """

    def __init__(self, seed: int, spec: ProductSpec, changes: Mapping[str, Change] | None = None) -> None:
        self.spec = spec
        self.name: ParsedName = parse_name(spec.safename)
        self.s3_path = spec.s3_path.rstrip("/") or eodata_path(self.name)
        if not self.s3_path.startswith("/eodata/"):
            raise ValueError(f"s3_path of {spec.safename} is {spec.s3_path!r}; it must begin with /eodata/")
        self.key = self.s3_path.removeprefix("/eodata/")
        self.is_single_object = self.name.mission == "S5P" or self.key.rpartition(".")[2].lower() in ARCHIVES
        self.product_id = str(uuid.uuid5(uuid.NAMESPACE_URL, self.s3_path))
        self._seed = seed
        self._changes = changes or {}

    @property
    def sort_key(self) -> str:
        """Return the string with which all its object keys begin."""
        return self.key if self.is_single_object else f"{self.key}/"

    @property
    def published(self) -> datetime:
        """Return when the product was published on eodata."""
        if self.spec.published_at:
            return _timestamp(self.spec.published_at)
        return self.name.start + timedelta(hours=6)

    @property
    def deleted_at(self) -> datetime:
        """Return when a deleted product was deleted."""
        return _timestamp(self.spec.deleted_at) if self.spec.deleted_at else self.published + timedelta(days=365)

    @cached_property
    def total_bytes(self) -> int:
        """Return the size of all its objects."""
        return sum(body.size_bytes for body in self.bodies.values())

    @cached_property
    def objects(self) -> dict[str, SandboxObject]:
        """Return its objects by key, in the order of S3."""
        bodies = {self._key_of(path): body for path, body in self.bodies.items()}
        if self.spec.folder_markers and not self.is_single_object:
            folders = {self.sort_key, f"{self.sort_key}AUX_DATA/"}
            folders |= {key[: key.rindex("/") + 1] for key in bodies}
            bodies |= {folder: LiteralBody(b"") for folder in folders}
        return {key: self._stored(key, bodies[key]) for key in sorted(bodies)}

    @cached_property
    def bodies(self) -> dict[str, Body]:
        """Return the content of every file by its path in the product; a single object has its name."""
        if self.is_single_object:
            return {self.spec.safename: single_body(self.key, self._data_body(self.key, self.spec.size_bytes))}
        missing = _first_match(self.spec.missing_object, self._data)
        bodies: dict[str, Body] = {path: body for path, body in self._data.items() if path != missing}
        bodies[manifest_file_name(self.name.mission)] = self._manifest
        return bodies

    def truth(self) -> dict[str, Truth]:
        """Return size and MD5 of every file by its path; the first call takes seconds per gigabyte."""
        return {path: Truth(body.size_bytes, body.digest("md5")) for path, body in self.bodies.items()}

    @cached_property
    def _shapes(self) -> list[FileShape]:
        return file_shapes(self.name, self.spec.objects)

    @cached_property
    def _data(self) -> dict[str, Body]:
        sizes = _sizes(self._shapes, self.spec.size_bytes)
        return {shape.path: self._data_body(shape.path, sizes[shape.path]) for shape in self._shapes}

    def _data_body(self, path: str, size_bytes: int) -> Body:
        change = self._changes.get(self._key_of(path))
        variant = change.variant if change and not change.same_content else 0
        return random_body(self._seed, self._key_of(path), size_bytes, variant)

    def _key_of(self, path: str) -> str:
        return self.key if self.is_single_object else f"{self.key}/{path}"

    @cached_property
    def _manifest(self) -> "_ManifestBody":
        return _ManifestBody(self)

    def manifest_data(self, *, with_digests: bool) -> bytes:
        """Return the manifest; without digests only its length is right."""
        algorithm = manifest_algorithm(self.name.mission)
        entries = []
        liar = _first_match(self.spec.manifest_lies, self._data)
        for shape in self._shapes:
            if shape.identifier:
                body = self._data[shape.path]
                digest = body.digest(algorithm) if with_digests else _ZERO_DIGESTS[algorithm]
                if shape.path == liar:
                    digest = hashlib.new(algorithm, digest.encode()).hexdigest()
                entry = SandboxManifestEntry(shape.path, shape.identifier, shape.media_type, body.size_bytes, digest)
                entries.append(entry)
        schemas = [shape.path for shape in self._shapes if shape.path.endswith(".xsd")]
        return manifest_xml(self.name, entries, schemas)

    def _stored(self, key: str, body: Body) -> SandboxObject:
        change = self._changes.get(key)
        is_manifest = isinstance(body, _ManifestBody)
        costly = (self.spec.size_bytes if is_manifest else body.size_bytes) > (
            _CHEAP_MANIFEST_BYTES if is_manifest else SINGLE_PART_BYTES
        )
        if costly or (change and change.same_content):
            parts = body.size_bytes // SINGLE_PART_BYTES + 2
            # every change of the product changes the manifest
            about = self.sort_key if is_manifest else key
            changed = [str(item) for item in list(self._changes.items()) if item[0].startswith(about)]
            text = f"{self._seed} {key} {body.size_bytes} {changed}"
            etag = f"{hashlib.md5(text.encode()).hexdigest()}-{parts}"
        else:
            etag = body.digest("md5")
        return SandboxObject(key, body, etag, self.published)


class _ManifestBody:
    """The manifest of a product: its size is known at once, its content is made when it is read."""

    def __init__(self, product: SandboxProduct) -> None:
        self._product = product
        self.size_bytes = len(product.manifest_data(with_digests=False))

    @cached_property
    def _data(self) -> bytes:
        return self._product.manifest_data(with_digests=True)

    def pieces(self, start: int, length: int) -> Iterator[memoryview]:
        yield memoryview(self._data)[start : start + length]

    def digest(self, algorithm: str) -> str:
        return hashlib.new(algorithm, self._data).hexdigest()


def spec_from_json(item: Mapping[str, Any]) -> ProductSpec:
    """Return the product that a JSON object describes; ``true`` as a pattern means the first file.

    Raises
    ------
    ValueError
        A key is unknown or of the wrong type, or ``safename`` is missing.
    """
    known = {field.name: field.type for field in fields(ProductSpec)}
    unknown = sorted(set(item) - {*known, "deleted"})
    if unknown or "safename" not in item:
        raise ValueError(f"a product has a safename and may have {', '.join(known)}; wrong: {unknown or dict(item)}")
    values = dict(item)
    if "deleted" in values:
        deleted = dict(values.pop("deleted"))
        cause = deleted.get("cause", "Obsolete product or Other")
        values |= {"deletion_cause": cause, "deleted_at": deleted.get("at", "")}
    for pattern in ("manifest_lies", "missing_object"):
        if isinstance(values.get(pattern), bool):
            values[pattern] = "*" if values[pattern] else ""
    for name, value in values.items():
        if not isinstance(value, known[name]):  # type: ignore[arg-type]
            text = f"{name} of product {item['safename']!r} cannot be {value!r}"
            raise ValueError(text)  # noqa: TRY004 - what is read, not a type
    if values.get("size_bytes", 0) < 0 or values.get("objects", 0) < 0:
        raise ValueError(f"size_bytes and objects of product {item['safename']!r} must not be negative")
    return ProductSpec(**values)


def make_products(kinds: Iterable[str], count: int, size_bytes: int, seed: int = 1) -> list[ProductSpec]:
    """Return `count` products of each of `kinds`, with names from `realistic_safenames`."""
    return [ProductSpec(safename, size_bytes) for kind in kinds for safename in realistic_safenames(kind, count, seed)]


def truth(seed: int, spec: ProductSpec) -> dict[str, Truth]:
    """Return size and MD5 of every file of a product by its path, in a sandbox without changes."""
    return SandboxProduct(seed, spec).truth()


def _timestamp(text: str) -> datetime:
    timestamp = datetime.fromisoformat(text)
    return timestamp.replace(tzinfo=UTC) if timestamp.tzinfo is None else timestamp.astimezone(UTC)


def _first_match(pattern: str, paths: Iterable[str]) -> str | None:
    return next((path for path in paths if fnmatchcase(path, pattern)), None) if pattern else None


def _sizes(shapes: list[FileShape], total_bytes: int) -> dict[str, int]:
    """Divide `total_bytes` among the files: small ones get their typical size where the total allows it."""
    small = [shape for shape in shapes if not shape.share]
    room = max(16, total_bytes // (4 * max(1, len(small))))
    sizes = {shape.path: max(1, int(min(shape.typical_bytes, room) * _jitter(shape.path))) for shape in small}
    bulk = [shape for shape in shapes if shape.share]
    weights = {shape.path: shape.share * _jitter(shape.path) for shape in bulk}
    left = max(0, total_bytes - sum(sizes.values()))
    whole = sum(weights.values())
    sizes |= {path: max(1, int(left * weight / whole)) for path, weight in weights.items()}
    sizes[bulk[-1].path] += max(0, total_bytes - sum(sizes.values()))
    return sizes


def _jitter(path: str) -> float:
    """Return 0.7 to 1, always the same for `path`, so that the files of a product differ in size."""
    return 1 - 0.3 * hashlib.sha256(path.encode()).digest()[0] / 255
