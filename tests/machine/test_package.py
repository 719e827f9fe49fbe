"""The Debian package on a booted machine: installed, upgraded while it works, purged."""

import pytest

import cdsed
from tests.support.machine import trees
from tests.support.machine.machine import Machine
from tests.support.machine.service import Service, UnderWay

pytestmark = [
    pytest.mark.soak,
    pytest.mark.parametrize(
        "machine", [("trixie", "deb"), ("bookworm", "deb")], ids=lambda kind: kind[0], indirect=True
    ),
]
PACKAGE = f"{trees.SOURCE}/dist/*.deb"


def dpkg(machine: Machine, arguments: str) -> str:
    return machine.run("sh", "-c", f"DEBIAN_FRONTEND=noninteractive dpkg {arguments}", timeout_s=600)


def version(machine: Machine) -> str:
    return machine.run("cdsed", "--version").split()[1]


def test_the_service_is_there_but_neither_enabled_nor_started(machine: Machine) -> None:
    assert machine.attempt("systemctl", "is-enabled", "cdsed").stdout.strip() == "disabled"
    assert machine.attempt("systemctl", "is-active", "cdsed").stdout.strip() == "inactive"
    assert machine.run("id", "--user", "--name", "cdsed").strip() == "cdsed"


def test_an_upgrade_while_products_arrive_continues_automatically(service: Service, under_way: UnderWay) -> None:
    settings = service.config.read_text("utf-8")
    assert version(service.machine) == trees.OLDER

    dpkg(service.machine, f"--force-confold --install {PACKAGE}")

    service.machine.wait("it is ready again", lambda: service.show("ActiveState") == "active")
    assert version(service.machine) == cdsed.__version__
    assert under_way.becomes_whole()
    assert service.config.read_text("utf-8") == settings


def test_removed_for_good_it_leaves_products_and_state_and_says_where(service: Service) -> None:
    kept = sorted(path.name for path in service.spool.iterdir())

    reported = dpkg(service.machine, "--purge cdsed")

    assert kept == sorted(path.name for path in service.spool.iterdir())
    for path in ("/var/spool/cdsed", "/var/lib/cdsed", "/etc/cdsed"):
        assert path in reported
        assert service.machine.path(path).is_dir()
    assert service.machine.attempt("systemctl", "is-active", service.unit).stdout.strip() == "inactive"
    assert not service.machine.path("/usr/lib/cdsed").exists()
    assert not service.machine.path("/usr/bin/cdsed").exists()
