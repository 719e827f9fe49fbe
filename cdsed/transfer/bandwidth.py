"""Limits of bandwidth over all connections: of the machine, a group, an account, and of one connection.

Each limit is a line of turns. Before a connection reads some bytes, it takes the next turn, which lasts as long as
these bytes may take, and it reads when its turn begins. So the total stays at the limit, and every connection gets as
much as the others. Where a line ends is in a small file that all download processes share, under a lock.
"""

import fcntl
import logging
import os
import struct
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from cdsed.clock import SYSTEM_CLOCK, Clock
from cdsed.errors import Stopped
from cdsed.model.operation import BandwidthLimit
from cdsed.transfer.connection import Connection

_log = logging.getLogger(__name__)

_TURN_S = 0.05  # how long a turn lasts at most
_TURN_BYTES_MIN = 1024
_LATE_S = 0.1  # a late thread may catch up on so much
_WAIT_S = 0.5  # how soon a thread that waits learns of another limit
# A file from before the last boot, or a damaged one, may name any time. A hundred connections at the least limit wait
# for two minutes.
_LINE_MAX_S = 600.0
_AFTER_CHANGE_S = 1.0  # a line that was long at the former limit
_STORED = struct.Struct("<dd")  # the end of the line in seconds since boot, and the limit it was made with

Key = tuple[str, str]  # kind and name of a limit


class _Line:
    """The turns of one limit; without a path those of this process only."""

    def __init__(self, path: Path | None, bytes_per_s: int, clock: Clock) -> None:
        self.bytes_per_s = bytes_per_s
        self._clock = clock
        self._lock = threading.Lock()
        self._end_s, self._made_for = 0.0, float(bytes_per_s)
        self._file: int | None = None
        if path is not None:
            try:
                self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
            except OSError as error:
                _log.warning("%s: %s; each process has this limit of bandwidth for itself", path, error.strerror)

    def take(self, size_bytes: int) -> float:
        """Take the next turn; return when it begins, in seconds since boot."""
        with self._lock:
            if self._file is None:
                return self._next(size_bytes)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                with suppress(OSError, struct.error):  # a new file is empty
                    self._end_s, self._made_for = _STORED.unpack(os.pread(self._file, _STORED.size, 0))
                begin_s = self._next(size_bytes)
                with suppress(OSError):  # the disk is full, which a full file is not
                    os.pwrite(self._file, _STORED.pack(self._end_s, self._made_for), 0)
                return begin_s
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _next(self, size_bytes: int) -> float:
        now_s = self._clock.boot_s()
        end_s = self._end_s
        if not 0 <= end_s <= now_s + _LINE_MAX_S:
            end_s = now_s
        if self._made_for != self.bytes_per_s:
            end_s = min(end_s, now_s + _AFTER_CHANGE_S)
        begin_s = max(end_s, now_s - _LATE_S)
        self._end_s, self._made_for = begin_s + size_bytes / self.bytes_per_s, float(self.bytes_per_s)
        return begin_s

    def close(self) -> None:
        """Close its file."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
            self._file = None


class BandwidthBudget:
    """The limits that hold now, for the connections of one process.

    Parameters
    ----------
    directory
        Where the files of the lines are; None: no other process shares the limits.
    groups
        The group of each account.
    """

    def __init__(
        self, directory: Path | None = None, groups: Mapping[str, str] | None = None, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._directory = directory
        self._groups = groups or {}
        self.clock = clock
        self._lines: dict[Key, _Line] = {}
        self.changed = threading.Condition()
        self.generation = 0

    def use(self, limits: Iterable[BandwidthLimit]) -> None:
        """Hold these limits from now on; connections that wait for their turn at another limit take a new one."""
        wanted = {(each.kind, each.name): each.bytes_per_s for each in limits}
        if {key: line.bytes_per_s for key, line in self._lines.items()} == wanted:
            return
        lines = {key: self._line(key, bytes_per_s) for key, bytes_per_s in wanted.items()}
        with self.changed:
            former, self._lines = self._lines, lines
            self.generation += 1
            self.changed.notify_all()
        for line in former.values():
            line.close()

    def lines_of(self, account: str) -> list[_Line]:
        """Return the lines in which a connection of an account takes its turns."""
        lines = self._lines
        if not lines:
            return []
        keys = (("machine", ""), ("group", self._groups.get(account, "")), ("account", account))
        return [lines[key] for key in keys if key in lines]

    def _line(self, key: Key, bytes_per_s: int) -> _Line:
        path = self._directory / f"bandwidth.{'.'.join(filter(None, key))}" if self._directory else None
        return _Line(path, bytes_per_s, self.clock)


class Pace:
    """How fast one connection may read.

    Parameters
    ----------
    budget
        The limits that it shares with others.
    account
        The account of the connection.
    bytes_per_s
        The limit of this connection alone; None: it has none.
    """

    def __init__(self, budget: BandwidthBudget, account: str, bytes_per_s: int | None = None) -> None:
        self._budget = budget
        self._account = account
        self._own = _Line(None, bytes_per_s, budget.clock) if bytes_per_s else None

    def next_bytes(self, connection: Connection, most: int, stop: threading.Event) -> int:
        """Wait until bytes may be read; return how many, at least one and not more than `most`.

        Raises
        ------
        Stopped
            `stop` was set meanwhile; the connection is closed.
        """
        while True:
            generation = self._budget.generation
            lines = self._budget.lines_of(self._account) + ([self._own] if self._own else [])
            if not lines:
                return most
            turn = min(int(line.bytes_per_s * _TURN_S) for line in lines)
            size_bytes = min(most, max(turn, _TURN_BYTES_MIN))
            begin_s = max(line.take(size_bytes) for line in lines)
            if begin_s <= self._budget.clock.boot_s() or self._waited(connection, begin_s, generation, stop):
                return size_bytes

    def _waited(self, connection: Connection, begin_s: float, generation: int, stop: threading.Event) -> bool:
        """Wait for a turn; return whether it still counts, because the limits are the same."""
        budget = self._budget
        with connection.held():
            while (left_s := begin_s - budget.clock.boot_s()) > 0:
                with budget.changed:
                    budget.changed.wait_for(lambda: budget.generation != generation, min(left_s, _WAIT_S))
                if stop.is_set():
                    connection.close()
                    raise Stopped
                if budget.generation != generation:
                    return False
        return True


#: For a connection without limits.
UNLIMITED = Pace(BandwidthBudget(), "")
