"""Messages to systemd, as in sd_notify(3); without ``NOTIFY_SOCKET`` nothing is sent."""

import logging
import math
import os
import socket
import time
from collections.abc import Callable, Mapping

from cdsed.clock import Clock

ENVIRONMENT = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""What systemd sets for its main process only; a worker must not inherit it."""

_STATUS_EVERY_S = 10.0
_SEND_WITHIN_S = 1.0

log = logging.getLogger(__name__)


class Systemd:
    """The service manager, if one started this process.

    Parameters
    ----------
    clock
        The clock for the intervals between messages.
    environ
        The environment with ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID``.
    """

    def __init__(self, clock: Clock, environ: Mapping[str, str] = os.environ) -> None:
        self._clock = clock
        self._address = environ.get("NOTIFY_SOCKET", "")
        self.ping_every_s = _ping_every_s(environ) if self._address else math.inf
        self._pinged_s = -math.inf
        self._status = ""
        self._status_s = -math.inf

    def takes(self, seconds: float) -> None:
        """Ask systemd for this much time, from now, until `ready`, for a start or a reload."""
        self._send(f"EXTEND_TIMEOUT_USEC={math.ceil(seconds) * 1_000_000}")
        # The extension postpones the watchdog too; a ping sets its time again.
        self._pinged_s = -math.inf
        self.ping()

    def ready(self, status: str) -> None:
        """Report that the service is up, or that a reload is over."""
        self._send("READY=1", self._status_line(status))

    def reloading(self) -> None:
        """Report that a reload has begun; `ready` ends it."""
        # systemd 253 and later wait indefinitely for a READY=1 whose RELOADING=1 had no CLOCK_MONOTONIC time.
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str) -> None:
        """Report that the service is about to stop."""
        self._send("STOPPING=1", self._status_line(status))

    def status(self, text: Callable[[], str | None]) -> None:
        """Report what the service does, at most every ten seconds and only if it has changed; None: no change."""
        if not self._address or self._clock.boot_s() < self._status_s + _STATUS_EVERY_S:
            return
        self._status_s = self._clock.boot_s()  # `text` may cost a query, so it is called as rarely as a report is sent
        former, status = self._status, text()
        if status is not None and status != former:
            self._send(self._status_line(status))

    def ping(self) -> None:
        """Feed the watchdog, if it is on and half its time has passed."""
        now_s = self._clock.boot_s()
        if now_s >= self._pinged_s + self.ping_every_s:
            self._pinged_s = now_s
            self._send("WATCHDOG=1")

    def _status_line(self, status: str) -> str:
        self._status = status
        self._status_s = self._clock.boot_s()
        return "STATUS=" + status.replace("\n", " ")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as service_manager:
                service_manager.settimeout(_SEND_WITHIN_S)
                service_manager.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            log.warning("cannot send %s to systemd at %s: %s", lines[0], self._address, error)


def _ping_every_s(environ: Mapping[str, str]) -> float:
    """Return half the watchdog's time; infinity where it is off or meant for another process."""
    pid, timeout_us = environ.get("WATCHDOG_PID", ""), environ.get("WATCHDOG_USEC", "")
    if not timeout_us.isdigit() or pid not in ("", str(os.getpid())):
        return math.inf
    return int(timeout_us) / 2e6 or math.inf
