"""The one rule by which the files of a product are compared with what its manifest says.

Transfers, presence on disk, `missing`, `check` and `verify` all apply it. The digest decides: a file with the right
digest is good even if its stated size is wrong, which is remarked. One with a wrong digest is bad, whatever its size.
Presence takes a file of the stated size for good, because its digest was checked when it was fetched. So a digest is
computed there only where the size differs, or if the manifest states wrong sizes.
"""

from collections.abc import Iterator, Sequence
from enum import Enum, auto
from typing import Protocol

from cdsed.frozen import frozen
from cdsed.model.manifest import Algorithm, ManifestEntry

_QUICK_BYTES_MAX = 4 * 2**30


class Files(Protocol):
    """The files of a product: staged, in a directory, or in a zip."""

    def size_bytes(self, path: str) -> int | None:
        """Return the size of a plain file; None if it does not exist."""

    def digest(self, path: str, algorithm: Algorithm) -> str:
        """Return the digest of a file, hexadecimal in lower case."""


class DifferenceKind(Enum):
    """How a file differs from its manifest."""

    ABSENT = auto()
    CHANGED = auto()  # its digest differs
    SIZE = auto()  # only the stated size differs: a remark


@frozen
class Difference:
    """One difference between a file and its manifest.

    Attributes
    ----------
    size_bytes
        Of the file; 0 if it is absent.
    digest
        Of the file; empty if it is absent, or was not computed.
    """

    entry: ManifestEntry
    kind: DifferenceKind
    size_bytes: int = 0
    digest: str = ""

    def __str__(self) -> str:
        entry = self.entry
        if self.kind is DifferenceKind.ABSENT:
            return f"{entry.path} is absent"
        size = f"{entry.path} has {self.size_bytes} bytes instead of {entry.size_bytes}"
        if self.kind is DifferenceKind.SIZE:
            return f"{size}, but the stated {entry.algorithm}"
        if not self.digest:
            return size
        digest = f"{entry.algorithm} is {self.digest} instead of {entry.digest}"
        return f"{entry.path}: {digest}" if entry.size_bytes in (None, self.size_bytes) else f"{size}: {digest}"


def have_stated_sizes(entries: Sequence[ManifestEntry], files: Files) -> bool:
    """Tell whether every file is there with its stated size."""
    return all(entry.size_bytes is not None and files.size_bytes(entry.path) == entry.size_bytes for entry in entries)


def differences(entries: Sequence[ManifestEntry], files: Files, *, every: bool) -> Iterator[Difference]:
    """Yield how files differ from their manifest: first those that are absent, then by size.

    Parameters
    ----------
    every
        Compute the digest of every file; False: only of those that do not have their stated size, and of all others if
        one of these is right, because then the manifest states wrong sizes. A file that has another size and more than
        4 GiB counts as changed, because presence must be found quickly.
    """
    unsure: list[tuple[int, ManifestEntry]] = []
    alike: list[tuple[int, ManifestEntry]] = []
    for entry in entries:
        size_bytes = files.size_bytes(entry.path)
        if size_bytes is None:
            yield Difference(entry, DifferenceKind.ABSENT)
        elif not every and entry.size_bytes != size_bytes and size_bytes > _QUICK_BYTES_MAX:
            yield Difference(entry, DifferenceKind.CHANGED, size_bytes)
        else:
            (unsure if every or entry.size_bytes != size_bytes else alike).append((size_bytes, entry))
    sizes_count = True
    for size_bytes, entry in sorted(unsure, key=lambda item: item[0]):
        if difference := _compared(entry, size_bytes, files):
            sizes_count = sizes_count and difference.kind is not DifferenceKind.SIZE
            yield difference
    for size_bytes, entry in () if sizes_count else alike:
        if difference := _compared(entry, size_bytes, files):
            yield difference


def _compared(entry: ManifestEntry, size_bytes: int, files: Files) -> Difference | None:
    found = files.digest(entry.path, entry.algorithm)
    if found != entry.digest:
        return Difference(entry, DifferenceKind.CHANGED, size_bytes, found)
    if entry.size_bytes in (None, size_bytes):
        return None
    return Difference(entry, DifferenceKind.SIZE, size_bytes, found)


def size_remark(found: Sequence[Difference]) -> str | None:
    """Return one sentence for all files whose stated size is wrong; None without any."""
    wrong = [each for each in found if each.kind is DifferenceKind.SIZE]
    return f"the manifest states wrong sizes, e.g. {wrong[0]} ({len(wrong)} files)" if wrong else None
