"""The events of the log that programs look for, and the fields of a record.

Each event has a fixed id of 128 bits, which the journal has as MESSAGE_ID. An id never changes its meaning.
docs/logs.md lists all.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from types import MappingProxyType

from cdsed.errors import TransferError

#: The key of `extra` that `about` makes: an event or None, and fields.
ABOUT = "cdsed_about"
_context: ContextVar[Mapping[str, object]] = ContextVar("_context", default=MappingProxyType({}))
_KEYS = ("product", "account", "listing", "group", "disk", "worker", "error")


class LogEvent(Enum):
    """An event, by its id."""

    DAEMON_STARTED = "8f7a7949fbc041639b031acfcae703e7"
    DAEMON_STOPPED = "ab3cb33f1fb143ef8cbda80a50ff7c36"
    SETTINGS_RELOADED = "398a689d59c8407fa3a54045b94d87a0"
    LISTING_TAKEN = "e59a983ebcfc4f51a539e4ec5dfe7a2e"
    LISTING_FINISHED = "d29ee580685e416b9a046cea211c8564"
    LISTING_REJECTED = "c1390fea01ff4468aca84914acb29f83"
    PRODUCT_PUBLISHED = "77d1e5802fcf4adda2700307b3ca3f09"
    PRODUCT_PRESENT = "a5cd824c9e4b4860bf919bbc2928c495"
    PRODUCT_FAILED = "d38e1f93f9a24359a7403abe1092a4a0"
    PRODUCT_CORRUPT = "105a28868a304976aab0795db44872e2"
    ACCOUNT_OUT = "56444519be60427c8d29a9747b289076"
    ACCOUNT_BACK = "c31b5e52497b4b24bcf575addef497d2"
    ACCOUNT_THROTTLED = "b23c1ddffee94a64a5a70217b5aeef47"
    SERVICE_OUT = "4e9285dde7e04b84af32bdc3dfbf2eca"
    SERVICE_BACK = "3ddb0b127bc74824ae5b647f2ab701d6"
    DISK_OUT = "4336b1cdd3b44d22a5c44e41b8aab6d2"
    DISK_BACK = "cfa72d5130f64ce49b0700f30181f08e"
    INBOX_OUT = "396f3e9ac5f44ff584ab537290603d6b"
    INBOX_BACK = "87da6d809d3b4bd08ca9f7f077b06e54"
    STATE_DISK_FULL = "21922e0f05ab465090622c0a8a5521b7"
    STATE_DISK_BACK = "bf36f850d8354c09aa95c8017cc41f6f"
    STATE_RECOVERED = "15f88883e51e4bf2a1e5df1c8ccb4472"
    WORKER_CRASHED = "f19906fd961d492b9f3829b9029bbc32"
    LIMIT_CHANGED = "302f257fcad7489c917ad43c2d03ad06"
    PAUSE_BEGUN = "b32a4b0ef326481880b0387db85f8e45"
    PAUSE_ENDED = "669fb5eca08b421584f035ca459a357f"

    @property
    def label(self) -> str:
        """Its name in lower case, such as ``product_published``."""
        return self.name.lower()


def about(event: LogEvent | None = None, /, **fields: object) -> dict[str, object]:
    """Return the `extra` of a log call: what the record is about.

    Parameters
    ----------
    event
        The event; None for a record that only has fields.
    fields
        Of `product`, `account`, `listing`, `group`, `disk`, `worker` and `error` (a code of docs/errors.md) those that
        are known; None and '' are left out.
    """
    assert fields.keys() <= set(_KEYS), f"unknown fields: {fields.keys() - set(_KEYS)}"
    return {ABOUT: (event, fields)}


#: For a product that is on the disk already; the product is in the context of the record.
PRESENT = about(LogEvent.PRODUCT_PRESENT)


@contextmanager
def within(**fields: object) -> Iterator[None]:
    """Give each record of this thread these fields for the duration of the block; see `about`."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def fields_of(record: logging.LogRecord) -> Iterator[tuple[str, str]]:
    """Yield the fields of a record: its event and the id of that, and what it is about.

    The code of an error among the arguments of the message is its field `error`.
    """
    event, own = getattr(record, ABOUT, (None, {}))
    if event is not None:
        yield "event", event.label
        yield "message_id", event.value
    arguments = getattr(record, "arguments", record.args)
    codes = [each.code for each in arguments if isinstance(each, TransferError)] if isinstance(arguments, tuple) else []
    fields = {**({"error": codes[0]} if codes else {}), **_context.get(), **own}
    yield from ((key, str(value)) for key, value in fields.items() if value)
