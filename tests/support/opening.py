"""A hook that Python imports when the processes of a daemon start. It acts when they open a file."""

import os
from pathlib import Path

_REPOSITORY = Path(__file__).parents[2]

# An audit hook would hear of a bare name only where a file is opened in a directory that is open.
_HOOK = """
import os

plain_open = os.open

def open_below(path, flags, mode=0o777, *, dir_fd=None):
    directory = "" if dir_fd is None else os.readlink(f"/proc/self/fd/{dir_fd}")
    opening(os.path.join(directory, os.fsdecode(path)), flags)
    return plain_open(path, flags, mode, dir_fd=dir_fd)

os.supports_dir_fd.add(open_below)
os.open = open_below

"""


def when_opening(hook: Path, happens: str) -> dict[str, str]:
    """Write a hook that runs before each `os.open`; return the environment that loads it.

    Parameters
    ----------
    hook
        A directory that is made for it.
    happens
        Python source that defines ``opening(path, flags)``, of the whole path; it may call ``plain_open``.
    """
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(_HOOK + happens, encoding="utf-8")
    return {"PYTHONPATH": f"{hook}{os.pathsep}{_REPOSITORY}"}
