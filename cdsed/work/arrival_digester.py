"""Digest large objects while they arrive, so that little is left to do when their last piece is there."""

import logging
from pathlib import Path

from cdsed.errors import Stopped, TransferError
from cdsed.model.objects import Digests
from cdsed.store import digesting
from cdsed.store.digesting import ArrivingObject
from cdsed.transfer.file_digest import FileDigest
from cdsed.transfer.verify import algorithms_for
from cdsed.work.context import WorkerContext

_log = logging.getLogger(__name__)

# A step takes a tenth of a second at most, because products that are complete come first.
_STEP_BYTES = 32 * 2**20
# Of an object that arrives, less is not worth opening its file.
_LEAST_BYTES = 2**20


class ArrivalDigester:
    """Computes the digests of objects over the bytes that have arrived without a gap.

    One thread uses it. The digests are in its memory, and the state says only which process computes them. If that
    dies, another one begins again.
    """

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._store = context.store
        self._running: dict[int, FileDigest] = {}
        self._left_alone: set[int] = set()

    def step(self) -> bool:
        """Digest some bytes that have arrived; return whether there were any."""
        found = {item.id: item for item in self._go_on()} if self._running else {}
        for number, digest in self._running.items():
            item = found[number]
            new_bytes = item.arrived_bytes - digest.done_bytes
            if new_bytes >= _LEAST_BYTES or item.arrived_bytes == item.size_bytes:
                self._advance(item, digest)
                return True
        return self._claim()

    def leave(self) -> None:
        """Let go of all objects, so that others can digest them."""
        for number in [*self._running]:
            self._let_go(number)

    def _go_on(self) -> list[ArrivingObject]:
        """Return the objects to continue with; let go of those that are fetched again, paused or in other states."""
        found = digesting.claimed(self._store.db, self._store.clock, self._store.process)
        known = [item for item in found if item.id in self._running]
        for number in self._running.keys() - {item.id for item in known}:
            self._let_go(number)
        return known

    def _claim(self) -> bool:
        store = self._store
        number = digesting.claim(store.db, store.clock, store.process, unless=self._left_alone)
        if number is None:
            return False
        for item in digesting.claimed(store.db, store.clock, store.process):
            if item.id == number:
                self._running[number] = FileDigest(Path(item.staging), item.path, algorithms_for(item.safename))
                return True
        digesting.store(store.db, store.process, number, Digests())
        return False

    def _advance(self, item: ArrivingObject, digest: FileDigest) -> None:
        try:
            with self._context.disks.watch.at(item.destination):
                digest.advance(min(item.arrived_bytes, digest.done_bytes + _STEP_BYTES), self._context.stop)
        except TransferError as error:
            self._let_go(item.id)
            if not isinstance(error, Stopped):
                self._left_alone.add(item.id)
                _log.info("%s: %s is left to verification: %s", item.safename, item.path, error)
            return
        if digest.done_bytes == item.size_bytes:
            self._let_go(item.id, digest.digests)

    def _let_go(self, number: int, digests: Digests | None = None) -> None:
        del self._running[number]
        digesting.store(self._store.db, self._store.process, number, digests or Digests())
