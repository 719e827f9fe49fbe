"""Lets a worker of Dask run pilots whose holders sleep instead of fetching: give it to ``--preload``.

Everything else is real: pilot, messages, carrier and head. Holders send what real ones would, at the same times. They
say that objects have arrived, but write only the manifest, which the head reads. A file in
``CDSED_BENCH_DIR`` gets a line for each task: when it came, and how long its holder had been idle before.
"""

import hashlib
import heapq
import os
import queue
import sys
import threading
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TextIO

import cdsed.engine.pilot as real
from cdsed.dir_handle import Stamp
from cdsed.engine.carried_errors import carried
from cdsed.engine.grant_rules import HolderState, asks, ends, is_granted, is_renewed
from cdsed.engine.orders import Answer, FetchTask, ListTask, Sent
from cdsed.engine.pilot import PilotOrder
from cdsed.engine.wire import Bye, GiveUp, Granted, Mark, Renew, Renewed, Result, Task, UpMessage, Want, decode, encode
from cdsed.errors import DiskError
from cdsed.model.eodata import S3Location
from cdsed.model.objects import Digests, ListedObject, Piece
from cdsed.sandbox.manifests import SandboxManifestEntry, manifest_xml
from cdsed.sandbox.names import parse_name

__all__ = ["Pilot", "PilotOrder"]

#: So large that no two are handed out together, and small because all products at work must fit on the disk.
OBJECTS, OBJECT_BYTES, OBJECT_S = 5, 18_000_000, 10.0
_FIRST_BYTE_S, _RENEW_EVERY_S = 0.03, 10.0
_MANIFEST = "manifest.safe"


class Timers:
    """One thread that does what is due, and gives lines to holders."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self.inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="simulated holders", daemon=True).start()

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something later."""
        self._count += 1
        heapq.heappush(self._due, (time.monotonic() + seconds, self._count, act))

    def _run(self) -> None:
        while True:
            wait_s = self._due[0][0] - time.monotonic() if self._due else 1.0
            try:
                self.inbox.get(timeout=max(0.0, wait_s))()
            except queue.Empty:
                while self._due and self._due[0][0] <= time.monotonic():
                    heapq.heappop(self._due)[2]()


class SleepingHolder:
    """A holder; to a pilot it looks like a process and its pipe."""

    def __init__(self, nonce: str, timers: Timers, say: Callable[[str], None], log: TextIO) -> None:
        self._nonce = nonce
        self._timers = timers
        self._send = say
        self._log = log
        self._state = HolderState()
        self._task = 0
        self._busy = False
        self._idle_s = time.monotonic()
        self._sent = Sent()
        self.process = self.down = self
        timers.inbox.put(self._ask_often)

    def poll(self) -> int | None:
        """As of a process that runs."""
        return None

    def kill(self) -> None:
        """As of a process."""

    def bury(self, say: Callable[[str], None]) -> None:
        """As of a holder that is dead."""

    def put(self, line: str) -> None:
        """Take a line of the head."""
        self._timers.inbox.put(partial(self._hear, line))

    def _say(self, message: UpMessage) -> None:
        self._send(encode(message))

    def _ask_often(self) -> None:
        self._ask()
        self._timers.after(_RENEW_EVERY_S, self._ask_often)

    def _ask(self) -> None:
        self._state = state = asks(self._state, time.monotonic())
        held = Renew(self._nonce, state.seq, state.fence, self._task, busy=self._busy)
        self._say(held if state.fence else Want(self._nonce, state.seq, state.ended))

    def _hear(self, line: str) -> None:
        now_s = time.monotonic()
        match decode(line):
            case Granted(seq=seq, fence=fence, grant_s=grant_s):
                if fence != self._state.fence:  # else the word was said twice
                    self._task, self._sent = 0, Sent()
                self._state = is_granted(self._state, seq, fence, grant_s, now_s)
            case Renewed(seq=seq, fence=fence, grant_s=grant_s):
                self._state = is_renewed(self._state, seq, fence, grant_s)
            case GiveUp(fence=fence):
                self._state = ends(self._state, fence)
                self._say(Bye(self._nonce, fence))
                self._ask()
            case Task(number=number) as task if number > self._task and task.fence == self._state.fence:
                self._log.write(f"{now_s:.4f} {now_s - self._idle_s:.5f} {task.order.what}\n")
                self._task, self._busy = number, True
                self._begin(task)

    def _begin(self, task: Task) -> None:
        match task.order:
            case ListTask(location=location):
                self._end_after(_FIRST_BYTE_S, task, partial(_listed, location), 0)
            case FetchTask(pieces=pieces, staging=staging, mark_every_s=every_s):
                seconds = sum(_FIRST_BYTE_S + OBJECT_S * piece.size_bytes / OBJECT_BYTES for piece in pieces)
                size_bytes = sum(piece.size_bytes for piece in pieces)
                self._end_after(seconds, task, partial(_fetched, Path(staging), pieces), size_bytes)
                self._timers.after(every_s, partial(self._mark, task, pieces, every_s))
            case _:
                self._end_after(0.0, task, Answer, 0)

    def _mark(self, task: Task, pieces: tuple[Piece, ...], every_s: float) -> None:
        if self._busy and self._task == task.number:
            self._say(Mark(self._nonce, task.fence, task.number, 0, (), pieces[0].size_bytes // 2, self._sent))
            self._timers.after(every_s, partial(self._mark, task, pieces, every_s))

    def _end_after(self, seconds: float, task: Task, answer: Callable[[], Answer], size_bytes: int) -> None:
        def end() -> None:
            self._sent = Sent(self._sent.requests + task.requests, self._sent.delivered_bytes + size_bytes)
            self._busy, self._idle_s = False, time.monotonic()
            try:
                came = answer()
            except OSError as error:  # the task came so late that another holder got the pieces, too
                came = Answer(failure=carried(DiskError(str(error), code="ENOENT")), failed=True)
            self._say(Result(self._nonce, task.fence, task.number, came, self._sent))

        self._timers.after(seconds, end)


def _listed(location: S3Location) -> Answer:
    """List the manifest, and objects that were uploaded in parts."""
    manifest = _manifest(location.key.rpartition("/")[2])
    found = [ListedObject(f"{location.key}/{each}", each, OBJECT_BYTES, f"{_md5(each)}-2") for each in _paths()]
    etag = hashlib.md5(manifest, usedforsecurity=False).hexdigest()
    return Answer(listed=(ListedObject(f"{location.key}/{_MANIFEST}", _MANIFEST, len(manifest), etag), *found))


def _fetched(staging: Path, pieces: tuple[Piece, ...]) -> Answer:
    digests = []
    for piece in pieces:
        file, md5 = staging / piece.path, _md5(piece.path)
        if piece.path == _MANIFEST:
            file.write_bytes(_manifest(staging.name))
            md5 = piece.etag
        digests.append(Digests(md5, None, str(Stamp.of(file.stat()))))
    return Answer(digests=tuple(digests))


def _manifest(safename: str) -> bytes:
    entries = [SandboxManifestEntry(each, each[12:-4], "image/tiff", OBJECT_BYTES, _md5(each)) for each in _paths()]
    return manifest_xml(parse_name(safename), entries, ())


def _paths() -> list[str]:
    return [f"measurement/image-{number}.tif" for number in range(1, OBJECTS)]


def _md5(path: str) -> str:
    return hashlib.md5(path.encode(), usedforsecurity=False).hexdigest()


class Pilot(real.Pilot):
    """A real pilot with sleeping holders."""

    def run(self) -> str:
        """Work until the head says no more."""
        self._timers = Timers()
        with Path(os.environ["CDSED_BENCH_DIR"], uuid.uuid4().hex).open(
            "w", encoding="ascii", buffering=1
        ) as self._log:
            return super().run()

    def _can_start(self) -> bool:
        return True

    def _start(self, nonce: str) -> SleepingHolder:  # type: ignore[override]
        return SleepingHolder(nonce, self._timers, self._link.send, self._log)


sys.modules["cdsed.engine.pilot"] = sys.modules[__name__]  # before `cdsed.engine.dask_link` imports it
