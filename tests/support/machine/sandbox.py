"""The sandbox as a service of a machine, spoken to from outside of it."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Self

from cdsed.sandbox.accounts import SandboxAccount
from tests.support.machine.machine import Machine
from tests.support.sandbox import SandboxProcess

_PORT = 8333
_PRODUCTS = "/etc/sandbox/products.json"
_UNIT = f"""
[Unit]
Before=cdsed.service
[Service]
Type=exec
ExecStart=/usr/bin/cdsed sandbox --port {_PORT} --accounts-file /etc/sandbox/accounts.json
ExecStartPost=/usr/bin/python3 /etc/sandbox/restore.py
StandardOutput=null
[Install]
WantedBy=multi-user.target
"""
# It forgets its products when it ends. The real service does not.
_RESTORE = f"""
import time, urllib.request
products = open("{_PRODUCTS}", "rb").read()
until = time.monotonic() + 30
while True:
    try:
        urllib.request.urlopen("http://127.0.0.1:{_PORT}/_control/products", products)
        break
    except OSError:
        if time.monotonic() > until:
            raise
        time.sleep(0.05)
"""
_CALL = f"""
import http.client, sys
method, path = sys.argv[1:]
connection = http.client.HTTPConnection("127.0.0.1", {_PORT}, timeout=60)
connection.request(method, path, body=sys.stdin.buffer.read() or None)
answer = connection.getresponse()
print(answer.status)
print(answer.read().decode())
"""


class MachineSandbox(SandboxProcess):
    """``cdsed sandbox`` of the installed cdsed, as a service that also starts after a reboot, with its products."""

    def __init__(self, machine: Machine, accounts: Sequence[SandboxAccount]) -> None:
        super().__init__(accounts, port=_PORT)
        self.url = f"http://127.0.0.1:{_PORT}"
        self._machine = machine
        self._products: list[dict[str, Any]] = []

    def start(self, deadline_s: float = 60) -> Self:
        """Start the service; it answers when this returns."""
        accounts = [asdict(account) for account in self.accounts]
        self._machine.write("/etc/sandbox/accounts.json", json.dumps(accounts, default=str))
        self._machine.write("/etc/sandbox/restore.py", _RESTORE)
        self._machine.write("/etc/systemd/system/sandbox.service", _UNIT)
        self._remember()
        self._machine.run("systemctl", "enable", "--now", "sandbox", timeout_s=deadline_s)
        return self

    def stop(self) -> int | None:
        """End the service."""
        self._machine.run("systemctl", "stop", "sandbox")
        return None

    def add_products(self, *products: dict[str, Any]) -> dict[str, str]:
        """Give it products, which it also has after a reboot."""
        self._products += products
        self._remember()
        return super().add_products(*products)

    def call(self, method: str, path: str, value: Any = None) -> Any:
        """Make a control call; return its JSON."""
        body = None if value is None else json.dumps(value)
        said = self._machine.python_in_its_network(_CALL, method, f"/_control/{path}", text=body)
        status, _, text = said.partition("\n")
        response = json.loads(text)
        if int(status) >= 400:
            raise RuntimeError(response["error"])
        return response

    def _remember(self) -> None:
        self._machine.write(_PRODUCTS, json.dumps(self._products))
