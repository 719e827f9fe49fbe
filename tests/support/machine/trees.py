"""The files of a machine: a Debian by debootstrap, with cdsed installed in it.

Trees stay below ``build/machines`` of the checkout and are used again; one with other packages or other sources is
made again.
"""

import ast
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
MACHINES = REPOSITORY / "build" / "machines"
SOURCE = "/usr/src/cdsed"  # of cdsed, in a tree
OLDER = "0.0.9"  # than this version of cdsed

_HERE = Path(__file__).parent
_PACKAGES = [
    *("systemd", "systemd-sysv", "dbus", "udev", "libnss-systemd", "libpam-systemd", "procps", "ca-certificates"),
    *("make", "python3", "python3-venv"),
]
# What a machine of its own has besides, by the way in which cdsed is installed.
_MORE_PACKAGES = {
    "guest": [
        *("linux-image-amd64", "zstd", "kmod", "util-linux-extra", "iproute2", "e2fsprogs", "dmsetup"),
        *("nfs-kernel-server", "nfs-common"),
    ]
}
# Units of a real machine that are not related to cdsed, or that would change the host.
_MASKED = [
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer", "e2scrub_all.timer"),
    *("sys-kernel-debug.mount", "sys-kernel-tracing.mount", "dev-hugepages.mount", "systemd-udevd.service"),
]
# Mounts and processes of a command end with it, and it ends with this process: no tree is removed with /proc mounted.
_ISOLATED = [
    *("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"),
    *("--pid", "--fork", "--kill-child", "--mount-proc"),
]
# Parts of the checkout that an installation is not made of; nor is what begins with a dot.
_NOT_INSTALLED = {"build", "dist", "tests"}


class NoTree(Exception):
    """A tree cannot be made here; the text says why. Not an error of cdsed."""


@contextmanager
def alone() -> Iterator[None]:
    """Keep the trees and the one machine that may run to this process."""
    MACHINES.mkdir(parents=True, exist_ok=True)
    with (MACHINES / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def installed(suite: str, way: str) -> Path:
    """Return a tree of this Debian in which cdsed is installed, made where it is not there yet.

    Parameters
    ----------
    suite
        ``trixie``, ``bookworm``, …
    way
        How: one of `WAYS`.

    Raises
    ------
    NoTree
        debootstrap or the packages cannot be had.
    """
    base = bare(suite, _MORE_PACKAGES.get(way, []))
    name = f"{suite}-{way}"
    key = _digest_of_sources(base.name, way)
    return _made(name, key, lambda new: _install(base, new, way))


def run_in(tree: Path, *command: str, timeout_s: float = 900) -> str:
    """Run a command in a tree as root, with this machine's network and what pip needs for it; return what it printed.

    Raises
    ------
    RuntimeError
        It failed.
    """
    environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", **pip_environ()}
    shared = "\n".join(["/etc/resolv.conf", "/etc/ssl", *_paths_of(environ)])
    done = subprocess.run(
        [*_ISOLATED, "sh", _HERE / "enter.sh", tree, shared, *command],
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"in {tree.name}: {' '.join(command)}: exit code {done.returncode}\n{done.stdout[-4000:]}")
    return done.stdout


def bare(suite: str, more_packages: Sequence[str] = ()) -> Path:
    """Return a tree of this Debian without cdsed, made where it is not there yet; `NoTree` as for `installed`."""
    packages = [*_PACKAGES, *more_packages]
    name = f"{suite}-{'kernel' if more_packages else 'base'}"

    def bootstrap(new: Path) -> None:
        command = ["debootstrap", "--variant=minbase", f"--include={','.join(packages)}", suite, str(new), mirror]
        log = MACHINES / f"{suite}.log"
        with log.open("wb") as output:
            done = subprocess.run([*_ISOLATED, *command], stdout=output, stderr=output, timeout=900, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}\n{log.read_text()[-4000:]}")
        for archive in (new / "var/cache/apt/archives").glob("*.deb"):
            archive.unlink()
        for unit in _MASKED:
            (new / "etc/systemd/system" / unit).symlink_to("/dev/null")
        versions = run_in(new, "dpkg-query", "--show")
        (MACHINES / f"{suite}.packages").write_text(versions, encoding="utf-8")

    key = hashlib.sha256(repr((packages, _MASKED)).encode()).hexdigest()[:12]
    if not (MACHINES / f"{name}-{key}").is_dir():
        mirror = _mirror()
        _need_debootstrap(suite, mirror)
    return _made(name, key, bootstrap)


def _need_debootstrap(suite: str, mirror: str) -> None:
    if shutil.which("debootstrap") is None:
        if shutil.which("apt-get") is None:
            raise NoTree("debootstrap is not on this machine, and there is no apt-get to install it with")
        for step in (["update", "-qq"], ["install", "-qq", "-y", "debootstrap"]):
            subprocess.run(["apt-get", *step], capture_output=True, timeout=300, check=False)
        if shutil.which("debootstrap") is None:
            raise NoTree("debootstrap is not on this machine, and apt-get could not install it")
    try:
        with urllib.request.urlopen(f"{mirror}/dists/{suite}/InRelease", timeout=30) as response:
            response.read(1)
    except OSError as error:
        raise NoTree(f"no packages: {mirror} does not answer for {suite} ({error})") from error


def _mirror() -> str:
    """Return where packages come from: DEBIAN_MIRROR, or where this machine's own come from if it is a Debian."""
    wanted = os.environ.get("DEBIAN_MIRROR")
    if not wanted and shutil.which("apt-get"):
        command = ["apt-get", "indextargets", "--format", "$(SITE) $(LABEL)"]
        targets = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
        lines = [line.split(" ", 1) for line in targets.split("\n") if line.endswith(" Debian")]
        wanted = next((site for site, _label in lines), None)
    return (wanted or "http://deb.debian.org/debian").rstrip("/")


def _made(name: str, key: str, make: Callable[[Path], None]) -> Path:
    tree = MACHINES / f"{name}-{key}"
    if not tree.is_dir():
        for old in MACHINES.glob(f"{name}-*"):
            shutil.rmtree(old)
        new = MACHINES / f"{name}-{key}.new"
        make(new)
        new.rename(tree)
    return tree


def _install(base: Path, new: Path, way: str) -> None:
    subprocess.run(["cp", "--archive", "--reflink=auto", base, new], check=True, timeout=300)
    for part in _parts():
        place = new / SOURCE.lstrip("/") / part.name
        if part.is_dir():
            shutil.copytree(part, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(part, place)
    run_in(new, "sh", "-euc", f"cd {SOURCE}; {WAYS[way]}")


def _digest_of_sources(*more: str) -> str:
    digest = hashlib.sha256(repr((more, WAYS)).encode())
    for part in _parts():
        for file in sorted(part.rglob("*")) if part.is_dir() else [part]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(REPOSITORY)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def _parts() -> list[Path]:
    """Return what of the checkout an installation is made of."""
    return sorted(part for part in REPOSITORY.iterdir() if part.name[0] != "." and part.name not in _NOT_INSTALLED)


def pip_environ() -> dict[str, str]:
    """Return what lets pip in a tree reach what pip here reaches, whatever that is."""
    passed = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("PIP_") or name.lower().endswith("_proxy") or name in _CERTIFICATES
    }
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        if value and not name.startswith(":env:"):
            variable = "PIP_" + name.rpartition(".")[2].upper().replace("-", "_")
            passed.setdefault(variable, str(ast.literal_eval(value)))
    return passed


_CERTIFICATES = {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"}


def _paths_of(environ: dict[str, str]) -> list[str]:
    """Return the directories here that the settings of pip name, no deeper than ``/opt/wheels``."""
    tops: dict[str, None] = {}
    for name, value in environ.items():
        for word in value.split() if name.startswith("PIP_") or name in _CERTIFICATES else ():
            path = Path(word.removeprefix("file://"))
            if path.is_absolute() and path.exists() and len(path.parts) > 2:
                tops["/".join(("", *path.parts[1:3]))] = None
    return [top for top in tops if not top.startswith(("/etc/ssl", "/usr/", "/dev/"))]


# Shell, run in a tree in a copy of the sources.
WAYS = {
    "make": "make install PREFIX=/usr PYTHON=/usr/bin/python3",
    # With a kernel. A server of NFS runs where a test starts it.
    "guest": """
        make install PREFIX=/usr PYTHON=/usr/bin/python3
        rm /etc/systemd/system/systemd-udevd.service
        systemctl enable systemd-networkd
        systemctl disable e2scrub_reap nfs-server nfs-client.target rpcbind.service rpcbind.socket
        systemctl mask nfs-blkmap.service""",
    # What is installed is an older version; the present one is beside it, to upgrade to.
    "deb": f"""set -e
        make deb PYTHON=/usr/bin/python3
        dpkg-deb --raw-extract dist/cdsed_*.deb older
        sed -i 's/^Version: .*/Version: {OLDER}/' older/DEBIAN/control
        package=$(echo older/usr/lib/cdsed/lib/python3.*/site-packages/cdsed)
        sed -i 's/^__version__ = .*/__version__ = "{OLDER}"/' "$package/_version.py"
        dpkg-deb -Znone --build older older.deb
        dpkg --install older.deb
        rm -r older older.deb""",
}
