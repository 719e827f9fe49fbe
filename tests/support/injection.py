"""System calls that kill, or fail, at a chosen moment: ``strace -e inject`` around a walk or a worker.

A walk (`tests.support.walk`) is recorded once; every call it made that changes a disk is a `Point`. Then it is
walked again from the same beginning with the process killed on entering that call, or with the call failing.
State changes by system calls alone: a kill between two of them leaves what a kill at the second one leaves.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import pytest

from cdsed.process import register

_ROOT = Path(__file__).resolve().parents[2]

#: Calls that change what is on a disk, or make it safe; not all of them exist on every architecture.
CHANGES = (
    *("write", "writev", "pwrite64", "pwritev", "ftruncate", "fallocate", "sendfile", "copy_file_range"),
    *("fsync", "fdatasync", "syncfs", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
    *("openat", "mkdir", "mkdirat", "unlink", "unlinkat", "rmdir", "chmod", "fchmod", "fchmodat", "utimensat"),
)
_CREATES = re.compile(r"\bO_CREAT\b")
_LINE = re.compile(r"(?P<pid>\d+) +(?P<syscall>\w+)\((?P<arguments>.*)")
_RESUMED = re.compile(r"(?P<pid>\d+) +<\.\.\. (?P<syscall>\w+) resumed>(?P<rest>.*)")
_WITH_DATA = frozenset({"write", "writev", "pwrite64", "pwritev"})
_DESCRIPTOR_OR_PATH = re.compile(r'(?:AT_FDCWD|\b\d+)<(?P<open>[^>]*)>|"(?P<path>(?:[^"\\]|\\.)*)"')
# What has another name in every walk.
_RANDOM = re.compile(r"process\.\d+\.\d+\.lock|(?<=/)query-\w{8}(?=/|$)|\.put-\w+\.tmp")


@dataclass(frozen=True, slots=True)
class Call:
    """One system call of a trace.

    Attributes
    ----------
    number
        Which one of its name it is in its thread, from 1: what strace calls ``when``.
    paths
        What it names, absolute: the file behind a descriptor, both names of a rename.
    mentioned
        The same as the call says it, and as strace's ``-P`` compares it: a name in an open directory stays a name.
    begun, ended
        Its place in the order of the whole trace.
    """

    pid: int
    syscall: str
    number: int
    paths: tuple[str, ...]
    mentioned: tuple[str, ...]
    arguments: str
    result: str
    begun: int
    ended: int

    @property
    def failed(self) -> bool:
        return self.result.startswith(("-1", "?"))

    @property
    def changes(self) -> bool:
        """Whether it changes a disk: opening counts only where it creates."""
        return self.syscall != "openat" or bool(_CREATES.search(self.arguments))


def parse_trace(text: str) -> list[Call]:
    """Read the output of ``strace -f -y``; calls appear in the order in which they ended."""
    calls: list[Call] = []
    begun: dict[int, tuple[int, str, str]] = {}
    counts: Counter[tuple[int, str]] = Counter()
    for position, line in enumerate(text.split("\n")):
        if resumed := _RESUMED.match(line):
            pid = int(resumed["pid"])
            if pid not in begun:
                continue
            start, syscall, arguments = begun.pop(pid)
            whole = arguments + resumed["rest"]
        elif plain := _LINE.match(line):
            pid, start, syscall, whole = int(plain["pid"]), position, plain["syscall"], plain["arguments"]
            counts[pid, syscall] += 1
            if whole.endswith("<unfinished ...>"):
                begun[pid] = (position, syscall, whole.removesuffix("<unfinished ...>"))
                continue
        else:
            continue
        arguments, _, result = whole.rpartition(" = ")
        named = arguments.partition(", ")[0] if syscall in _WITH_DATA else arguments  # what is written is not a name
        about = (_paths(named), _mentioned(syscall, named))
        calls.append(Call(pid, syscall, counts[pid, syscall], *about, arguments, result.strip(), start, position))
    return calls


def _paths(arguments: str) -> tuple[str, ...]:
    """Return the files that arguments name; a relative name belongs to the descriptor before it."""
    paths: list[str] = []
    directory = ""
    for found in _DESCRIPTOR_OR_PATH.finditer(arguments):
        if found["open"] is not None:
            directory = found["open"].removesuffix(" (deleted)")
            paths.append(directory)
            continue
        if paths and paths[-1] == directory:
            paths.pop()
        paths.append(os.path.join(directory, found["path"]))  # noqa: PTH118 - names, not files
    return tuple(paths)


def _mentioned(syscall: str, arguments: str) -> tuple[str, ...]:
    found = [match["path"] or match["open"] for match in _DESCRIPTOR_OR_PATH.finditer(arguments)]
    # Of a rename strace compares the old name only.
    return tuple(path.removesuffix(" (deleted)") for path in (found[:1] if syscall == "rename" else found))


@dataclass(frozen=True, slots=True)
class Point:
    """One moment of a walk: a call that changes something below the walk's directory.

    Attributes
    ----------
    number
        Which call of this name it is among those that say `named`: how often the network, or an import, makes others
        call differs from walk to walk.
    path
        The file it is about, relative to that directory.
    named
        What the call itself says: a path that begins with ``./`` for that directory, or a name in an open one;
        '' where that differs from walk to walk.
    """

    syscall: str
    number: int
    path: str
    named: str

    def __str__(self) -> str:
        return f"{self.syscall} no. {self.number} ({self.path})"

    def injection(self, action: str, root: Path) -> list[str]:
        """Return strace's options for letting `action` happen at this point of a walk below `root`."""
        named = str(root / self.named) if self.named.startswith("./") else self.named
        only = ["-P", named] if named else []
        return [*only, f"-einject={self.syscall}:{action}:when={self.number}"]


def points(calls: Iterable[Call], root: Path, elsewhere: Path | None = None) -> list[Point]:
    """Return the moments of a recorded walk at which it changes something below `root` or `elsewhere`, in order."""
    tops = [f"{top}/" for top in (root, elsewhere) if top is not None]
    found = []
    said: Counter[tuple[str, str]] = Counter()
    for call in calls:
        said.update((call.syscall, path) for path in set(call.mentioned))
        below = [path.removeprefix(top) for path in call.paths for top in tops if path.startswith(top)]
        if not below or not call.changes:
            continue
        named = call.mentioned[-1]
        if not any(map(_RANDOM.search, below)):
            number = said[call.syscall, named]
            found.append(Point(call.syscall, number, below[-1], named.replace(f"{root}/", "./")))
        # How many files others open before differs: the creation of such a file has no counterpart in the next walk.
        elif call.syscall != "openat":
            found.append(Point(call.syscall, call.number, _RANDOM.sub("random", below[-1]), ""))
    return found


@cache
def strace_refused() -> str:
    """Return why system calls cannot be traced here; '' when they can."""
    try:
        tried = subprocess.run(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e", "inject=fsync:error=EIO", "true"],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return "strace is not installed (Debian: apt-get install strace)"
    return f"strace may not trace here: {tried.stderr.strip()}" if tried.returncode else ""


needs_strace = pytest.mark.skipif(bool(strace_refused()), reason=strace_refused())


class Strace:
    """``strace -f`` on processes that exist already, until they end or the block is left.

    Parameters
    ----------
    pids
        Whom to trace; their threads and children are followed.
    log
        Where the trace goes.
    options
        More options, e.g. ``-einject=fsync:error=EIO:when=3``.
    """

    def __init__(self, pids: Sequence[int], log: Path, options: Sequence[str] = ()) -> None:
        self.log = log
        self._command = [
            "strace",
            "-f",
            "-y",
            "-s",
            "16",
            "-o",
            str(log),
            "-e",
            f"trace={syscall_filter(CHANGES)}",
            *options,
        ]
        self._command += [argument for pid in pids for argument in ("-p", str(pid))]
        self._attachments = len(pids)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        for _ in range(self._attachments):
            said = self._process.stderr.readline()
            assert "attached" in said, f"strace: {said}{self._process.stderr.read()}"
        self._drain = threading.Thread(target=self._process.stderr.read, daemon=True)
        self._drain.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.5)
        self._process.terminate()
        self._process.wait()
        self._drain.join()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def calls(self) -> list[Call]:
        """Return what was traced so far."""
        return parse_trace(self.log.read_text(encoding="utf-8", errors="replace"))


def syscall_filter(syscalls: Iterable[str]) -> str:
    """Return names for ``-e trace=``; those that this architecture does not have are left out."""
    return ",".join(f"?{name}" for name in syscalls)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a walk ended: its exit code, negative for a signal, and what it said."""

    code: int
    said: str


class Walker:
    """A process that has loaded everything and forks one walk after the other; see `tests.support.walk`.

    Parameters
    ----------
    config
        Settings of a place where it may walk once to load everything.
    module
        What it runs, a module that calls `tests.support.walk.serve`.
    """

    def __init__(self, config: Path, module: str = "tests.support.walk") -> None:
        self._config = config
        self._module = module

    def __enter__(self) -> Self:
        # Shared with another walker, the account's first session might be taken: that one would use the second.
        sessions = self._config.parent / "sessions-of-this-machine"
        sessions.mkdir(mode=0o700)
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._module, str(self._config)],
            cwd=_ROOT,
            env={**os.environ, register.VARIABLE: str(sessions)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._response() == "ready", "the walk does not work uninjured"
        return self

    def __exit__(self, *_exception: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

    def walk(self, said: Path, *words: str | Path) -> Ending:
        """Walk uninjured, to the end, with these arguments; what it says goes into a file."""
        self._ask("go", said, words)
        self._response()
        return self._ending(said)

    def traced(
        self, said: Path, log: Path, *words: str | Path, options: Sequence[str] = ()
    ) -> tuple[Ending, list[Call]]:
        """Walk under strace; return how it ended, and the calls that strace saw."""
        self._ask("hold", said, words)
        pid = int(self._response())
        _until_stopped(pid)
        with Strace([pid], log, options) as strace:
            os.kill(pid, signal.SIGCONT)
            ending = self._ending(said)
        return ending, strace.calls()

    def _ask(self, how: str, said: Path, words: Sequence[str | Path]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\t".join(map(str, (how, said, *words))) + "\n")
        self._process.stdin.flush()

    def _response(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def _ending(self, said: Path) -> Ending:
        code = os.waitstatus_to_exitcode(int(self._response()))
        return Ending(code, said.read_text(encoding="utf-8"))


def _until_stopped(pid: int) -> None:
    status = Path(f"/proc/{pid}/stat")
    while status.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "T":
        os.sched_yield()
