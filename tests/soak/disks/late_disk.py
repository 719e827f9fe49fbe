"""A mount of an export as `tests.soak.disks.late_server` serves it, in a mount namespace of its own if need be."""

from collections.abc import Iterable
from pathlib import Path

from tests.soak.disks.fuse_disk import FuseDisk


class LateDisk(FuseDisk):
    """One mount of an export, with caches of its own; two with one `store` are two machines.

    Parameters
    ----------
    valid_s
        How long it believes what it has seen.
    under
        A command that runs its server in another mount namespace: only that one has the mount.
    """

    server = "tests.soak.disks.late_server"

    def __init__(self, store: Path, place: Path, valid_s: float, *, under: Iterable[str] = ()) -> None:
        super().__init__(store, place, under=under)
        self._option = str(valid_s)

    def cut(self) -> None:
        """Be without the server until `heal`."""
        self._ask(cut=True)

    def heal(self) -> None:
        """Have the server again; what was asked meanwhile is answered."""
        self._ask(cut=False)

    def dirty_bytes(self) -> int:
        """Return how much was written here, and is in memory only."""
        return int(self._ask()["dirty"])

    def write_back(self) -> int:
        """Write to the server what is in memory; return how many bytes that were, in all such calls."""
        return int(self._ask(write_back=True)["written_late"])
