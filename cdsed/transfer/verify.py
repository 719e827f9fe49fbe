"""Verifying that a staged product is complete and correct: sizes, ETags, and its own manifest.

First every listed object: its file exists, with its size, and with the MD5 of its ETag (single-part ETags are MD5s).
Then every entry of the manifest: it is listed, with its digest (`cdsed.model.wholeness`). Files that the manifest does
not name (schemas, icons, CDSE's own quick-looks) are normal. The first step also covers the manifest itself. A product
that is one file must look like what its name says.
"""

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from cdsed.dir_handle import Stamp
from cdsed.errors import DiskError, ProductError, ServiceError, TransferError
from cdsed.model.choice import Choice
from cdsed.model.families import family_by_beginning
from cdsed.model.manifest import (
    MANIFEST_BYTES_MAX,
    Manifest,
    ManifestEntry,
    ManifestError,
    manifest_of,
    parse_manifest,
)
from cdsed.model.objects import Digests, StoredObject
from cdsed.model.single_file import form_fault, single_file
from cdsed.model.wholeness import DifferenceKind, differences, size_remark
from cdsed.transfer.file_digest import file_digests
from cdsed.transfer.staging import reading, staged_stamps

_MD5 = re.compile(r"[0-9a-f]{32}")
_LOST_SHOWN = 3
_REMARKS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class VerificationResult:
    """What verification found.

    Attributes
    ----------
    bad
        Objects (by number) whose content is wrong, with the digest of the file.
    missing
        Files that the manifest names and the service does not list.
    remarks
        One sentence per fault, for messages.
    damaged
        Whether a bad object differs from its own ETag, or from the bytes that arrived. The copy of the service is good
        then, so the object was damaged on the way or on the disk. The manifest is compared only after all are whole.
    stamps
        Of the verified files, by path: exactly these may be published.
    unproven
        All files, with MD5 digests, if sizes in the manifest do not show that the product is whole: they are wrong or
        missing, or the files differ from it and ``transfer.manifest`` is ``warn``. Empty otherwise.
    """

    bad: dict[int, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    damaged: bool = False
    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    unproven: tuple[ManifestEntry, ...] = ()

    @property
    def good(self) -> bool:
        """Whether the product is whole."""
        return not self.bad and not self.missing

    @property
    def summary(self) -> str:
        """The first faults, for a message."""
        return "; ".join(self.remarks[:_REMARKS_SHOWN])

    def error(self, *, damaged: bool) -> TransferError:
        """Return the error for a bad copy; `damaged`: it was damaged on the way, so the service is charged."""
        if damaged:
            return ServiceError(f"damaged on the way: {self.summary}", code="Damaged")
        code = "Incomplete" if self.missing else "VerificationFailed"
        return ProductError(f"verification failed: {self.summary}", code=code)


@lru_cache(maxsize=64)  # it is asked for each object
def algorithms_for(safename: str) -> frozenset[str]:
    """Return the digests that verification of such a product needs, as `hashlib` names."""
    return family_by_beginning(safename).mission.digests


def verify(  # noqa: PLR0913 - the files, and all that states what they should be
    staging: Path,
    safename: str,
    objects: Sequence[StoredObject],
    *,
    md5: str | None,
    manifest_counts: bool,
    stop: threading.Event,
    choice: Choice | None = None,
) -> VerificationResult:
    """Compare a staged product with what the service listed and what its manifest says.

    Parameters
    ----------
    md5
        The catalogue's MD5, which counts for a product that is one single object.
    manifest_counts
        False: a difference from the manifest is only remarked, and the product passes.
    stop
        When set, verification ends with `Stopped`.
    choice
        What was fetched of the product: only that is compared with the manifest. None: all of it.

    Raises
    ------
    DiskError
        A file cannot be read; ``Lost``: bytes of it are gone, although all had arrived.
    Stopped
        The process must leave.
    """
    stamps = staged_stamps(staging)
    staged = {path: stamp.size_bytes for path, stamp in stamps.items()}
    lost = [item for item in objects if staged.get(item.path) != item.size_bytes]
    if lost:
        text = "; ".join(f"not all {item.size_bytes} bytes of {item.path} are left" for item in lost[:_LOST_SHOWN])
        raise DiskError(f"{staging}: its disk has lost what had arrived: {text}", code="Lost")
    digests = _DigestsOf(staging, algorithms_for(safename), stamps, stop)
    by_service = _against_service(objects, md5, digests)
    if by_service.damaged:  # the manifest itself may be damaged, so it is not compared with the others yet
        return by_service
    if single_file(objects, safename):
        by_manifest = _ManifestResult(unproven=False)
        if fault := _file_fault(staging, objects[0]):
            by_service.bad.setdefault(objects[0].id, fault)
            by_manifest = replace(by_manifest, remarks=(f"{objects[0].path}: {fault}",))
    else:
        by_manifest = _against_manifest(staging, safename, _Staged(objects, digests), choice)
    bad = by_manifest.bad | by_service.bad if manifest_counts else by_service.bad
    missing = by_manifest.missing if manifest_counts else ()
    unproven: tuple[ManifestEntry, ...] = ()
    if by_manifest.unproven and not bad and not missing:
        unproven = tuple(
            ManifestEntry(item.path, item.size_bytes, "md5", digests.find(item, "md5")) for item in objects
        )
    remarks = (*by_service.remarks, *by_manifest.remarks)
    return VerificationResult(bad, missing, remarks, stamps=stamps, unproven=unproven)


def _against_service(objects: Sequence[StoredObject], md5: str | None, digests: "_DigestsOf") -> VerificationResult:
    """Compare objects with the MD5s that the service states, and with those of the bytes that arrived."""
    bad: dict[int, str] = {}
    remarks: list[str] = []
    damaged = False
    for item in objects:
        expected = _stated_md5(item, md5 if len(objects) == 1 else None)
        if expected is not None and (found := digests.find(item, "md5")) != expected:
            bad[item.id] = found
            remarks.append(f"{item.path}: MD5 {found}, the service states {expected}")
            damaged = damaged or expected == item.etag.lower()
        elif item.digests.md5 is not None and (found := digests.find(item, "md5")) != item.digests.md5:
            bad[item.id] = found
            remarks.append(f"{item.path}: MD5 {found}, but {item.digests.md5} when it arrived")
            damaged = True
    return VerificationResult(bad, (), tuple(remarks), damaged=damaged)


def _file_fault(staging: Path, item: StoredObject) -> str | None:
    """Return why the file of a product that is one file cannot be that product; None if it can be."""
    with reading(staging, item.path) as file:
        return form_fault(item.path, file, item.size_bytes)


@dataclass(frozen=True, slots=True)
class _ManifestResult:
    """What the manifest says against a product; `unproven` if its sizes do not show that the product is whole."""

    bad: dict[int, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    unproven: bool = True


def _against_manifest(staging: Path, safename: str, files: "_Staged", choice: Choice | None) -> _ManifestResult:
    """Compare objects with the product's own manifest; one that cannot be read is itself a bad object."""
    name, required = manifest_of(safename)
    if name is None or (not required and name not in files.by_path):
        return _ManifestResult()
    if name not in files.by_path:
        return _ManifestResult(missing=(name,), remarks=(f"{name}: not on the service",))
    try:
        manifest = _read_manifest(staging, safename, name)
    except ManifestError as error:
        if not required:
            return _ManifestResult(remarks=(f"{name}: {error}",))
        return _ManifestResult(bad={files.by_path[name].id: str(error)}, remarks=(f"{name}: {error}",))
    entries = [each for each in manifest.entries if choice is None or choice.wants(each.path)]
    found = list(differences(entries, files, every=True))
    absent = [each.entry.path for each in found if each.kind is DifferenceKind.ABSENT]
    changed = [each for each in found if each.kind is DifferenceKind.CHANGED]
    remarks = [f"{path}: in the manifest, but not on the service" for path in absent]
    for each in changed:
        text = f"{each.entry.path}: {each.entry.algorithm} {each.digest}, the manifest states {each.entry.digest}"
        remarks.append(text)
    if remark := size_remark(found):
        remarks.append(remark)
    bad = {files.by_path[each.entry.path].id: each.digest for each in changed}
    unproven = bool(found) or not manifest.complete or any(entry.size_bytes is None for entry in entries)
    return _ManifestResult(bad, tuple(absent), tuple(remarks), unproven=unproven)


def _read_manifest(staging: Path, safename: str, name: str) -> Manifest:
    with reading(staging, name) as file:
        return parse_manifest(file.read(MANIFEST_BYTES_MAX + 1), safename)


def _stated_md5(item: StoredObject, catalogue_md5: str | None) -> str | None:
    """Return the MD5 an object must have; None where neither its ETag nor the catalogue states one."""
    if _MD5.fullmatch(item.etag.lower()):
        return item.etag.lower()
    # The catalogue's MD5 may be absent, "N/A" or all zeros.
    stated = (catalogue_md5 or "").lower()
    return stated if _MD5.fullmatch(stated) and stated.strip("0") else None


class _DigestsOf:
    """Digests of staged files: computed while the bytes arrived if the file is unchanged since, else from the disk.

    Each file is read once at most, for all algorithms.
    """

    def __init__(
        self, staging: Path, algorithms: frozenset[str], stamps: Mapping[str, Stamp], stop: threading.Event
    ) -> None:
        self._staging = staging
        self._algorithms = algorithms
        self._stamps = stamps
        self._stop = stop
        self._read: dict[str, Digests] = {}

    def find(self, item: StoredObject, algorithm: str) -> str:
        """Return a digest of an object's file."""
        known = getattr(item.digests, algorithm)
        if known is not None and item.digests.stamp == str(self._stamps[item.path]):
            return str(known)
        if getattr(self._read.get(item.path), algorithm, None) is None:
            self._read[item.path] = file_digests(self._staging, item.path, self._algorithms | {algorithm}, self._stop)
        return str(getattr(self._read[item.path], algorithm))


class _Staged:
    """The objects of a staged product, as `cdsed.model.wholeness` asks for them."""

    def __init__(self, objects: Sequence[StoredObject], digests: _DigestsOf) -> None:
        self.by_path = {item.path: item for item in objects}
        self._digests = digests

    def size_bytes(self, path: str) -> int | None:
        """Return the size of an object's file; None if S3 did not list it."""
        item = self.by_path.get(path)
        return None if item is None else item.size_bytes

    def digest(self, path: str, algorithm: str) -> str:
        """Return a digest of an object's file."""
        return self._digests.find(self.by_path[path], algorithm)
