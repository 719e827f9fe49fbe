"""The 30-day volume: transfers stop before it is spent, and status says when it frees."""

from dataclasses import replace
from pathlib import Path

from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess


def test_no_account_passes_its_volume_and_the_fuller_one_gives_more(tmp_path: Path) -> None:
    volumes = {"sandbox-1": 60_000_000, "sandbox-2": 30_000_000}
    names = realistic_safenames("S1_OCN", 20, seed=47)
    accounts = [replace(account, volume_bytes=volumes[account.name]) for account in make_accounts(2, 1, 8_000_000)]
    with SandboxProcess(accounts=accounts) as sandbox:
        lab = Installation(tmp_path, sandbox, transfer={"piece_bytes": 2**20, "processes": 2})
        sandbox.add_products(*({"safename": name, "size_bytes": 8_000_000} for name in names))
        lab.drop("much.txt", names)
        with DaemonProcess(lab) as daemon:

            def spent() -> bool:
                return [(each["wait"] or {}).get("limit") for each in lab.status()["accounts"]] == ["volume"] * 2

            wait_until("both are spent", lambda: spent() and lab.status()["quota_wait"], daemon=daemon)
            assert lab.command("status").returncode == 0
            response, screen = lab.status(), lab.command("status").stdout
        counted = sandbox.counters()["accounts"]
        for name, volume_bytes in volumes.items():
            assert 0.89 * volume_bytes < counted[name]["bytes"] < volume_bytes
            assert counted[name]["refused"] == 0
        assert all(account["quota_free_at"]["size_bytes"] > 0 for account in response["accounts"])
        assert "free again from 20" in screen
        assert "Waiting: the work waits for a quota: sandbox-1: its 30-day volume is spent" in screen
        assert "by the 30-day volumes" in screen
        assert response["eta_by_volume"]
        assert 29 * 86_400 < response["eta_s"] < 31 * 86_400
        assert "corrupt" not in response["products"]
