"""What is compared: cdsed in both its ways of running, and the programs of others, each fetching the same products."""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.environment import PROGRAMS
from tests.benchmarks.lab import ENVIRON, BenchLab, RunningDaemon, services
from tests.benchmarks.processes import Cost, commands_with, timed
from tests.benchmarks.servers import ACCOUNTS, keys_environ


@dataclass(frozen=True)
class Task:
    """Products to fetch from a server.

    Attributes
    ----------
    url
        Of the server.
    bin_dir
        Where the programs of others are.
    paths
        Of the products in the bucket ``eodata``.
    root
        A directory that the run may fill.
    """

    url: str
    bin_dir: Path
    paths: Sequence[str]
    root: Path

    @property
    def safenames(self) -> list[str]:
        """Return the names of the products."""
        return [path.rpartition("/")[2] for path in self.paths]

    @property
    def out(self) -> Path:
        """Return the directory in which the products have to be at the end."""
        return self.root / "out"


def _daemon(task: Task) -> Cost:
    lab = BenchLab(task.root, services(task.url), ACCOUNTS)
    with RunningDaemon(lab) as daemon:
        cost = daemon.fetch(task.safenames)
    lab.spool.rename(task.out)
    return cost


def _cluster(task: Task) -> Cost:
    """Run the daemon with as many holders in workers of Dask as it has sessions else."""
    lab = BenchLab(task.root, services(task.url), ACCOUNTS, engine={"kind": "dask"})
    with RunningDaemon(lab, workers=3) as daemon:
        holders = sum(account.sessions for account in ACCOUNTS)
        daemon.until("all holders run", lambda: len(commands_with(daemon.pid, "cdsed.engine.holder")) >= holders, 60)
        daemon.until_it_waits()
        cost = daemon.fetch(task.safenames)
    lab.spool.rename(task.out)
    return cost


def _once(task: Task) -> Cost:
    lab = BenchLab(task.root, services(task.url), ACCOUNTS)
    cost = lab.once(task.safenames)
    lab.spool.rename(task.out)
    return cost


def _rclone(*options: str) -> Callable[[Task], Cost]:
    def fetch(task: Task) -> Cost:
        """Copy the whole bucket, which has the wanted products alone."""
        remote = {
            "TYPE": "s3",
            "PROVIDER": "Rclone",
            "ENDPOINT": task.url,
            "REGION": "default",
            "ACCESS_KEY_ID": ACCOUNTS[0].access_key,
            "SECRET_ACCESS_KEY": ACCOUNTS[0].secret_key,
        }
        environ = {**os.environ, **{f"RCLONE_CONFIG_CDSE_{name}": value for name, value in remote.items()}}
        arrived = _empty(task) / "arrived"
        command = [task.bin_dir / "rclone", "--config", "/dev/null", "copy", "cdse:eodata", arrived, *options]
        cost = timed(command, environ, task.root / "log")
        _side_by_side(arrived, task)
        return cost

    return fetch


def _s5cmd(task: Task) -> Cost:
    commands, arrived = _empty(task) / "commands.txt", task.root / "arrived"
    lines = [f"cp s3://eodata/{path}/* {arrived / path}/\n" for path in task.paths]
    commands.write_text("".join(lines), encoding="utf-8")
    command = [task.bin_dir / "s5cmd", "--endpoint-url", task.url, "--numworkers", "8", "run", commands]
    cost = timed(command, keys_environ(), task.root / "log")
    _side_by_side(arrived, task)
    return cost


def _python(program: str) -> Callable[[Task], Cost]:
    def fetch(task: Task) -> Cost:
        """Run one of ``programs`` in the environment of the peers."""
        _empty(task)
        accounts = [(account.name, account.access_key, account.secret_key) for account in ACCOUNTS]
        case = {"url": task.url, "accounts": accounts, "paths": list(task.paths), "out": str(task.out)}
        command = [task.bin_dir / "python", "-W", "ignore", PROGRAMS / program, json.dumps(case)]
        environ = {name: value for name, value in ENVIRON.items() if name != "PYTHONPATH"}
        return timed(command, environ, task.root / "log")

    return fetch


def _empty(task: Task) -> Path:
    shutil.rmtree(task.root, ignore_errors=True)
    task.root.mkdir(parents=True)
    return task.root


def _side_by_side(arrived: Path, task: Task) -> None:
    """Move products from below their paths into one directory, so that all clients are checked alike."""
    task.out.mkdir()
    for path, name in zip(task.paths, task.safenames, strict=True):
        (arrived / path).rename(task.out / name)


DAEMON, ONCE = "cdsed, running daemon", "cdsed run --once"
CLUSTER = "cdsed, Dask on this machine"
RCLONE, RCLONE_UNCHECKED = "rclone copy", "rclone --ignore-checksum"
S5CMD, CDSODATACLI, OBSTORE = "s5cmd", "cdsodatacli", "obstore"
CLIENTS: dict[str, Callable[[Task], Cost]] = {
    DAEMON: _daemon,
    ONCE: _once,
    CLUSTER: _cluster,
    RCLONE: _rclone(),
    RCLONE_UNCHECKED: _rclone("--ignore-checksum", "--transfers", "8"),
    S5CMD: _s5cmd,
    CDSODATACLI: _python("cdsodatacli_listing.py"),
    OBSTORE: _python("obstore_listing.py"),
}


def ours(names: Iterable[str]) -> list[str]:
    """Return those of the names that are cdsed's."""
    return [name for name in names if name in {DAEMON, ONCE}]
