"""Verifying a batch of products: the same code in a command and on a worker."""

import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from cdsed._version import __version__
from cdsed.local.contents import Pulse, no_pulse
from cdsed.local.intact import judge
from cdsed.local.marker import look
from cdsed.verification.batch_wire import (
    BatchAnswer,
    BatchOrder,
    FoundProblem,
    RootMark,
    Subject,
    VerdictKind,
    as_text,
    read_as,
)

_PROBLEMS_MAX = 20
_CHARACTERS_MAX = 500


def judge_batch(text: str, pulse: Pulse = no_pulse) -> str:
    """Verify the products of a `BatchOrder`; return a `BatchAnswer`, both as text.

    Parameters
    ----------
    pulse
        Called now and then; it may raise to end the work.
    """
    order = read_as(BatchOrder, text)
    node = socket.gethostname()
    if order.version != __version__:
        return _refused(node, f"has cdsed {__version__}, and this command {order.version}: install the same there")
    if why := unseen(order.roots):
        return _refused(node, why)
    begun_s, parts, size_bytes = time.monotonic(), 0, 0
    problems: list[FoundProblem] = []
    for each in order.products:
        found, texts, bytes_of = _judged(each, pulse)
        size_bytes += bytes_of
        if found is None:
            parts += each.partial
        else:
            problems.append(FoundProblem(each.position, each.safename, each.path, found, texts, node))
    if problems and (why := unseen(order.roots)):  # their file system went away meanwhile
        return _refused(node, why)
    seconds = time.monotonic() - begun_s
    return as_text(BatchAnswer(node, "", parts, size_bytes, seconds, tuple(problems)))


def unseen(roots: Sequence[RootMark]) -> str:
    """Return why the products below one of these directories cannot be judged here; '' if all are as expected."""
    for each in roots:
        try:
            if each.marker:
                now = look(Path(each.root))
                if now is None:
                    return f"does not see {each.root}: is its file system mounted there?"
                if not now.marker:
                    return f"sees no marker in {each.root}: is its file system mounted there?"
                if now.marker != each.marker:
                    return f"sees another directory at {each.root}: is its file system mounted there?"
            elif not os.listdir(each.root):  # noqa: PTH208 - only whether there is a name
                return f"sees nothing in {each.root}: is its file system mounted there?"
        except FileNotFoundError:
            return f"does not see {each.root}: is its file system mounted there?"
        except OSError as error:
            return f"cannot read {each.root}: {error.strerror}"
    return ""


def _judged(subject: Subject, pulse: Pulse) -> tuple[VerdictKind | None, tuple[str, ...], int]:
    """Return what is wrong with a product, why, and its size in bytes."""
    path = Path(subject.path)
    try:
        check = judge(path, subject.safename, thorough=True, pulse=pulse)
        size_bytes = _size_bytes(subject.path)
    except OSError as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError) and not os.path.lexists(path):
            return VerdictKind.ABSENT, ("it is not there",), 0
        return VerdictKind.UNREADABLE, (_plain(f"{error.filename or path}: {error.strerror or error}"),), 0
    if check.as_taken if subject.partial else check.good:
        return None, (), size_bytes
    texts = [each[:_CHARACTERS_MAX] for each in check.problems[:_PROBLEMS_MAX]]
    if len(check.problems) > _PROBLEMS_MAX:
        texts.append(f"and {len(check.problems) - _PROBLEMS_MAX} more")
    return VerdictKind.WRONG, tuple(texts) or ("it is complete, and not the part that was fetched",), size_bytes


def _plain(text: str) -> str:
    """Return text that JSON can have: names of files may have any bytes."""
    return text.encode(errors="backslashreplace").decode()


def _size_bytes(path: str) -> int:
    """Return the size of a file, or of all files below a directory."""
    total, folders = 0, [path]
    if not os.path.isdir(path):  # noqa: PTH112 - as `judge` does
        return os.stat(path).st_size  # noqa: PTH116
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total


def _refused(node: str, why: str) -> str:
    return as_text(BatchAnswer(node, why))
