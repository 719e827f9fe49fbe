"""The interface that grants sessions: the right to hold one connection of an account.

`cdsed.work.flock_broker` uses the kernel's locks of this machine. `cdsed.engine.holder_broker` adds a process, perhaps
on another machine, that has the connection.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from cdsed.model.objects import Lease
from cdsed.transfer.bandwidth import BandwidthBudget
from cdsed.transfer.connection import Endpoint
from cdsed.transfer.product import Watch
from cdsed.transfer.transport import Transport


class Claimant(Protocol):
    """The connection that asks for a request.

    Attributes
    ----------
    waits
        Whether it is closed until the rate limit of its account allows a request.
    """

    waits: bool

    def close(self) -> object:
        """Close the connection."""


@dataclass(frozen=True, slots=True)
class SessionTools:
    """What a session has for its connection; all but `claim`, the right to each request, as for `FetchContext`."""

    endpoint: Endpoint
    claim: Callable[[Claimant], None]
    buffer: memoryview = field(repr=False)
    budget: BandwidthBudget
    checkpoint_every_s: float
    stop: threading.Event
    watch: Watch


class Grant(Protocol):
    """A granted session. Close its connection before you give it back."""

    @property
    def lease(self) -> Lease:
        """Which session of which account; with its fence, the state checks that it is still held."""

    def transport(self, tools: SessionTools) -> Transport:
        """Return the connection of the session, which its first request opens."""

    def is_valid(self) -> bool:
        """Tell whether the session may be used for the next work. Ask between two pieces of work."""

    def has_current_keys(self) -> bool:
        """Tell whether requests may still be signed with its keys; `is_valid` asks this, too."""

    def may_take_more(self) -> bool:
        """Tell whether it may be given further work, as far as the state does not say so itself; cheap."""

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
