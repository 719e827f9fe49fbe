"""The progress of a run, in an append-only file: what was verified, so that the next command continues there.

A line is written when a batch has been verified, and synced. A line that a kill or a power cut has left in half is
dropped: those products are verified again.
"""

import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from cdsed.dir_handle import whole_file, write_all
from cdsed.errors import MachineError
from cdsed.verification.batch_queue import stamps
from cdsed.verification.batch_wire import (
    BatchAnswer,
    BatchRecord,
    RunHead,
    Subject,
    VerdictKind,
    as_text,
    read_as,
    share_of,
)

SCHEMA = 1


@dataclass(slots=True)
class NodeTally:
    """What one machine has verified."""

    products: int = 0
    size_bytes: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class RunTally:
    """The sums of a run so far."""

    products: int = 0
    parts: int = 0
    size_bytes: int = 0
    ran_s: float = 0.0
    found: Counter[VerdictKind] = field(default_factory=Counter)
    nodes: dict[str, NodeTally] = field(default_factory=dict)

    def add(self, record: BatchRecord) -> None:
        """Count a batch."""
        answer = record.answer
        self.products += len(record.done)
        self.parts += answer.parts
        self.size_bytes += answer.size_bytes
        self.ran_s = max(self.ran_s, record.ran_s)
        self.found.update(each.finding for each in answer.problems)
        node = self.nodes.setdefault(answer.node, NodeTally())
        node.products += len(record.done)
        node.size_bytes += answer.size_bytes
        node.seconds += answer.seconds

    @property
    def right(self) -> int:
        """Return how many products are as they should be."""
        return self.products - self.found.total()


class StampsByPosition:
    """The stamps of products by their numbers, four bytes each; 0: none."""

    def __init__(self) -> None:
        self._stamps = array("I")

    def get(self, position: int) -> int:
        """Return the stamp of a product."""
        return self._stamps[position] if position < len(self._stamps) else 0

    def put(self, position: int, stamp: int) -> None:
        """Note the stamp of a product."""
        if position >= len(self._stamps):
            self._stamps.extend([0] * (position + 1 + len(self._stamps) // 2 - len(self._stamps)))
        self._stamps[position] = stamp


class ProgressFile:
    """The open progress file of a run; use it in ``with``.

    Parameters
    ----------
    head
        What is to be verified now.
    """

    def __init__(self, path: Path, head: RunHead) -> None:
        self.path = path
        self.head = head
        self.tally = RunTally()
        self._file = -1

    def left(self) -> RunHead | None:
        """Return what an interrupted run has verified; None without one that can be read."""
        try:
            with self.path.open("rb") as file:
                return read_as(RunHead, file.readline())
        except (FileNotFoundError, MachineError):
            return None

    def begin(self) -> None:
        """Begin a run."""
        with whole_file(self.path) as file:
            file.write(f"{as_text(self.head)}\n".encode())

    def verified(self) -> StampsByPosition:
        """Return the products that an interrupted run found right; others may have been repaired since."""
        found = StampsByPosition()
        for record in self.records():
            problems = {each.position for each in record.answer.problems}
            for position, stamp in record.done:
                if position not in problems:
                    found.put(position, stamp)
        return found

    def keep(self, is_current: Callable[[int, int], bool]) -> None:
        """Continue a run; drop what was verified of products that have changed, or that the names leave out."""
        left = self.left()
        assert left is not None
        self.head = left
        with whole_file(self.path) as file:
            file.write(f"{as_text(left)}\n".encode())
            for record in self.records():
                done = tuple(each for each in record.done if is_current(*each))
                if done:
                    kept = frozenset(position for position, _ in done)
                    answer = share_of(record.answer, kept, len(record.done))
                    current = replace(record, done=done, answer=answer)
                    self.tally.add(current)
                    file.write(f"{as_text(current)}\n".encode())

    def records(self) -> Iterator[BatchRecord]:
        """Yield the batches so far, up to a line that cannot be read."""
        with self.path.open("rb") as file:
            file.readline()
            for line in file:
                try:
                    yield read_as(BatchRecord, line)
                except MachineError:
                    return

    def __enter__(self) -> Self:
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def append(self, products: tuple[Subject, ...], answer: BatchAnswer, ran_s: float) -> None:
        """Note what was verified, so that it outlives this process and a power cut."""
        record = BatchRecord(stamps(products), answer, ran_s)
        write_all(self._file, f"{as_text(record)}\n".encode())
        os.fsync(self._file)
        self.tally.add(record)
