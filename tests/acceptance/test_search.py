"""A search of 25 000 products in one window, with faults and kills: each product once, no request twice."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.sandbox import SandboxProcess

COUNT = 25_000


@pytest.fixture
def sandbox():
    with SandboxProcess() as process:
        window = {"start": "2024-01-01", "end": "2024-01-15"}
        process.call("POST", "catalogue/generate", {"count": COUNT, **window})
        yield process


class Searcher:
    """``cdsed query`` as a user runs it, with a cache of its own."""

    def __init__(self, root: Path, sandbox: SandboxProcess) -> None:
        self.root, self.sandbox = root, sandbox
        self.cache, self.output = root / "cache", root / "found.csv"
        root.joinpath("state").mkdir()
        settings = {
            "state_dir": str(root / "state"),
            "inbox": {"path": str(root / "inbox")},
            "spools": [str(root / "spool")],
            "services": {"catalogue_url": sandbox.catalogue_url},
            "catalogue": {"requests_per_s": 30, "cache_dir": str(self.cache)},
        }
        root.joinpath("cdsed.yml").write_text(json.dumps(settings), encoding="utf-8")

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "cdsed", "query", "--config", str(self.root / "cdsed.yml")]
        command += ["--collection", "SENTINEL-1", "--start", "2024-01-01", "--end", "2024-01-15"]
        command += ["--output", str(self.output), "--format", "listing", *options]
        return subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def finish(self, *options: str) -> list[str]:
        """Search to the end; return the lines found."""
        assert self.start(*options).wait(120) == 0
        return self.output.read_text(encoding="utf-8").split("\n")[1:-1]

    def kept(self) -> set[str]:
        """Return what the cache holds whole, by key."""
        return {path.name for path in self.cache.glob("??/*") if not path.name.startswith("draft.")}

    def asked(self) -> list[str]:
        """Return the cache keys of all requests so far."""
        queries = [each["query"] for each in self.sandbox.requests() if each["operation"] == "odata"]
        urls = [f"{self.sandbox.catalogue_url}/Products?{query}" for query in queries]
        return [hashlib.sha256(url.encode()).hexdigest() for url in urls]


def assert_each_once(lines: list[str]) -> None:
    assert len(lines) == len({line.split(",")[0] for line in lines}) == len({line.split(",")[1] for line in lines})
    assert len(lines) == COUNT


def test_a_fault_on_every_tenth_request_loses_and_repeats_nothing(sandbox, tmp_path):
    sandbox.fault(kind="internal_error", operation="odata", every=10)
    searcher = Searcher(tmp_path, sandbox)

    lines = searcher.finish()

    assert_each_once(lines)
    assert sandbox.counters()["faults"]["internal_error"] >= 2


def test_a_killed_search_continues_where_it_stopped(sandbox, tmp_path):
    sandbox.fault(kind="internal_error", operation="odata", every=10)
    searcher = Searcher(tmp_path, sandbox)
    pages = 0
    for kill in range(1, 4):  # each time more pages are cached
        kept = searcher.kept()
        before = len(searcher.asked())
        process = searcher.start()
        wait_for_more_pages(searcher, process, pages + kill)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        assert not kept & set(searcher.asked()[before:])
        assert not searcher.output.exists()
        pages = len(searcher.kept())

    kept, before = searcher.kept(), len(searcher.asked())
    lines = searcher.finish()

    assert_each_once(lines)
    assert not kept & set(searcher.asked()[before:])
    assert len(kept) >= 3
    asked = len(searcher.asked())
    assert searcher.finish() == lines
    assert len(searcher.asked()) == asked


def test_without_a_cache_nothing_is_kept(sandbox, tmp_path):
    searcher = Searcher(tmp_path, sandbox)

    lines = searcher.finish("--no-cache", "--online", "--relative-orbit", "5")

    assert 0 < len(lines) < COUNT
    assert not searcher.cache.exists()


def wait_for_more_pages(searcher: Searcher, process: subprocess.Popen[bytes], count: int) -> None:
    until = time.monotonic() + 60
    while len(searcher.kept()) < count and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.005)
    assert process.poll() is None, "it ended before it could be killed"
