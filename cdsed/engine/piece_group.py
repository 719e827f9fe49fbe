"""The pieces of one task in a holder: fetched one after the other, and reported in groups that are synced."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from cdsed.engine.carried_errors import carried
from cdsed.engine.orders import Answer
from cdsed.errors import TransferError
from cdsed.model.objects import Digests, Piece
from cdsed.transfer.transport import BatchFetch


class PieceGroup:
    """Fetches the pieces of a task.

    Parameters
    ----------
    mark
        Tells the head from which number on pieces have these digests, and how much of the next piece there is.
    mark_every_s
        How often.
    """

    def __init__(
        self, files: BatchFetch, mark: Callable[[int, tuple[Digests, ...], int], None], mark_every_s: float
    ) -> None:
        self._files = files
        self._mark = mark
        self._mark_every_s = mark_every_s
        self._arrived: list[Digests] = []
        self._marked = 0  # pieces
        self._marked_s = time.monotonic()

    def fetch(self, pieces: Sequence[Piece]) -> Answer:
        """Fetch all pieces, or those before a failure."""
        try:
            for piece in pieces:
                self._arrived.append(self._files.fetch(piece, self))
                # Others digest an object of several pieces as these arrive.
                is_due = time.monotonic() - self._marked_s >= self._mark_every_s or not piece.whole
                if is_due and piece is not pieces[-1]:
                    self.safe(0)
                    self._files.close()
            self._files.sync()
        except TransferError as error:
            safe = self._marked
            with suppress(TransferError):  # then those since the last group are fetched again
                self._files.sync()
                safe = len(self._arrived)
            return Answer(digests=tuple(self._arrived[:safe]), failure=carried(error), failed=True)
        return Answer(digests=tuple(self._arrived))

    def written(self, done_bytes: int) -> None:
        """As `cdsed.transfer.fetch.ProgressCallback`: the head counts only what is safe."""

    def safe(self, done_bytes: int) -> None:
        """Tell the head of the pieces that have arrived, and of so many bytes of the next one."""
        self._files.sync()
        self._mark(self._marked, tuple(self._arrived[self._marked :]), done_bytes)
        self._marked, self._marked_s = len(self._arrived), time.monotonic()
