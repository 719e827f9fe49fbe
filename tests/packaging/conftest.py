"""One installation and one wheel for all tests, whichever of pytest's workers runs them."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def make(*arguments: str, cwd: Path = ROOT, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run make, without what a surrounding make has put into the environment."""
    clean = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(
        command, cwd=cwd, env={**clean, **environ}, capture_output=True, text=True, timeout=600, check=False
    )


def service_python() -> str:
    """Return a Python that an installation can use; skip the test where there is none, or no index for pip."""
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


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, Callable[[Path], None]], Path]]:
    """Make a directory once for all workers of this run of pytest."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name: str, fill: Callable[[Path], None]) -> Path:
        place = shared / name
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.exists():
                fill(shared / f"{name}.new")
                (shared / f"{name}.new").rename(place)
        return place

    return made


@pytest.fixture(scope="session")
def sources(once) -> Path:
    """The files of the project as they are here, in a directory of their own, for builds that leave nothing behind."""

    def copy(place: Path) -> None:
        ignored = shutil.ignore_patterns(".git", ".venv*", "build", "dist", "__pycache__", ".*_cache", ".hypothesis")
        shutil.copytree(ROOT, place, ignore=ignored, symlinks=True)

    return once("sources", copy)


@pytest.fixture(scope="session")
def dist(sources, once) -> Path:
    """The directory with wheel and source archive."""

    def build(place: Path) -> None:
        command = [os.sys.executable, "-m", "hatchling", "build", "-d", str(place)]
        subprocess.run(command, cwd=sources, check=True, capture_output=True, timeout=120)

    return once("dist", build)
