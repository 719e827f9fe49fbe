"""Kill a step of cdsed (`tests.support.steps`) at each of its points, and compare the state with before and after."""

import re
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Self

from tests.support.campaign import KILL, identify
from tests.support.daemon import Installation
from tests.support.injection import Point, Walker, points
from tests.support.invariants import Eye

#: What a table may hold in whatever way a step ends: its log, and the times of its processes.
_IGNORED = frozenset({"command", "daemon", "process", "fence", "free_space", "sqlite_sequence", "transition"})
# Also what a killed `cdsed add` leaves in the inbox: the next one removes it after a day.
_UNCOUNTED = re.compile(r"-wal$|-shm$|/process\.|/\.put-\w+\.tmp$")
_TRIES = 3

#: All rows of a state by table, without its times.
Rows = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Step:
    """A step, and what it comes to.

    Attributes
    ----------
    words
        Its name and arguments.
    points
        Where it can be killed.
    before, after
        The state before and after it.
    files
        The files that are there after it.
    """

    words: tuple[str, ...]
    points: Sequence[Point]
    before: Rows
    after: Rows
    files: Sequence[str]

    def changed(self) -> set[str]:
        """Return the tables that it changes."""
        return {table for table, rows in self.before.items() if rows != self.after[table]}

    def decisive(self) -> list[Point]:
        """Return the last write of what it does, and the points at which a transaction is in the log."""
        into_file = next(n for n, point in enumerate(self.points) if _is_of(point, "pwrite64", "cdsed.sqlite"))
        written = [n for n in range(into_file) if _is_of(self.points[n], "pwrite64", "cdsed.sqlite-wal")]
        synced = [point for point in self.points if _is_of(point, "fdatasync", "cdsed.sqlite-wal")]
        return [self.points[written[-1]], *synced[1:]]  # the first one is of an empty log


class Steps:
    """Steps that all begin with the same installation, which is put back before each.

    Parameters
    ----------
    lab
        The installation; no process is at work in it.
    """

    def __init__(self, lab: Installation) -> None:
        self.lab = lab
        self._kept = lab.root.with_name(f"{lab.root.name}.kept")
        self._said = lab.root.with_name(f"{lab.root.name}.said")
        self._trace = lab.root.with_name(f"{lab.root.name}.trace")

    def __enter__(self) -> Self:
        identify(self.lab)
        shutil.copytree(self.lab.root, self._kept, symlinks=True)
        self._walker = Walker(self.lab.config, "tests.support.steps")
        self._walker.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._walker.__exit__(*exception)

    def put_back(self) -> None:
        """Give the installation the files that it began with."""
        self._said.unlink(missing_ok=True)
        shutil.rmtree(self.lab.root)
        shutil.copytree(self._kept, self.lab.root, symlinks=True)
        identify(self.lab)

    def taken(self, words: Sequence[str]) -> None:
        """Take a step, which has to succeed."""
        ending = self._walker.walk(self._said, self.lab.config, *words)
        assert ending.code == 0, ending.said

    def record(self, *words: str) -> Step:
        """Take a step once, and return what it comes to."""
        self.put_back()
        before = rows(self.lab)
        ending, calls = self._walker.traced(self._said, self._trace, self.lab.config, *words)
        assert ending.code == 0, ending.said
        # SQLite makes the index of its log again, and an empty log is the same as none.
        found = [point for point in points(calls, self.lab.root) if not _is_of_index(point)]
        return Step(words, found, before, rows(self.lab), files(self.lab))

    def killed(self, step: Step, point: Point) -> None:
        """Take a step that is killed at a point."""
        for _ in range(_TRIES):
            self.put_back()
            options = point.injection(KILL, self.lab.root)
            ending, calls = self._walker.traced(self._said, self._trace, self.lab.config, *step.words, options=options)
            hit = points(calls, self.lab.root)[-1:]
            if ending.code == -signal.SIGKILL and [(each.syscall, each.path) for each in hit] == [
                (point.syscall, point.path)
            ]:
                return
        raise AssertionError(f"not killed at {point}: {ending.code}, {hit}")

    def run(
        self,
        step: Step,
        chosen: Iterable[Point],
        *,
        together: Iterable[str] | None = None,
        wrong: Callable[[], list[str]] = list,
    ) -> list[str]:
        """Kill a step at these points, take it again each time, and return what is wrong, a sentence each.

        Parameters
        ----------
        together
            The tables that change in one transaction; None: all of them.
        wrong
            What else is wrong when the step has been taken again.
        """
        found = []
        tables = list(step.before if together is None else together)
        for point in chosen:
            self.killed(step, point)
            eye = Eye(self.lab.state)
            now = {table: found for table, found in rows(self.lab).items() if table in tables}
            here = [*eye.broken()]
            if all(_differences(now, {table: then[table] for table in tables}) for then in (step.before, step.after)):
                here.append(f"it is done in part: {now}")
            self.taken(step.words)
            here += [*eye.broken(), *_differences(rows(self.lab), step.after), *wrong()]
            here += [f"{path} is left or missing" for path in {*files(self.lab)} ^ {*step.files}]
            found += [f"{' '.join(step.words)}, killed at {point}: {each}" for each in here]
        return found


def _is_of_index(point: Point) -> bool:
    return point.path.endswith("-shm") or (point.syscall == "openat" and point.path.endswith("-wal"))


def _is_of(point: Point, syscall: str, name: str) -> bool:
    return point.syscall == syscall and point.path == f"state/{name}"


def files(lab: Installation) -> list[str]:
    """Return the files and directories of an installation, without the log of the state and locks of processes."""
    found = [str(path.relative_to(lab.root)) for path in lab.root.rglob("*")]
    return sorted(path for path in found if not _UNCOUNTED.search(path))


def _differences(now: Rows, then: Rows) -> list[str]:
    return [f"{table}: {now[table]} instead of {then[table]}" for table in then if now[table] != then[table]]


def rows(lab: Installation) -> Rows:
    """Return all rows of the state that a step may change, without times and inodes."""
    path = lab.state / "cdsed.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: _rows_of(db, table) for table in sorted({*tables} - _IGNORED)}


def _rows_of(db: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    # Whether there is a time counts, but not which one it is.
    wanted = [f"{name} IS NULL" if _is_time(name) else name for name in names if not name.endswith("inode")]
    return sorted(db.execute(f"SELECT {', '.join(wanted)} FROM {table}").fetchall(), key=repr)


def _is_time(name: str) -> bool:
    return name in ("at", "since") or name.endswith(("_at", "_s"))
