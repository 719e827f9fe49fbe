"""Whether power can be cut here, and programs in namespaces of their own: with them all ends that they began."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.soak.power.rig import KINDS, Kind
from tests.support.programs import missing

_REPOSITORY = Path(__file__).parents[3]
_ALONE = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
)
_NEEDED = {
    "qemu-storage-daemon": "qemu-system-common (and qemu-utils on older ones)",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "mount": "mount",
}


def why_not() -> str:
    """Return why no power can be cut here; '' where it can."""
    if os.geteuid() != 0:
        return "only root mounts file systems"
    if program := missing(_NEEDED):
        return program
    for device in ("/dev/fuse", "/dev/loop-control"):
        if not Path(device).exists():
            return f"{device} is missing"
    if not Path("/proc/self/ns/time").exists():
        return "the kernel has no time namespaces, without which no machine seems to have booted again"
    if not kinds():
        return f"no file system can be made: {'; '.join(unavailable())}"
    return ""


def kinds() -> list[Kind]:
    """Return the file systems that there are."""
    return [kind for kind in KINDS if not _why_not(kind)]


def unavailable() -> list[str]:
    """Return a sentence for each file system that there is not."""
    return [f"{kind.name}: {why}" for kind in KINDS if (why := _why_not(kind))]


def _why_not(kind: Kind) -> str:
    if shutil.which(kind.make[0]) is None:
        return f"{kind.make[0]} is missing"
    known = Path("/proc/filesystems").read_text(encoding="utf-8").split()
    if kind.file_system not in known and subprocess.run(["modprobe", kind.file_system], capture_output=True).returncode:
        return "the kernel does not have it"
    return ""


def lines_of(module: str, *arguments: str) -> Iterator[str]:
    """Run a module in namespaces of its own; yield what it prints, and at last ``exit CODE``."""
    with subprocess.Popen(
        [*_ALONE, sys.executable, "-m", module, *arguments],
        cwd=_REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield from process.stdout
        finally:
            if process.poll() is None and not process.stdout.closed:
                process.kill()
        yield f"exit {process.wait()}\n"
