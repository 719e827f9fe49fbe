"""A lab's installation in a directory, and the real daemon in it, for tests that run the whole program."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import yaml

from cdsed.errors import StateError
from cdsed.model.choice import Choice
from cdsed.model.part_marker import MARKER
from cdsed.sandbox.accounts import SHAREABLE, SandboxAccount
from cdsed.store.database import open_read_only
from tests.support.sandbox import SandboxProcess

_REPOSITORY = str(Path(__file__).parents[2])

QUICK: dict[str, Any] = {
    "inbox": {"stable_for_s": 0.2, "scan_every_s": 0.5},
    "transfer": {"session_cooldown_s": 0.3, "checkpoint_every_s": 0.3},
    "retry": {"first_delay_s": 0.2, "longest_delay_s": 2, "account_first_delay_s": 1, "account_longest_delay_s": 4},
    "disk": {"free_bytes_min": 0},
    "catalogue": {"requests_per_s": 20},
    "process": {"stop_within_s": 10},
}


def _limits(account: SandboxAccount, *, shared: bool) -> dict[str, int]:
    """Return the limits that an account shares with its group, or those that it has for itself."""
    limits = {quota: getattr(account, field) for quota, field in SHAREABLE.items()}
    limits["requests"] = limits["requests"] or 1_000_000
    return {SHAREABLE[quota]: limit for quota, limit in limits.items() if (quota in account.shares) is shared and limit}


class Installation:
    """Settings, accounts, inbox and spool below one directory, pointing at a sandbox.

    Parameters
    ----------
    settings
        Sections or keys that differ from quick defaults, e.g. ``transfer={"processes": 1}``.
    accounts
        The accounts the lab has; by default all of the sandbox. Their secrets may differ from the sandbox's.
    """

    def __init__(
        self,
        root: Path,
        sandbox: SandboxProcess,
        *,
        accounts: Iterable[SandboxAccount] | None = None,
        groups: dict[str, list[SandboxAccount]] | None = None,
        **settings: Any,
    ) -> None:
        self.root = root
        self.sandbox = sandbox
        self.config, self.accounts_file = root / "cdsed.yml", root / "accounts.yml"
        self.inbox, self.spool, self.state = root / "inbox", root / "spool", root / "state"
        for directory in (self.inbox, self.spool):
            directory.mkdir(parents=True)
        self._settings: dict[str, Any] = {
            "state_dir": str(self.state),
            "spools": [str(self.spool)],
            "accounts_file": str(self.accounts_file),
            "services": sandbox.services,
            **{key: dict(value) for key, value in QUICK.items()},
        }
        self._settings["inbox"]["path"] = str(self.inbox)
        self.configure(**settings)
        self.write_accounts(groups or {"default": list(sandbox.accounts if accounts is None else accounts)})

    def configure(self, **settings: Any) -> None:
        """Change settings (sections are merged) and write the file."""
        for key, value in settings.items():
            if isinstance(value, dict):
                self._settings[key] = {**self._settings.get(key, {}), **value}
            else:
                self._settings[key] = value
        self.config.write_text(yaml.safe_dump(self._settings), encoding="utf-8")

    def write_accounts(self, groups: dict[str, list[SandboxAccount]], *, keys: bool = True) -> None:
        """Write the accounts file, with S3 keys or else with passwords."""
        document = {
            "groups": {
                group: {
                    "shared": list(accounts[0].shares) if accounts else [],
                    **(_limits(accounts[0], shared=True) if accounts else {}),
                    "accounts": {
                        account.name: {
                            "login": account.user_name,
                            **(
                                {"s3_access_key": account.access_key, "s3_secret_key": account.secret_key}
                                if keys
                                else {"password": account.password}
                            ),
                            **_limits(account, shared=False),
                        }
                        for account in accounts
                    },
                }
                for group, accounts in groups.items()
            }
        }
        self.accounts_file.touch(mode=0o600)
        self.accounts_file.write_text(yaml.safe_dump(document), encoding="utf-8")

    def limit_bandwidth(self, bytes_per_s: int) -> None:
        """Limit each account of the default group.

        If pages do not divide it, writes end within pages, so late pages differ from what was fetched.
        """
        document = yaml.safe_load(self.accounts_file.read_text("utf-8"))
        for account in document["groups"]["default"]["accounts"].values():
            account["bandwidth_bytes_per_s"] = bytes_per_s
        self.accounts_file.write_text(yaml.safe_dump(document), encoding="utf-8")

    def drop(self, name: str, lines: Iterable[str], *, group: str | None = None) -> Path:
        """Put a listing into the inbox as a careful user does: write it elsewhere, rename it in."""
        written = self.root / f".{name}"
        written.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        directory = self.inbox / group if group else self.inbox
        directory.mkdir(exist_ok=True)
        return written.rename(directory / name)

    def command(
        self, *arguments: str, timeout_s: float = 60, under: Iterable[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a ``cdsed`` command to its end, under another one such as ``strace`` if need be."""
        return subprocess.run(
            [*under, sys.executable, "-m", "cdsed", *arguments],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env={**os.environ, "CDSED_CONFIG": str(self.config), "PYTHONPATH": _REPOSITORY},
            check=False,
        )

    def status(self, *arguments: str) -> dict[str, Any]:
        """Return what ``cdsed status --json`` says."""
        response: dict[str, Any] = json.loads(self.command("status", *arguments, "--json").stdout)
        return response

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Read the state; no rows before it exists."""
        try:
            db = open_read_only(self.state, daemon_runs=True)
        except StateError:  # it is just being made
            return []
        if db is None:
            return []
        with contextlib.closing(db):
            return db.rows(sql)

    def receipt(self, name: str) -> dict[str, Any] | None:
        """Return the receipt of an accepted listing, None before it is written."""
        return _json(self.inbox / ".accepted" / f"{name}.receipt.json")

    def report(self, name: str) -> dict[str, Any] | None:
        """Return the report of a listing, None before it is written."""
        return _json(self.inbox / ".accepted" / f"{name}.report.json")

    def states(self, name: str) -> dict[str, str]:
        """Return the final state of each product of a reported listing."""
        report = self.report(name)
        assert report is not None, f"{name} has no report"
        return {row["safename"]: row["state"] for row in report["products"]}

    def endings(self, name: str) -> list[tuple[str, int]]:
        """Return the final state of each product of a reported listing, and the attempts it was charged."""
        report = self.report(name)
        assert report is not None, f"{name} has no report"
        return [(row["state"], row["attempts"]) for row in report["products"]]

    def run_once(self, code: int = 0) -> str:
        """Run the daemon until all is finished, which has to end with this exit code; return its log."""
        with DaemonProcess(self, "--once") as daemon:
            assert daemon.wait(120) == code, daemon.log()
        return daemon.log()

    def differences(
        self, safenames: Iterable[str], place: Path | None = None, *, part: Choice | None = None
    ) -> list[str]:
        """Compare products on disk with the sandbox's truth, or a part of it, byte for byte; return what differs."""
        found = []
        for safename in safenames:
            top = (place or self.spool) / safename
            truth = self.sandbox.truth(safename)
            files = {str(path.relative_to(top)): path for path in top.rglob("*") if path.is_file()}
            if part is not None:
                truth = {path: known for path, known in truth.items() if path == "manifest.safe" or part.wants(path)}
                if files.pop(MARKER, None) is None:
                    found.append(f"{safename}: without its marker")
            if top.is_file():
                files, truth = {"": top}, {"": next(iter(truth.values()))}
            if files.keys() != truth.keys():
                found.append(f"{safename}: files {sorted(files.keys() ^ truth.keys())[:3]}")
                continue
            found += [f"{safename}/{path}" for path, file in files.items() if _md5(file) != truth[path].md5]
        return found


class DaemonProcess:
    """``cdsed run`` in an installation, as a real process with its workers; killed at the end, whatever happens.

    Parameters
    ----------
    environ
        What its environment has besides this process's own.
    only
        Its environment has nothing else.
    under
        A command that runs it in its own place, such as ``setpriv`` or ``unshare``.
    """

    def __init__(
        self,
        lab: Installation,
        *arguments: str,
        environ: Mapping[str, str] | None = None,
        only: bool = False,
        under: Iterable[str] = (),
    ) -> None:
        self.lab = lab
        self._arguments = arguments
        self._under = tuple(under)
        self._environ = {**({} if only else os.environ), "PYTHONPATH": _REPOSITORY, **(environ or {})}
        self.log_path = lab.root / "daemon.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exception: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.terminate()
            try:
                self.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        for pid in self.worker_pids():
            _signal(pid, signal.SIGKILL)

    @property
    def pid(self) -> int:
        """The supervisor's."""
        assert self._process is not None, "start it first"
        return self._process.pid

    def start(self) -> Self:
        """Start it; its log is appended to ``daemon.log``."""
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self._under,
                    sys.executable,
                    "-m",
                    "cdsed",
                    "run",
                    "--config",
                    str(self.lab.config),
                    *self._arguments,
                ],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def worker_pids(self, role: str = "") -> list[int]:
        """Return the pids of living workers of this installation, orphans included."""
        pids = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if (
                "role" in command
                and str(self.lab.config) in command
                and command[command.index("role") + 1].startswith(role)
            ):
                pids.append(int(entry.name))
        return sorted(pids)

    def until_at_work(self, workers: int = 4) -> None:
        """Wait until so many workers have entered the state."""
        wait_until(f"{workers} workers", lambda: len(self.lab.query("SELECT 1 FROM process")) == workers, daemon=self)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor."""
        _signal(self.pid, number)

    def terminate(self) -> None:
        """Send TERM to the supervisor."""
        self.send(signal.SIGTERM)

    def kill(self) -> None:
        """Kill -9 the supervisor."""
        _signal(self.pid, signal.SIGKILL)
        self.wait(10)

    def kill_all(self) -> None:
        """Kill -9 the supervisor and the workers that it has."""
        workers = self.worker_pids()
        self.kill()
        for pid in workers:  # they leave without it, so some may be gone
            _signal(pid, signal.SIGKILL)

    def wait(self, timeout_s: float) -> int:
        """Wait for the end of the supervisor; return its exit code."""
        assert self._process is not None, "start it first"
        return self._process.wait(timeout_s)

    def running(self) -> bool:
        """Tell whether the supervisor lives."""
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        """Return everything it has logged."""
        return self.log_path.read_text(encoding="utf-8")


def wait_until(
    what: str, condition: Callable[[], Any], timeout_s: float = 60, *, daemon: DaemonProcess | None = None
) -> Any:
    """Wait until `condition` is true and return its value; fail with `what` and the daemon's last words."""
    until = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            words = daemon.log()[-4000:] if daemon else ""
            raise AssertionError(f"after {timeout_s} s still not: {what}\n{words}")
        time.sleep(0.05)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _json(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
