"""Temporary S3 keys for an account that has only a password: making, awaiting, renewing and deleting them.

A key is written to the ledger before it is requested, with an expiry to the second that cdsed chooses. So a key whose
response was lost, because the process was killed or the connection broke, is found again: among the account's keys it
is the one that ends at that second and was not there before.
"""

import logging
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cdsed import log
from cdsed.clock import Clock
from cdsed.config.accounts import S3Keys
from cdsed.credentials.key_ledger import TemporaryKey, in_force, read_ledger, write_ledger
from cdsed.credentials.keys_manager import KeysManager

LIFE_S = 24 * 3600.0
RENEW_BEFORE_S = 6 * 3600.0
_CHECK_EVERY_S = 600.0  # a user may delete a key of ours in the service's web page

_log = logging.getLogger(__name__)

Probe = Callable[[S3Keys], bool]


class KeyRotation:
    """Keeps a working key for one account; only one process at a time may use it for one ledger.

    Parameters
    ----------
    account
        Our name of it.
    manager
        Its keys manager.
    ledger
        The file with every key that cdsed has made.
    probe
        Tells whether S3 accepts a pair.
    clock
        What time it is.
    life_s, renew_before_s
        Seconds a key lasts, and how long before its end the next one is made.
    """

    def __init__(  # noqa: PLR0913 - its collaborators, and two times that tests shorten
        self,
        account: str,
        manager: KeysManager,
        ledger: Path,
        probe: Probe,
        clock: Clock,
        *,
        life_s: float = LIFE_S,
        renew_before_s: float = RENEW_BEFORE_S,
    ) -> None:
        self._account = account
        self._manager = manager
        self._ledger = ledger
        self._probe = probe
        self._clock = clock
        self._life_s = life_s
        self._renew_before_s = renew_before_s
        self._checked_s = clock.boot_s()

    def maintain(self) -> TemporaryKey | None:
        """Do what is due; return the key in use, None while no key works. Call it every few seconds.

        Raises
        ------
        TransferError
            A step failed; the next call continues.
        """
        self._find_lost()
        now = self._clock.utc_s()
        self._delete([key for key in self._ours() if key.expires_at <= now])
        self._drop_vanished()
        fresh = [key for key in self._ours() if key.expires_at - self._renew_before_s > now]
        if not fresh:
            self._create(now)
        for key in self._ours():
            if key.keys and not key.works and self._probe(key.keys):
                self._replace(key, replace(key, works=True))
                _log.info("account %s: its temporary S3 key works, until %s", self._account, _utc(key.expires_at))
        return in_force(self._ours(), self._account, now)

    def end(self) -> None:
        """Delete every key of the ledger at the service.

        Raises
        ------
        TransferError
            A deletion failed; the other keys stay in the ledger for the next start.
        """
        self._find_lost()
        self._delete(self._ours())

    def _ours(self) -> list[TemporaryKey]:
        return [key for key in read_ledger(self._ledger) if key.account == self._account]

    def _replace(self, old: TemporaryKey | None, new: TemporaryKey | None) -> None:
        keys = [key for key in read_ledger(self._ledger) if key != old]
        write_ledger(self._ledger, keys if new is None else [*keys, new])

    def _create(self, now: float) -> None:
        others = tuple(key.access_key for key in self._manager.listed())
        # a second of its own, which distinguishes it from keys that other programs make meanwhile
        expires_at = float(int(now + self._life_s * random.uniform(1.0, 1.05)))
        intent = TemporaryKey(self._account, expires_at, others=others)
        self._replace(None, intent)
        made = self._manager.create(_utc(expires_at))
        log.hide(made.keys.secret_key.reveal())
        self._replace(intent, replace(intent, keys=made.keys, others=()))
        _log.info("account %s: made a temporary S3 key that ends at %s", self._account, _utc(expires_at))

    def _find_lost(self) -> None:
        """Delete a key that the service may have made although its response was lost."""
        lost = [key for key in self._ours() if key.keys is None]
        if not lost:
            return
        listed = self._manager.listed()
        for intent in lost:
            for key in listed:
                at = key.expires.timestamp() if key.expires else None
                if at is not None and int(at) == int(intent.expires_at) and key.access_key not in intent.others:
                    self._manager.delete(key.access_key)
                    _log.info("account %s: deleted a temporary S3 key whose making was interrupted", self._account)
            self._replace(intent, None)

    def _drop_vanished(self) -> None:
        """Every few minutes, drop keys that were deleted at the service, so that new ones are made."""
        if self._clock.boot_s() - self._checked_s < _CHECK_EVERY_S:
            return
        self._checked_s = self._clock.boot_s()
        there = {key.access_key for key in self._manager.listed()}
        for key in self._ours():
            if key.keys and key.keys.access_key.reveal() not in there:
                self._replace(key, None)
                _log.warning("account %s: its temporary S3 key was deleted at the service", self._account)

    def _delete(self, keys: list[TemporaryKey]) -> None:
        for key in keys:
            assert key.keys is not None, "a lost key is found before any is deleted"
            # First mark it as unused: no session may begin with a key that is about to be deleted.
            self._replace(key, gone := replace(key, works=False))
            self._manager.delete(key.keys.access_key.reveal())
            self._replace(gone, None)
            _log.info("account %s: deleted a temporary S3 key", self._account)


def _utc(utc_s: float) -> datetime:
    return datetime.fromtimestamp(utc_s, UTC)
