"""What happens with a million lines, a million products, and 32 workers."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from cdsed.clock import SYSTEM_CLOCK
from cdsed.local.presence import Archive, Presence
from cdsed.model.layout import archive_dir
from cdsed.model.listing import ProductRequest
from cdsed.model.safename import parse
from cdsed.sandbox.names import realistic_safenames
from cdsed.store import leases, processes, products
from cdsed.store.database import open_state
from cdsed.store.leases import AccountLimits
from tests.benchmarks.environment import BUILD, PROGRAMS
from tests.benchmarks.lab import ENVIRON
from tests.benchmarks.presence import MANIFEST
from tests.benchmarks.result import Form, Result

_MILLION = 1_000_000
_WORKERS, _CLAIMS = 32, 40
_ARCHIVES = 3
_START = slice(17, 32)  # of an acquisition, in a name


def intake_lines(form: Form) -> list[Result]:
    """Take one listing of a million names (short: 50 000) in a process that does nothing else.

    They are in the order of their acquisition, as the catalogue gives them, and for comparison a few at random: then
    each new name belongs to another page of the index of names.
    """
    count = 50_000 if form.short else _MILLION
    names = realistic_safenames("S1_GRD", count, seed=11)
    at_random = names[: count // 5]
    names.sort(key=lambda name: name[_START])
    return [
        *_intake_of(names, "lines", lines_per_s_min=50_000, memory_mb_max=150),
        *_intake_of(at_random, "lines at random", lines_per_s_min=None, memory_mb_max=150),
    ]


def _intake_of(names: list[str], what: str, *, lines_per_s_min: float | None, memory_mb_max: float) -> list[Result]:
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        root = Path(folder)
        for name in ("inbox", "spool"):
            (root / name).mkdir()
        (root / "inbox" / "many.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        command = [sys.executable, str(PROGRAMS / "intake_lines.py"), folder]
        done = subprocess.run(command, env=ENVIRON, capture_output=True, text=True, check=True)
    taken_s, found, peak_bytes = json.loads(done.stdout)
    assert found == len(names), f"{found} products of {len(names)} lines"
    what = f"intake of {len(names):,} {what}"
    return [
        Result(what, len(names) / taken_s, at_least=lines_per_s_min, unit="lines/s"),
        Result(f"{what}, memory", peak_bytes / 1e6, at_most=memory_mb_max, unit="MB"),
    ]


def claims(form: Form) -> list[Result]:
    """Let 32 workers claim products of a million that are ready (short: 50 000), all at the same time."""
    count = 50_000 if form.short else _MILLION
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        state = Path(folder, "state")
        _fill_state(state, count)
        workers = [_worker(state, number) for number in range(_WORKERS)]
        for worker in workers:
            assert worker.stdout
            assert worker.stdout.readline() == "ready\n", "a worker did not begin"
        begun_s = time.monotonic()
        answers = [worker.communicate()[0] for worker in _begun(workers)]
        whole_s = time.monotonic() - begun_s
    taken_ms: list[float] = [each_ms for answer in answers for each_ms in json.loads(answer)]
    what = f"a claim among {_WORKERS} workers and {count:,} products"
    return [
        Result(f"{what}, median", median(taken_ms), unit="ms"),
        Result(f"{what}, 99th percentile", quantiles(taken_ms, n=100)[98], unit="ms"),
        Result(f"{what}, all together", len(taken_ms) / whole_s, unit="claims/s"),
    ]


def claim_alone(state: Path) -> float:
    """Return the median milliseconds of a claim of a worker that is alone with a state."""
    answer = _begun([_worker(state, 0)])[0].communicate()[0]
    return median(json.loads(answer.splitlines()[-1]))


def _fill_state(state: Path, count: int) -> None:
    db = open_state(state)
    accounts = [f"account-{number}" for number in range(_WORKERS // 4)]
    limits = {"sessions": 4, "requests_per_minute": _MILLION, "volume_bytes": 10**15, "key_expires_at": None}
    leases.sync_accounts(db, [AccountLimits(name=name, group="default", has_keys=True, **limits) for name in accounts])
    for first in range(0, count, 50_000):
        with db.write():
            for number in range(first, first + 50_000):
                products.add(db, SYSTEM_CLOCK, ProductRequest(f"S1A_TEST_{number:07d}.SAFE", "default", 0, None))
    (state / "filler.lock").touch()
    filler = processes.register(db, SYSTEM_CLOCK, name="filler", lock=state / "filler.lock")
    with db.write():
        db.rows("UPDATE product SET state = 'resolving', process = :filler, fence = 0", filler=filler)
        db.rows(
            "UPDATE product SET state = 'ready', process = NULL, fence = NULL, path_source = 'name', "
            "s3_path = '/eodata/' || safename"
        )
    db.close()


def _worker(state: Path, number: int) -> "subprocess.Popen[str]":
    command = [sys.executable, str(PROGRAMS / "claims.py"), str(state), str(number), str(_CLAIMS)]
    return subprocess.Popen(command, env=ENVIRON, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _begun(workers: "list[subprocess.Popen[str]]") -> "list[subprocess.Popen[str]]":
    """Let all of them begin before the first is waited for."""
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("begin\n")
        worker.stdin.flush()
    return workers


def presence_million(form: Form) -> list[Result]:
    """Find a million products (short: 20 000) in three archives, which have three quarters of them."""
    count = 20_000 if form.short else _MILLION
    names = realistic_safenames("S1_GRD", count, seed=12)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        archives = [Archive(Path(folder, f"archive-{number}"), {}) for number in range(_ARCHIVES)]
        for number, name in enumerate(names):
            if number % (_ARCHIVES + 1) < _ARCHIVES:
                _put(archives[number % (_ARCHIVES + 1)], name)
        presence = Presence([Path(folder, "spool")], archives)
        begun_s = time.monotonic()
        missing = sum(presence.find(name, Path(folder, "outputdir")) is None for name in names)
        taken_s = time.monotonic() - begun_s
    assert missing == sum(number % (_ARCHIVES + 1) == _ARCHIVES for number in range(count))
    return [Result(f"presence of {count:,} products in {_ARCHIVES} archives", count / taken_s, unit="products/s")]


def _put(archive: Archive, name: str) -> None:
    parent = archive_dir(archive.root, parse(name), {})
    assert parent
    product = parent / name
    product.mkdir(parents=True)
    (product / "manifest.safe").write_text(MANIFEST, encoding="utf-8")
    (product / "data.tiff").write_bytes(b"measured")
