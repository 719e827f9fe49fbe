"""The environment of the clients: a virtual environment with the pinned versions, made once and kept in ``build``."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers.clients import REQUIREMENTS
from tests.support.kept_environment import kept_environment

_FROM_SOURCE = "cdsodatacli"  # the index has no wheel of it
_INSTALL_S_MAX = 1200


def peers_python() -> Path:
    """Return the Python of the environment; make it first where these versions are not there yet.

    A test that asked for it fails if it cannot be made: a run by name that tests nothing is not a run.
    """
    place = kept_environment("peers", REQUIREMENTS, _make)
    assert place is not None, "_make fails the test otherwise"
    return place / "bin" / "python"


def _make(place: Path) -> bool:
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    command = [
        place / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-compile",
        "--only-binary=:all:",
    ]
    command += [f"--no-binary={_FROM_SOURCE}", "-r", str(REQUIREMENTS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S_MAX, check=False)
    if done.returncode:
        pytest.fail(f"the clients cannot be installed, so they were not tested:\n{done.stderr[-3000:]}")
    return True
