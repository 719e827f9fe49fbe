"""The service throttles (429): sessions are halved and grow again, and other accounts are not affected."""

from pathlib import Path

from cdsed.process import register
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.invariants import overbooked
from tests.support.sandbox import SandboxProcess


def test_throttled_sessions_are_halved_once_shown_and_grow_back_to_all(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 14, seed=41)
    with SandboxProcess(bandwidth_bytes_per_s=1_500_000) as sandbox:
        lab = Installation(tmp_path, sandbox, transfer={"processes": 2})
        sandbox.add_products(*({"safename": name, "size_bytes": 4_000_000} for name in names))
        lab.drop("many.txt", names)
        with DaemonProcess(lab, "--once") as daemon:
            wait_until("four are busy", lambda: sandbox.counters()["accounts"]["sandbox-1"]["open_now"] == 4)
            sandbox.fault(kind="throttle", times=1, operation="get")
            shown = "2 of 4 sessions: throttled; grows"
            wait_until("fewer sessions", lambda: shown in lab.command("status").stdout, daemon=daemon)
            assert daemon.wait(120) == 0, daemon.log()
        assert lab.differences(names) == []
        assert {row["attempts"] for row in (lab.report("many.txt") or {})["products"]} == {0}
        assert daemon.log().count("throttled; it continues with 2 of 4 sessions") == 1
        assert "account sandbox-1: 3 of 4 sessions again" in daemon.log()
        assert "account sandbox-1: 4 of 4 sessions again" in daemon.log()
        assert sandbox.counters()["accounts"]["sandbox-1"]["overbooked"] == 0


def test_two_installations_on_two_machines_with_one_account_share_it_and_say_so(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 10, seed=43)
    with SandboxProcess(bandwidth_bytes_per_s=1_000_000) as sandbox:
        sandbox.add_products(*({"safename": name, "size_bytes": 6_000_000} for name in names[:5]))
        sandbox.add_products(*({"safename": name, "size_bytes": 1_500_000} for name in names[5:]))
        labs = [Installation(tmp_path / which, sandbox, transfer={"processes": 1}) for which in ("one", "other")]
        elsewhere = tmp_path / "register-of-another-machine"
        elsewhere.mkdir(mode=0o700)
        second = DaemonProcess(labs[1], environ={register.VARIABLE: str(elsewhere)})
        with DaemonProcess(labs[0]) as first, second:
            first.until_at_work(3)
            second.until_at_work(3)
            labs[0].drop("half.txt", names[:5])
            # The second finds every connection taken. If both began together, one could finish before the next refusal.
            wait_until("four are busy", lambda: sandbox.counters()["accounts"]["sandbox-1"]["open_now"] == 4)
            labs[1].drop("half.txt", names[5:])
            for lab, daemon in zip(labs, (first, second), strict=True):
                wait_until("the report", lambda lab=lab: lab.report("half.txt"), 150, daemon=daemon)
        for lab, mine in zip(labs, (names[:5], names[5:]), strict=True):
            assert lab.differences(mine) == []
            rows = (lab.report("half.txt") or {})["products"]
            assert {(row["state"], row["attempts"]) for row in rows} == {("done", 0)}
        assert "something else seems to use it, perhaps another cdsed" in first.log() + second.log()


def test_two_states_on_one_machine_with_one_account_share_its_sessions_and_say_so(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 8, seed=44)
    with SandboxProcess(bandwidth_bytes_per_s=1_000_000) as sandbox:
        sandbox.add_products(*({"safename": name, "size_bytes": 3_000_000} for name in names))
        labs = [Installation(tmp_path / which, sandbox, transfer={"processes": 1}) for which in ("one", "other")]
        # One service may be written in several ways.
        written = labs[1].config.read_text("utf-8")
        labs[1].config.write_text(written.replace("127.0.0.1", "LOCALHOST"), "utf-8")
        with DaemonProcess(labs[0]) as first, DaemonProcess(labs[1]) as second:
            first.until_at_work(3)
            second.until_at_work(3)
            labs[0].drop("half.txt", names[:4])
            wait_until("four are busy", lambda: sandbox.counters()["accounts"]["sandbox-1"]["open_now"] == 4)
            labs[1].drop("half.txt", names[4:])
            reported = f"used by another cdsed on this machine too (pid {first.pid}, state {labs[0].state})"
            wait_until(
                "its status names the other one",
                lambda: any(reported in notice["text"] for notice in labs[1].status()["notices"]),
                daemon=second,
            )
            for lab, daemon in zip(labs, (first, second), strict=True):
                wait_until("the report", lambda lab=lab: lab.report("half.txt"), 150, daemon=daemon)
        for lab, mine in zip(labs, (names[:4], names[4:]), strict=True):
            assert lab.differences(mine) == []
            assert lab.endings("half.txt") == [("done", 0)] * 4
        assert overbooked(sandbox) == []
        assert "throttled" not in first.log() + second.log()
