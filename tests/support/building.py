"""Make targets, wheels and copies of the checkout; a fixture makes each once for all workers of a run."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def make(*arguments: str, cwd: Path = ROOT, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run make, without the variables of a surrounding make."""
    clean = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(
        command, cwd=cwd, env={**clean, **environ}, capture_output=True, text=True, timeout=600, check=False
    )


def service_python() -> str:
    """Return a Python that an installation can use; skip the test if this machine has none, or no index for pip."""
    found = subprocess.run(
        [ROOT / "packaging/find-python"],
        env={**os.environ, "CDSED_SERVICE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        pytest.skip(found.stderr)
    return found.stdout.strip()


@dataclass(frozen=True)
class Once:
    """Makes a directory once for all workers of this run of pytest; `shared` is where."""

    shared: Path

    def __call__(self, name: str, fill: Callable[[Path], None]) -> Path:
        """Return the directory `name`; the first caller lets `fill` make it."""
        place = self.shared / name
        with (self.shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.exists():
                fill(self.shared / f"{name}.new")
                (self.shared / f"{name}.new").rename(place)
        return place


def copy_sources(place: Path) -> None:
    """Copy the files of the project as they are here, for builds that leave no files in the checkout."""
    ignored = shutil.ignore_patterns(".git", ".venv*", "build", "dist", "__pycache__", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, place, ignore=ignored, symlinks=True)


def build_dist(sources: Path, place: Path) -> None:
    """Build the wheel and the source archive of a copy into a directory."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(place)]
    subprocess.run(command, cwd=sources, check=True, capture_output=True, timeout=120)
