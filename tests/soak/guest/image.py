"""The disks of the guest: a Debian with cdsed as `make install` lays it down, and one for state, inbox and spool."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from tests.support.machine import trees
from tests.support.programs import missing

HOST, GUEST, PORT = "10.78.0.1", "10.78.0.2", 8333
_SUITE = "trixie"
_ROOT_BYTES = "4G"
_DATA_BYTES = 1024 * 2**20
_NEEDED = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "debootstrap": "debootstrap",
    "mkfs.ext4": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "openssl": "openssl",
}
# What differs from an installation: where the disks are, the address, and that the serial console has the journal.
_FILES = {
    "etc/machine-id": "8cf2644b4b0b428f93876d876050dc67\n",
    "etc/hostname": "guest\n",
    "etc/fstab": """\
/dev/vda / ext4 defaults 0 0
/dev/vdb /data ext4 x-systemd.device-timeout=1200 0 0
/data/state /var/lib/cdsed none bind,x-systemd.requires-mounts-for=/data 0 0
/data/spool /var/spool/cdsed none bind,x-systemd.requires-mounts-for=/data 0 0
""",
    "etc/systemd/network/10-guest.network": f"[Match]\nType=ether\n[Network]\nAddress={GUEST}/24\n",
    "etc/systemd/system/cdsed.service.d/guest.conf": """\
[Unit]
RequiresMountsFor=/var/lib/cdsed /var/spool/cdsed
""",
    # Only what is used: each driver takes the emulator seconds.
    "etc/systemd/system/systemd-udev-trigger.service.d/guest.conf": """\
[Service]
ExecStart=
ExecStart=udevadm trigger --action=add --subsystem-match=block --subsystem-match=net --subsystem-match=virtio-ports
""",
    # What is written comes into the cache of the disk soon, where a power cut may lose a part of it.
    "etc/sysctl.d/guest.conf": "vm.dirty_writeback_centisecs = 50\nvm.dirty_expire_centisecs = 50\n",
    "etc/systemd/journald.conf.d/guest.conf": "[Journal]\nStorage=volatile\nForwardToConsole=yes\n",
    "etc/systemd/system/orders.service": """\
[Service]
ExecStart=/usr/bin/python3 /usr/local/lib/orders.py
[Install]
WantedBy=multi-user.target
""",
}
# No user logs in, nothing is updated, and none of these file systems is used.
_MASKED = (
    *("getty.target", "ldconfig.service", "systemd-firstboot.service", "systemd-hwdb-update.service"),
    *("systemd-journal-catalog-update.service", "systemd-update-done.service", "systemd-pstore.service"),
    *("systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount", "sys-fs-fuse-connections.mount"),
    *("sys-kernel-config.mount", "dev-mqueue.mount", "systemd-tmpfiles-clean.timer", "modprobe@drm.service"),
    *("systemd-network-generator.service", "systemd-networkd-persistent-storage.service"),
    *("systemd-udev-load-credentials.service", "systemd-user-sessions.service"),
)
_DIRECTORIES = ("data", "var/lib/cdsed", "var/spool/cdsed")
_ORDERS, _INITIAL = (Path(__file__).with_name(name) for name in ("orders.py", "initial.py"))


def why_not() -> str:
    """Return why no guest can be run here; '' where it can."""
    return "only root makes the tree of a Debian and its network" if os.geteuid() else missing(_NEEDED)


def root_image() -> Path:
    """Return the image of the root, made again when the sources of cdsed or what is added here have changed.

    Raises
    ------
    trees.NoTree
        debootstrap or the packages cannot be had.
    """
    tree = trees.installed(_SUITE, "guest")
    added = "".join((tree.name, repr((_FILES, _MASKED)), _ORDERS.read_text("utf-8"), _INITIAL.read_text("utf-8")))
    key = hashlib.sha256(added.encode()).hexdigest()[:12]
    image = trees.MACHINES / f"guest-{key}.img"
    if not image.exists():
        for old in trees.MACHINES.glob("guest-*.img"):
            old.unlink()
        _add_to(tree)
        new = image.with_suffix(".new")
        new.unlink(missing_ok=True)
        make_file_system(new, "-d", str(tree), size=_ROOT_BYTES)
        trees.run_in(tree, "python3", "-c", _INITIAL.read_text("utf-8"))
        for name in ("vmlinuz", "initrd.img"):
            shutil.copyfile(tree / (tree / name).readlink(), trees.MACHINES / f"guest-{name}")
        new.rename(image)
    return image


def kernel() -> tuple[Path, Path]:
    """Return the kernel of the root image, and its initial disk."""
    return trees.MACHINES / "guest-vmlinuz", trees.MACHINES / "guest-initrd.img"


def make_data_image(image: Path, folder: Path) -> None:
    """Make the disk for state, inbox and spool, with the directories that are mounted from it."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    make_file_system(image, "-d", str(folder), size=str(_DATA_BYTES // 1024) + "k")


def make_file_system(image: Path, *options: str, size: str) -> None:
    """Make an ext4 in a new file."""
    _run("mkfs.ext4", "-q", "-F", "-E", "nodiscard", *options, str(image), size)


def files_of(image: Path, place: Path) -> None:
    """Copy the files of a disk, as they are after its journal is replayed, to a new directory; without mounting it."""
    copy = place.with_suffix(".img")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    _run("cp", "--sparse=always", str(image), str(copy))
    # 1: it corrected something, such as the count of free blocks. More: it is damaged.
    checked = subprocess.run(["e2fsck", "-p", str(copy)], capture_output=True, text=True, check=False)
    assert checked.returncode <= 1, f"the file system is damaged: {checked.stdout}{checked.stderr}"
    _run("debugfs", "-R", f'rdump / "{place}"', str(copy))
    copy.unlink()


def _add_to(tree: Path) -> None:
    for name, text in _FILES.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for name in _DIRECTORIES:
        (tree / name).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_ORDERS, tree / "usr/local/lib/orders.py")
    units = tree / "etc/systemd/system"
    links = {"multi-user.target.wants/orders.service": "/etc/systemd/system/orders.service"}
    for name, target in (links | dict.fromkeys(_MASKED, "/dev/null")).items():
        (units / name).unlink(missing_ok=True)
        (units / name).symlink_to(target)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
