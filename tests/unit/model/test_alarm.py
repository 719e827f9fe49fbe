"""Each alarm begins with its cause, ends with it, and says what you do."""

from dataclasses import replace
from pathlib import Path

import pytest

from cdsed.model.alarm import NAMES, Alarm, Severity, alarms
from cdsed.model.machine_status import MachineNow, MachineStatus
from cdsed.model.operation import DiskStatus
from cdsed.model.product_state import State
from cdsed.model.quota import Limit, QuotaFreeAt, ThrottleReason
from cdsed.model.status_report import (
    CrashingWorker,
    DaemonState,
    DaemonStatus,
    ErrorGroup,
    Notice,
    OpenBreaker,
    PoolStatus,
    StatusReport,
    Tally,
)
from tests.support.status_examples import BUSY_REPORT, NOW, REPORTS, SLC, account

ROOT = Path(__file__).parents[3]
WELL = replace(BUSY_REPORT, errors=())
CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING
STOPPED = DaemonStatus(DaemonState.STOPPED, 1, NOW - 10, NOW - 5, "0.2.0")
FREE = QuotaFreeAt(NOW + 86_400, 10**12)


def of(**values: object) -> tuple[Alarm, ...]:
    return alarms(replace(WELL, **values))  # type: ignore[arg-type]


def breaker(name: str, reason: str = "it failed") -> dict[str, object]:
    return {"open_breakers": (OpenBreaker(name, reason, 40.0),)}


def notice(name: str) -> dict[str, object]:
    return {"notices": (Notice(name, "something happened", NOW - 60),)}


CAUSES: dict[str, tuple[str, str, Severity, dict[str, object]]] = {
    "died": ("daemon_died", "", CRITICAL, {"daemon": replace(STOPPED, state=DaemonState.DIED)}),
    "stopped with work": ("daemon_stopped", "", CRITICAL, {"daemon": STOPPED}),
    "stopped": ("daemon_stopped", "", WARNING, {"daemon": STOPPED, "products": {State.DONE: Tally(3)}}),
    "damaged": ("damaged", "", CRITICAL, notice("damaged")),
    "stalled": ("stalled", "", CRITICAL, {"stalled_for_s": 400.0}),
    "crash loop": ("crash_loop", "keys", CRITICAL, {"crashing": (CrashingWorker("keys", 3, "exited", 70, None),)}),
    "needs an account": ("accounts", "", CRITICAL, {"needs_account": True}),
    "no account": ("accounts", "", CRITICAL, {"accounts": (), "listings": ()}),
    "a group without account": ("accounts", "brest", CRITICAL, {"accounts": (account("first"),)}),
    "a dead account": (
        "account",
        "second",
        WARNING,
        {"accounts": (*WELL.accounts, account("second", error="the S3 key is revoked", probe_in_s=29.0))},
    ),
    "key expires soon": (
        "key_expires",
        "x",
        WARNING,
        {"accounts": (*WELL.accounts, account("x", key_expires_at=NOW + 14 * 86_400))},
    ),
    "key expires": (
        "key_expires",
        "x",
        CRITICAL,
        {"accounts": (*WELL.accounts, account("x", key_expires_at=NOW + 86_400))},
    ),
    "penalised": (
        "penalised",
        "x",
        WARNING,
        {"accounts": (*WELL.accounts, account("x", throttle_reason=ThrottleReason.PENALISED))},
    ),
    "disk backs off": ("disk", "/data/spool", WARNING, breaker("disk:/data/spool") | {"disks": (DiskStatus("/b", 1),)}),
    "the only disk": ("disk", "/data/spool", CRITICAL, breaker("disk:/data/spool")),
    "disk out": ("disk", "/data/spool", CRITICAL, {"disks": (DiskStatus("/data/spool", None, "not mounted"),)}),
    "no spool has room": ("disk", "every spool", WARNING, breaker("disk:unknown")),
    "a spool cannot be made": ("disk", "/x", WARNING, notice("spool:/x")),
    "inbox": ("inbox", "", WARNING, breaker("inbox")),
    "inotify": ("inbox", "", WARNING, notice("inbox")),
    "unreadable": ("inbox", "/inbox/a.txt", WARNING, notice("unreadable:/inbox/a.txt")),
    "no receipt": ("inbox", "/inbox", WARNING, notice("unwritten:/inbox")),
    "S3": ("service", "s3", WARNING, breaker("service:s3")),
    "zip": ("service", "zip", WARNING, breaker("service:zip")),
    "catalogue": ("catalogue", "", WARNING, breaker("service:catalogue")),
    "volume": ("quota_spent", "x", WARNING, {"accounts": (*WELL.accounts, account("x", quota_free_at=FREE))}),
    "shared volume": (
        "quota_spent",
        "default",
        WARNING,
        {
            "accounts": (account("first", quota_free_at=FREE, shares=(Limit.VOLUME,)), WELL.accounts[1]),
            "pools": (PoolStatus("default", None, None, None, None, 1, 1, FREE),),
        },
    ),
    "failed": ("failed_products", "", WARNING, {"errors": (ErrorGroup("Corrupt", State.CORRUPT, 2, SLC, "why"),)}),
    "reload": ("reload", "", WARNING, notice("reload")),
    "shared account": ("shared_account", "first", WARNING, notice("shared:first")),
    "other state": ("other_state", "/data/spool", WARNING, notice("others:/data/spool")),
    "replaced": ("replaced", "/x", WARNING, notice("replaced:/x")),
    "recovered": ("recovered", "", WARNING, notice("recovered")),
    "no worker": ("machine", "", CRITICAL, notice("engine")),
    "a refused machine": (
        "machine",
        "node9",
        WARNING,
        {"machines": (MachineStatus(MachineNow("node9", 1, refused="node9 does not see /spool"), 0.0),)},
    ),
}


def test_a_stall_names_the_last_failure_if_there_was_one() -> None:
    [with_it] = of(stalled_for_s=400.0, stalled_because="s3: no response in time")
    [without] = of(stalled_for_s=400.0)
    assert with_it.text == f"{without.text}; the last failure: s3: no response in time"


def test_without_a_cause_no_alarm_is_raised() -> None:
    assert of() == ()
    assert [REPORTS[name] for name in ("idle", "just_started") if alarms(REPORTS[name])] == []


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_makes_one_alarm_with_a_remedy(cause: str) -> None:
    name, subject, severity, values = CAUSES[cause]
    [alarm] = of(**values)
    assert (alarm.name, alarm.subject, alarm.severity) == (name, subject, severity)
    assert len(alarm.text) > 10
    assert len(alarm.remedy) > 10


def test_every_name_has_a_cause_and_a_section_of_the_page() -> None:
    assert {name for name, *_ in CAUSES.values()} == set(NAMES)
    page = (ROOT / "docs/alarms.md").read_text("utf-8")
    assert [line.removeprefix("## ") for line in page.split("\n") if line.startswith("## ")] == list(NAMES)


def test_accounts_of_a_group_that_are_all_dead_are_critical_before_each_of_them() -> None:
    dead = tuple(account(name, error="the S3 key is revoked") for name in ("b", "a"))
    found = of(accounts=(*dead, account("c", "brest")), needs_account=True)
    assert [(each.name, each.subject) for each in found] == [
        ("accounts", "default"),
        ("account", "a"),
        ("account", "b"),
    ]


def test_a_wait_for_the_minute_and_a_cancelled_product_raise_no_alarm() -> None:
    assert alarms(replace(REPORTS["quota_waits"], errors=())) == ()
    assert of(errors=(ErrorGroup("Cancelled", State.CANCELLED, 2, SLC, "by you"),)) == ()
    assert of(errors=(ErrorGroup("ConnectionLost", State.RETRY_WAIT, 2, SLC, "why"),)) == ()
    assert of(open_breakers=(OpenBreaker("suspects", "a worker died", 5.0),)) == ()


def test_a_disk_is_critical_when_nothing_moves() -> None:
    [alarm] = of(**breaker("disk:/a"), disks=(DiskStatus("/a", 0), DiskStatus("/b", 1)), why_idle="disk:/a backs off")
    assert alarm.severity is CRITICAL


def test_a_penalty_that_the_own_traffic_explains_needs_no_person() -> None:
    own = account("first", throttle_reason=ThrottleReason.PENALISED, volume_used_bytes=12 * 10**12)
    assert of(accounts=(own, WELL.accounts[1])) == ()


def test_without_a_state_no_alarm_is_raised() -> None:
    assert alarms(StatusReport(NOW, DaemonStatus(DaemonState.NEVER))) == ()
