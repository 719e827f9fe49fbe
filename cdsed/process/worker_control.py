"""The worker's side of supervision: when to stop, and the heartbeat.

`run_worker` is the whole main function of a worker process. Its body must check ``control.stop`` wherever it waits, and
return soon after it is set.
"""

import contextlib
import logging
import math
import os
import selectors
import signal
import socket
import threading
from collections.abc import Callable

from cdsed.clock import SYSTEM_CLOCK, Clock
from cdsed.errors import CdsedError, ExitCode, Stopped
from cdsed.process.signals import SignalWakeup

PARENT_PIPE_FD = "CDSED_PARENT_PIPE_FD"
"""The environment variable with the number of the inherited descriptor of the parent pipe."""

_NOW_WITHIN_S = 1.0
_TEXT_BYTES_MAX = 1000

log = logging.getLogger(__name__)


class WorkerControl:
    """The stop events of a worker, and its messages to the supervisor.

    Attributes
    ----------
    stop
        Set when the worker has to leave in order: after SIGTERM, or after the death of the supervisor.
    now
        Set at a second SIGTERM, one second before `watch` ends the process; ``stop`` is set too.
    orphaned
        Whether the supervisor is gone, so that another one may already run.
    """

    def __init__(self, name: str, parent_pipe: socket.socket | None, leave_within_s: float) -> None:
        self.stop = threading.Event()
        self.now = threading.Event()
        self.orphaned = False
        self._stop_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._name = name
        self._parent_pipe = parent_pipe
        self._leave_within_s = leave_within_s
        self._leave_at_s = math.inf
        self._stopping = False
        # A worker that is run by hand has to act on ^C and a closed terminal; else the supervisor does that.
        self._obeys = {signal.SIGTERM} if parent_pipe else {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}

    def fileno(self) -> int:
        """Return a descriptor that is readable when the supervisor or a signal has asked the worker to leave."""
        return self._stop_fd

    def ready(self) -> None:
        """Report that the worker has booted and takes work from now on."""
        self._say(b"ready")

    def heartbeat(self, text: str = "") -> None:
        """Send a heartbeat, with a text of what the worker does; any thread may call it, and it never blocks."""
        self._say(b"heartbeat " + text.encode()[:_TEXT_BYTES_MAX])

    def watch(self, wakeup: SignalWakeup) -> None:
        """Turn signals and the end of the parent pipe into events, until the process ends."""
        with selectors.DefaultSelector() as selector:
            selector.register(wakeup, selectors.EVENT_READ)
            if self._parent_pipe is not None:
                selector.register(self._parent_pipe, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select(self._time_left_s()):
                    if key.fileobj is wakeup:
                        self._on_signals(wakeup.read())
                    else:
                        selector.unregister(key.fileobj)
                        self._mourn()
                if self._time_left_s() == 0:
                    log.error("%s did not leave in time and ends at once", self._name)
                    os._exit(ExitCode.UNFINISHED)

    def _say(self, message: bytes) -> None:
        if self._parent_pipe is None:
            return
        # A supervisor that does not read must not block the work. `watch` notices one that died.
        with contextlib.suppress(BlockingIOError, ConnectionError):
            self._parent_pipe.send(message, socket.MSG_DONTWAIT)

    def _on_signals(self, signals: list[int]) -> None:
        for number in signals:
            if number not in self._obeys:
                continue
            if self._stopping:
                self.now.set()
                self._leave_within(_NOW_WITHIN_S)
            self._stopping = True
            self._ask_to_leave()

    def _mourn(self) -> None:
        """Leave because the supervisor is dead: it never writes, so only the end of the parent pipe is readable."""
        log.warning("the supervisor of %s is gone: leaving", self._name)
        self.orphaned = True
        self._ask_to_leave()
        self._leave_within(self._leave_within_s)

    def _ask_to_leave(self) -> None:
        self.stop.set()
        os.eventfd_write(self._stop_fd, 1)

    def _leave_within(self, seconds: float) -> None:
        self._leave_at_s = min(self._leave_at_s, SYSTEM_CLOCK.boot_s() + seconds)

    def _time_left_s(self) -> float | None:
        if self._leave_at_s == math.inf:
            return None
        return max(0.0, self._leave_at_s - SYSTEM_CLOCK.boot_s())


class HeartbeatClock(Clock):
    """A clock that sends a heartbeat at every wait: a batch of requests may take minutes, with retries even longer."""

    def __init__(self, heartbeat: Callable[[], None]) -> None:
        self._heartbeat = heartbeat

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Send a heartbeat, then wait."""
        self._heartbeat()
        return super().wait(stop, seconds)


def run_worker(name: str, body: Callable[[WorkerControl], None], *, leave_within_s: float = 10.0) -> ExitCode:
    """Run `body` as this worker process, and return its exit code.

    It takes over TERM, INT and HUP for the rest of the process: call it once, from the main thread, and end the process
    after it. A second TERM and the death of the supervisor end the process even if a thread hangs. It also works
    without a parent pipe in the environment (run by hand). Then INT and HUP stop it like TERM.

    Parameters
    ----------
    name
        The worker's name in log lines, e.g. ``download-1``.
    body
        Does the work in this thread: calls ``ready`` once, ``heartbeat`` regularly, and returns soon after
        ``stop`` is set.
    leave_within_s
        Time for the body to return after the death of the supervisor; then the process ends at once.

    Returns
    -------
    ExitCode
        OK when the body returned or raised `Stopped`, the exit code of a `CdsedError` (78 for `ConfigError`), BUG for
        any other exception, which is logged with its traceback.
    """
    control = WorkerControl(name, _inherited_parent_pipe(), leave_within_s)
    wakeup = SignalWakeup(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    threading.Thread(target=control.watch, args=(wakeup,), name=f"{name} watch", daemon=True).start()
    try:
        body(control)
    except Stopped:
        return ExitCode.OK
    except CdsedError as error:
        log.error("%s cannot continue: %s", name, error)  # noqa: TRY400 - its text is all there is to know
        return error.exit_code
    except Exception:
        log.exception("%s failed", name)
        return ExitCode.BUG
    return ExitCode.OK


def _inherited_parent_pipe() -> socket.socket | None:
    """Take the parent pipe out of the environment, so that no process started from here inherits it."""
    number = os.environ.pop(PARENT_PIPE_FD, None)
    if number is None:
        return None
    parent_pipe = socket.socket(fileno=int(number))
    parent_pipe.set_inheritable(False)
    return parent_pipe
