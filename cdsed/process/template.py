"""A process from which workers are forked: it has imported what they need, and does nothing else.

A worker that starts as a command spends most of its start on imports, and keeps its own copy of them in memory. The
template is forked from the supervisor before that has threads, a database or a secret, and it never gets any. So what a
worker inherits is code. It reads settings and accounts itself, as one that starts as a command.

The template forks twice, and what is between ends at once. So the supervisor, as the nearest subreaper (prctl(2)),
becomes the parent of the worker: it waits for it, and is its parent process, as if it had started a command.
"""

import ctypes
import gc
import json
import logging
import os
import select
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NoReturn, Self

from cdsed.errors import ExitCode
from cdsed.process import systemd
from cdsed.process.exits import leave
from cdsed.process.interpreter import module_command
from cdsed.process.title import show_command
from cdsed.process.worker_control import PARENT_PIPE_FD

_MESSAGE_BYTES_MAX = 64 * 1024
_ANSWERS_WITHIN_S = 60.0  # it may still be importing, on a machine that is busy
_PR_SET_CHILD_SUBREAPER = 36

_log = logging.getLogger(__name__)


class Forked:
    """A worker that was forked: a child of this process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None

    def wait(self) -> int:
        """Wait for its end; return its exit code, or the negative number of the signal that killed it."""
        if self._status is None:
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._status

    def poll(self) -> int | None:
        """Return as `wait`; None: it runs."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status

    def kill(self) -> None:
        """Kill it."""
        os.kill(self.pid, signal.SIGKILL)


class Template:
    """A template, which one thread uses; as a context manager it ends it. See `forked` and `started`.

    Parameters
    ----------
    module
        The module whose commands it can start.
    requests
        A socket to it.
    pid
        It is a child of this process.
    answers_within_s
        A template that is slower is given up.
    """

    def __init__(self, module: str, requests: socket.socket, pid: int, answers_within_s: float) -> None:
        self._command = module_command(module)
        self._requests: socket.socket | None = requests
        self._pid = pid
        self._within_s = answers_within_s
        self._ready = False

    @classmethod
    def forked(cls, module: str, prepare: Callable[[], None], run: Callable[[Sequence[str]], int]) -> Self:
        """Fork a template from this process; `prepare` and `run` as for `be_template`.

        Raises
        ------
        OSError
            It cannot be forked.
        """
        assert threading.active_count() == 1, "a lock that another thread holds would never be free in a fork"
        ours, theirs = _sockets()
        pid = os.fork()
        if pid == 0:
            ours.close()
            show_command((*module_command(module), "template"))
            be_template(theirs, prepare, run)
        theirs.close()
        return cls(module, ours, pid, _ANSWERS_WITHIN_S)

    @classmethod
    def started(cls, module: str, command: Sequence[str], answers_within_s: float) -> Self:
        """Start a template as a command, which calls `be_template` with the socket that is its stdin.

        Raises
        ------
        OSError
            It cannot be started.
        """
        ours, theirs = _sockets()
        with theirs:
            stdin = (os.POSIX_SPAWN_DUP2, theirs.fileno(), 0)
            pid = os.posix_spawn(command[0], [*command], os.environ, file_actions=[stdin])
        return cls(module, ours, pid, answers_within_s)

    def wait_until_ready(self) -> None:
        """Wait until the template has imported everything; signals are noticed after it."""
        if self._requests is not None and not self._response():
            self._give_up()
        self._ready = True

    def is_ready(self) -> bool:
        """Tell, without waiting, whether the template has imported everything, or is dead."""
        if not self._ready and self._requests is not None and select.select([self._requests], [], [], 0)[0]:
            self.wait_until_ready()
        return self._ready

    def start(self, command: Sequence[str], parent_pipe_fd: int) -> Forked | None:
        """Start a command in a new process session, with the parent pipe and no other descriptor.

        Returns
        -------
        Forked
            None if this is not a command of the module, or if the template is dead: then start it otherwise.
        """
        if self._requests is None or tuple(command[: len(self._command)]) != self._command:
            return None
        with _subreaper():
            try:
                socket.send_fds(self._requests, [json.dumps(command).encode()], [parent_pipe_fd])
            except OSError:
                pid = b""
            else:
                pid = self._response()
        if pid:
            return Forked(int(pid))
        self._give_up()
        return None

    def _response(self) -> bytes:
        """Wait for a message of the template; return b"" if it is dead or too slow."""
        assert self._requests is not None, "it is not given up"
        if not select.select([self._requests], [], [], self._within_s)[0]:
            return b""
        with suppress(ConnectionError):
            return self._requests.recv(_MESSAGE_BYTES_MAX)
        return b""

    def _give_up(self) -> None:
        _log.warning("workers start as commands from now on, more slowly: the process they are forked from has died")
        self.close()

    def close(self) -> None:
        """End the template; workers that were forked from it stay."""
        if self._requests is not None:
            self._requests.close()
            self._requests = None
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def _subreaper() -> Iterator[None]:
    """Adopt orphans: only while a worker starts, since at other times nothing would wait for their end."""
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _sockets() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def be_template(requests: socket.socket, prepare: Callable[[], None], run: Callable[[Sequence[str]], int]) -> NoReturn:
    """Start workers until the owner of the template has closed its end, or died.

    Parameters
    ----------
    prepare
        Imports what the workers need.
    run
        Runs a command of the module, given as its arguments, and returns the exit code; called in a worker.
    """
    try:
        os.setsid()
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - os.devnull is a str
            os.dup2(nothing.fileno(), 0)
        os.dup2(2, 1)  # the output of a worker is log; it must not mix with the output of the supervisor
        for name in systemd.ENVIRONMENT:
            os.environ.pop(name, None)
        prepare()
        gc.freeze()  # a collection would write to every page that the workers share
        gc.enable()
        requests.send(b"ready")
        while True:
            message, descriptors, _, _ = socket.recv_fds(requests, _MESSAGE_BYTES_MAX, 1)
            if not message:
                break
            requests.send(b"%d" % _fork_worker(json.loads(message), descriptors[0], requests, run))
            os.close(descriptors[0])
    except OSError as error:
        _log.error("no worker can be forked: %s", error)
    finally:
        os._exit(ExitCode.OK)


def _fork_worker(
    command: Sequence[str], parent_pipe_fd: int, requests: socket.socket, run: Callable[[Sequence[str]], int]
) -> int:
    """Fork a worker; return its pid when it is a child of the owner and has a session of its own."""
    reader, writer = os.pipe()
    gate, key = os.pipe()
    between = os.fork()
    if between == 0:
        if os.fork() > 0:
            os._exit(ExitCode.OK)
        os.setsid()
        os.write(writer, b"%d" % os.getpid())
        for descriptor in (reader, writer, key):
            os.close(descriptor)
        requests.close()
        os.read(gate, 1)  # its end: the owner is the parent from now on
        os.close(gate)
        _be_worker(command, parent_pipe_fd, run)
    os.close(writer)
    os.close(gate)
    pid = int(os.read(reader, 32) or b"0")
    os.close(reader)
    os.waitpid(between, 0)
    os.close(key)
    return pid


def _be_worker(command: Sequence[str], parent_pipe_fd: int, run: Callable[[Sequence[str]], int]) -> NoReturn:
    code: int = ExitCode.BUG
    try:
        show_command(command)
        os.environ[PARENT_PIPE_FD] = str(parent_pipe_fd)
        code = run(command[len(module_command("")) :])
    finally:
        leave(code)
