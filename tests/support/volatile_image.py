"""A disk with a volatile write cache, as a file: a power cut may lose what was written since the last flush."""

import itertools
import os
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

BLOCK_BYTES = 4096
#: What survives of the blocks written since the last flush: each by chance, none, all, or those before some moment.
Survival = Literal["chance", "none", "all", "prefix"]


@dataclass(frozen=True)
class Loss:
    """What a cut did: blocks that were in the cache, and how many of them reached the disk."""

    cached: int
    kept: int


class VolatileImage:
    """The image of a disk as it is read (`live`), and as it is on the platter.

    Parameters
    ----------
    platter
        A file of the size of the disk. It has what survives a power cut.
    """

    def __init__(self, platter: Path) -> None:
        self.size_bytes = platter.stat().st_size
        self._platter = os.open(platter, os.O_RDWR | os.O_CLOEXEC)
        # What was written since the last flush, in order: a block that is written twice is in it twice.
        self._cache: list[tuple[int, bytes]] = []
        live = platter.with_suffix(".live")
        live.write_bytes(b"")
        self._live = os.open(live, os.O_RDWR | os.O_CLOEXEC)
        live.unlink()
        os.truncate(self._live, self.size_bytes)
        self._copy_data()

    def close(self) -> None:
        """Give up what is not on the platter."""
        os.close(self._live)
        os.close(self._platter)

    def read(self, offset: int, length: int) -> bytes:
        """Return what was last written there, flushed or not."""
        return os.pread(self._live, length, offset)

    def write(self, offset: int, data: bytes) -> None:
        """Write into the cache."""
        os.pwrite(self._live, data, offset)
        self._cache.append((offset, data))

    def flush(self) -> None:
        """Bring everything that was written onto the platter."""
        for offset, data in self._cache:
            os.pwrite(self._platter, data, offset)
        self._cache.clear()

    def write_through(self, offset: int, data: bytes) -> None:
        """Write onto the platter (FUA). What was written there before must not come back over it."""
        self.flush_range(offset, len(data))
        os.pwrite(self._live, data, offset)
        os.pwrite(self._platter, data, offset)

    def flush_range(self, offset: int, length: int) -> None:
        """Bring what overlaps a range onto the platter."""
        end = offset + length
        kept = []
        for begin, data in self._cache:
            if begin < end and offset < begin + len(data):
                os.pwrite(self._platter, data, begin)
            else:
                kept.append((begin, data))
        self._cache = kept

    def cut(self, survival: Survival, dice: random.Random) -> Loss:
        """Lose the power. Afterwards both images are what the platter has."""
        blocks = [block for offset, data in self._cache for block in _blocks(offset, data)]
        chance = dice.uniform(0.1, 0.9)
        before = dice.randrange(len(blocks) + 1)
        kept = {
            "none": list,
            "all": lambda: blocks,
            "prefix": lambda: blocks[:before],
            "chance": lambda: [block for block in blocks if dice.random() < chance],
        }[survival]()
        for offset, data in kept:
            os.pwrite(self._platter, data, offset)
        for offset, data in self._cache:
            os.pwrite(self._live, os.pread(self._platter, len(data), offset), offset)
        self._cache.clear()
        return Loss(len(blocks), len(kept))

    def _copy_data(self) -> None:
        """Make the live image like the platter, holes left out."""
        end = 0
        while True:
            try:
                begin = os.lseek(self._platter, end, os.SEEK_DATA)
            except OSError:  # only a hole follows
                return
            end = os.lseek(self._platter, begin, os.SEEK_HOLE)
            for offset in range(begin, end, 2**20):
                os.pwrite(self._live, os.pread(self._platter, min(2**20, end - offset), offset), offset)


def _blocks(offset: int, data: bytes) -> list[tuple[int, bytes]]:
    """Cut a write where blocks of the disk begin."""
    end = offset + len(data)
    edges = [offset, *range((offset // BLOCK_BYTES + 1) * BLOCK_BYTES, end, BLOCK_BYTES), end]
    return [(start, data[start - offset : stop - offset]) for start, stop in itertools.pairwise(edges)]
