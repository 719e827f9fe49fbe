"""Judge whether a product on disk is whole: a directory, a zip of one, or a single file.

Every command asks this module, and a transfer applies the same rules (`cdsed.model.wholeness`,
`cdsed.model.single_file`). A thorough judgement computes the digest of each file. Presence computes only those of files
that do not have the size that the manifest states.
"""

import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path

from cdsed.frozen import frozen
from cdsed.local import file_record
from cdsed.local.contents import DirectoryFiles, Pulse, ZipFiles, no_pulse, open_plain
from cdsed.local.partial import read_marker
from cdsed.model.families.other import AUXILIARY
from cdsed.model.manifest import (
    MANIFEST_BYTES_MAX,
    Manifest,
    ManifestEntry,
    ManifestError,
    manifest_of,
    parse_manifest,
    product_of,
)
from cdsed.model.part_marker import MARKER, Partial
from cdsed.model.safename import parse, stem_of
from cdsed.model.single_file import UNREADABLE_ZIP, form_fault
from cdsed.model.wholeness import DifferenceKind, differences, have_stated_sizes, size_remark

_MANIFEST = "the manifest"
_RECORD = "what was downloaded"
_REMARKS_MAX = 20


@frozen
class Check:
    """The judgement of a product.

    Attributes
    ----------
    path
        The product.
    files
        How many files it was compared with.
    problems
        One sentence for each file that is absent, or has another digest, and for a product without a manifest. A
        judgement that is not thorough ends with the first.
    unlisted
        Files that the manifest does not name, which is not a problem: itself, schemas, quick-looks. Empty if the
        judgement is not thorough.
    remarks
        What differs from the manifest, but does not make the product incomplete.
    compared_with
        ``the manifest``, or ``what was downloaded`` if its manifest does not show that it is whole.
    partial
        What was taken of a product that was fetched in part; this is its first problem. None for any other.
    """

    path: Path
    files: int = 0
    problems: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    compared_with: str = _MANIFEST
    partial: Partial | None = None

    @property
    def as_taken(self) -> bool:
        """Whether it was fetched in part, and every file that was taken is there, and is the right one."""
        return self.partial is not None and len(self.problems) == 1

    @property
    def good(self) -> bool:
        """Whether every file is there, and is the right one."""
        return not self.problems


def check_product(path: Path) -> Check:
    """Judge a product thoroughly: compare the digest of each of its files.

    Raises
    ------
    OSError
        It does not exist, or cannot be read.
    """
    return judge(path, None, thorough=True)


def judge(path: Path, safename: str | None, *, thorough: bool, pulse: Pulse = no_pulse) -> Check:
    """Judge whether a path has a complete product.

    Parameters
    ----------
    safename
        Of the product; None: the name of the path says it.
    thorough
        Compute all digests, and find all problems.
    pulse
        Called now and then while digests are computed.

    Raises
    ------
    OSError
        It does not exist, or cannot be read.
    """
    if os.path.isdir(path):  # noqa: PTH112 - False also for a path with a null byte, and faster
        return _Judge(path, path.name, DirectoryFiles(path, pulse), thorough=thorough).directory()
    if path.suffix.lower() != ".zip":
        with open_plain(path) as file:
            fault = form_fault(path.name, file, os.fstat(file.fileno()).st_size)
        alone = "it is a single file, without a manifest to compare with"
        return Check(path, 1, (f"{fault}; {alone}",) if fault else (), remarks=() if fault else (alone,))
    expected = product_of(safename or path.name[:-4]).name
    try:
        with open_plain(path) as file, zipfile.ZipFile(file) as archive:
            return _zip(path, archive, expected, thorough=thorough, pulse=pulse)
    except UNREADABLE_ZIP as error:
        return Check(path, 0, (f"it is not a complete zip: {error}",))


def _zip(path: Path, archive: zipfile.ZipFile, expected: str, *, thorough: bool, pulse: Pulse) -> Check:
    members = [item for item in archive.infolist() if not item.is_dir()]
    tops = {item.filename.partition("/")[0] for item in members}
    mission = product_of(expected).family.mission
    files = ZipFiles(archive, expected, pulse)
    if files.size_bytes(MARKER) is not None:
        return Check(path, 0, (f"it holds {MARKER}: the product was fetched in part",))
    product = _Judge(path, expected, files, thorough=thorough)
    manifest, required = manifest_of(expected)
    required = required and not AUXILIARY.match(expected)  # the service stores these as archives, some without one
    if expected in tops and (required or isinstance(product.manifest, Manifest)):
        return product.against_manifest()
    others = sorted(top for top in tops if parse(top).start is not None and top != expected)
    if others:
        return Check(path, 0, (f"it holds {others[0]} instead of {expected}",))
    if required:
        return Check(path, 0, (f"it has no {expected}/{manifest} to compare with",))
    if mission.form is not None and not mission.is_directory:
        members = [item for item in members if item.filename.rpartition("/")[2] == expected]
    problem = None if members else f"it holds no file of {expected}"
    for item in members:
        with archive.open(item) as file:
            problem = problem or form_fault(item.filename, file, item.file_size or 1)
    damaged = archive.testzip() if thorough and not problem else None
    problem = problem or (f"{damaged} is damaged" if damaged else None)
    return Check(path, len(members), (problem,) if problem else ())


class _Judge:
    """Judges a product that consists of several files."""

    def __init__(self, path: Path, safename: str, files: DirectoryFiles | ZipFiles, *, thorough: bool) -> None:
        self._path = path
        self._safename = safename
        self._files = files
        self._thorough = thorough
        self._taken: Partial | None = None

    def directory(self) -> Check:
        """Compare it with its manifest, or with the record of what was downloaded."""
        if self._files.size_bytes(MARKER) is None:
            return self._directory()
        self._taken = read_marker(self._path)
        if self._taken is None:
            return self._check((f"{MARKER} says that it was fetched in part, and cannot be read",))
        check = self._directory()
        problems = (str(self._taken), *self._taken.absent(self._files), *check.problems)
        return replace(check, problems=problems, partial=self._taken)

    def _directory(self) -> Check:
        mission = product_of(self._safename).family.mission
        if mission.form is not None and not mission.is_directory:
            return self._folder_of_a_file()
        record = file_record.read(self._path)
        has_manifest = mission.manifest is not None or isinstance(self.manifest, Manifest)
        if not has_manifest and not record:
            if not any(self._files.paths()):
                return self._check(("it is empty",))
            nothing = "it has no manifest to compare with"
            return self._check((nothing,)) if self._thorough else self._check(())
        problems = self._problems(record) if record and not self._thorough else ()
        if record and not self._thorough and not problems:
            return Check(self._path, len(record), compared_with=_RECORD)
        check = self.against_manifest(record)
        if check.good or not record:
            return check
        if problems or (problems := self._problems(record)):
            return check if has_manifest else self._check(problems, record, compared_with=_RECORD)
        remarks = (*check.problems, *check.remarks)
        return self._check((), record, remarks[:_REMARKS_MAX], compared_with=_RECORD)

    def against_manifest(self, record: Sequence[ManifestEntry] = ()) -> Check:
        """Compare it with its manifest; a size that differs from the recorded one shows nothing."""
        manifest = self.manifest
        if isinstance(manifest, str):
            return self._check((manifest,))
        entries = manifest.entries
        if record:
            changed = {each.path for each in record if each.size_bytes != self._files.size_bytes(each.path)}
            entries = tuple(replace(each, size_bytes=None) if each.path in changed else each for each in entries)
        if not self._thorough and have_stated_sizes(entries, self._files):
            return Check(self._path, len(entries))
        problems, remarks = self._compared(manifest.entries if self._thorough else entries)
        return self._check(problems, manifest.entries, remarks)

    @cached_property
    def manifest(self) -> Manifest | str:
        """Return the manifest, or why the product cannot be compared with it."""
        name, _ = manifest_of(self._safename)
        if name is None or self._files.size_bytes(name) is None:
            return f"it has no {name or 'manifest'} to compare with"
        try:
            manifest = parse_manifest(self._files.read(name, MANIFEST_BYTES_MAX + 1), self._safename)
        except (ManifestError, *UNREADABLE_ZIP) as error:
            return f"{name}: {error}"
        if not manifest.complete:
            return f"{name} names no file" if not manifest.entries else f"{name} does not say which files belong to it"
        if self._taken is not None:
            choice = self._taken.choice
            return replace(manifest, entries=tuple(each for each in manifest.entries if choice.wants(each.path)))
        return manifest

    def _compared(self, entries: Sequence[ManifestEntry]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        found = differences(entries, self._files, every=self._thorough)
        if not self._thorough:
            return self._first(str(each) for each in found if each.kind is not DifferenceKind.SIZE), ()
        every = list(found)
        remark = size_remark(every)
        problems = tuple(str(each) for each in every if each.kind is not DifferenceKind.SIZE)
        return problems, (remark,) if remark else ()

    def _problems(self, entries: Sequence[ManifestEntry]) -> tuple[str, ...]:
        """Return why it is not what was recorded; a record that stayed behind is that of another manifest."""
        name, _ = manifest_of(self._safename)
        manifest = next((entry for entry in entries if entry.path == name), None)
        there = name is not None and self._files.size_bytes(name) is not None
        if name and there and (manifest is None or self._files.digest(name, manifest.algorithm) != manifest.digest):
            return (f"{name} is not the one that was downloaded",)
        if self._thorough:
            return self._compared(entries)[0]
        return () if have_stated_sizes(entries, self._files) else ("it is not what was downloaded",)

    def _folder_of_a_file(self) -> Check:
        """Judge a folder that should hold a product which is one file."""
        stem = stem_of(self._safename)
        names = [path for path in self._files.paths() if path.startswith(stem) and "/" not in path]
        faults = [f"it holds no file {self._safename}"] if not names else []
        for name in names:
            with self._files.open(name) as file:
                if fault := form_fault(name, file, self._files.size_bytes(name) or 0):
                    faults.append(f"{name}: {fault}")
        return self._check(tuple(faults))

    @staticmethod
    def _first(problems: Iterator[str]) -> tuple[str, ...]:
        return tuple(islice(problems, 1))

    def _check(
        self,
        problems: tuple[str, ...],
        entries: Sequence[ManifestEntry] = (),
        remarks: tuple[str, ...] = (),
        compared_with: str = _MANIFEST,
    ) -> Check:
        unlisted: tuple[str, ...] = ()
        if self._thorough:
            unlisted = tuple(sorted({*self._files.paths()} - {entry.path for entry in entries}))
        return Check(self._path, len(entries), problems, unlisted, remarks, compared_with)
