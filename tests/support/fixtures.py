"""All shared fixtures, in one plugin that ``tests/conftest.py`` loads. Read here which exist.

A fixture that only one file needs is defined in that file; there it may replace one of these by the same name. What a
fixture gives is a class of a module beside this one. Modules are imported when a fixture is used, so that a unit test
loads only what it needs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.building import Once, build_dist, copy_sources
from tests.support.clocks import HandClock
from tests.support.disks import Disk, mounted, unmount
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from tests.support.catalogue_server import Server
    from tests.support.cdsodatacli import Old
    from tests.support.cli_lab import CliLab
    from tests.support.download_lab import DownloadLab
    from tests.support.machine.machine import Machine
    from tests.support.machine.sandbox import MachineSandbox
    from tests.support.machine.service import Service, UnderWay
    from tests.support.s3_lab import S3Lab
    from tests.support.sandbox_site import Site
    from tests.support.state import StateLab
    from tests.support.zip_host import Host

# `make test` has a Debian 13 with cdsed by ``make install``; ``make soak`` all the others, too.
KINDS_OF_MACHINE = [
    pytest.param(("trixie", "make"), id="trixie-make"),
    *(
        pytest.param((suite, way), id=f"{suite}-{way}", marks=pytest.mark.soak)
        for suite, way in (("trixie", "deb"), ("bookworm", "make"), ("bookworm", "deb"))
    ),
]

# Clocks and disks


@pytest.fixture
def clock() -> HandClock:
    """A clock that stands until the test moves it."""
    return HandClock()


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Wait for a condition, and fail when it does not come true."""

    def wait(condition: Callable[[], bool], deadline_s: float = 10) -> None:
        end = time.monotonic() + deadline_s
        while not condition():
            assert time.monotonic() < end, "the condition did not come true in time"
            time.sleep(0.002)

    return wait


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of 64 MB that can be taken away; needs root."""
    place = tmp_path / "disk"
    place.mkdir()
    with mounted(tmp_path / "store", "64m") as store:
        yield Disk(store, place)
        unmount(place)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The mount point of a file system of 2 MB; needs root."""
    with mounted(tmp_path / "small", "2m") as place:
        yield place


# Sandboxes and servers


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    """A sandbox with one account and no products, as a process."""
    with SandboxProcess() as process:
        yield process


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[SandboxProcess]:
    """A sandbox with two accounts for a whole file: each test takes products of its own and leaves no fault behind."""
    with SandboxProcess(accounts=2) as process:
        yield process


@pytest.fixture
def start_site() -> Iterator[Callable[..., Site]]:
    """Start sandboxes in this process, whose first account (or whole organisation) has the given limits."""
    from cdsed.sandbox.accounts import make_accounts
    from cdsed.sandbox.server import Sandbox
    from tests.support.sandbox_site import Site

    with contextlib.ExitStack() as stack:

        def begin(clock: Any = None, **limits: Any) -> Site:
            first, *others = make_accounts(2, seed=1)
            extra = {} if clock is None else {"clock": clock}
            others = [replace(each, **limits) for each in others] if "organisation" in limits else others
            sandbox = stack.enter_context(Sandbox([replace(first, **limits), *others], **extra))
            return Site(sandbox, stack)

        yield begin


@pytest.fixture
def site(start_site: Callable[..., Site]) -> Site:
    """A sandbox in this process, with clients that sign."""
    return start_site()


@pytest.fixture
def server() -> Iterator[Server]:
    """A catalogue in miniature, whose answers the test writes down."""
    from tests.support.catalogue_server import serving

    with serving() as running:
        yield running


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key with a self-signed certificate for 127.0.0.1; ``crt`` beside it is without the key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate of this test")
    key, crt, pem = (tmp_path / name for name in ("key", "crt", "server.pem"))
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run([*command.split(), "-keyout", key, "-out", crt], check=True, capture_output=True)
    pem.write_bytes(key.read_bytes() + crt.read_bytes())
    return pem


@pytest.fixture
def zip_host() -> Iterator[Host]:
    """A download host that gives zips as the test writes them down."""
    from tests.support.zip_host import Host

    with contextlib.closing(Host()) as host:
        yield host


@pytest.fixture
def zip_staging(tmp_path: Path) -> Path:
    """An empty staging directory for the product of that host."""
    from tests.support.zip_host import NAME

    folder = tmp_path / NAME
    folder.mkdir()
    return folder


# A state, and its users


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[StateLab]:
    """A state of its own, with a clock that the test moves."""
    from cdsed.store.database import open_state
    from tests.support.state import SetClock, StateLab

    with contextlib.closing(open_state(tmp_path / "state")) as db:
        yield StateLab(db, SetClock(), tmp_path)


@pytest.fixture
def worker_lab(tmp_path: Path, shared_sandbox: SandboxProcess) -> Iterator[DownloadLab]:
    """A state and a download process with one session thread, at a sandbox."""
    from cdsed.store.database import open_state
    from tests.support.download_lab import DownloadLab

    with contextlib.closing(open_state(tmp_path / "state")) as db:
        lab = DownloadLab(db, tmp_path, shared_sandbox)
        yield lab
        lab.stop()
        shared_sandbox.clear_faults()
        shared_sandbox.reset_counters()


@pytest.fixture
def s3_lab(shared_sandbox: SandboxProcess, tmp_path: Path) -> Iterator[S3Lab]:
    """One connection to the S3 of a sandbox, without any state."""
    from tests.support.s3_lab import S3Lab

    lab = S3Lab(shared_sandbox, tmp_path / "staging")
    yield lab
    lab.connection.close()
    shared_sandbox.clear_faults()


@pytest.fixture
def cli_lab(tmp_path: Path) -> CliLab:
    """Settings and accounts for commands, where a daemon has not run yet."""
    from tests.support.cli_lab import CliLab

    return CliLab(tmp_path)


@pytest.fixture
def used_cli_lab(cli_lab: CliLab) -> CliLab:
    """The same after a daemon that has stopped in the middle of a listing."""
    from tests.support.cli_lab import use

    use(cli_lab)
    return cli_lab


@pytest.fixture
def old(shared_sandbox: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Old]:
    """An installation of cdsodatacli at a sandbox."""
    from tests.support.cdsodatacli import Old

    old = Old(tmp_path, shared_sandbox)
    old.prepare(monkeypatch)
    yield old
    shared_sandbox.clear_faults()


# What is built and installed


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Make a directory once for all workers of this run of pytest."""
    base = tmp_path_factory.getbasetemp()
    return Once(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)


@pytest.fixture(scope="session")
def sources(once: Once) -> Path:
    """The files of the project as they are here, in a directory of their own."""
    return once("sources", copy_sources)


@pytest.fixture(scope="session")
def dist(sources: Path, once: Once) -> Path:
    """The directory with wheel and source archive."""
    return once("dist", lambda place: build_dist(sources, place))


# A booted machine with systemd; needs root and debootstrap


@pytest.fixture(scope="module", params=KINDS_OF_MACHINE)
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine on which cdsed is installed and was never started."""
    from tests.support.machine.booted import booted

    suite, way = request.param
    with booted(suite, way) as machine:
        yield machine


@pytest.fixture(scope="module")
def machine_sandbox(machine: Machine) -> MachineSandbox:
    """A sandbox in the machine, with five accounts."""
    from tests.support.machine.booted import sandbox_in

    return sandbox_in(machine)


@pytest.fixture(scope="module")
def installed_service(machine: Machine, machine_sandbox: MachineSandbox) -> Service:
    """The service with settings and accounts, not started."""
    from tests.support.machine.booted import service_in

    return service_in(machine, machine_sandbox)


@pytest.fixture
def service(installed_service: Service) -> Service:
    """The service, started."""
    installed_service.start()
    return installed_service


@pytest.fixture
def under_way(service: Service, request: pytest.FixtureRequest) -> UnderWay:
    """A listing that the service is in the middle of."""
    from tests.support.machine.service import UnderWay

    return UnderWay(service, request.node.name.partition("[")[0], "slow")
