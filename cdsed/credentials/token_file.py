"""The file in which all processes of a machine share one account's token: mode 0600, with a lock file beside it.

The lock is a separate file, because the token's file is replaced in one rename. So when a process is killed while it
writes, the older file stays complete.
"""

import fcntl
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field, fields
from pathlib import Path

from cdsed.clock import SYSTEM_CLOCK, Clock, same_boot
from cdsed.config.private import replace_private
from cdsed.errors import Stopped
from cdsed.frozen import frozen

_LOOK_AGAIN_S = 0.05
_TOKEN = re.compile(r"[!-~]*")


@frozen
class TokenGrant:
    """The last response of the identity service.

    Attributes
    ----------
    access_token, refresh_token
        Empty when absent.
    access_until_s, refresh_until_s
        Boot-clock seconds at which they end.
    refusals
        Logins in a row that were refused.
    refused_until_s
        Boot-clock second until which the same password is not tried again.
    refused_for
        The `fingerprint` of the password that was refused.
    reason, code
        Of the last refusal.
    """

    access_token: str = field(default="", repr=False)
    access_until_s: float = 0.0
    refresh_token: str = field(default="", repr=False)
    refresh_until_s: float = 0.0
    refusals: int = 0
    refused_until_s: float = 0.0
    refused_for: str = ""
    reason: str = ""
    code: str = ""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not isinstance(value, (int, float) if isinstance(item.default, int | float) else str):
                raise TypeError(f"{item.name} is a {type(value).__name__}")
        check_token(self.access_token)
        check_token(self.refresh_token)


def check_token(token: str) -> None:
    """Raise ValueError unless `token` is valid in a header; it does not quote the token, as the libraries would."""
    if not _TOKEN.fullmatch(token):
        raise ValueError("a token is made of visible ASCII characters")


def token_path(folder: Path, account: str) -> Path:
    """Return the file in which the token of an account is shared."""
    return folder / f"token.{account}.json"


class TokenFile:
    """The shared file of one account.

    Parameters
    ----------
    path
        The file; its directory must exist.
    clock
        Gives the current boot and its time: the times in the file are seconds since that boot.
    """

    def __init__(self, path: Path, clock: Clock = SYSTEM_CLOCK) -> None:
        self._path = path
        self._clock = clock

    @contextmanager
    def held(self, stop: threading.Event) -> Iterator[None]:
        """Hold the lock, so that one process at a time logs in; raises `Stopped` when `stop` is set while waiting."""
        lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not _locked(lock):
                if self._clock.wait(stop, _LOOK_AGAIN_S):
                    raise Stopped
            yield
        finally:
            os.close(lock)

    def read(self) -> TokenGrant:
        """Return the grant of the file; an empty one when the file is absent or from another boot."""
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            booted_at, written_s = float(document.pop("booted_at")), float(document.pop("written_s"))
            if not same_boot(booted_at, self._clock.booted_at()) or written_s > self._clock.boot_s():
                return TokenGrant()
            return TokenGrant(**document)
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return TokenGrant()  # another version may have written it; a new login replaces it

    def write(self, grant: TokenGrant) -> None:
        """Replace the file atomically; call it while you hold the lock."""
        values = {item.name: getattr(grant, item.name) for item in fields(grant)}
        written = {"booted_at": self._clock.booted_at(), "written_s": self._clock.boot_s()}
        replace_private(self._path, json.dumps(written | values))


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
