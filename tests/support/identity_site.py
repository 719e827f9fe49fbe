"""A sandbox in this process with a clock that the test moves, and what an account needs to log in there."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cdsed.catalogue.http_client import HttpClient
from cdsed.clock import Clock
from cdsed.config.accounts import Account, S3Keys
from cdsed.config.secrets import Secret
from cdsed.credentials.keys_manager import KeysManager
from cdsed.credentials.tokens import Tokens
from cdsed.sandbox import accounts as sandbox_accounts
from cdsed.sandbox import identity, keysmanager
from cdsed.sandbox.server import Sandbox

PASSWORD = "open, sesame!"


class TurnedClock(Clock):
    """The machine's clock, moved ahead by the test. Waits return at once."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def boot_s(self) -> float:
        return super().boot_s() + self.ahead_s

    def utc_s(self) -> float:
        return super().utc_s() + self.ahead_s

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        return super().wait(stop, min(seconds, 0.01))


def account(name: str = "first", **values: Any) -> Account:
    """Return an account with the sandbox's password."""
    known: dict[str, Any] = {
        "name": name,
        "group": "default",
        "login": f"{name}@example.org",
        "password": Secret(PASSWORD),
        "s3_keys": None,
        "s3_key_expires": None,
        "sessions": 4,
        "bandwidth_bytes_per_s": None,
        "requests_per_minute": 2000,
        "volume_bytes": 10**12,
    }
    return Account(**{**known, **values})


@dataclass
class IdentitySite:
    """A sandbox, and clients of it."""

    sandbox: Sandbox
    clock: TurnedClock
    folder: Path
    http_client: HttpClient
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def grants(self) -> dict[str, int]:
        return self.sandbox.identity.counters()["grants"]

    @property
    def sessions(self) -> int:
        return self.sandbox.identity.counters()["sessions"].get("first", 0)

    def tokens(self, **values: Any) -> Tokens:
        return Tokens(f"{self.sandbox.url}{identity.PATH}", account(**values), self.folder, self.http_client)

    def manager(self, **values: Any) -> KeysManager:
        return KeysManager(f"{self.sandbox.url}{keysmanager.PATH}", "first", self.tokens(**values), self.http_client)

    def s3_knows(self, keys: S3Keys) -> bool:
        """Tell whether S3 would take the pair at this moment, expiry and all."""
        known = self.sandbox.quotas.account_of(keys.access_key.reveal())
        if known is None or known.secret_key != keys.secret_key.reveal():
            return False
        assert known.key_valid_from is not None
        assert known.key_expires is not None
        return known.key_valid_from.timestamp() <= self.clock.utc_s() < known.key_expires.timestamp()


@contextmanager
def identity_site(folder: Path, **values: Any) -> Iterator[IdentitySite]:
    """Give a sandbox with one account, ``first``, whose password is `PASSWORD`."""
    clock = TurnedClock()
    known = sandbox_accounts.SandboxAccount("first", "SANDBOXKEY", "sandbox-secret", password=PASSWORD, **values)
    stop = threading.Event()
    with Sandbox([known], clock=clock) as sandbox, HttpClient(timeout_s=10, clock=clock, stop=stop) as http_client:
        yield IdentitySite(sandbox, clock, folder, http_client, stop)
