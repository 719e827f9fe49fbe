"""One look at a file, a directory or the state, as a process: ``python -m cdsed.doctor.probe JOB``."""

import errno
import fcntl
import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


def main(job: dict[str, Any]) -> dict[str, Any]:
    """Do a job, and return what was found.

    Parameters
    ----------
    job
        ``kind`` is ``file`` (with ``path``), ``directory`` (``path`` and ``writes``), ``move`` (``source`` and
        ``target``) or ``state`` (``path``).
    """
    try:
        return _KINDS[job["kind"]](job)
    except OSError as error:
        return {"error": error.strerror or str(error), "path": str(error.filename or job.get("path"))}


def _file(job: dict[str, Any]) -> dict[str, Any]:
    with os.fdopen(os.open(job["path"], os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        file.read(1)
    return {}


def _directory(job: dict[str, Any]) -> dict[str, Any]:
    from cdsed.store.filesystem import filesystem_kind, is_network

    path = Path(job["path"])
    there = next(each for each in (path, *path.parents) if os.path.lexists(each))
    if there.is_symlink() and not there.exists():
        return {"error": f"{there} is a symbolic link to {there.readlink()}, which cannot be reached"}
    space = os.statvfs(there)
    kind = filesystem_kind(there.resolve(), Path("/proc/self/mountinfo").read_text(errors="surrogateescape"))
    found = {
        "exists": there == path,
        "is_directory": there.is_dir(),
        "there": str(there),
        "file_system": kind,
        "network": is_network(kind),
        "free_bytes": space.f_bavail * space.f_frsize,
        "inodes": space.f_files,
        "inodes_free": space.f_favail,
        "read_only": bool(space.f_flag & os.ST_RDONLY),
        "readable": os.access(there, os.R_OK | os.X_OK, effective_ids=True),
        "writable": os.access(there, os.W_OK | os.X_OK, effective_ids=True),
        "enterable": os.access(there, os.X_OK, effective_ids=True),
    }
    if found["exists"] and found["is_directory"] and found["writable"] and job["writes"]:
        found |= _tried(path)
    return found


def _move(job: dict[str, Any]) -> dict[str, Any]:
    with _temporary(Path(job["source"])) as source:
        target = Path(job["target"], source.name)
        try:
            source.rename(target)
        except OSError as error:
            return {"same": False, "why": error.strerror, "crosses": error.errno == errno.EXDEV}
        finally:
            target.unlink(missing_ok=True)
    return {"same": True}


def _state(job: dict[str, Any]) -> dict[str, Any]:
    from cdsed.errors import StateDamaged, StateError
    from cdsed.process.lock import is_running
    from cdsed.store.database import open_read_only

    state_dir = Path(job["path"])
    runs = is_running(state_dir)
    try:
        db = open_read_only(state_dir, daemon_runs=runs)
        if db is None:
            return {"exists": False, "runs": runs}
        try:
            problems = db.problems()
            journal = str(db.value("PRAGMA journal_mode"))
        finally:
            db.close()
    except StateError as error:
        return {"exists": True, "runs": runs, "refused": str(error), "damaged": isinstance(error, StateDamaged)}
    return {"exists": True, "runs": runs, "problems": problems, "journal": journal}


@contextmanager
def _temporary(directory: Path) -> Iterator[Path]:
    """Yield a new hidden file, which the inbox ignores; it is removed at the end."""
    path = directory / f".cdsed-doctor-{secrets.token_hex(6)}.tmp"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _tried(directory: Path) -> dict[str, Any]:
    """Return what a temporary file could not do there, and apart from it why the disk took none (full, quota)."""
    failed: dict[str, str] = {}
    for name, attempt in _ATTEMPTS.items():
        try:
            attempt(directory)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                return {"failed": failed, "full": error.strerror}
            failed[name] = error.strerror or str(error)
    return {"failed": failed}


def _write(directory: Path) -> None:
    with _temporary(directory) as path:
        path.write_bytes(b"cdsed doctor\n" * 512)


def _sync(directory: Path) -> None:
    with _temporary(directory) as path, path.open("r+b") as file:
        file.write(b"x")
        file.flush()
        os.fsync(file.fileno())
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rename(directory: Path) -> None:
    """Replace one file by another: the name never disappears."""
    with _temporary(directory) as first, _temporary(directory) as second:
        inode = first.stat().st_ino
        first.rename(second)
        if second.stat().st_ino != inode or os.path.lexists(first):
            raise OSError(errno.EIO, "a renamed file is not the same file")


def _lock(directory: Path) -> None:
    """Lock a file twice: the second lock must be refused."""
    with _temporary(directory) as path, path.open("rb") as first, path.open("rb") as second:
        fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with suppress(BlockingIOError):
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
            raise OSError(errno.ENOLCK, "two processes get the same lock")


_ATTEMPTS = {"write": _write, "fsync": _sync, "rename": _rename, "flock": _lock}
_KINDS = {"file": _file, "directory": _directory, "move": _move, "state": _state}

if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))  # noqa: T201 - the result of this process
