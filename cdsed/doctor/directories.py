"""The directories of the settings, and the state: rights, space, file systems."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from cdsed.config.settings import Settings
from cdsed.doctor.finding import Finding, fine, problem, remark
from cdsed.doctor.isolated import Job, run_isolated
from cdsed.store.sqlite_version import sqlite_version, wal_is_safe

WITHIN_S = 20.0

_FEW_INODES = 10_000
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_STATE_FREE_BYTES_MIN = 10**9
_NEEDED = {
    "write": "cdsed cannot write a file there",
    "fsync": "after a power cut a file may be empty that cdsed believes to be safe",
    "rename": "a product would not appear complete at once",
    "flock": "two daemons could use the same session or the same place",
}


@dataclass(frozen=True, slots=True)
class CheckedDirectory:
    """One directory of the settings: whether cdsed writes to it, locks files there, and needs a local disk for it.

    `outlives_boot`: whether what is in it is of use after a restart of the machine.
    """

    key: str
    path: Path
    writes: bool = True
    needs_lock: bool = False
    is_local: bool = False
    outlives_boot: bool = True
    free_bytes_min: int = 0


def directories_of(settings: Settings) -> list[CheckedDirectory]:
    """Return the directories that the settings name, each once."""
    free = settings.disk.free_bytes_min
    found = [
        CheckedDirectory(
            "state_dir", settings.state_dir, needs_lock=True, is_local=True, free_bytes_min=_STATE_FREE_BYTES_MIN
        ),
        CheckedDirectory("runtime_dir", settings.sessions_dir, needs_lock=True, is_local=True, outlives_boot=False),
        CheckedDirectory("backup_dir", settings.backups_dir),
        CheckedDirectory("inbox.path", settings.inbox.path),
        *(CheckedDirectory("spools", path, free_bytes_min=free) for path in settings.spools),
        *([CheckedDirectory("pre_spool", settings.pre_spool, free_bytes_min=free)] if settings.pre_spool else []),
        *(CheckedDirectory("archives", archive.root, writes=False) for archive in settings.archives),
    ]
    return list({place.path: place for place in reversed(found)}.values())[::-1]


def check_directories(settings: Settings, within_s: float = WITHIN_S) -> Iterator[Finding]:
    """Look at every directory and at the state, each in a process of its own, and yield what was found."""
    places = directories_of(settings)
    jobs: dict[str, Job] = {
        str(place.path): {"kind": "directory", "path": str(place.path), "writes": place.writes} for place in places
    }
    found = run_isolated({**jobs, "state": {"kind": "state", "path": str(settings.state_dir)}}, within_s)
    for place in places:
        yield from _of_place(place, found[str(place.path)], within_s)
    yield from _of_staging(settings, found, within_s)
    yield _sqlite()
    yield _state(settings, found["state"], within_s)


def _of_place(place: CheckedDirectory, found: dict[str, Any] | None, within_s: float) -> Iterator[Finding]:
    subject = f"{place.key} {place.path}"
    if found is None:
        yield problem(
            "mount",
            subject,
            f"does not respond within {within_s:g} s",
            "its disk or file server hangs; cdsed pauses what needs it",
            "look at the mount and its server (`findmnt`, `dmesg`), or name another directory",
        )
        return
    if "error" in found:
        yield problem("rights", subject, found["error"], "cdsed cannot use it", "correct it, or name another directory")
        return
    yield _rights(place, subject, found)
    yield _file_system(place, subject, found)
    if place.writes:
        yield from _space(place, subject, found)
    for name, why in found.get("failed", {}).items():
        if name != "flock" or place.needs_lock:
            yield problem(name, subject, f"{name}: {why}", _NEEDED[name], "use another disk or other mount options")
        else:
            yield remark(
                name, subject, f"{name}: {why}", "only the state needs locks", "keep state_dir on a local disk"
            )


def _rights(place: CheckedDirectory, subject: str, found: dict[str, Any]) -> Finding:
    if not found["is_directory"]:
        return problem("rights", subject, f"{found['there']} is not a directory", "cdsed cannot use it", "rename it")
    if not found["exists"] and not found["enterable"]:
        # whether it exists is not known
        text = f"this user (uid {os.geteuid()}) may not enter {found['there']}"
        remedy = f"run this as the daemon's user, or: sudo chmod o+x {quote(found['there'])}"
        return problem("rights", subject, text, "cdsed cannot use it", remedy)
    if not found["exists"]:
        missing = f"does not exist; {found['there']} does"
        if not place.writes:
            return problem(
                "rights", subject, missing, "products there are fetched again", "mount it, or correct the path"
            )
        if found["writable"]:
            return fine("rights", subject, "does not exist yet; the daemon makes it")
        remedy = f"make it: sudo install -d -o {_user()} -m 750 {quote(str(place.path))}"
        return problem("rights", subject, missing, "this user may not make it", remedy)
    if found["read_only"] and place.writes:
        return problem(
            "rights", subject, "its file system is read-only", "cdsed cannot write there", "mount it writable"
        )
    if not found["readable"] or (place.writes and not found["writable"]):
        verb = "write to" if found["readable"] else "read"
        remedy = f"run this as the daemon's user, or: sudo chown {_user()} {quote(str(place.path))}"
        return problem(
            "rights", subject, f"this user (uid {os.geteuid()}) may not {verb} it", "cdsed cannot use it", remedy
        )
    return fine("rights", subject, "may be read and written" if place.writes else "may be read")


def _file_system(place: CheckedDirectory, subject: str, found: dict[str, Any]) -> Finding:
    kind = found["file_system"]
    if found["network"] and place.is_local:
        return problem(
            "file_system",
            subject,
            f"is on {kind}, a network file system",
            "SQLite and locks do not work across hosts there, and the state gets damaged",
            f"set {place.key} to a local disk, e.g. below /var/lib/cdsed",
        )
    if kind in _IN_MEMORY and place.outlives_boot:
        means = "it is empty after a restart of this machine"
        return remark("file_system", subject, f"is on {kind}, in memory", means, f"set {place.key} to a disk")
    return fine("file_system", subject, f"is on {kind}{', a network file system' if found['network'] else ''}")


def _space(place: CheckedDirectory, subject: str, found: dict[str, Any]) -> Iterator[Finding]:
    free, inodes = found["free_bytes"], found["inodes_free"]
    text = f"{free / 1e9:.1f} GB free"
    has_few_inodes = bool(found["inodes"]) and inodes < _FEW_INODES
    if has_few_inodes:
        means = "no file can be made" if inodes < 1 else "soon no file can be made"
        make = problem if inodes < 1 else remark
        yield make("inodes", subject, f"{inodes} inodes free", means, "remove many small files, or use another disk")
    if free < place.free_bytes_min:
        least = f"{place.free_bytes_min / 1e9:.1f} GB"
        means = "the state may not grow" if place.is_local else f"nothing is downloaded there below {least}"
        remedy = "make room" if place.is_local else "make room, or lower disk.free_bytes_min"
        yield problem("space", subject, f"{text}, below {least}", means, remedy)
    elif "full" in found and not (has_few_inodes and inodes < 1):
        means = "cdsed cannot write a file there"
        yield problem("space", subject, f"{text}, but: {found['full']}", means, "make room, or raise the disk quota")
    elif not has_few_inodes:
        yield fine("space", subject, text)


def _of_staging(settings: Settings, found: dict[str, Any], within_s: float) -> Iterator[Finding]:
    """Yield whether products can be moved from the pre-spool to each spool."""
    if settings.pre_spool is None:
        return
    able = [path for path in settings.spools if _is_usable(found[str(path)])]
    if not _is_usable(found[str(settings.pre_spool)]):
        return
    jobs: dict[str, Job] = {
        str(path): {"kind": "move", "source": str(settings.pre_spool), "target": str(path)} for path in able
    }
    for path, moved in run_isolated(jobs, within_s).items():
        subject = f"pre_spool {settings.pre_spool}, spool {path}"
        if moved is not None and moved.get("same"):
            yield fine("same_device", subject, "are on one file system, so that products are moved by one rename")
        elif moved is not None and moved.get("crosses"):
            means = "each product is copied once more, and needs its space twice"
            remedy = "leave out pre_spool, or put it on the file system of the spool"
            yield remark("same_device", subject, "are on different file systems", means, remedy)
        else:
            why = "does not respond" if moved is None else str(moved.get("why") or moved.get("error"))
            yield problem(
                "same_device", subject, why, "products cannot be moved to the spool", "look at both directories"
            )


def _is_usable(found: dict[str, Any] | None) -> bool:
    return (
        found is not None and "error" not in found and found["exists"] and found["is_directory"] and found["writable"]
    )


def _sqlite() -> Finding:
    version = sqlite_version()
    if wal_is_safe(version):
        return fine("sqlite", "", f"SQLite {version}, with WAL")
    means = "cdsed does without WAL, because this version may damage it; status and downloads wait for each other"
    return remark("sqlite", "", f"SQLite {version}", means, "pip install --upgrade apsw")


def _state(settings: Settings, found: dict[str, Any] | None, within_s: float) -> Finding:
    subject = f"state {settings.state_dir}"
    if found is None:
        means = "its disk hangs, or the state is very large"
        return problem("state", subject, f"cannot be read within {within_s:g} s", means, "run `cdsed state check`")
    if "error" in found:
        return problem("state", subject, found["error"], "cdsed cannot read its state", "run this as the daemon's user")
    if not found["exists"]:
        return fine("state", subject, "does not exist yet; the daemon makes it")
    if found.get("problems") or found.get("damaged"):
        text = "; ".join(found.get("problems", ())) or found["refused"]
        means = "the next start of the daemon recovers it from a backup or from the disks"
        return problem("state", subject, text, means, "restart the daemon, then run `cdsed state check`")
    if "refused" in found:
        return remark("state", subject, found["refused"], "it was not checked", "run this again after that")
    runs = "the daemon runs" if found["runs"] else "the daemon does not run"
    return fine("state", subject, f"is sound ({found['journal']}); {runs}")


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
