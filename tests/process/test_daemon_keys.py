"""Accounts that have only a password: the daemon makes them S3 keys, and leaves none behind."""

import json
import os
import signal
import threading
from pathlib import Path

from cdsed.catalogue.http_client import HttpClient
from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.accounts import load_accounts
from cdsed.config.load import load_settings
from cdsed.credentials.keys_manager import KeysManager
from cdsed.credentials.tokens import Tokens
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess


def _lab(root: Path, sandbox: SandboxProcess) -> Installation:
    lab = Installation(root, sandbox)
    lab.write_accounts({"default": sandbox.accounts}, keys=False)
    return lab


def _keys_there(lab: Installation) -> set[str]:
    """Return the S3 keys that the first account has at the service."""
    settings = load_settings(lab.config, {})
    account = next(iter(load_accounts(settings, {})))
    lab.state.joinpath("asking").mkdir(exist_ok=True)
    with HttpClient(timeout_s=10, clock=SYSTEM_CLOCK, stop=threading.Event()) as http_client:
        tokens = Tokens(settings.services.identity_url, account, lab.state / "asking", http_client)
        manager = KeysManager(settings.services.keys_manager_url, account.name, tokens, http_client)
        return {key.access_key for key in manager.listed()}


def test_an_account_with_only_a_password_downloads_and_leaves_no_key_behind(tmp_path: Path) -> None:
    names = realistic_safenames("S1_GRD", 3, seed=11)
    with SandboxProcess() as sandbox:
        sandbox.rules(key_delay_s=3)
        lab = _lab(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 2_000_000} for name in names))
        lab.drop("list.txt", names)
        with DaemonProcess(lab) as daemon:
            wait_until("all is finished", lambda: lab.report("list.txt"), daemon=daemon)
            assert set(lab.states("list.txt").values()) == {"done"}
            assert len(_keys_there(lab)) == 1
            ledger = lab.state / "temporary_keys.json"
            assert ledger.stat().st_mode & 0o777 == 0o600
            (key,) = json.loads(ledger.read_text(encoding="utf-8"))
            status = lab.command("status", "--json").stdout + lab.command("status").stdout
            daemon.terminate()
            assert daemon.wait(30) == 0
        assert lab.differences(names) == []
        assert _keys_there(lab) == set()
        assert sandbox.counters()["accounts"]["sandbox-1"]["overbooked"] == 0
        assert sandbox.call("GET", "identity")["sessions"] == {"sandbox-1": 2}, "ours, and this test's"
        for secret in (key["secret_key"], sandbox.accounts[0].password):
            assert secret not in daemon.log() + status
            assert secret.encode() not in b"".join(path.read_bytes() for path in lab.state.glob("cdsed.sqlite*"))


def test_a_killed_daemon_s_keys_are_used_on_and_deleted_in_the_end(tmp_path: Path) -> None:
    first, second = realistic_safenames("S1_GRD", 2, seed=12)
    with SandboxProcess() as sandbox:
        lab = _lab(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 1_000_000} for name in (first, second)))
        lab.drop("first.txt", [first])
        with DaemonProcess(lab) as daemon:
            wait_until("the first is finished", lambda: lab.report("first.txt"), daemon=daemon)
            keys = _keys_there(lab)
            for pid in daemon.worker_pids("keys"):
                os.kill(pid, signal.SIGKILL)
            daemon.kill()
        assert _keys_there(lab) == keys
        lab.drop("second.txt", [second])
        with DaemonProcess(lab) as daemon:
            wait_until("the second is finished", lambda: lab.report("second.txt"), daemon=daemon)
            assert _keys_there(lab) == keys
            daemon.terminate()
            daemon.wait(30)
        assert set(lab.states("second.txt").values()) == {"done"}
        assert _keys_there(lab) == set()


def test_keys_left_over_are_deleted_when_temporary_keys_are_no_longer_wanted(tmp_path: Path) -> None:
    (name,) = realistic_safenames("S1_GRD", 1, seed=13)
    with SandboxProcess() as sandbox:
        lab = _lab(tmp_path, sandbox)
        sandbox.add_products({"safename": name, "size_bytes": 1_000_000})
        lab.drop("list.txt", [name])
        with DaemonProcess(lab) as daemon:
            wait_until("it is finished", lambda: lab.report("list.txt"), daemon=daemon)
            for pid in daemon.worker_pids("keys"):
                os.kill(pid, signal.SIGSTOP)
            for pid in [*daemon.worker_pids("keys"), daemon.pid]:
                os.kill(pid, signal.SIGKILL)
        assert len(_keys_there(lab)) == 1
        lab.configure(services={"temporary_keys": False})
        with DaemonProcess(lab) as daemon:
            wait_until("they are gone", lambda: not _keys_there(lab), daemon=daemon)


def test_a_wrong_password_is_in_the_status_and_tried_only_a_few_times(tmp_path: Path) -> None:
    with SandboxProcess() as sandbox:
        lab = _lab(tmp_path, sandbox)
        accounts = lab.root / "accounts.yml"
        text = accounts.read_text(encoding="utf-8").replace(sandbox.accounts[0].password, "wrong-guess")
        accounts.write_text(text, encoding="utf-8")
        with DaemonProcess(lab) as daemon:
            error = wait_until(
                "the error is shown",
                lambda: [a["error"] for a in lab.status().get("accounts", []) if "refuses" in str(a["error"])],
                daemon=daemon,
            )
        assert "Invalid user credentials" in error[0]
        assert sandbox.call("GET", "identity")["grants"] == {"password": 1}
        assert "wrong-guess" not in daemon.log()


def test_what_s3_refuses_comes_as_a_zip_where_the_settings_say_so(tmp_path: Path) -> None:
    folder, single = realistic_safenames("S1_GRD", 1, seed=14)[0], realistic_safenames("S5P", 1, seed=14)[0]
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox, transfer={"zip_fallback": True})
        lab.write_accounts({"default": sandbox.accounts}, keys=False)
        specs = [{"safename": name, "size_bytes": 1_000_000, "zipped": True} for name in (folder, single)]
        sandbox.add_products(*specs)
        sandbox.fault(kind="forbidden", operation="list", code="AccessDenied")
        with DaemonProcess(lab) as daemon:
            wait_until("a token is there", lambda: list((lab.state / "run").glob("token.*.json")), daemon=daemon)
            lab.drop("list.txt", [folder, single])
            wait_until("all is finished", lambda: lab.report("list.txt"), daemon=daemon)
            log = daemon.log()
        assert set(lab.states("list.txt").values()) == {"done"}, log
        assert lab.differences([folder, single]) == []
        counted = sandbox.counters()["accounts"]["sandbox-1"]
        assert counted["overbooked"] == 0
        assert lab.status()["accounts"][0]["volume_used_bytes"] == counted["bytes"] > 1_900_000
        assert not list((lab.spool / ".cdsed").glob("*/.value"))


def test_what_s3_refuses_is_unavailable_without_zip_fallback(tmp_path: Path) -> None:
    good, refused = realistic_safenames("S1_GRD", 2, seed=15)
    with SandboxProcess() as sandbox:
        lab = _lab(tmp_path, sandbox)
        lab.configure(retry={"refused_for_s": 3})
        paths = sandbox.add_products(*({"safename": name, "size_bytes": 1_000_000} for name in (good, refused)))
        key = paths[refused].removeprefix("/eodata/")
        sandbox.fault(kind="forbidden", operation="list", key=key, code="AccessDenied")
        lab.drop("list.txt", [good, refused])
        with DaemonProcess(lab) as daemon:
            wait_until("all is finished", lambda: lab.report("list.txt"), daemon=daemon)
        assert lab.states("list.txt") == {good: "done", refused: "unavailable"}
        assert not [row for row in sandbox.requests() if row["operation"] == "zip"]
