"""A lab whose daemon only takes listings: its account has no keys, so that products stay in the queue."""

import os
from pathlib import Path
from typing import Any

from tests.support.daemon import DaemonProcess, Installation
from tests.support.sandbox import SandboxProcess


def lab_that_only_takes(root: Path, sandbox: SandboxProcess, **settings: Any) -> Installation:
    lab = Installation(root, sandbox, **settings)
    accounts = root / "accounts.yml"
    lines = [line for line in accounts.read_text(encoding="utf-8").split("\n") if "s3_" not in line]
    accounts.write_text("\n".join(lines), encoding="utf-8")
    return lab


def counts(lab: Installation, name: str) -> dict[str, int]:
    """Return what the receipt of a listing counts."""
    receipt = lab.receipt(name)
    assert receipt is not None, f"{name} has no receipt"
    found: dict[str, int] = receipt["counts"]
    assert found["lines"] == sum(count for verdict, count in found.items() if verdict != "lines")
    return found


def refusal(lab: Installation, name: str) -> str | None:
    """Return why a file was rejected as a whole, None while it was not."""
    path = lab.inbox / ".rejected" / f"{name}.receipt.txt"
    return path.read_text(encoding="utf-8") if path.exists() else None


def peak_bytes(daemon: DaemonProcess) -> int:
    """Return the most memory the intake process has had at one time."""
    [pid] = daemon.worker_pids("intake")
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    [line] = [line for line in status.split("\n") if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def descriptors(daemon: DaemonProcess) -> int:
    """Return how many descriptors the intake process holds."""
    [pid] = daemon.worker_pids("intake")
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208
