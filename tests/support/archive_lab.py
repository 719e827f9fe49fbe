"""A state with an archive of small products on disk, and `cdsed verify` as a real process."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cdsed.clock import SYSTEM_CLOCK
from cdsed.local import marker
from cdsed.model.listing import ProductRequest
from cdsed.sandbox.names import realistic_safenames
from cdsed.store import disks, products
from tests.support.cli_lab import ROOT, CliLab
from tests.support.local_products import make_product


class ArchiveLab:
    """Products in a spool with a marker, all of them known to the state."""

    def __init__(self, lab: CliLab, count: int) -> None:
        self.lab = lab
        self.spool = lab.root / "spool"
        self.names = realistic_safenames("S1_GRD", count, seed=3)
        self.paths = {name: make_product(self.spool, name) for name in self.names}
        db = lab.open()
        disks.remember(db, SYSTEM_CLOCK, self.spool, marker.mark(self.spool))
        with db.write():
            for name, path in self.paths.items():
                products.add(db, SYSTEM_CLOCK, ProductRequest(name, "default", 0, None), path=str(path))
        db.close()

    @property
    def progress(self) -> Path:
        return self.lab.state_dir / "verify" / "progress.jsonl"

    def batches(self) -> int:
        """Return how many batches an unfinished run has verified."""
        try:
            return self.progress.read_bytes().count(b"\n") - 1
        except FileNotFoundError:
            return 0

    def damage(self) -> dict[str, str]:
        """Make one product wrong, one short, one incomplete, one absent and one unreadable; return what each is."""
        wrong, short, incomplete, absent, unreadable = self.names[2:7]
        (self.paths[wrong] / "measurement" / "a.tiff").write_bytes(b"Pixels")
        (self.paths[short] / "measurement" / "a.tiff").write_bytes(b"pix")
        (self.paths[incomplete] / "measurement" / "a.tiff").unlink()
        self.paths[absent].rename(self.lab.root / "elsewhere")
        self.paths[unreadable].rename(self.lab.root / "elsewhere too")
        self.paths[unreadable].symlink_to(self.paths[unreadable])  # the kernel says ELOOP, as a disk might say EIO
        found = dict.fromkeys((wrong, short, incomplete), "wrong")
        return {**found, absent: "absent", unreadable: "unreadable"}

    def begin(self, *arguments: str) -> "subprocess.Popen[str]":
        """Begin to verify."""
        return subprocess.Popen(
            [sys.executable, "-m", "cdsed", "verify", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "CDSED_CONFIG": str(self.lab.config), "PYTHONPATH": str(ROOT)},
        )

    def verify(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Verify to the end."""
        with self.begin(*arguments) as process:
            out, err = process.communicate(timeout=170)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def report(self) -> dict[str, Any]:
        """Return the report."""
        read: dict[str, Any] = json.loads((self.lab.state_dir / "verify" / "report.json").read_text(encoding="utf-8"))
        return read

    def findings(self) -> dict[str, str]:
        """Return what the report says of products that are not right."""
        return {each["safename"]: each["finding"] for each in self.report()["problems"]}


def wait_while_it_runs(what: str, is_so: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    """Wait for a condition while a command runs, and fail when that ends before."""
    until_s = time.monotonic() + 150
    while not is_so():
        assert process.poll() is None, f"it ended before {what}: {process.communicate()}"
        assert time.monotonic() < until_s, f"{what} never came"
        time.sleep(0.02)
