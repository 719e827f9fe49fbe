"""Compare a product on disk with the sizes and digests of its manifest."""

import hashlib
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cdsed.local.whole import UNREADABLE_ZIP, open_plain
from cdsed.model.manifest import MANIFEST_BYTES_MAX, ManifestEntry, ManifestError, manifest_name, parse_manifest
from cdsed.model.safename import parse

_BLOCK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Check:
    """The result of the comparison of a product with its manifest.

    Attributes
    ----------
    path
        The product.
    files
        How many files the manifest names.
    problems
        One sentence for each file that is absent, or has another size or digest, and for a product without a
        manifest.
    unlisted
        Files that the manifest does not name, which is not a problem: itself, schemas, quick-looks.
    """

    path: Path
    files: int
    problems: tuple[str, ...]
    unlisted: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether every file of the manifest is there, with its size and digest."""
        return not self.problems


def check_product(path: Path) -> Check:
    """Compare a product, a directory or a zip of one, with its manifest.

    Raises
    ------
    OSError
        It does not exist, or cannot be read.
    """
    if path.is_dir():
        return _check(path, path.name, _Directory(path))
    if path.suffix.lower() == ".zip":
        try:
            with open_plain(path) as file, zipfile.ZipFile(file) as archive:
                names = [name for name in archive.namelist() if not name.endswith("/")]
                top = os.path.commonpath(names).split("/")[0] if names else ""
                return _check(path, top, _Zip(archive, top, names))
        except UNREADABLE_ZIP as error:
            return Check(path, 0, (f"it is not a complete zip: {error}",), ())
    path.stat()
    return Check(path, 0, ("it is a single file, without a manifest to compare with",), ())


class _Directory:
    def __init__(self, top: Path) -> None:
        self._top = top

    def sizes(self) -> dict[str, int]:
        found = (Path(folder, name) for folder, _, names in os.walk(self._top) for name in names)
        return {file.relative_to(self._top).as_posix(): file.stat().st_size for file in found}

    @contextmanager
    def open(self, path: str) -> Iterator[IO[bytes]]:
        with open_plain(self._top / path) as file:
            yield file


class _Zip:
    def __init__(self, archive: zipfile.ZipFile, top: str, names: list[str]) -> None:
        self._archive = archive
        self._top = top
        self._names = names

    def sizes(self) -> dict[str, int]:
        return {name.removeprefix(f"{self._top}/"): self._archive.getinfo(name).file_size for name in self._names}

    @contextmanager
    def open(self, path: str) -> Iterator[IO[bytes]]:
        with self._archive.open(f"{self._top}/{path}") as file:
            yield file


def _check(path: Path, safename: str, files: _Directory | _Zip) -> Check:
    sizes = files.sizes()
    name = manifest_name(parse(safename).family)
    if name is None or name not in sizes:
        return Check(path, 0, (f"it has no {name or 'manifest'} to compare with",), tuple(sorted(sizes)))
    try:
        with files.open(name) as file:
            entries = parse_manifest(file.read(MANIFEST_BYTES_MAX + 1)).entries
    except ManifestError as error:
        return Check(path, 0, (f"{name}: {error}",), ())
    if not entries:
        return Check(path, 0, (f"{name} names no file",), tuple(sorted(sizes)))
    problems = tuple(problem for entry in entries if (problem := _problem(entry, sizes, files)))
    unlisted = tuple(sorted(sizes.keys() - {entry.path for entry in entries}))
    return Check(path, len(entries), problems, unlisted)


def _problem(entry: ManifestEntry, sizes: dict[str, int], files: _Directory | _Zip) -> str | None:
    size_bytes = sizes.get(entry.path)
    if size_bytes is None:
        return f"{entry.path} is absent"
    if entry.size_bytes not in {None, size_bytes}:
        return f"{entry.path} has {size_bytes} bytes instead of {entry.size_bytes}"
    try:
        with files.open(entry.path) as file:
            found = _digest(file, entry.algorithm)
    except UNREADABLE_ZIP as error:
        return f"{entry.path}: {error}"
    return None if found == entry.digest else f"{entry.path}: {entry.algorithm} is {found} instead of {entry.digest}"


def _digest(file: IO[bytes], algorithm: str) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    while block := file.read(_BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()
