"""The bytes of every object: generated when they are read, from the seed and the object key, without disk space."""

import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

# The largest prime below 1 MiB: usual offsets (multiples of powers of two) then never fall on the same place of the
# block, so a piece at a wrong offset is never correct by accident.
BLOCK_BYTES = 1_048_573
_NETCDF = b"CDF\x01"


class Body(Protocol):
    """The content of one object."""

    @property
    def size_bytes(self) -> int:
        """Return the length of the content."""

    def pieces(self, start: int, length: int) -> Iterator[memoryview]:
        """Yield the bytes ``[start, start + length)`` in order."""

    def digest(self, algorithm: str) -> str:
        """Return the lower-case hex digest of the whole content; `algorithm` is a name for `hashlib.new`."""


@dataclass(frozen=True)
class LiteralBody:
    """Content in memory, such as a manifest."""

    data: bytes

    @property
    def size_bytes(self) -> int:
        """Return the length of the content."""
        return len(self.data)

    def pieces(self, start: int, length: int) -> Iterator[memoryview]:
        """Yield the bytes ``[start, start + length)`` in one piece."""
        yield memoryview(self.data)[start : start + length]

    def digest(self, algorithm: str) -> str:
        """Return the lower-case hex digest of the content."""
        return hashlib.new(algorithm, self.data).hexdigest()


@dataclass(frozen=True)
class RandomBody:
    """`size_bytes` bytes of the repeated pseudo-random block of `seed`, from `phase` on."""

    seed: int
    phase: int
    size_bytes: int

    def pieces(self, start: int, length: int) -> Iterator[memoryview]:
        """Yield the bytes ``[start, start + length)`` as slices of the block, without copies."""
        block = _doubled_block(self.seed)
        end = start + length
        while start < end:
            place = (self.phase + start) % BLOCK_BYTES
            count = min(BLOCK_BYTES, end - start)
            yield block[place : place + count]
            start += count

    def digest(self, algorithm: str) -> str:
        """Return the lower-case hex digest of the content; it takes seconds per gigabyte once, then it is cached."""
        return _digest(self, algorithm)


@dataclass(frozen=True)
class NetcdfBody:
    """Content that begins like a netCDF file; the bytes after that are those of `data`."""

    data: Body

    @property
    def size_bytes(self) -> int:
        """Return the length of the content."""
        return self.data.size_bytes

    def pieces(self, start: int, length: int) -> Iterator[memoryview]:
        """Yield the bytes ``[start, start + length)`` in order."""
        head = memoryview(_NETCDF[: self.size_bytes])[start : start + length]
        if head:
            yield head
        yield from self.data.pieces(start + len(head), length - len(head))

    def digest(self, algorithm: str) -> str:
        """Return the lower-case hex digest of the whole content; it is computed once, then it is cached."""
        return _digest(self, algorithm)


def random_body(seed: int, key: str, size_bytes: int, variant: int = 0) -> RandomBody:
    """Return the content of the object `key`; another `variant` is other content of the same size."""
    digest = hashlib.sha256(f"{seed}\n{key}\n{variant}".encode()).digest()
    return RandomBody(seed, int.from_bytes(digest[:8], "big") % BLOCK_BYTES, size_bytes)


#: The extensions of keys of a product that is an archive, in small letters.
ARCHIVES = ("zip", "tar", "tgz")


def single_body(key: str, data: Body) -> Body:
    """Return the content of a product of one object: an archive if its key says so, else a netCDF file.

    Both have the size of `data`, and begin with bytes of it. An archive is small, and the rest are zeros.
    """
    content = b"".join(data.pieces(0, min(64, data.size_bytes)))
    extension = key.rpartition(".")[2].lower()
    if extension not in ARCHIVES:
        return NetcdfBody(data)
    if extension == "tgz":
        archive = gzip.compress(content, mtime=0)
    else:
        file = io.BytesIO()
        if extension == "zip":
            with zipfile.ZipFile(file, "w") as packed:
                packed.writestr(zipfile.ZipInfo("data"), content)
        else:
            with tarfile.open(fileobj=file, mode="w") as packed_tar:
                member = tarfile.TarInfo("data")
                member.size = len(content)
                packed_tar.addfile(member, io.BytesIO(content))
        archive = file.getvalue()
    zeros = bytes(max(0, data.size_bytes - len(archive)))
    return LiteralBody(zeros + archive if extension == "zip" else archive + zeros)  # a zip is read from its end


def spoilt(body: Body) -> Body:
    """Return content of the same length as `body` that differs from it."""
    if isinstance(body, NetcdfBody):
        return NetcdfBody(spoilt(body.data))
    if isinstance(body, RandomBody):
        return RandomBody(body.seed, (body.phase + 1) % BLOCK_BYTES, body.size_bytes)
    data = b"".join(body.pieces(0, body.size_bytes))
    return LiteralBody(bytes(byte ^ 0x20 for byte in data))


@lru_cache(maxsize=4)
def _doubled_block(seed: int) -> memoryview:
    """Return the block twice in a row, so that a slice from any phase is contiguous."""
    block = hashlib.shake_256(f"cdsed sandbox {seed}".encode()).digest(BLOCK_BYTES)
    return memoryview(block + block)


@lru_cache(maxsize=200_000)
def _digest(body: "RandomBody | NetcdfBody", algorithm: str) -> str:
    digest = hashlib.new(algorithm)
    for piece in body.pieces(0, body.size_bytes):
        digest.update(piece)
    return digest.hexdigest()
