"""Commands of cdsed as another user, for tests that run as root.

The interpreter of the tests may be in a directory of root (``/root``). So a process becomes the other user after it has
imported everything.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GROUP, MEMBER, SERVICE = 54_321, 23_456, 12_345
"""Ids of a group, a member, and a service user. They have no names on this machine."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")

_UNREADABLE = 99
_BECOME = f"""
import encodings.ascii, encodings.idna, encodings.latin_1, encodings.utf_16, encodings.utf_8_sig
import _strptime, importlib, json, os, pkgutil, sys
sys.path.insert(0, {str(ROOT)!r})
import cdsed
from cdsed.store.queries import migrations, whole_schema
for room in ("cli", "config", "inbox", "local", "model", "process", "store", "view", "work"):
    package = importlib.import_module("cdsed." + room)
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
migrations(), whole_schema()
uid, umask, *arguments = sys.argv[1:]
os.setgroups([{GROUP}])
os.setresgid(*[{GROUP} if int(uid) == {SERVICE} else int(uid)] * 3)
os.setresuid(*[int(uid)] * 3)
os.umask(int(umask, 8))
if not os.access({str(ROOT / "cdsed" / "store" / "sql")!r}, os.R_OK | os.X_OK):
    sys.exit({_UNREADABLE})
"""
_COMMAND = "from cdsed.cli.main import main\nsys.exit(main(arguments))\n"


def run_as(
    uid: int, *arguments: str, config: Path, umask: int = 0o022, script: str = _COMMAND
) -> subprocess.CompletedProcess[str]:
    """Run a command of cdsed, or a script with `arguments`, as a user in `GROUP`; skip if cdsed is unreadable."""
    done = subprocess.run(
        [sys.executable, "-c", _BECOME + script, str(uid), f"{umask:o}", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "CDSED_CONFIG": str(config), "HOME": "/nonexistent"},
        cwd="/",
        check=False,
    )
    if done.returncode == _UNREADABLE:
        pytest.skip("another user cannot read this checkout")
    return done


def open_way_to(path: Path) -> None:
    """Let all users enter a directory of a test. pytest makes them for their owner only."""
    for directory in (path, *path.parents):
        if directory.stat().st_uid == os.geteuid() and not directory.stat().st_mode & 0o001:
            directory.chmod(directory.stat().st_mode | 0o011)
