"""System calls that make data durable, counted for each small product, and the CPU of each small object."""

import hashlib
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.benchmarks.data_sets import LISTED, served
from tests.benchmarks.environment import BUILD, peers_bin
from tests.benchmarks.lab import BenchLab, services
from tests.benchmarks.result import Form, Result, spread
from tests.benchmarks.servers import ACCOUNTS, rclone_served

_SYNCS = ("fdatasync", "fsync", "sync_file_range", "syncfs")


def syncs(_form: Form) -> list[Result]:
    """Run ``cdsed run --once`` with OCN under strace, and once more without a product; the difference is counted."""
    bin_dir = peers_bin()
    if bin_dir is None or not shutil.which("strace"):
        print("syncs are not counted: strace or the server is missing")
        return []
    folder, paths, _truths = served("OCN")
    with rclone_served(bin_dir, folder) as url:
        whole = _counted(url, [path.rpartition("/")[2] for path in paths])
        fixed = _counted(url, ["# nothing"])
    per_product = {call: (whole[call] - fixed[call]) / len(paths) for call in _SYNCS}
    print("each small product: " + ", ".join(f"{count:.1f} {call}" for call, count in per_product.items()))
    durable = per_product["fdatasync"] + per_product["fsync"] + per_product["syncfs"]
    return [Result("fdatasync and fsync per small product", durable, at_most=8)]


def _counted(url: str, lines: list[str]) -> Counter[str]:
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        lab = BenchLab(Path(folder, "lab"), services(url), ACCOUNTS)
        summary = Path(folder, "calls")
        lab.once(
            lines, under=["strace", "-f", "--seccomp-bpf", "-c", "-e", f"trace={','.join(_SYNCS)}", "-o", str(summary)]
        )
        counts: Counter[str] = Counter()
        for line in summary.read_text(encoding="utf-8").splitlines():
            words = line.split()
            if words and words[-1] in _SYNCS:
                counts[words[-1]] = int(words[3])
        return counts


def small_objects(form: Form) -> list[Result]:
    """Take the CPU of ``run --once`` with OCN, less that with no product and that of MD5, by the object."""
    bin_dir = peers_bin()
    if bin_dir is None:
        return []
    folder, paths, truths = served("OCN")
    size_bytes = sum(part.products * part.size_bytes for part in LISTED["OCN"])
    digests_s = _md5_s(size_bytes)
    each_ms = []
    with rclone_served(bin_dir, folder) as url:
        for _ in range(form.times(5, 3)):
            whole_s = _cpu_s(url, [path.rpartition("/")[2] for path in paths])
            each_ms.append((whole_s - _cpu_s(url, ["# nothing"]) - digests_s) / len(truths.files) * 1000)
    return [spread("CPU per small object, all in but MD5", each_ms, "ms", at_most=1.2)]


def _md5_s(size_bytes: int) -> float:
    """Return the CPU seconds that MD5 of so many bytes takes here."""
    block, digest = bytes(2**20), hashlib.md5()
    begun_s = time.process_time()
    for _ in range(256):
        digest.update(block)
    return (time.process_time() - begun_s) * size_bytes / (256 * len(block))


def _cpu_s(url: str, lines: list[str]) -> float:
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        return BenchLab(Path(folder, "lab"), services(url), ACCOUNTS).once(lines).cpu_s
