"""One installation that lives through a year: its sandbox, its accounts, its listings, and what is measured of it."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import apsw

from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from cdsed.store.database import FILE_NAME
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

DAY_S = 86_400
PRODUCT_BYTES, PRODUCTS_OF_LISTING = 40_000, 4
_KINDS = ("S1_OCN", "S3", "S5P")
_FILL = Path(__file__).parents[2] / "benchmarks" / "programs" / "year.py"
_PRODUCTS_OF_A_FILLED_LISTING = 2_000
_ROLES = ("intake", "resolve", "download", "keys")
#: How to take back what the last migration made, to have a state of the release before.
_TAKEN_BACK = {
    17: "DROP TABLE bandwidth_limit; ALTER TABLE session DROP COLUMN hold_s; "
    "ALTER TABLE session DROP COLUMN machine; DROP TABLE machine; DROP TABLE lost_grant; "
    + "; ".join(f"ALTER TABLE traffic_step DROP COLUMN within_{second}_s" for second in range(1, 5))
}


@dataclass(frozen=True)
class Figures:
    """What the installation has at one moment, and the CPU time of a status; processes by role, the largest of each."""

    rss_kib: dict[str, int]
    descriptors: dict[str, int]
    threads: dict[str, int]
    files: int
    log_bytes: int
    state_bytes: int
    products: int
    status_ms: float
    backups: int


class YearInstallation:
    """The daemon, its sandbox and its directories."""

    def __init__(self, root: Path, volume_bytes: int) -> None:
        accounts = [
            replace(each, volume_bytes=volume_bytes, bandwidth_bytes_per_s=None, requests_per_minute=None)
            for each in make_accounts(2, seed=80)
        ]
        self.sandbox = SandboxProcess(accounts, seed=80).start()
        self.temporary = root / "tmp"
        self.temporary.mkdir(parents=True)
        self.lab = Installation(
            root / "lab",
            self.sandbox,
            transfer={"processes": 2, "session_cooldown_s": 0.3, "zip_fallback": True},
            inbox={"stable_for_s": 0.2, "scan_every_s": 0.5},
            retry={"attempts": 6, "first_delay_s": 30, "longest_delay_s": 3600},
        )
        self.lab.write_accounts({"default": accounts}, keys=False)
        self.daemon = DaemonProcess(self.lab, environ={"TMPDIR": str(self.temporary)})
        self.listings: dict[str, tuple[str, ...]] = {}
        self._new_names: dict[str, Iterator[str]] = {}

    def fill(self, products: int) -> None:
        """Fill the state as years have; what its last listing would fetch is cancelled."""
        count = max(1, products // _PRODUCTS_OF_A_FILLED_LISTING)
        command = [sys.executable, str(_FILL), str(self.lab.state), str(products), str(count)]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True, cwd=Path(__file__).parents[3], env=_PLAIN)
        done = self.lab.command("cancel", "--yes", f"listing-{count - 1}.txt", timeout_s=600)
        assert done.returncode == 0, done.stderr
        for old in (self.lab.state / "backups").glob("*.sqlite"):  # of the first listings only
            old.unlink()

    def start(self) -> None:
        """Start the daemon, and wait until its workers are there: a large state is examined first."""
        self.daemon.start()
        pids = self.daemon.worker_pids
        wait_until("the workers are there", lambda: len(pids()) >= len(_ROLES), 900, daemon=self.daemon)

    def stop(self) -> None:
        """Stop the daemon in order."""
        self.daemon.terminate()
        assert self.daemon.wait(120) == 0, self.daemon.log()[-3000:]

    def command(self, *arguments: str) -> None:
        """Run a command that has to succeed; a large state takes its time."""
        done = self.lab.command(*arguments, timeout_s=1800)
        assert done.returncode == 0, f"cdsed {' '.join(arguments)}: {done.returncode} {done.stderr}"

    def back_up(self) -> None:
        """Make a backup; if the daemon is just making its own, after that."""
        wait_until(
            "a backup is made", lambda: self.lab.command("state", "backup", timeout_s=1800).returncode == 0, 1800
        )

    def take_last_migration_back(self) -> None:
        """Make the state of a stopped daemon one of the release before."""
        with closing(apsw.Connection(str(self.lab.state / FILE_NAME))) as db:
            schema = db.pragma("user_version")
            db.execute(f"{_TAKEN_BACK[schema]}; PRAGMA user_version = {schema - 1}")

    def new_products(self, count: int, size_bytes: int = PRODUCT_BYTES) -> tuple[str, ...]:
        """Give the sandbox so many more products, of several missions."""
        names = []
        for number in range(count):
            kind = _KINDS[number % len(_KINDS)]
            names.append(next(self._new_names.setdefault(kind, _names(kind))))
        self.sandbox.add_products(*({"safename": name, "size_bytes": size_bytes} for name in names))
        return tuple(names)

    def drop(self, name: str, products: tuple[str, ...]) -> None:
        """Drop a listing, and remember what it has to bring."""
        self.listings[name] = products
        self.lab.drop(name, products)

    def unreported(self) -> list[str]:
        """Return the listings without a report."""
        accepted = self.lab.inbox / ".accepted"
        return [name for name in self.listings if not (accepted / f"{name}.report.json").exists()]

    def rotate_log(self) -> str:
        """Return what was logged since the last time, and empty the log, as logrotate's copytruncate does."""
        text = self.daemon.log()
        os.truncate(self.daemon.log_path, 0)
        return text

    def figures(self, log_bytes: int) -> Figures:
        """Measure."""
        rss_kib: dict[str, int] = {}
        descriptors: dict[str, int] = {}
        threads: dict[str, int] = {}
        pids = [("supervisor", self.daemon.pid)]
        pids += [(role, pid) for role in _ROLES for pid in self.daemon.worker_pids(role)]
        for role, pid in pids:
            with suppress(OSError):
                lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
                status = dict(line.split(":", 1) for line in lines)
                rss_kib[role] = max(rss_kib.get(role, 0), int(status["VmRSS"].split()[0]))
                threads[role] = max(threads.get(role, 0), int(status["Threads"]))
                count = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - links of which nothing is asked
                descriptors[role] = max(descriptors.get(role, 0), count)
        before_s = _cpu_of_children_s()
        self.lab.command("status", timeout_s=600)  # its exit code says that something is unfinished
        status_ms = (_cpu_of_children_s() - before_s) * 1000
        state = self.lab.state
        return Figures(
            rss_kib=rss_kib,
            descriptors=descriptors,
            threads=threads,
            files=self._files(),
            log_bytes=log_bytes,
            state_bytes=(state / FILE_NAME).stat().st_size,
            products=self.lab.query("SELECT max(id) AS count FROM product")[0]["count"],
            status_ms=status_ms,
            backups=len(list((state / "backups").glob("*.sqlite"))),
        )

    def _files(self) -> int:
        """Count what is neither a product, a backup, nor a paper of a listing."""
        kept = {self.lab.state / "backups", self.lab.state / "aside", self.lab.inbox / ".accepted"}
        tops = (self.lab.state, self.lab.inbox, self.lab.spool / ".cdsed", self.temporary)
        files = (path for top in tops for path in top.rglob("*") if path.is_file())
        return sum(kept.isdisjoint(path.parents) for path in files)

    def fetched_bytes(self) -> int:
        """Return how many bytes the products on disk have by the sandbox's truth."""
        names = {name for products in self.listings.values() for name in products}
        on_disk = [name for name in names if (self.lab.spool / name).exists()]
        return sum(each.size_bytes for name in on_disk for each in self.sandbox.truth(name).values())

    def close(self) -> None:
        """End all processes."""
        self.daemon.__exit__()
        self.sandbox.stop()


_PLAIN = {
    **{name: value for name, value in os.environ.items() if name != "LD_PRELOAD"},
    "PYTHONPATH": str(Path(__file__).parents[3]),
}


def _names(kind: str) -> Iterator[str]:
    for seed in range(1000):
        yield from realistic_safenames(kind, 500, seed=8000 + seed)


def _cpu_of_children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def report_of(lab: Installation, name: str) -> dict[str, str]:
    """Return how each product of a listing ended, by its report."""
    path = lab.inbox / ".accepted" / f"{name}.report.json"
    return {row["safename"]: row["state"] for row in json.loads(path.read_text(encoding="utf-8"))["products"]}
