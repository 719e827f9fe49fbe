"""How far a piece is, noted so that a kill or a power cut makes a session fetch little of it again."""

from cdsed.model.objects import Piece
from cdsed.store import pieces
from cdsed.transfer.lease_broker import Grant
from cdsed.work.context import StoreContext
from cdsed.work.traffic import Traffic

# What a kill makes a session fetch again is at most so much, whichever comes first. Other sessions read it, too, to
# know when this one will be free (`cdsed.store.cutting`).
_SAVE_EVERY_BYTES, _SAVE_EVERY_S = 8 * 2**20, 0.05


class PieceProgress:
    """Notes how far a piece is: in the session's lock file every few megabytes, in the state when it is on the disk.

    The state is synced every `sync_every_s`: what was noted since then is fetched again after a power cut.

    The lock file names one piece. `_DownloadSession._next` clears it, and each piece of a batch is another one, so what
    it says at the beginning of a piece does not count for that piece.
    """

    def __init__(self, store: StoreContext, grant: Grant, piece: Piece, traffic: Traffic, sync_every_s: float) -> None:
        self._piece = piece
        self._store = store
        self._grant = grant
        self._traffic = traffic
        self._sync_every_s = sync_every_s
        self._saved_bytes, self._saved_s = piece.done_bytes, store.clock.boot_s()

    def written(self, done_bytes: int) -> None:
        """Note it in the lock file, if that is due."""
        now_s = self._store.clock.boot_s()
        if done_bytes - self._saved_bytes >= _SAVE_EVERY_BYTES or now_s - self._saved_s >= _SAVE_EVERY_S:
            self._grant.save_resume_point(self._piece.id, done_bytes, self._store.clock.booted_at())
            self._saved_bytes, self._saved_s = done_bytes, now_s

    def safe(self, done_bytes: int) -> None:
        """Note it in the state: these bytes are on the disk."""
        with self._store.db.write(durable=self._store.db.unsynced_for_s >= self._sync_every_s):
            pieces.advance(self._store.db, self._grant.lease, self._piece, done_bytes)
            self._traffic.count()
