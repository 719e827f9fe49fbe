"""A proxy, a firewall or a login page answers in the place of CDSE: every product waits, arrives, and is uncharged."""

from pathlib import Path
from typing import Any

import pytest

from cdsed.sandbox.accounts import SandboxAccount
from cdsed.sandbox.faults import FOREIGN
from cdsed.sandbox.foreign import LOGIN_PATH
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

# Sentinel-5P is asked for by HEAD, and where the last two are only the catalogue knows.
_NAMES = [
    *realistic_safenames("S1_OCN", 2, seed=601),
    *realistic_safenames("S5P", 2, seed=602),
    *realistic_safenames("S3", 2, seed=603),
]
_IMPATIENT: dict[str, Any] = {"read_timeout_s": 2, "rate_window_s": 1, "processes": 1}
_ALL_DONE = [("done", 0)] * len(_NAMES)


def _lab(tmp_path: Path, sandbox: SandboxProcess, **settings: Any) -> Installation:
    sandbox.add_products(*({"safename": name, "size_bytes": 200_000} for name in _NAMES[:4]))
    moved = ({"safename": name, "size_bytes": 200_000, "s3_path": f"/eodata/moved/{name}"} for name in _NAMES[4:])
    sandbox.add_products(*moved)
    return Installation(tmp_path, sandbox, transfer=_IMPATIENT, catalogue={"timeout_s": 2}, **settings)


def _login_page_was_not_visited(sandbox: SandboxProcess) -> bool:
    return all(LOGIN_PATH.strip("/") not in request["key"] for request in sandbox.requests())


# The unit tests try every kind of answer at every place; real processes for the others take minutes.
def _kinds(quick: str) -> list[object]:
    """Return every kind; all but one take long, and are left to the soak."""
    return [kind if kind == quick else pytest.param(kind, marks=pytest.mark.soak) for kind in FOREIGN]


@pytest.mark.parametrize("kind", _kinds("page"))
def test_six_of_six_products_arrive_uncharged_whatever_comes_in_place_of_answers(tmp_path: Path, kind: str) -> None:
    with SandboxProcess(accounts=2) as sandbox:
        lab = _lab(tmp_path, sandbox)
        for name in _NAMES:  # as often as made a product unavailable in an earlier version
            sandbox.fault(kind=kind, operation="list", key=f"*{name}*", times=3)
        for operation, times in (("head", 2), ("get", 4), ("odata", 2)):
            sandbox.fault(kind=kind, operation=operation, times=times)
        lab.drop("six.txt", _NAMES)
        log = lab.run_once()
        assert sandbox.counters()["faults"] == {kind: 26}
        assert lab.endings("six.txt") == _ALL_DONE
        assert lab.differences(_NAMES) == []
        assert _login_page_was_not_visited(sandbox)
        assert "Traceback" not in log


def test_while_every_list_is_a_login_page_all_products_wait_and_then_arrive(tmp_path: Path) -> None:
    with SandboxProcess() as sandbox:
        lab = _lab(tmp_path, sandbox)
        sandbox.fault(kind="page", operation="list")
        sandbox.fault(kind="not_found", operation="head")
        lab.drop("six.txt", _NAMES)
        with DaemonProcess(lab, "--once") as daemon:
            wait_until("the service is left alone", lambda: "transfers pause" in daemon.log(), 60, daemon=daemon)
            assert lab.query("SELECT 1 FROM product WHERE attempts > 0 OR state IN ('unavailable', 'failed')") == []
            sandbox.clear_faults()
            assert daemon.wait(90) == 0, daemon.log()
        assert lab.endings("six.txt") == _ALL_DONE


@pytest.mark.parametrize("kind", _kinds("redirect"))
def test_an_account_with_a_password_gets_its_keys_whatever_comes_in_place_of_answers(tmp_path: Path, kind: str) -> None:
    account = SandboxAccount("first", "UNUSED-KEY", "unused-secret", 2, None, None, None, password="open, sesame!")
    with SandboxProcess([account]) as sandbox:
        lab = _lab(tmp_path, sandbox)
        lab.write_accounts({"default": [account]}, keys=False)
        for operation, times in (("identity", 4), ("keys", 4), ("head", 2)):
            sandbox.fault(kind=kind, operation=operation, times=times)
        lab.drop("six.txt", _NAMES)
        log = lab.run_once()
        assert lab.endings("six.txt") == _ALL_DONE
        assert "refuses its login" not in log
        assert "may not" not in log
        assert _login_page_was_not_visited(sandbox)
