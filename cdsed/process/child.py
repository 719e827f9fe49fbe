"""One worker process, seen from the supervisor."""

import os
import signal
import socket
import subprocess
from enum import Enum

from cdsed.clock import Clock
from cdsed.frozen import frozen
from cdsed.process import systemd
from cdsed.process.exits import ChildExit
from cdsed.process.limits import Limits
from cdsed.process.memory import make_expendable
from cdsed.process.template import Forked, Template
from cdsed.process.worker_control import PARENT_PIPE_FD

_MESSAGE_BYTES_MAX = 4096


@frozen
class ChildSpec:
    """A worker to keep running: its unique name, and its command."""

    name: str
    command: tuple[str, ...]


class ChildState(Enum):
    """The state of a running child."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"


class Child:
    """A running child. The constructor starts it; `reap` ends the object.

    It is forked from a template if that can start its command.

    It gets a process session of its own, so that ^C in a terminal reaches only the supervisor. Messages come over a
    SEQPACKET pair: each arrives whole, and a full buffer drops a heartbeat instead of blocking the worker.

    Attributes
    ----------
    pidfd
        Readable when the child has ended.
    parent_pipe
        Readable when the child has sent a message.
    text
        The text of its last heartbeat.

    Raises
    ------
    OSError
        The command cannot be started.
    """

    def __init__(self, spec: ChildSpec, clock: Clock, template: Template | None = None) -> None:
        self.spec = spec
        self.state = ChildState.STARTING
        self.was_ready = False
        self.text = ""
        self.killed_s: float | None = None
        self._clock = clock
        self.parent_pipe, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._process, self.pidfd = _start(spec.command, theirs.fileno(), template)
        except OSError:
            self.parent_pipe.close()
            raise
        self.pid = self._process.pid
        make_expendable(self.pid)
        self.started_s = clock.boot_s()
        self._since_s = self.started_s  # the limits count from here: start, last heartbeat, or request to stop

    def read_messages(self) -> bool:
        """Read the messages of the child; return False at the end of file."""
        while True:
            try:
                message = self.parent_pipe.recv(_MESSAGE_BYTES_MAX, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return True
            if not message:
                return False
            self._take(message.decode(errors="replace"))

    def terminate(self) -> None:
        """Ask the child to leave in order (SIGTERM); a second call does nothing."""
        if self.state is not ChildState.STOPPING:
            self.state = ChildState.STOPPING
            self._since_s = self._clock.boot_s()
            signal.pidfd_send_signal(self.pidfd, signal.SIGTERM)

    def kill(self) -> None:
        """Kill the child and the processes of its group."""
        if self.killed_s is None:
            self.killed_s = self._clock.boot_s()
            os.killpg(self.pid, signal.SIGKILL)

    def overdue(self, limits: Limits) -> str | None:
        """Return which limit the child has exceeded, in words that follow its name; None while it has not."""
        waited_s = self._clock.boot_s() - self._since_s
        if self.killed_s is not None:
            return "was killed"
        if self.state is ChildState.STARTING and waited_s > limits.ready_within_s:
            return f"is not ready after {waited_s:.0f} s"
        if self.state is ChildState.READY and waited_s > limits.hung_after_s:
            return f"has sent no heartbeat for {waited_s:.0f} s"
        if self.state is ChildState.STOPPING and waited_s > limits.stop_within_s:
            return f"has not left {waited_s:.0f} s after SIGTERM"
        return None

    def excuse(self, seconds: float) -> None:
        """Extend the child's limit by `seconds`, in which the supervisor itself did not run."""
        self._since_s = min(self._since_s + seconds, self._clock.boot_s())

    def reap(self) -> ChildExit:
        """Kill what the ended child left running, and collect the child; return how it ended."""
        os.killpg(self.pid, signal.SIGKILL)  # the child is not yet collected, so the group's number is still ours
        returncode = self._process.wait()
        os.close(self.pidfd)
        self.parent_pipe.close()
        return ChildExit.from_returncode(returncode)

    def _take(self, message: str) -> None:
        word, _, text = message.partition(" ")
        if word == "ready":
            self.was_ready = True
            if self.state is ChildState.STARTING:
                self.state = ChildState.READY
        else:
            self.text = text
        if self.state is ChildState.READY:
            self._since_s = self._clock.boot_s()


def _start(
    command: tuple[str, ...], parent_pipe_fd: int, template: Template | None
) -> tuple[subprocess.Popen[bytes] | Forked, int]:
    """Start `command` in a new process session; return the process and its pidfd."""
    forked = template.start(command, parent_pipe_fd) if template is not None else None
    process = _run(command, parent_pipe_fd) if forked is None else forked
    try:
        return process, os.pidfd_open(process.pid)
    except OSError:
        process.kill()
        process.wait()
        raise


def _run(command: tuple[str, ...], parent_pipe_fd: int) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name not in systemd.ENVIRONMENT}
    return subprocess.Popen(  # noqa: S603 - the commands are the program's own
        command,
        stdin=subprocess.DEVNULL,
        stdout=2,  # the output of a worker is log; it must not mix with the output of the supervisor
        start_new_session=True,
        pass_fds=(parent_pipe_fd,),
        env=environment | {PARENT_PIPE_FD: str(parent_pipe_fd)},
    )
