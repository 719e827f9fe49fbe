"""The objects and pieces of a product in transfer, how far a piece is, and the lease that a session needs for it."""

import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from cdsed.clock import same_boot
from cdsed.frozen import frozen


@frozen
class ListedObject:
    """An object as the service lists it; ``path`` is its place below the product's directory.

    ``etag`` comes without quotes. Without a ``-`` it is the hex MD5 of the object.
    """

    key: str
    path: str
    size_bytes: int
    etag: str


@frozen
class Digests:
    """Hex digests of a whole object; None if not computed.

    ``stamp`` identifies the file and its last write: the digests hold only while the file has this stamp.
    """

    md5: str | None = None
    sha3_256: str | None = None
    stamp: str | None = None


@frozen
class StoredObject:
    """An object of a planned product, with the digests computed while it was fetched.

    ``bad_digest`` is that of the copy which failed verification last.
    """

    id: int
    key: str
    path: str
    size_bytes: int
    etag: str
    digests: Digests
    bad_digest: str | None


@dataclass(frozen=True, slots=True)
class Piece:
    """One ranged GET: bytes ``[first_byte, first_byte + size_bytes)`` of an object, `done_bytes` of them on disk."""

    id: int
    object_id: int
    key: str
    path: str
    etag: str
    object_bytes: int
    first_byte: int
    size_bytes: int
    done_bytes: int
    transient_failures: int

    @property
    def whole(self) -> bool:
        """Whether this piece is its whole object, with nothing of it on disk yet."""
        return self.size_bytes == self.object_bytes and self.done_bytes == 0


@frozen
class Places:
    """Where a product is put together and where it will appear, as directories."""

    staging: str
    destination: str


@frozen
class Lease:
    """A session held by this process; writes with an older fence are refused."""

    account: str
    slot: int
    group: str
    fence: int


@frozen
class ResumePoint:
    """How much of a piece a session has written, left in its lock file after every buffer.

    After a kill, the kernel still writes its page cache to the disk. After a reboot, the unwritten part is lost, so the
    resume point says in which boot it was saved.

    Attributes
    ----------
    booted_at
        UTC instant at which the machine booted.
    """

    fence: int
    piece: int
    done_bytes: int
    booted_at: float

    _FORM: ClassVar[struct.Struct] = struct.Struct("<QQQd")

    def pack(self) -> bytes:
        """Return it in binary form."""
        return self._FORM.pack(self.fence, self.piece, self.done_bytes, self.booted_at)

    @classmethod
    def unpack(cls, data: bytes) -> Self | None:
        """Read one from its binary form; None if none was saved."""
        return cls(*cls._FORM.unpack(data)) if len(data) == cls._FORM.size else None

    def is_of_boot(self, booted_at: float) -> bool:
        """Tell whether it was saved in the boot that began at `booted_at`."""
        return same_boot(self.booted_at, booted_at)
