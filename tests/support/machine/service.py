"""A cdsed service of a machine: ``cdsed`` or an instance such as ``cdsed@lab``."""

import json
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import yaml

from cdsed.sandbox.accounts import SandboxAccount
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import QUICK, Installation
from tests.support.machine.machine import Done, Machine
from tests.support.machine.sandbox import MachineSandbox

MEMBER = "alice"  # of the group cdsed
OTHER = "bob"
# Shorter times for tests; all else is as shipped.
_QUICK_UNIT = "[Service]\nRestartSec=1\nWatchdogSec=20\n"


class Service(Installation):
    """One service with its settings, accounts, inbox and spool, as its user, an administrator and a member see it.

    Parameters
    ----------
    instance
        Of the template: ``lab`` for ``cdsed@lab``.
    settings
        What differs from quick defaults.
    """

    def __init__(self, machine: Machine, sandbox: MachineSandbox, instance: str = "", **settings: Any) -> None:
        self.machine, self.sandbox = machine, sandbox
        self.instance = instance
        self.unit = f"cdsed@{instance}" if instance else "cdsed"
        self._settings = {"services": sandbox.services, **{key: dict(value) for key, value in QUICK.items()}}
        machine.write(f"/etc/systemd/system/{self.unit}.service.d/quick.conf", _QUICK_UNIT)
        machine.run("systemctl", "daemon-reload")
        self.configure(**settings)

    @property
    def config(self) -> Path:  # type: ignore[override]
        """Its settings, as seen from here."""
        return self.machine.path(self.config_inside)

    @property
    def config_inside(self) -> str:
        """Its settings, as the machine names them."""
        return f"/etc/cdsed/{self.instance or 'cdsed'}.yml"

    @property
    def accounts_file(self) -> Path:  # type: ignore[override]
        """Its accounts, as seen from here."""
        return self.machine.path(f"/etc/cdsed/{self.instance + '.' if self.instance else ''}accounts.yml")

    @property
    def state(self) -> Path:  # type: ignore[override]
        """Its state, as seen from here."""
        return self.machine.path(f"/var/lib/{self._name}")

    @property
    def inbox(self) -> Path:  # type: ignore[override]
        """Its inbox, as seen from here."""
        return self.state / "inbox"

    @property
    def spool(self) -> Path:  # type: ignore[override]
        """Its spool, as seen from here."""
        return self.machine.path(f"/var/spool/{self._name}")

    @property
    def pid(self) -> int:
        """The supervisor, by its number here; 0 where none runs."""
        number = int(self.show("MainPID"))
        return self.machine.pid_outside(number) if number else 0

    def write_groups(self, groups: dict[str, list[SandboxAccount]], passwords: Collection[str] = ()) -> None:
        """Write the accounts file; accounts of groups in `passwords` have no keys."""
        self.write_accounts({name: accounts for name, accounts in groups.items() if name not in passwords})
        document = yaml.safe_load(self.accounts_file.read_text("utf-8"))
        self.write_accounts({name: accounts for name, accounts in groups.items() if name in passwords}, keys=False)
        document["groups"] |= yaml.safe_load(self.accounts_file.read_text("utf-8"))["groups"]
        self.accounts_file.write_text(yaml.safe_dump(document), encoding="utf-8")

    def control(self, verb: str, timeout_s: float = 120) -> Done:
        """``systemctl start``, ``stop``, ``reload`` or ``restart``; return how it ended."""
        return self.machine.attempt("systemctl", verb, self.unit, timeout_s=timeout_s)

    def start(self) -> None:
        """Start it, which has to succeed: every process of it is ready."""
        self.machine.run("systemctl", "start", self.unit)

    def stop(self) -> None:
        """Stop it, which has to succeed."""
        self.machine.run("systemctl", "stop", self.unit)

    def show(self, name: str) -> str:
        """Return a property of the unit."""
        return self.machine.run("systemctl", "show", "--property", name, "--value", self.unit).strip()

    def command(self, *arguments: str, user: str = MEMBER, **_options: Any) -> Done:  # type: ignore[override]
        """Run a ``cdsed`` command as a user; return how it ended."""
        command, *rest = arguments
        return self.machine.attempt("cdsed", command, "--config", self.config_inside, *rest, user=user)

    def listing(self, name: str, lines: Iterable[str], user: str = MEMBER) -> str:
        """Write a listing into a user's home; return its path in the machine."""
        path = f"/home/{user}/{name}"
        self.machine.run("sh", "-c", 'cat > "$1"', "-", path, user=user, text="".join(f"{line}\n" for line in lines))
        return path

    def add(self, name: str, lines: Iterable[str], *options: str, user: str = MEMBER) -> None:
        """Submit a listing with ``cdsed add``, which has to succeed."""
        added = self.command("add", *options, self.listing(name, lines, user), user=user)
        assert added.returncode == 0, added.stdout + added.stderr

    def wait_for_report(self, name: str, timeout_s: float = 60) -> dict[str, str]:
        """Wait until a listing is finished; return the state of each of its products."""
        self.machine.wait(f"{name} is reported", lambda: self.report(name), timeout_s)
        return self.states(name)

    def status(self, *arguments: str) -> dict[str, Any]:
        """Return what ``cdsed status --json`` prints for a member."""
        asked = self.command("status", *arguments, "--json")
        assert asked.stdout, asked.stderr
        response: dict[str, Any] = json.loads(asked.stdout)
        return response

    def roles(self) -> list[str]:
        """Return what its workers are."""
        commands = [line.split() for line in self.machine.run("ps", "-u", "cdsed", "-o", "args=").splitlines()]
        workers = [words for words in commands if "role" in words and self.config_inside in words]
        return sorted(words[words.index("role") + 1] for words in workers)

    def journal(self, *options: str) -> str:
        """Return what it has logged since the boot."""
        return self.machine.journal("-u", self.unit, *options, lines=2000)

    def records(self, *matches: str) -> list[dict[str, Any]]:
        """Return its records in the journal that have these fields."""
        fields = [f"_SYSTEMD_UNIT={self.unit}.service", *matches]
        found = self.machine.run("journalctl", "-b", "--no-pager", "-o", "json", *fields)
        return [json.loads(line) for line in found.splitlines()]

    @property
    def _name(self) -> str:
        return f"cdsed-{self.instance}" if self.instance else "cdsed"


class UnderWay:
    """A listing of four products that arrive slowly: bytes of it have arrived, and more are to come.

    Parameters
    ----------
    expect
        Is told the names of the products before the service is.
    """

    def __init__(
        self,
        service: Service,
        name: str,
        group: str,
        expect: Callable[[list[str]], object] = len,
    ) -> None:
        self.service = service
        self.listing = f"{name}.txt"
        self.names = realistic_safenames("S1_SLC", 4, seed=sum(name.encode()))
        service.sandbox.add_products(*({"safename": name, "size_bytes": 4_000_000} for name in self.names))
        expect(self.names)
        sent = service.sandbox.bytes_sent()
        service.add(self.listing, self.names, "--group", group)
        service.machine.wait("bytes arrive", lambda: service.sandbox.bytes_sent() > sent + 1_000_000)

    @property
    def is_reported(self) -> bool:
        """Tell whether it is finished."""
        return self.service.report(self.listing) is not None

    def becomes_whole(self) -> bool:
        """Wait until it is finished; tell whether every product of it is done and byte-identical."""
        states = self.service.wait_for_report(self.listing, 90)
        return states == dict.fromkeys(self.names, "done") and self.service.differences(self.names) == []
