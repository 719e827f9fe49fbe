"""Who grants a session: the right to hold one connection of an account. A session does not know how it is granted.

The one implementation, `cdsed.work.flock_broker`, relies on the kernel's locks of this machine.
"""

from typing import Protocol

from cdsed.model.objects import Lease
from cdsed.transfer.connection import Credentials


class Grant(Protocol):
    """A granted session. Close its connection before you give it back."""

    @property
    def lease(self) -> Lease:
        """Which session of which account; its fence proves to the state that it is held."""

    @property
    def credentials(self) -> Credentials:
        """The keys to sign requests with."""

    @property
    def bandwidth_bytes_per_s(self) -> int | None:
        """Our own ceiling for the connection; None: as fast as it comes."""

    def is_valid(self) -> bool:
        """Tell whether the session may be used for the next work. Ask between two pieces of work."""

    def save_resume_point(self, piece: int, done_bytes: int, booted_at: float) -> None:
        """Leave how far a piece is, where it is found after a kill.

        Raises
        ------
        StateError
            It cannot be written.
        """

    def release(self, *, used: bool) -> None:
        """End the lease; after a session was `used`, it rests before it is granted again."""


class LeaseBroker(Protocol):
    """Grants sessions."""

    def grant(self) -> Grant | None:
        """Grant the best free session of a group that has work; None when there is none."""
