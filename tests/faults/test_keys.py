"""Refused keys are diagnosed: not yet valid, expired, revoked, wrong, not allowed. No product is charged for any."""

import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cdsed.credentials.key_diagnosis import YOUNG_S, diagnose_refusal
from cdsed.errors import AccountError
from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from cdsed.store.key_history import KeyHistory
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

_NOW = 1_800_000_000.0


def _history(age_s: float = 10 * YOUNG_S, worked_s_ago: float | None = None, expires_in_s: float | None = None) -> Any:
    worked_at = None if worked_s_ago is None else _NOW - worked_s_ago
    return KeyHistory("abcd", _NOW - age_s, worked_at, None if expires_in_s is None else _NOW + expires_in_s)


@pytest.mark.parametrize(
    ("refusal", "history", "code", "words"),
    [
        ("InvalidAccessKeyId", _history(expires_in_s=-60), "KeyExpired", "expired at 2027-01-15T07:59:00Z"),
        ("AccessDenied", _history(worked_s_ago=90, expires_in_s=-60), "KeyExpired", "expired at"),
        ("ExpiredToken", _history(), "KeyExpired", "has expired"),
        ("InvalidAccessKeyId", _history(worked_s_ago=120), "KeyRevoked", "still worked at 2027-01-15T07:58:00Z"),
        ("InvalidAccessKeyId", _history(worked_s_ago=5, expires_in_s=999), "KeyRevoked", "revoked, deleted or expired"),
        ("AccessDenied", _history(worked_s_ago=120), "KeyRevoked", "refused everything now"),
        ("InvalidAccessKeyId", _history(age_s=30), "KeyNotYetValid", "takes a minute to become valid"),
        ("InvalidAccessKeyId", _history(), "KeyUnknown", "never worked"),
        ("SignatureDoesNotMatch", _history(), "WrongSecret", "does not fit its access key"),
        ("SignatureDoesNotMatch", _history(worked_s_ago=120), "WrongSecret", "does not fit any more"),
        ("AccessDenied", _history(), "NoReadPermission", "may read nothing"),
        ("Throttled", _history(), "Throttled", "S3's word"),
        ("InvalidAccessKeyId", None, "InvalidAccessKeyId", "S3's word"),
    ],
)
def test_what_a_key_did_before_says_why_it_is_refused(refusal: str, history: Any, code: str, words: str) -> None:
    reported = diagnose_refusal(AccountError("S3's word", code=refusal), "me", history, _NOW)
    assert reported.code == code
    assert words in str(reported)


def _error(lab: Installation, account: str) -> tuple[str | None, str]:
    shown = [each for each in lab.status()["accounts"] if each["name"] == account]
    return (shown[0]["error_code"], shown[0]["error"] or "") if shown else (None, "")


def test_keys_that_never_worked_are_diagnosed_and_the_good_account_brings_everything(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 20, seed=73)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    good, other, third = make_accounts(3, 1)
    young, wrong = replace(third, key_valid_from=tomorrow), replace(other, secret_key="x" * 40)
    with SandboxProcess([good, other, young]) as sandbox:
        lab = Installation(tmp_path, sandbox, accounts=[good, wrong, young])
        sandbox.add_products(*({"safename": name, "size_bytes": 300_000} for name in names))
        lab.drop("twenty.txt", names)
        with DaemonProcess(lab) as daemon:
            wait_until("wrong secret", lambda: _error(lab, wrong.name)[0] == "WrongSecret", daemon=daemon)
            wait_until("too young", lambda: _error(lab, young.name)[0] == "KeyNotYetValid", daemon=daemon)
            wait_until("the report", lambda: lab.report("twenty.txt"), daemon=daemon)
        assert lab.endings("twenty.txt") == [("done", 0)] * 20
        assert wrong.secret_key not in daemon.log()


def test_a_key_that_is_revoked_at_work_says_until_when_it_worked_and_a_new_one_continues(tmp_path: Path) -> None:
    first, second, third = realistic_safenames("S1_OCN", 3, seed=75)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        [account] = sandbox.accounts
        sandbox.add_products(*({"safename": name, "size_bytes": 300_000} for name in (first, second, third)))
        lab.drop("first.txt", [first])
        with DaemonProcess(lab) as daemon:
            wait_until("the first report", lambda: lab.report("first.txt"), daemon=daemon)
            assert _error(lab, account.name) == (None, "")
            sandbox.fault(kind="key_revoked")
            lab.drop("second.txt", [second])
            wait_until("revoked", lambda: _error(lab, account.name)[0] == "KeyRevoked", daemon=daemon)
            assert "still worked at 2" in _error(lab, account.name)[1]
            # Another pair begins a history of its own.
            lab.write_accounts({"default": [replace(account, access_key="NEVERSEEN")]})
            daemon.send(signal.SIGHUP)
            wait_until("too young", lambda: _error(lab, account.name)[0] == "KeyNotYetValid", daemon=daemon)
            sandbox.clear_faults()
            lab.write_accounts({"default": [account]})
            daemon.send(signal.SIGHUP)
            wait_until("the second report", lambda: lab.report("second.txt"), daemon=daemon)
        assert lab.states("second.txt") == {second: "done"}
        assert lab.differences([first, second]) == []
        [key] = lab.query("SELECT * FROM s3_key")
        assert len(key["mark"]) == 4
