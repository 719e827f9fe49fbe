"""A service that answers wrongly for one product is not down: that product ends, and no other waits for it."""

from pathlib import Path
from typing import Any

import pytest

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation
from tests.support.sandbox import SandboxProcess

# Their paths are not known from the name, so the catalogue is asked.
_UNGUESSABLE = "S3A_SL_0_SLT____20240604T110100_20240604T110400_20240604T130000_0179_113_094_{:04d}_PS1_O_NR_004.SEN3"
_BADLY = {
    "list": ["internal_error", "page", "redirect", "foreign_answer", "throttle", "key_revoked"],
    "get": ["internal_error", "slow_down", "throttle", "page", "empty_body", "reset", "wrong_secret", "stall"],
}
_KINDS: list[dict[str, Any]] = [{"operation": each, "kind": kind} for each, kinds in _BADLY.items() for kind in kinds]


def test_a_path_of_another_bucket_costs_only_itself(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 4, seed=131)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox, transfer={"processes": 1})
        sandbox.add_products(*({"safename": name, "size_bytes": 100_000} for name in names[:3]))
        lines = [f"{name},s3://sentinel-s1-l1c/GRD/2023/{name}" for name in names[1:]]
        lab.drop("foreign.csv", ["safename,S3Path", f"{names[0]},", *lines])
        lab.run_once(1)
        assert lab.states("foreign.csv") == {**dict.fromkeys(names[:3], "done"), names[3]: "unavailable"}
        assert [attempts for _state, attempts in lab.endings("foreign.csv")] == [0] * 4
        assert not [each for each in sandbox.requests() if each["operation"] == "unknown"], (
            "no other bucket is asked for"
        )
        assert lab.query("SELECT * FROM breaker") == []


@pytest.mark.soak
@pytest.mark.timeout(400)
@pytest.mark.parametrize("healthy", [0, 3])
def test_products_that_the_service_always_fails_for_end_and_no_other_waits_for_them(
    tmp_path: Path, healthy: int
) -> None:
    names = realistic_safenames("S1_OCN", healthy + len(_KINDS) + 4, seed=77)
    listed, others = names[:-4], names[-4:]  # the others are in the bucket, and not asked for
    bad, good = listed[: len(_KINDS)], listed[len(_KINDS) :]
    transfer = {"processes": 1, "read_timeout_s": 2, "rate_window_s": 1}
    with SandboxProcess(accounts=2) as sandbox:
        lab = Installation(tmp_path, sandbox, retry={"attempts": 2}, transfer=transfer)
        sandbox.add_products(*({"safename": name, "size_bytes": 300_000} for name in listed + others))
        for name, kind in zip(bad, _KINDS, strict=True):
            sandbox.fault(key=f"*{name}*", **kind)
        lab.drop("mixed.txt", listed)
        with DaemonProcess(lab, "--once") as daemon:
            assert daemon.wait(300) == 1, daemon.log()
        states = lab.states("mixed.txt")
        assert {states[name] for name in bad} == {"failed"}
        assert [states[name] for name in good] == ["done"] * healthy
        assert lab.differences(good) == []


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_names_that_the_catalogue_always_fails_for_end(tmp_path: Path) -> None:
    names = [_UNGUESSABLE.format(number) for number in range(3)]
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox, retry={"attempts": 1}, transfer={"processes": 1})
        sandbox.add_products(*({"safename": name, "size_bytes": 100_000} for name in names))
        for name, kind in zip(names, ("internal_error", "page"), strict=False):
            sandbox.fault(kind=kind, operation="odata", key=f"*{name}*")
        lab.drop("names.txt", names)
        with DaemonProcess(lab, "--once") as daemon:
            assert daemon.wait(200) == 1, daemon.log()
        assert lab.states("names.txt") == {**dict.fromkeys(names[:2], "unavailable"), names[2]: "done"}
