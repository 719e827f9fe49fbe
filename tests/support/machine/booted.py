"""A booted machine with cdsed installed, its sandbox and its service."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from cdsed.sandbox.accounts import make_accounts
from tests.support.machine import trees
from tests.support.machine.machine import Machine, why_not
from tests.support.machine.sandbox import MachineSandbox
from tests.support.machine.service import MEMBER, OTHER, Service

SLOW_BYTES_PER_S = 600_000  # of each of the four connections: what has to be under way when something happens


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


def sandbox_in(machine: Machine) -> MachineSandbox:
    """Start a sandbox in the machine, with five accounts, of which the fourth is slow."""
    accounts = make_accounts(5, seed=1)
    accounts[3] = replace(accounts[3], bandwidth_bytes_per_s=SLOW_BYTES_PER_S)
    return MachineSandbox(machine, accounts).start()


def service_in(machine: Machine, sandbox: MachineSandbox) -> Service:
    """Configure the service without starting it: two accounts with keys, one with a password, a slow one."""
    service = Service(machine, sandbox, transfer={"zip_fallback": True})
    first, second, third, slow, _lab = sandbox.accounts
    service.write_groups({"default": [first, second], "passwords": [third], "slow": [slow]}, {"passwords"})
    machine.run("systemctl", "enable", service.unit)
    return service
