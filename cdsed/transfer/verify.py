"""Verifying that a staged product is complete and correct: sizes, ETags, and its own manifest.

First every listed object: its file exists, with its size, and with the MD5 of its ETag (single-part ETags are MD5s).
Then every entry of the manifest: it is listed, with its size and digest. Files that the manifest does not name
(schemas, icons, CDSE's own quick-looks) are normal. The first step also covers the manifest itself.
"""

import hashlib
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cdsed.dir_handle import Stamp
from cdsed.errors import DiskError, ProductError, ServiceError, Stopped, TransferError
from cdsed.model.families import family_by_beginning
from cdsed.model.manifest import MANIFEST_BYTES_MAX, ManifestError, manifest_name, parse_manifest
from cdsed.model.objects import Digests, StoredObject
from cdsed.model.safename import parse
from cdsed.transfer.s3_errors import on_disk
from cdsed.transfer.staging import opened, staged_stamps

_BLOCK_BYTES = 2**20
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
    """

    bad: dict[int, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    damaged: bool = False
    stamps: Mapping[str, Stamp] = field(default_factory=dict)

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


def algorithms_for(safename: str) -> frozenset[str]:
    """Return the digests that verification of such a product needs, as `hashlib` names."""
    return family_by_beginning(safename).mission.digests


def verify(
    staging: Path,
    safename: str,
    objects: Sequence[StoredObject],
    *,
    md5: str | None,
    manifest_counts: bool,
    stop: threading.Event,
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
    if damaged:  # the manifest itself may be damaged, so it is not compared with the others yet
        return VerificationResult(bad, (), tuple(remarks), damaged=True)
    by_manifest = _against_manifest(staging, safename, objects, digests.find)
    if not manifest_counts:
        return VerificationResult(bad, (), (*remarks, *by_manifest.remarks), stamps=stamps)
    return VerificationResult(
        by_manifest.bad | bad, by_manifest.missing, (*remarks, *by_manifest.remarks), stamps=stamps
    )


def _against_manifest(
    staging: Path, safename: str, objects: Sequence[StoredObject], digest_of: "_DigestOf"
) -> VerificationResult:
    """Compare objects with the product's own manifest; one that cannot be read is itself a bad object."""
    name = manifest_name(parse(safename).family)
    by_path = {item.path: item for item in objects}
    if name is None or (len(objects) == 1 and name not in by_path):
        return VerificationResult()
    if name not in by_path:
        return VerificationResult(missing=(name,), remarks=(f"{name}: not on the service",))
    try:
        with (
            on_disk(f"{staging}/{name}"),
            opened(staging) as product,
            os.fdopen(product.open(name, os.O_RDONLY), "rb") as file,
        ):
            manifest = parse_manifest(file.read(MANIFEST_BYTES_MAX + 1))
    except ManifestError as error:
        return VerificationResult(bad={by_path[name].id: str(error)}, remarks=(f"{name}: {error}",))
    bad: dict[int, str] = {}
    missing, remarks = [], []
    for entry in manifest.entries:
        listed = by_path.get(entry.path)
        if listed is None:
            missing.append(entry.path)
            remarks.append(f"{entry.path}: in the manifest, but not on the service")
            continue
        found = digest_of(listed, entry.algorithm)
        if found == entry.digest and entry.size_bytes not in (None, listed.size_bytes):
            found = f"size {listed.size_bytes}"
        if found != entry.digest:
            bad[listed.id] = found
            remarks.append(f"{entry.path}: {entry.algorithm} {found}, the manifest states {entry.digest}")
    return VerificationResult(bad, tuple(missing), tuple(remarks))


def _stated_md5(item: StoredObject, catalogue_md5: str | None) -> str | None:
    """Return the MD5 an object must have; None where neither its ETag nor the catalogue states one."""
    if _MD5.fullmatch(item.etag.lower()):
        return item.etag.lower()
    # The catalogue's MD5 may be absent, "N/A" or all zeros.
    stated = (catalogue_md5 or "").lower()
    return stated if _MD5.fullmatch(stated) and stated.strip("0") else None


_DigestOf = Callable[[StoredObject, str], str]


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


def file_digests(staging: Path, path: str, algorithms: frozenset[str], stop: threading.Event) -> Digests:
    """Compute digests of a file of a staging directory in one reading.

    Raises
    ------
    DiskError, Stopped
        The file cannot be read; the process must leave.
    """
    digests = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
    block = memoryview(bytearray(_BLOCK_BYTES))
    with (
        on_disk(f"{staging}/{path}"),
        opened(staging) as product,
        os.fdopen(product.open(path, os.O_RDONLY), "rb", buffering=0) as file,
    ):
        before = Stamp.of(os.fstat(file.fileno()))
        while count := file.readinto(block):
            for digest in digests.values():
                digest.update(block[:count])
            if stop.is_set():
                raise Stopped
        after = Stamp.of(os.fstat(file.fileno()))
    # The digest of a file that was written meanwhile cannot be used later.
    stamp = str(after) if after == before else None
    return Digests(**{name: digest.hexdigest() for name, digest in digests.items()}, stamp=stamp)
