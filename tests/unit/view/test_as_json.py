import json
from dataclasses import replace

from cdsed.model.quota import Limit, QuotaFreeAt, QuotaWait
from cdsed.model.status_report import PoolStatus
from cdsed.view import as_json
from tests.support.status_examples import VIEWS
from tests.unit.view.example import CRASHING, FIRST, NOW, REPORT, VIEW, WAITING

ISO = "2027-01-15T08:00:00Z"


def test_the_names_of_schema_3_are_these() -> None:
    response = json.loads(json.dumps(as_json.render(replace(VIEW, report=replace(VIEW.report, crashing=(CRASHING,))))))
    assert response["schema"] == 3
    assert response["at"] == ISO
    assert set(response) == {
        "schema",
        "at",
        "state_dir",
        "daemon",
        "why_idle",
        "notices",
        "crashing",
        "products",
        "to_go_bytes",
        "eta_s",
        "eta_by_volume",
        "rates_bytes_per_s",
        "listings",
        "accounts",
        "open_breakers",
        "errors",
        "quota_wait",
        "needs_account",
        "pools",
        "alarms",
        "eta",
        "transfers",
        "rate_bytes_per_s",
        "rate_steps_bytes_per_s",
        "stalled_for_s",
        "last_published",
        "oldest_waiting",
        "disks",
        "pauses",
        "bandwidth_limits",
        "drains",
        "machines",
    }
    assert response["daemon"] == {
        "state": "running",
        "pid": 42,
        "started_at": "2027-01-15T06:50:00Z",
        "stopped_at": None,
        "version": "0.1.0",
        "last_heard_at": None,
    }
    assert response["products"]["done"] == {"products": 40, "size_bytes": 33_100_000_000}
    assert response["rates_bytes_per_s"] == {"over_1_min": 34.1e6, "over_10_min": 30e6, "over_60_min": 20e6}
    assert response["listings"][0] == {
        "id": 1,
        "name": "campaign.txt",
        "group": "default",
        "priority": 0,
        "state": "open",
        "taken_at": ISO,
        "lines": 50,
        "by_state": {"done": 40, "unavailable": 1, "queued": 3},
        "eta": None,
        "products": 44,
        "finished": 41,
        "failed_products": 1,
    }
    assert response["accounts"][0] == {
        "name": "first",
        "group": "default",
        "sessions": ["busy", "busy", "free", "resting"],
        "error": None,
        "probe_in_s": None,
        "volume_used_bytes": 100_000_000_000,
        "volume_bytes": 12_000_000_000_000,
        "volume_left_bytes": 11_900_000_000_000,
        "requests_last_minute": 133,
        "key_expires_at": "2027-01-16T08:00:00Z",
        "sessions_usable": 4,
        "throttle_reason": None,
        "grows_in_s": None,
        "quota_free_at": None,
        "error_code": None,
        "wait": None,
        "session_waits": [],
        "shares": [],
        "requests_per_minute": 2000,
        "bandwidth_bytes_per_s": None,
    }
    assert response["notices"] == [{"name": "recovered", "text": "the state was made again", "since_at": ISO}]
    ending = {"ending": "exited with 70 (an error in cdsed itself)", "code": 70, "next_start_in_s": 24.0}
    assert response["crashing"] == [{"name": "resolve", "crashes": 7, **ending}]
    assert response["open_breakers"] == [{"name": "disk:/spool", "reason": "no room left", "probe_in_s": 40.0}]
    assert set(response["errors"][0]) == {"code", "state", "products", "example", "cause", "next_in_s"}


def test_an_account_whose_volume_is_spent_says_when_how_much_of_it_is_free_again() -> None:
    account = replace(FIRST, quota_free_at=QuotaFreeAt(NOW + 3600, 1_200_000_000_000))
    response = as_json.render(replace(VIEW, report=replace(REPORT, accounts=(account,))))
    assert response["accounts"][0]["quota_free_at"] == {"at": "2027-01-15T09:00:00Z", "size_bytes": 1_200_000_000_000}


def test_a_quota_wait_has_its_limit_its_end_and_the_seconds_until_then() -> None:
    wait = QuotaWait(Limit.REQUESTS, NOW + 23, shared=True)
    account = replace(FIRST, sessions=(WAITING,) * 2, wait=wait, session_waits=(wait, None), shares=(Limit.REQUESTS,))
    pool = PoolStatus("default", None, None, 2000, 1990, None, None)
    report = replace(REPORT, accounts=(account,), quota_wait=wait, pools=(pool,))
    response = json.loads(json.dumps(as_json.render(replace(VIEW, report=report))))
    shown = {"limit": "requests", "until_at": "2027-01-15T08:00:23Z", "shared": True, "in_s": 23.0}
    assert response["quota_wait"] == response["accounts"][0]["wait"] == shown
    assert response["accounts"][0]["session_waits"] == [shown, None]
    assert response["accounts"][0]["shares"] == ["requests"]
    assert response["pools"] == [
        {
            "group": "default",
            "sessions": None,
            "sessions_held": None,
            "requests_per_minute": 2000,
            "requests_last_minute": 1990,
            "volume_bytes": None,
            "volume_used_bytes": None,
            "quota_free_at": None,
        }
    ]


def test_what_is_in_transfer_paused_and_limited_has_its_times_as_texts() -> None:
    busy = as_json.render(VIEWS["busy"])
    assert busy["transfers"][0]["since_at"] == "2027-01-15T07:58:56Z"
    assert busy["eta"] == {"seconds": 18_720.0, "limit": "requests", "lower_bound": False, "at": "2027-01-15T13:12:00Z"}
    assert busy["listings"][0]["eta"]["at"] == "2027-01-15T13:12:00Z"
    assert busy["disks"] == [{"place": "/data/spool", "free_bytes": 1_200_000_000_000, "error": None}]
    paused = as_json.render(VIEWS["paused"])
    assert [each["until_at"] for each in paused["pauses"]] == ["2027-01-15T10:00:00Z", None]
    assert paused["bandwidth_limits"][0]["bytes_per_s"] == 50_000_000
    assert paused["eta"]["lower_bound"]
    names = [each["name"] for each in as_json.render(VIEWS["all_dead"])["alarms"]]
    assert names == ["accounts", "account", "account", "failed_products"]
