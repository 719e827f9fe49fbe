"""Other programs spent the volume of an account: one connection at 1 MB/s. It is recognised, and others continue."""

from dataclasses import replace
from pathlib import Path

from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess


def test_an_account_spent_by_others_is_recognised_and_delays_no_other(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 40, seed=53)
    spent, other = make_accounts(2, 1, 1_500_000)
    spent = replace(spent, volume_bytes=1)  # CDSE has counted traffic of other programs
    with SandboxProcess(accounts=[replace(spent, sessions=2), other]) as sandbox:
        ours = [replace(spent, sessions=2, volume_bytes=None), other]
        lab = Installation(
            tmp_path,
            sandbox,
            accounts=ours,
            transfer={"rate_min_bytes_per_s": 500_000, "rate_window_s": 4, "processes": 2},
            retry={"account_first_delay_s": 9, "account_longest_delay_s": 20},
        )
        sandbox.add_products(*({"safename": name, "size_bytes": 8_000_000} for name in names))
        lab.drop("many.txt", names)
        with DaemonProcess(lab) as daemon:

            def seen() -> bool:
                return any(account["throttle_reason"] == "penalised" for account in lab.status()["accounts"])

            wait_until("the penalty is recognised", seen, 120, daemon=daemon)
            response, screen = lab.status(), lab.command("status").stdout
        accounts = {account["name"]: account for account in response["accounts"]}
        assert accounts["sandbox-1"]["sessions_usable"] == 1
        assert accounts["sandbox-2"]["sessions_usable"] == 4
        assert accounts["sandbox-2"]["throttle_reason"] is None
        assert "runs at about 1 MB/s, as if its volume were spent at CDSE: find out what else uses it" in screen
        assert "looked at again in 59 min" in screen or "looked at again in 1 h" in screen
        assert "account sandbox-1 runs at about 1 MB/s on one connection" in daemon.log()
        assert response["products"]["done"]["products"] > 10
        assert response["open_breakers"] == []
        assert "TooSlow" not in daemon.log()
        assert "connection cut" not in daemon.log()
        assert lab.query("SELECT sum(attempts) AS charged FROM product") == [{"charged": 0}]
