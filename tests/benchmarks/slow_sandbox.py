"""A sandbox whose S3 responses begin after a while, as those of CDSE, and one with other habits than rclone's server.

``python -m tests.benchmarks.slow_sandbox FIRST_BYTE_S …`` has the further options of ``python -m cdsed.sandbox``.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from cdsed.sandbox.__main__ import main
from cdsed.sandbox.accounts import SandboxAccount
from cdsed.sandbox.connection import ClientConnection
from cdsed.sandbox.delivery import Delivery
from cdsed.sandbox.http import Response
from tests.benchmarks.environment import ROOT
from tests.support.sandbox import SandboxProcess


class SlowSandbox(SandboxProcess):
    """A sandbox process that waits before it sends a response; `first_byte_s` in seconds."""

    def __init__(self, accounts: Sequence[SandboxAccount], first_byte_s: float) -> None:
        super().__init__(accounts)
        self._first_byte_s = first_byte_s

    def start(self, deadline_s: float = 60) -> Self:
        """Start the process and wait until it answers."""
        with tempfile.TemporaryDirectory(prefix="sandbox-") as folder:
            accounts, ready = Path(folder, "accounts.json"), Path(folder, "ready.json")
            accounts.write_text(json.dumps([asdict(account) for account in self.accounts], default=str), "utf-8")
            command = [sys.executable, "-m", "tests.benchmarks.slow_sandbox", str(self._first_byte_s), "--port", "0"]
            command += ["--seed", str(self.seed), "--accounts-file", str(accounts), "--ready-file", str(ready)]
            environ = {**os.environ, "PYTHONPATH": str(ROOT)}
            self._process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)
            until = time.monotonic() + deadline_s
            while not ready.exists():
                assert self._process.poll() is None, "the sandbox does not start"
                assert time.monotonic() < until, f"the sandbox is not ready after {deadline_s} s"
                time.sleep(0.01)
            self.url = json.loads(ready.read_text(encoding="utf-8"))["url"]
            self.port = urlsplit(self.url).port or 0
        return self


def _delay(first_byte_s: float) -> None:
    """Make every response of this process wait; its rate counts from then on, so that nothing catches up."""
    send = Delivery.send

    def send_later(delivery: Delivery, connection: ClientConnection, response: Response) -> None:
        connection.wait(first_byte_s)
        if delivery.pacer is not None:
            delivery.pacer._due_s = max(delivery.pacer._due_s, delivery.clock.boot_s())
        send(delivery, connection, response)

    Delivery.send = send_later  # type: ignore[method-assign]


if __name__ == "__main__":
    _delay(float(sys.argv.pop(1)))
    sys.exit(main())
