"""The processes of the demo, a sandbox and a daemon, and the directory they work in."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from cdsed.cli import demo_plot
from cdsed.errors import CdsedError
from cdsed.inbox.directory import put
from cdsed.model.layout import archive_dir
from cdsed.model.safename import parse
from cdsed.process.interpreter import module_command
from cdsed.sandbox.accounts import SandboxAccount
from cdsed.sandbox.products import ProductSpec, SandboxProduct
from cdsed.sandbox.starter import settings_yaml, write_starter

LISTING = "demo.txt"

_SEED = 1
_BYTES_PER_S = 2_000_000  # of each of the four connections: slow enough to be watched
_READY_WITHIN_S = 20.0
_LEAVE_WITHIN_S = 15.0
# Two accounts have eight sessions.
_CLUSTER = "engine: {kind: dask, holders_per_worker: 3, grant_s: 15, renew_every_s: 2, lost_rest_s: 10}\n"
_FETCHED = re.compile(r"(\S+), pilot [0-9a-f-]+: ([0-9]+) bytes in ([0-9]+) requests")
# Variables with which the daemon of the demo would use a real installation.
_FOREIGN = ("CDSED_CONFIG", "CREDENTIALS_DIRECTORY", "STATE_DIRECTORY", "NOTIFY_SOCKET", "JOURNAL_STREAM")


class Stage:
    """The directory of the demo, and what is in it.

    Parameters
    ----------
    directory
        An empty directory.
    cluster
        Whether three workers of Dask have the connections.
    """

    def __init__(self, directory: Path, *, cluster: bool = False) -> None:
        self.directory = directory
        self._engine = _CLUSTER if cluster else ""
        self.config = directory / "cdsed.yml"
        self.state_dir = directory / "state"
        self.spool = directory / "spool"
        self.archive = directory / "archive"
        self.inbox = directory / "inbox"
        self.log = directory / "daemon.log"
        self.accounts = [
            SandboxAccount("first", "DEMOFIRST", "not-a-secret", bandwidth_bytes_per_s=_BYTES_PER_S),
            SandboxAccount("second", "DEMOSECOND", "nor-is-this", key_expires=datetime(2026, 1, 1, tzinfo=UTC)),
        ]
        self._port = 0

    @contextmanager
    def sandbox(self) -> Iterator[None]:
        """Run the sandbox, with the products of the plot in it."""
        accounts, ready = self.directory / "sandbox-accounts.json", self.directory / "sandbox.json"
        accounts.write_text(json.dumps([asdict(each) for each in self.accounts], default=str), encoding="utf-8")
        command = ["cdsed.sandbox", "--seed", str(_SEED), "--accounts-file", str(accounts), "--ready-file", str(ready)]
        with _running(command, self.directory / "sandbox.log") as process:
            url = _url(process, ready)
            self._port = urlsplit(url).port or 0
            self._call("POST", "products", [asdict(spec) for spec in demo_plot.specs().values()])
            write_starter(self.directory, url, self.accounts, demo_plot.expected())
            self.config.write_text(
                settings_yaml(url, self.directory.resolve())
                + f"archives: [{{root: {json.dumps(str(self.archive.resolve()))}}}]\n"
                + "transfer: {session_cooldown_s: 0.5, checkpoint_every_s: 0.5}\n"
                + self._engine,
                encoding="utf-8",
            )
            yield

    def fill_archive(self) -> None:
        """Put a product into the archive, as if it was fetched before."""
        for safename in demo_plot.archived():
            directory = archive_dir(self.archive, parse(safename), {})
            assert directory is not None, f"{safename} has no place in an archive"
            _write_product(directory / safename, demo_plot.specs()[safename])

    def drop_listing(self) -> Path:
        """Put the listing into the inbox; return its path."""
        written = self.directory / LISTING
        written.write_text(demo_plot.listing(), encoding="utf-8")
        return put(written, self.inbox)

    @contextmanager
    def daemon(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run the daemon until it has drained the inbox."""
        with _running(["cdsed", "run", "--once", "--config", str(self.config)], self.log) as process:
            yield process

    def fetched(self) -> list[str]:
        """Return what the holders of each worker of Dask fetched; nothing without a cluster."""
        found = _FETCHED.findall(self.log.read_text(encoding="utf-8", errors="replace"))
        return [
            f"worker {number} on {node}: {int(size_bytes) / 1e6:.1f} MB in {requests} requests"
            for number, (node, size_bytes, requests) in enumerate(found, start=1)
        ]

    def report_file(self, kind: str) -> Path:
        """Return the path of the receipt or report of the listing, e.g. ``report.txt``."""
        return self.inbox / ".accepted" / f"{LISTING}.{kind}"

    def truth(self, safename: str) -> dict[str, str]:
        """Return the MD5 of every file of a product by its path, from the sandbox."""
        objects = self._call("GET", f"truth/{quote(safename)}")["objects"]
        return {item["path"]: item["md5"] for item in objects}

    def counters(self) -> dict[str, Mapping[str, int]]:
        """Return what the sandbox counted for each account."""
        counters: dict[str, Mapping[str, int]] = self._call("GET", "counters")["accounts"]
        return counters

    def _call(self, method: str, path: str, value: object = None) -> Any:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)) as connection:
            connection.request(method, f"/_control/{path}", body=None if value is None else json.dumps(value))
            response = connection.getresponse()
            answer = json.loads(response.read())
        if response.status >= 400:
            raise CdsedError(f"the sandbox refuses {method} {path}: {answer['error']}")
        return answer


def last_words(log: Path, count: int = 15) -> str:
    """Return the last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").rstrip().split("\n")[-count:])


def _write_product(folder: Path, spec: ProductSpec) -> None:
    for path, body in SandboxProduct(_SEED, spec).bodies.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as out:
            out.writelines(body.pieces(0, body.size_bytes))


@contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a module of cdsed until the end of the block, in its own process session so that ^C does not reach it."""
    environ = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 - a module of cdsed
            module_command(*command),
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LEAVE_WITHIN_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _url(process: subprocess.Popen[bytes], ready: Path) -> str:
    until_s = time.monotonic() + _READY_WITHIN_S
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > until_s:
            raise CdsedError(f"the sandbox does not answer:\n{last_words(ready.with_name('sandbox.log'))}")
        time.sleep(0.05)
    return str(json.loads(ready.read_text(encoding="utf-8"))["url"])
