"""Programs of Debian packages for tests: what is installed, else unpacked below ``build/debian``, never installed.

Nothing of the machine is changed but the lists of apt, which root updates where they are missing.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

_TREES = Path(__file__).resolve().parents[2] / "build" / "debian"
_IMPATIENT = ["-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=20"]


def program(name: str, package: str) -> Path:
    """Return a program of this machine or, unpacked, of a package without libraries of its own; skip without either."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    return Path(found) if found else unpacked(package) / "usr/bin" / name


def unpacked(*packages: str) -> Path:
    """Return the root of a tree with these packages, and those they need that are not installed; skip if it fails."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        pytest.skip(f"{' and '.join(packages)}: this machine has no packages of Debian")
    tree = _TREES / "+".join(packages)
    with _alone():
        if not tree.is_dir():
            new = _TREES / f"{tree.name}.new"
            shutil.rmtree(new, ignore_errors=True)
            (new / "packages").mkdir(parents=True)
            _unpack(packages, new)
            new.rename(tree)
    return tree


def _unpack(packages: tuple[str, ...], new: Path) -> None:
    wanted = _missing(packages)
    if not wanted and os.geteuid() == 0:
        _apt("update", "-qq")
        wanted = _missing(packages)
    done = _apt("download", "-qq", *wanted, cwd=new / "packages") if wanted else None
    if done is None or done.returncode:
        words = done.stderr.strip().splitlines()[-1:] if done else ["apt does not know it"]
        pytest.skip(f"{' and '.join(packages)}: no such package can be had here: {' '.join(words)}")
    for package in sorted((new / "packages").glob("*.deb")):
        subprocess.run(["dpkg-deb", "--extract", package, new], check=True, timeout=120)
        package.unlink()


def _missing(packages: tuple[str, ...]) -> list[str]:
    """Return the packages that an installation would bring."""
    planned = _apt("install", "--simulate", "--no-install-recommends", *packages).stdout
    return [line.split()[1] for line in planned.splitlines() if line.startswith("Inst ")]


def _apt(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = ["apt-get", *_IMPATIENT, "-o", "APT::Sandbox::User=root", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=150, check=False)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    _TREES.mkdir(parents=True, exist_ok=True)
    with (_TREES / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
