"""Runs in the tree: writes an initial disk that an emulated machine goes through fast.

It loads what finds the root on a disk of qemu, and mounts it. udev and its search for disks would take ten times as
long.
"""

import lzma
import shutil
import subprocess
import tempfile
from pathlib import Path

_KLIBC = Path("/usr/lib/klibc/bin")
_MODULES = ("virtio_blk", "ext4", "virtio_net")
_INIT = """#!/bin/sh
mount -t devtmpfs dev /dev
while read -r module
do insmod "$module"
done < /modules
mount -t ext4 /dev/vda /target
mount -o move /dev /target/dev
exec run-init /target /sbin/init < /target/dev/console > /target/dev/console 2>&1
"""


def initial_disk(version: str) -> bytes:
    """Return a cpio archive with an ``init``."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        for name in ("bin", "dev", "usr/lib", "target"):
            (top / name).mkdir(parents=True)
        for program in ("sh", "mount", "insmod", "run-init"):
            shutil.copy(_KLIBC / program, top / "bin")
        for library in Path("/usr/lib").glob("klibc-*.so"):
            shutil.copy(library, top / "usr/lib")
        files = _files_of_modules(version)
        for file in files:
            (top / file.stem).write_bytes(lzma.decompress(file.read_bytes()))
        (top / "modules").write_text("".join(f"/{file.stem}\n" for file in files))
        (top / "init").write_text(_INIT)
        (top / "init").chmod(0o755)
        names = "\n".join(str(path.relative_to(top)) for path in sorted(top.rglob("*")))
        command = ["cpio", "--create", "--format=newc", "--quiet"]
        return subprocess.run(command, cwd=top, input=names.encode(), capture_output=True, check=True).stdout


def _files_of_modules(version: str) -> list[Path]:
    """Return modules and what they need, in the order in which they are to be loaded."""
    command = ["modprobe", "--set-version", version, "--show-depends"]
    shown = [subprocess.run([*command, each], capture_output=True, text=True, check=True).stdout for each in _MODULES]
    return list(dict.fromkeys(Path(line.split()[1]) for line in "".join(shown).splitlines()))


def main() -> None:
    """Write it as ``/initrd.img``, where the one of the package is linked from."""
    [version] = (each.name for each in Path("/lib/modules").iterdir())
    Path("/initrd.img").write_bytes(initial_disk(version))


if __name__ == "__main__":
    main()
