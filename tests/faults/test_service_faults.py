"""During any fault of the service, every product ends complete, and is charged only for its own faults."""

from pathlib import Path
from typing import Any

import pytest

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

_ONLY_THE_CATALOGUE_KNOWS = (  # the path of these cannot be derived from the name
    "S3A_SL_0_SLT____20240604T110100_20240604T110400_20240604T130000_0179_113_094_{:04d}_PS1_O_NR_004.SEN3"
)
# Seconds instead of minutes until a connection that brings nothing is cut.
_IMPATIENT = {"read_timeout_s": 2, "rate_window_s": 1, "processes": 1}


def _lab(tmp_path: Path, sandbox: SandboxProcess, **settings: Any) -> Installation:
    transfer = {**_IMPATIENT, **settings.pop("transfer", {})}
    return Installation(tmp_path, sandbox, transfer=transfer, **settings)


def _attempts(lab: Installation, listing: str) -> list[int]:
    return [attempts for _state, attempts in lab.endings(listing)]


def _within_quotas(sandbox: SandboxProcess) -> bool:
    limits = {account.name: account.sessions for account in sandbox.accounts}
    counted = sandbox.counters()["accounts"]
    return all(counters["open_max"] <= limits[name] for name, counters in counted.items())


_ON_THE_WAY = {
    "bad-keys": [
        {"kind": "forbidden", "code": "InvalidAccessKeyId", "times": 1},
        {"kind": "forbidden", "code": "SignatureDoesNotMatch", "times": 1},
        {"kind": "forbidden", "code": "ExpiredToken", "times": 1},
        {"kind": "key_expired", "times": 1},
        {"kind": "key_not_yet_valid", "times": 1},
    ],
    "a-refusal": [{"kind": "forbidden", "code": "AccessDenied", "times": 1}],
    "answers": [
        {"kind": "throttle", "times": 2},
        {"kind": "internal_error", "times": 3},
        {"kind": "slow_down", "times": 1},
        {"kind": "xml_body", "times": 2},
    ],
    "cuts": [
        {"kind": "reset", "times": 2},
        {"kind": "reset", "times": 2, "after_bytes": 1000, "operation": "get"},
        {"kind": "short_body", "times": 3},
    ],
    "slowness": [
        {"kind": "stall", "times": 1},
        {"kind": "stall", "times": 1, "after_bytes": 1000},
        {"kind": "trickle", "times": 1, "after_bytes": 1000},
    ],
}


def _fetch_three_through(tmp_path: Path, faults: list[dict[str, Any]]) -> list[int]:
    """Have a daemon bring three products through faults that pass; return the attempts charged to each."""
    names = realistic_safenames("S1_GRD", 3, seed=21)
    with SandboxProcess(accounts=2) as sandbox:
        lab = _lab(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 1_000_000} for name in names))
        for fault in faults:
            sandbox.fault(**fault)
        lab.drop("three.txt", names)
        log = lab.run_once()
        assert sum(sandbox.counters()["faults"].values()) == sum(fault["times"] for fault in faults)
        assert lab.differences(names) == []
        assert _within_quotas(sandbox)
        assert "Traceback" not in log
        return _attempts(lab, "three.txt")


@pytest.mark.parametrize("faults", _ON_THE_WAY.values(), ids=_ON_THE_WAY)
def test_a_fault_on_the_way_to_a_product_is_never_charged_to_it(tmp_path: Path, faults: list[dict[str, Any]]) -> None:
    assert _fetch_three_through(tmp_path, faults) == [0, 0, 0]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "not_found", "times": 1, "operation": "get"},
        {"kind": "changed_etag", "times": 1, "operation": "get", "key": "*.tiff"},
    ],
    ids=lambda fault: fault["kind"],
)
def test_a_fault_of_a_product_itself_costs_it_one_attempt(tmp_path: Path, fault: dict[str, Any]) -> None:
    assert sorted(_fetch_three_through(tmp_path, [fault])) == [0, 0, 1]


def test_an_object_that_changes_while_eight_sessions_are_at_it_is_fetched_again(tmp_path: Path) -> None:
    [name] = realistic_safenames("S1_GRD", 1, seed=59)
    with SandboxProcess(accounts=2, bandwidth_bytes_per_s=3_000_000) as sandbox:
        lab = Installation(tmp_path, sandbox, transfer={"piece_bytes": 2**20})
        sandbox.add_products({"safename": name, "size_bytes": 40_000_000})
        sandbox.fault(kind="changed_etag", operation="get", skip=6, times=1, key="*.tiff")
        lab.drop("one.txt", [name])
        lab.run_once()
        assert lab.differences([name]) == []
        assert sandbox.counters()["faults"] == {"changed_etag": 1}
        assert _attempts(lab, "one.txt") in ([1], [2])  # the manifest changes with the object


@pytest.mark.parametrize("kind", ["internal_error", "throttle", "xml_body"])
def test_while_everything_fails_products_wait_uncharged(tmp_path: Path, kind: str) -> None:
    names = realistic_safenames("S1_OCN", 3, seed=23)
    with SandboxProcess() as sandbox:
        lab = _lab(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 300_000} for name in names))
        sandbox.fault(kind=kind)
        lab.drop("three.txt", names)
        with DaemonProcess(lab, "--once") as daemon:
            wait_until("error", lambda: sandbox.counters()["faults"].get(kind, 0) >= 3, daemon=daemon)
            sandbox.clear_faults()
            assert daemon.wait(60) == 0, daemon.log()
        assert lab.differences(names) == []
        assert lab.endings("three.txt") == [("done", 0)] * 3


def test_an_account_waits_for_as_long_as_the_service_asks(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 4, seed=25)
    with SandboxProcess() as sandbox:
        lab = _lab(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 300_000} for name in names))
        sandbox.fault(kind="throttle", times=1, skip=1, retry_after_s=4)
        lab.drop("four.txt", names)
        lab.run_once()
        requests = [request for request in sandbox.requests() if request["operation"] != "odata"]
        throttled_s = next(request["boot_s"] for request in requests if request["status"] == 429)
        # pieces under way on its other sessions may end
        too_early = [request for request in requests if throttled_s + 1.5 < request["boot_s"] < throttled_s + 3.9]
        assert not too_early
        assert requests[-1]["boot_s"] > throttled_s + 3.9
        assert lab.differences(names) == []


def test_an_object_waits_for_as_long_as_a_busy_service_asks(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 2, seed=26)
    with SandboxProcess() as sandbox:
        lab = _lab(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 300_000} for name in names))
        sandbox.fault(kind="slow_down", times=1, operation="get", key="*.nc", retry_after_s=5)
        lab.drop("two.txt", names)
        lab.run_once()
        requests = sandbox.requests()
        busy = next(request for request in requests if request["status"] == 503)
        again = [request["boot_s"] for request in requests if request["key"] == busy["key"] and request is not busy]
        assert again
        assert min(again) >= busy["boot_s"] + 4.9
        assert lab.differences(names) == []


def test_catalogue_errors_make_products_wait_and_no_more(tmp_path: Path) -> None:
    names = [_ONLY_THE_CATALOGUE_KNOWS.format(number) for number in (1, 2)]
    with SandboxProcess() as sandbox:
        lab = _lab(tmp_path, sandbox, catalogue={"timeout_s": 1})
        sandbox.add_products(*({"safename": name, "size_bytes": 300_000} for name in names))
        for kind in ("internal_error", "xml_body", "reset", "short_body"):
            sandbox.fault(kind=kind, operation="odata", times=1)
        lab.drop("two.txt", names)
        lab.run_once()
        assert sum(sandbox.counters()["faults"].values()) == 4
        assert lab.endings("two.txt") == [("done", 0)] * 2
        assert lab.differences(names) == []


def test_a_source_that_contradicts_its_own_manifest_is_corrupt_and_costs_the_others_nothing(tmp_path: Path) -> None:
    bad, *good = realistic_safenames("S1_GRD", 3, seed=27)
    with SandboxProcess() as sandbox:
        lab = _lab(tmp_path, sandbox)
        sandbox.add_products(
            {"safename": bad, "size_bytes": 600_000, "manifest_lies": "measurement/*"},
            *({"safename": name, "size_bytes": 600_000} for name in good),
        )
        lab.drop("three.txt", [bad, *good])
        lab.run_once(1)
        report = lab.report("three.txt")
        assert report is not None
        rows = {row["safename"]: row for row in report["products"]}
        assert rows[bad]["state"] == "corrupt"
        assert "two copies were alike" in rows[bad]["cause"]
        assert "quarantine" in rows[bad]["path"]
        assert Path(rows[bad]["path"], "manifest.safe").is_file()
        assert not (lab.spool / bad).exists()
        assert {rows[name]["state"] for name in good} == {"done"}
        assert lab.differences(good) == []
        counted = sandbox.counters()["keys"]
        assert {each["requests"] for key, each in counted.items() if bad in key} == {1, 2}  # only the bad file again


def test_a_product_that_lacks_what_its_manifest_names_fails_with_its_cause(tmp_path: Path) -> None:
    lacking, gone, *good = realistic_safenames("S1_OCN", 4, seed=29)
    with SandboxProcess() as sandbox:
        lab = _lab(tmp_path, sandbox, retry={"attempts": 3})
        sandbox.add_products(
            {"safename": lacking, "size_bytes": 300_000, "missing_object": "measurement/*"},
            *({"safename": name, "size_bytes": 300_000} for name in (gone, *good)),
        )
        sandbox.fault(kind="not_found", operation="get", key=f"*{gone}/*.nc")
        lab.drop("four.txt", [lacking, gone, *good])
        lab.run_once(1)
        report = lab.report("four.txt")
        assert report is not None
        rows = {row["safename"]: row for row in report["products"]}
        assert (rows[lacking]["state"], rows[lacking]["attempts"]) == ("failed", 3)
        assert "not on the service" in rows[lacking]["cause"]
        assert (rows[gone]["state"], rows[gone]["attempts"]) == ("unavailable", 3)
        assert ".nc is not there (404 NoSuchKey)" in rows[gone]["cause"]
        assert {rows[name]["state"] for name in good} == {"done"}
        assert lab.differences(good) == []


def test_what_one_account_may_not_read_another_fetches(tmp_path: Path) -> None:
    denied, *others = realistic_safenames("S1_OCN", 6, seed=31)
    with SandboxProcess(accounts=2) as sandbox:
        lab = _lab(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 300_000} for name in (denied, *others)))
        refused = sandbox.accounts[0].name
        sandbox.fault(kind="forbidden", account=refused, key=f"*{denied}/*")
        lab.drop("six.txt", [denied, *others])
        lab.run_once()
        assert lab.differences([denied, *others]) == []
        assert lab.endings("six.txt") == [("done", 0)] * 6


@pytest.mark.parametrize("operation", ["list", "get"])
def test_what_no_working_account_may_read_ends_unavailable_and_uncharged(tmp_path: Path, operation: str) -> None:
    denied, *others = realistic_safenames("S1_OCN", 8, seed=33)
    with SandboxProcess(accounts=2) as sandbox:
        lab = _lab(tmp_path, sandbox)
        lab.configure(retry={"refused_for_s": 3})
        sandbox.add_products(*({"safename": name, "size_bytes": 300_000} for name in (denied, *others)))
        sandbox.fault(kind="forbidden", key=f"*{denied}/*", operation=operation)
        lab.drop("eight.txt", [*others, denied])
        lab.run_once(1)
        report = lab.report("eight.txt")
        assert report is not None
        rows = {row["safename"]: row for row in report["products"]}
        assert (rows[denied]["state"], rows[denied]["attempts"]) == ("unavailable", 0)
        assert "not for this account" in rows[denied]["cause"]
        assert lab.differences(others) == []


def test_a_burst_of_refusals_that_passes_makes_no_product_unavailable(tmp_path: Path) -> None:
    """A flapping service refuses every account what it gave before and gives after."""
    names = realistic_safenames("S1_OCN", 12, seed=34)
    with SandboxProcess(accounts=2) as sandbox:
        lab = _lab(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 300_000} for name in names))
        lab.drop("first.txt", names[:2])
        with DaemonProcess(lab) as daemon:
            wait_until("both accounts may have delivered", lambda: lab.report("first.txt"), daemon=daemon)
            for operation, times in (("get", 60), ("list", 10)):
                sandbox.fault(kind="forbidden", operation=operation, times=times, key="*OCN*")
            lab.drop("burst.txt", names[2:])
            wait_until("the report", lambda: lab.report("burst.txt"), 120, daemon=daemon)
        assert sandbox.counters()["faults"]["forbidden"] >= 60
        assert lab.endings("burst.txt") == [("done", 0)] * 10
        assert lab.differences(names) == []


def test_an_account_refused_everything_backs_off_and_charges_no_product(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 10, seed=35)
    with SandboxProcess(accounts=2) as sandbox:
        lab = _lab(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 300_000} for name in names))
        refused = sandbox.accounts[0].name
        sandbox.fault(kind="forbidden", account=refused)
        lab.drop("ten.txt", names)
        log = lab.run_once()
        assert f"account {refused}: its S3 key is known, but may read nothing" in log
        assert "it backs off for" in log
        assert lab.differences(names) == []
        assert lab.endings("ten.txt") == [("done", 0)] * 10


def test_when_all_accounts_are_refused_everything_products_wait_until_they_work_again(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 5, seed=37)
    with SandboxProcess(accounts=2) as sandbox:
        lab = _lab(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 300_000} for name in names))
        sandbox.fault(kind="forbidden")
        lab.drop("five.txt", names)
        with DaemonProcess(lab, "--once") as daemon:
            wait_until("both cool", lambda: daemon.log().count("it backs off for") >= 4, daemon=daemon)
            sandbox.clear_faults()
            assert daemon.wait(60) == 0, daemon.log()
        assert lab.differences(names) == []
        assert lab.endings("five.txt") == [("done", 0)] * 5


def test_one_large_product_alone_is_worked_on_by_every_session(tmp_path: Path) -> None:
    [name] = realistic_safenames("S1_SLC", 1, seed=39)
    with SandboxProcess(accounts=2, bandwidth_bytes_per_s=5_000_000) as sandbox:
        lab = Installation(tmp_path, sandbox, transfer={"piece_bytes": 4 * 2**20})
        sandbox.add_products({"safename": name, "size_bytes": 120_000_000})
        lab.drop("one.txt", [name])

        def open_now() -> list[int]:
            return [counters["open_now"] for counters in sandbox.counters()["accounts"].values()]

        with DaemonProcess(lab, "--once") as daemon:
            wait_until("all eight sessions are at it", lambda: open_now() == [4, 4], daemon=daemon)
            assert daemon.wait(60) == 0, daemon.log()
        assert lab.differences([name]) == []
        assert _within_quotas(sandbox)
