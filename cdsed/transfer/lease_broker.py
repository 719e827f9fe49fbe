"""The interface that grants sessions: the right to hold one connection of an account.

Its one implementation, `cdsed.work.flock_broker`, uses the kernel's locks of this machine.
"""

from typing import Protocol

from cdsed.model.objects import Lease
from cdsed.transfer.connection import Credentials


class Grant(Protocol):
    """A granted session. Close its connection before you give it back."""

    @property
    def lease(self) -> Lease:
        """Which session of which account; with its fence, the state checks that it is still held."""

    @property
    def credentials(self) -> Credentials:
        """The S3 keys to sign requests with."""

    @property
    def bandwidth_bytes_per_s(self) -> int | None:
        """The limit of the settings for the connection; None: no limit."""

    def is_valid(self) -> bool:
        """Tell whether the session may be used for the next work. Ask between two pieces of work."""

    def has_current_keys(self) -> bool:
        """Tell whether requests may still be signed with its credentials; `is_valid` asks this, too."""

    def save_resume_point(self, piece: int, done_bytes: int, booted_at: float) -> None:
        """Record how far a piece is, so that it is found after a kill.

        Raises
        ------
        StateError
            It cannot be written.
        """

    def release(self, *, used: bool) -> None:
        """End the lease; a session that was `used` has a cooldown before it is granted again."""


class LeaseBroker(Protocol):
    """Grants sessions."""

    def grant(self) -> Grant | None:
        """Grant the best free session of a group that has work; None when no such session is free."""
