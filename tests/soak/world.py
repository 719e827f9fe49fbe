"""The system under soak: an installation with two spools, a sandbox, a daemon that is restarted many times."""

import contextlib
import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import yaml

from cdsed.sandbox.accounts import make_accounts
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.disks import mount_refused, unmount
from tests.support.invariants import Eye, Watcher
from tests.support.sandbox import SandboxProcess
from tests.support.watch_thread import WatchThread

_SMALL_DISK_BYTES = 256 * 2**20
_ATTEMPTS = 30
_LOG_BYTES_MAX = 20_000_000


class World:
    """One installation with its processes, for as long as the soak takes.

    Attributes
    ----------
    counts
        Counts of what was done and found, by the labels of the final table.
    small_disk
        The first spool, a file system of its own that can be filled and made read-only; None where this user may
        not mount one.
    second_state
        Another daemon with a state and an account of its own, and the same spools.
    """

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.seed = seed
        self.counts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.found: list[str] = []
        self.small_disk: Path | None = None
        self._read_of_log = 0
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        accounts = make_accounts(3, seed=self.seed, bandwidth_bytes_per_s=6_000_000)
        self.sandbox = self._stack.enter_context(SandboxProcess(accounts, seed=self.seed))
        self.lab = Installation(
            self.root,
            self.sandbox,
            accounts=accounts[:2],
            inbox={"stable_for_s": 1.5},
            retry={"attempts": _ATTEMPTS},
            transfer={"read_timeout_s": 5, "rate_window_s": 3, "processes": 2},
        )
        second = self.root / "second"
        second.mkdir()
        self.spools = [self.lab.spool, second]
        self.lab.configure(spools=[str(spool) for spool in self.spools])
        second_state = Installation(
            self.root / "second-state",
            self.sandbox,
            accounts=accounts[2:],
            spools=[str(spool) for spool in self.spools],
            transfer={"read_timeout_s": 5, "rate_window_s": 3, "processes": 1},
        )
        self.second_state = DaemonProcess(second_state)
        self._mount()
        self.write_accounts()
        self.eye = Eye(self.lab.state, attempts=_ATTEMPTS)
        self.watcher = self._stack.enter_context(Watcher(self.sandbox, self.spools, counts_requests=False))
        self.memory = self._stack.enter_context(Memory(self))
        self.daemon = self._stack.enter_context(DaemonProcess(self.lab))
        self._stack.callback(self.second_state.__exit__)
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.__exit__(*exception)  # type: ignore[arg-type]

    def _mount(self) -> None:
        if not mount_refused(self.lab.spool, f"{_SMALL_DISK_BYTES}"):
            self.small_disk = self.lab.spool
            self._stack.callback(unmount, self.lab.spool)

    def write_accounts(self, *, wrong: str = "") -> None:
        """Give the first account its S3 keys and the second a password; the one named `wrong` gets a bad one."""
        first, second, _ = self.sandbox.accounts
        secret = "0" * 40 if first.name == wrong else first.secret_key
        document = {
            "groups": {
                "default": {
                    "accounts": {
                        first.name: {
                            "login": first.user_name,
                            "s3_access_key": first.access_key,
                            "s3_secret_key": secret,
                            "requests_per_minute": 1_000_000,
                        },
                        second.name: {
                            "login": second.user_name,
                            "password": "wrong" if second.name == wrong else second.password,
                            "requests_per_minute": 1_000_000,
                        },
                    }
                }
            }
        }
        path = self.root / "accounts.yml"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(document), encoding="utf-8")

    def secrets(self) -> list[str]:
        """Return every secret that must not be found."""
        return [word for account in self.sandbox.accounts for word in (account.secret_key, account.password) if word]

    def revive(self) -> None:
        """Start the daemon if it does not run."""
        if not self.daemon.running():
            self.daemon.start()
            self.counts["restarts of the daemon"] += 1

    def kill(self, pid: int) -> None:
        """Kill -9 one process and count it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.counts["kills"] += 1

    def finish_second_state(self, within_s: float) -> None:
        """Let the second state finish its requests, so that none of its files stays in a staging directory."""
        other = self.second_state
        if self.counts["listings of the second state"]:
            other.start()
            open_ones = "SELECT count(*) AS number FROM listing WHERE reported_at IS NULL"
            wait_until(
                "the second state has finished",
                lambda: (
                    [row["number"] for row in other.lab.query(open_ones)] == [0]
                    and not list(other.lab.inbox.glob("[!.]*"))
                ),
                within_s,
                daemon=other,
            )
            other.terminate()
            other.wait(60)

    def disk_is_away(self) -> bool:
        """Tell whether the first spool is an unmounted mount point."""
        return self.small_disk is not None and not os.path.ismount(self.small_disk)

    def take_away(self, name: str, path: Path) -> None:
        """Compare a product with the truth, and remove it, as its owner would."""
        if path.parent == self.small_disk and (
            self.disk_is_away() or os.statvfs(self.small_disk).f_flag & os.ST_RDONLY
        ):
            return
        with self.watcher.looking_away_from(name):
            wrong = self.lab.differences([name], path.parent)
            self.counts["products"] += 1
            self.counts["bytes"] += sum(item.size_bytes for item in self.sandbox.truth(name).values())
            self.counts["wrong bytes"] += bool(wrong)
            self.found += wrong
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def read_log(self) -> None:
        """Search the log since the last time for secrets and for unexpected errors."""
        with self.daemon.log_path.open("r+", encoding="utf-8", errors="replace") as log:
            log.seek(self._read_of_log)
            text = log.read()
            self._read_of_log = log.tell()
            if self._read_of_log > _LOG_BYTES_MAX:
                log.truncate(0)
                self._read_of_log = 0
        self.look_for_secrets("the log", text)
        for after in text.split("Traceback")[1:]:
            self.counts["tracebacks"] += 1
            self.found.append(f"Traceback{after[:1500]}")

    def look_for_secrets(self, where: str, text: str) -> None:
        """Count the secrets in a text."""
        for secret in self.secrets():
            if secret in text:
                self.counts["leaked"] += 1
                self.found.append(f"a secret stands in {where}")

    def look_everywhere_for_secrets(self) -> None:
        """Search the state, the receipts and reports, the status and the command lines."""
        for folder in (self.lab.state, self.lab.inbox):
            for path in folder.rglob("*"):
                if path.is_file() and path.name != "temporary_keys.json":
                    self.look_for_secrets(str(path), path.read_bytes().decode("latin-1"))
        for pid in [self.daemon.pid, *self.daemon.worker_pids()]:
            with contextlib.suppress(OSError):
                self.look_for_secrets(f"the command line of {pid}", _proc(pid, "cmdline"))
        self.look_for_secrets("the status", self.lab.command("status", "--json").stdout)

    def check(self) -> None:
        """Ask the checker and the independent checks, whatever the daemon is doing."""
        self.counts["checks"] += 1
        done = self.lab.command("check", "--state", "--every", "--json", timeout_s=120)
        if done.returncode not in (0, 1):
            self.counts["checks that could not"] += 1  # the state was locked for too long
            return
        broken = [
            f"{each['rule']}: {each['subject']}: {each['text']}" for each in json.loads(done.stdout)["violations"]
        ]
        self.counts["half-published"] += sum(each.startswith("incomplete") for each in broken)
        self.counts["doubled"] += sum(each.startswith("duplicate") for each in broken)
        wait_until("the state is recovered", (self.lab.state / "cdsed.sqlite").exists, 120, daemon=self.daemon)
        broken += self.eye.broken()
        self.counts["rules broken"] += len(broken)
        self.found += broken


class Memory(WatchThread):
    """Notes the most memory and descriptors that any process of a role had, and the size of the state."""

    def __init__(self, world: World) -> None:
        super().__init__(every_s=2)
        self._world = world
        self.first: dict[str, int] = {}
        self.most: Counter[str] = Counter()

    def look(self) -> None:
        """Note what they have now."""
        for role, pid in self._processes():
            with contextlib.suppress(OSError, StopIteration):
                status = _proc(pid, "status").split("\n")
                kib = int(next(line for line in status if line.startswith("VmRSS")).split()[1])
                self._note(f"{role}, RSS in KiB", kib)
                self._note(f"{role}, descriptors", len(os.listdir(f"/proc/{pid}/fd")))  # noqa: PTH208
        for name in ("cdsed.sqlite", "cdsed.sqlite-wal"):
            with contextlib.suppress(OSError):
                self._note(f"{name}, bytes", (self._world.lab.state / name).stat().st_size)

    def _processes(self) -> Iterator[tuple[str, int]]:
        daemon = getattr(self._world, "daemon", None)
        if daemon is None or not daemon.running():
            return
        yield "supervisor", daemon.pid
        for role in ("intake", "resolve", "download", "keys"):
            for pid in daemon.worker_pids(role):
                yield role, pid

    def _note(self, what: str, value: int) -> None:
        self.first.setdefault(what, value)
        self.most[what] = max(self.most[what], value)


def _proc(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")


def dice_for(seed: int, what: str, number: int) -> random.Random:
    """Return separate dice for each decision, so that one does not change another."""
    return random.Random(f"{seed}/{what}/{number}")


def wait(seconds: float) -> None:
    """Let the world continue."""
    time.sleep(seconds)
