"""A booted machine with cdsed installed, its sandbox and its service, for the tests of a module.

`make test` has a Debian 13 with cdsed by ``make install``; ``make soak`` all the others, too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cdsed.sandbox.accounts import make_accounts
from tests.support.machine import trees
from tests.support.machine.machine import Machine, why_not
from tests.support.machine.sandbox import MachineSandbox
from tests.support.machine.service import MEMBER, OTHER, Service, UnderWay

KINDS_OF_MACHINE = [
    pytest.param(("trixie", "make"), id="trixie-make"),
    *(
        pytest.param((suite, way), id=f"{suite}-{way}", marks=pytest.mark.soak)
        for suite, way in (("trixie", "deb"), ("bookworm", "make"), ("bookworm", "deb"))
    ),
]
SLOW_BYTES_PER_S = 600_000  # of each of the four connections: what has to be under way when something happens


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test the time in which another process may make the trees and run its own machine."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(1200))


@contextmanager
def booted(suite: str, way: str) -> Iterator[Machine]:
    """Give a machine on which cdsed is installed and was never started, with a member of its group and another user."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with trees.alone():
        try:
            tree = trees.installed(suite, way)
        except trees.NoTree as error:
            pytest.skip(str(error))
        with Machine(tree) as machine:
            if way == "make":  # as README says it for an administrator
                machine.run("sh", "-c", "systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload")
            machine.run("useradd", "--create-home", "--groups", "cdsed", MEMBER)
            machine.run("useradd", "--create-home", OTHER)
            yield machine


@pytest.fixture(scope="module", params=KINDS_OF_MACHINE)
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine for the tests of a module."""
    suite, way = request.param
    with booted(suite, way) as machine:
        yield machine


@pytest.fixture(scope="module")
def sandbox(machine: Machine) -> MachineSandbox:
    """A sandbox in the machine, with five accounts."""
    accounts = make_accounts(5, seed=1)
    accounts[3] = replace(accounts[3], bandwidth_bytes_per_s=SLOW_BYTES_PER_S)
    return MachineSandbox(machine, accounts).start()


@pytest.fixture(scope="module")
def installed(machine: Machine, sandbox: MachineSandbox) -> Service:
    """The service with settings and accounts, not started: two accounts with keys, one with a password, a slow one."""
    service = Service(machine, sandbox, transfer={"zipper": True})
    first, second, third, slow, _lab = sandbox.accounts
    service.write_groups({"default": [first, second], "passwords": [third], "slow": [slow]}, {"passwords"})
    machine.run("systemctl", "enable", service.unit)
    return service


@pytest.fixture
def service(installed: Service) -> Service:
    """The service, ready."""
    installed.start()
    return installed


@pytest.fixture
def under_way(service: Service, request: pytest.FixtureRequest) -> UnderWay:
    """A listing that the service is in the middle of."""
    return UnderWay(service, request.node.name.partition("[")[0], "slow")
