"""cdsed as its users run it, with default settings: started for one listing, or as a daemon that runs already."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from cdsed.errors import StateError
from cdsed.sandbox.accounts import SandboxAccount
from cdsed.store.database import open_read_only
from tests.benchmarks.environment import ROOT
from tests.benchmarks.processes import Cost, PeakMemory, cpu_s, timed, tree

#: Addresses at which nothing answers: the names of products tell their paths, so the catalogue is not asked.
_NOWHERE = "http://127.0.0.1:9"
ENVIRON = {
    **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    "PYTHONPATH": str(ROOT),
}
_LOOK_S = 0.003
_SETTLED_S = 1.5
_WAITING_CPU = 0.15  # of a core: an idle cluster takes some


def services(s3_url: str) -> dict[str, str]:
    """Return the addresses of a server that has S3 alone."""
    others = ("catalogue_url", "identity_url", "keys_manager_url", "download_url")
    return {"s3_url": s3_url, **dict.fromkeys(others, _NOWHERE)}


class BenchLab:
    """A new installation below a directory; the settings are the defaults but for paths, services and the disk's room.

    Parameters
    ----------
    root
        Is made; what was there is deleted.
    addresses
        The section ``services``.
    accounts
        Of the group ``default``, 4 sessions each.
    requests_per_minute
        Of each account; the servers of the comparisons have no such quota.
    settings
        Sections that differ from the defaults.
    """

    def __init__(
        self,
        root: Path,
        addresses: Mapping[str, str],
        accounts: Sequence[SandboxAccount],
        *,
        requests_per_minute: int = 1_000_000,
        **settings: Any,
    ) -> None:
        shutil.rmtree(root, ignore_errors=True)
        self.root, self.config = root, root / "cdsed.yml"
        self.inbox, self.spool, self.state = root / "inbox", root / "spool", root / "state"
        for directory in (self.inbox, self.spool):
            directory.mkdir(parents=True)
        accounts_file = root / "accounts.yml"
        accounts_file.touch(mode=0o600)
        logins = {
            account.name: {
                "login": account.user_name,
                "s3_access_key": account.access_key,
                "s3_secret_key": account.secret_key,
                "sessions": account.sessions,
                "requests_per_minute": requests_per_minute,
            }
            for account in accounts
        }
        accounts_file.write_text(yaml.safe_dump({"groups": {"default": {"accounts": logins}}}), encoding="utf-8")
        document: dict[str, Any] = {
            "state_dir": str(self.state),
            "spools": [str(self.spool)],
            "accounts_file": str(accounts_file),
            "services": dict(addresses),
            "inbox": {"path": str(self.inbox)},
            "disk": {"free_bytes_min": 0},
        }
        for section, values in settings.items():
            document[section] = {**document.get(section, {}), **values}
        self.config.write_text(yaml.safe_dump(document), encoding="utf-8")
        self.command = [sys.executable, "-m", "cdsed", "run", "--config", str(self.config)]
        self.log = root / "daemon.log"

    def drop(self, lines: Iterable[str], name: str = "listing.txt") -> float:
        """Move a listing into the inbox; return when, in seconds since boot."""
        written = self.root / f".{name}"
        written.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        moved_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        os.utime(written, times=(0, 0))  # it was written some time ago, and is moved now
        written.rename(self.inbox / name)
        return moved_s

    def report_of(self, name: str = "listing.txt") -> Path:
        """Return where the report of a listing will be."""
        return self.inbox / ".accepted" / f"{name}.report.json"

    def once(self, lines: Iterable[str], *, under: Sequence[str] = (), timeout_s: float = 300) -> Cost:
        """Run ``cdsed run --once`` with one listing in its inbox, from start to exit."""
        self.drop(lines)
        return timed([*under, *self.command, "--once"], ENVIRON, self.log, timeout_s)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Read the state; no rows before it exists."""
        with contextlib.suppress(StateError):
            db = open_read_only(self.state, daemon_runs=True)
            if db is not None:
                with contextlib.closing(db):
                    return db.rows(sql)
        return []

    def remove(self) -> None:
        """Delete it with everything that it fetched."""
        shutil.rmtree(self.root)


class RunningDaemon:
    """``cdsed run`` in an installation, from entry, when all its workers wait for work, to exit."""

    def __init__(self, lab: BenchLab, *, workers: int = 4) -> None:
        self.lab = lab
        self._workers = workers

    def __enter__(self) -> Self:
        with self.lab.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.lab.command, env=ENVIRON, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.until("it is up", lambda: len(self.lab.query("SELECT 1 FROM process")) >= self._workers, 60)
        time.sleep(_SETTLED_S)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(40)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """Return the supervisor's."""
        return self._process.pid

    def pids(self) -> list[int]:
        """Return those of the supervisor and of all its workers."""
        return tree(self.pid)

    def cpu_s(self) -> float:
        """Return the CPU seconds that it has used until now, with all its workers."""
        return cpu_s(self.pid)

    def until_it_waits(self) -> None:
        """Wait until all processes have begun, and take next to no CPU any more."""

        def waits() -> bool:
            used_s = self.cpu_s()
            time.sleep(_SETTLED_S)
            return self.cpu_s() - used_s < _WAITING_CPU * _SETTLED_S

        self.until("it waits for work", waits, 60)

    def fetch(self, lines: Iterable[str], timeout_s: float = 300, *, name: str = "listing.txt") -> Cost:
        """Move a listing in, and wait for its report."""
        report, used_s = self.lab.report_of(name), self.cpu_s()
        with PeakMemory(self.pid) as memory:
            begun_s = time.monotonic()
            self.lab.drop(lines, name)
            self.until("the report", report.exists, timeout_s)
            wall_s = time.monotonic() - begun_s
        return Cost(wall_s, self.cpu_s() - used_s, memory.peak_bytes)

    def until(self, what: str, condition: Callable[[], object], timeout_s: float) -> float:
        """Wait for a condition; return when it was seen, in seconds since boot; AssertionError if it never comes."""
        give_up_s = time.monotonic() + timeout_s
        while not condition():
            assert self._process.poll() is None, f"the daemon ended: {self.words()}"
            assert time.monotonic() < give_up_s, f"after {timeout_s} s still not: {what}\n{self.words()}"
            time.sleep(_LOOK_S)
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def words(self) -> str:
        """Return the end of its log."""
        return self.lab.log.read_text(encoding="utf-8", errors="replace")[-3000:]
