"""Send records to the journal of systemd by its native protocol, as entries with fields.

A journal that takes nothing never stops the caller: records are dropped then, and counted.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging_journald import JournaldTransport

#: The environment variable of another socket than the journal's: for tests, and for containers.
VARIABLE = "CDSED_JOURNAL_SOCKET"
_SOCKET = "/run/systemd/journal/socket"
_TRIES = 5
_BETWEEN_TRIES_S = 0.01
_IDENTIFIER = "cdsed"


class JournalHandler(logging.Handler):
    """Sends each record as one entry.

    Parameters
    ----------
    fields
        Makes the fields of an entry from a record, by their names in the journal.
    fallback
        Gets the records that the journal does not take.
    """

    def __init__(self, fields: Callable[[logging.LogRecord], Mapping[str, str]], fallback: logging.Handler) -> None:
        super().__init__()
        self._fields = fields
        self._fallback = fallback
        self._transport = _transport()
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record; the next one that arrives says how many were dropped."""
        try:
            fields = dict(self._fields(record))
            if self._dropped:
                fields["MESSAGE"] += f" (and {self._dropped} records before, which the journal did not take)"
            self._send(fields)
        except BlockingIOError:
            self._dropped += 1
        except OSError:
            self._fallback.handle(record)
        except (TypeError, ValueError, LookupError, AttributeError):  # the arguments do not fit the message
            self.handleError(record)
        else:
            self._dropped = 0

    def close(self) -> None:
        """Close the socket."""
        self._transport.socket.close()
        super().close()

    def _send(self, fields: Mapping[str, str]) -> None:
        """Send an entry; wait a moment if the journal is busy, but not for each record while it takes nothing."""
        entry = {**fields, "SYSLOG_IDENTIFIER": _identifier()}
        for _ in range(0 if self._dropped else _TRIES):
            try:
                self._transport.send(entry.items())
            except BlockingIOError:
                time.sleep(_BETWEEN_TRIES_S)
            else:
                return
        self._transport.send(entry.items())


def _transport() -> "JournaldTransport":
    from logging_journald import JournaldTransport  # only where the log goes to the journal

    # Each entry names the socket, because a restart of the journal replaces it.
    transport = JournaldTransport(os.environ.get(VARIABLE, _SOCKET), connected=False)
    transport.socket.setblocking(False)
    return transport


def _identifier() -> str:
    """Return the name of the program in the journal: cdsed, or that of the instance, as its unit has it."""
    state_directory = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    name = os.path.basename(state_directory)  # noqa: PTH119 - it may be empty
    return name if name.startswith(_IDENTIFIER) else _IDENTIFIER
