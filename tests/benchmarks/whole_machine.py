"""Very many tiny products through the whole daemon, the memory of its processes, and what it does when idle."""

import contextlib
import tempfile
import time
from pathlib import Path

from cdsed.sandbox.names import realistic_safenames
from cdsed.sandbox.products import ProductSpec, SandboxProduct
from tests.benchmarks.data_sets import served
from tests.benchmarks.environment import BUILD, peers_bin
from tests.benchmarks.lab import BenchLab, RunningDaemon, services
from tests.benchmarks.processes import switches, written_bytes
from tests.benchmarks.result import Form, Result
from tests.benchmarks.servers import ACCOUNTS, rclone_served

_LONGEST_S, _LONGEST_SHORT_S = 240, 30
_STEADY_S = 10


def tiny_products(form: Form) -> list[Result]:
    """Give a daemon 100 000 products of 1 KiB (short: 2 000) at once, and stop it after 4 minutes (30 s)."""
    bin_dir = peers_bin()
    if bin_dir is None:
        return []
    count, longest_s = (2_000, _LONGEST_SHORT_S) if form.short else (100_000, _LONGEST_S)
    made = [SandboxProduct(3, ProductSpec(name, 1024)) for name in realistic_safenames("S5P", count, seed=13)]
    rows = [f"{product.spec.safename},{product.s3_path}" for product in made]
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        bucket = Path(folder, "bucket")
        for product in made:
            _write(product, bucket / "eodata")
        with rclone_served(bin_dir, bucket) as url:
            lab = BenchLab(Path(folder, "lab"), services(url), ACCOUNTS)
            with RunningDaemon(lab) as daemon:
                lab.drop(["Name,S3Path", *rows], "many.csv")
                done, taken_s = _until_published(daemon, count, longest_s)
                used_s = daemon.cpu_s()
            state_bytes = sum(file.stat().st_size for file in lab.state.glob("*.sqlite*"))
    what = f"{count:,} products of 1 KiB"
    print(f"{what}: {done} published in {taken_s:.0f} s")
    return [
        Result(what, done / taken_s, at_least=200, unit="products/s"),
        Result(f"{what}, CPU of each", used_s / max(1, done) * 1000, unit="ms"),
        Result(f"{what}, state of each", state_bytes / count, unit="bytes"),
    ]


def _write(product: SandboxProduct, bucket: Path) -> None:
    [body] = product.bodies.values()
    place = bucket / product.key
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"".join(body.pieces(0, body.size_bytes)))


def _until_published(daemon: RunningDaemon, count: int, longest_s: float) -> tuple[int, float]:
    """Return how many products were published, and in how many seconds."""
    begun_s, done = time.monotonic(), 0
    while done < count and time.monotonic() - begun_s < longest_s:
        time.sleep(0.5)
        [row] = daemon.lab.query("SELECT count(*) AS done FROM product WHERE state = 'done'") or [{"done": 0}]
        done = row["done"]
    return done, time.monotonic() - begun_s


def idle(form: Form) -> list[Result]:
    """Let a daemon run with nothing to do for five minutes (short: one; ``--repeats 10``: ten)."""
    minutes = form.times(5, 1)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        lab = BenchLab(Path(folder, "lab"), services("http://127.0.0.1:9"), ACCOUNTS)
        with RunningDaemon(lab) as daemon:
            time.sleep(_STEADY_S)
            pids = daemon.pids()
            before = daemon.cpu_s(), switches(pids), written_bytes(pids)
            time.sleep(minutes * 60)
            after = daemon.cpu_s(), switches(pids), written_bytes(pids)
    used_s, woken, written = (late - early for early, late in zip(before, after, strict=True))
    return [
        Result("idle: CPU, percent of a core", 100 * used_s / (minutes * 60), at_most=0.2, unit="%"),
        Result("idle: wake-ups", woken / minutes, unit="/min"),
        Result("idle: written to the disk", written / minutes, unit="bytes/min"),
    ]


def memory(_form: Form) -> list[Result]:
    """Let a daemon fetch OCN, and read the peak of the memory of its supervisor and of its largest worker."""
    bin_dir = peers_bin()
    if bin_dir is None:
        return []
    folder, paths, _truths = served("OCN")
    with rclone_served(bin_dir, folder) as url, tempfile.TemporaryDirectory(dir=BUILD) as place:
        lab = BenchLab(Path(place, "lab"), services(url), ACCOUNTS)
        with RunningDaemon(lab) as daemon:
            daemon.fetch([path.rpartition("/")[2] for path in paths])
            supervisor, *workers = daemon.pids()
            peaks = {pid: _peak_bytes(pid) for pid in (supervisor, *workers)}
    largest = max(peaks[pid] for pid in workers)
    return [
        Result("memory: supervisor", peaks[supervisor] / 1e6, at_most=45, unit="MB"),
        Result("memory: largest worker", largest / 1e6, at_most=60, unit="MB"),
    ]


def _peak_bytes(pid: int) -> int:
    """Return the largest resident size that a process has had; 0 if it has ended."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").split("\n")
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
    return 0
