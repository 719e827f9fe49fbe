"""`cdsed status` is correct while the daemon runs, after it has stopped, and after it has died."""

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

ROOT = Path(__file__).parents[2]
SLOW_BYTES_PER_S = 100_000  # it must still run when the status is read


def test_status_follows_a_daemon_from_start_to_end(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 6, seed=11)
    with SandboxProcess(accounts=1, bandwidth_bytes_per_s=SLOW_BYTES_PER_S) as sandbox:
        lab = Installation(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 4_000_000} for name in names))
        lab.drop("slow.txt", names)
        with DaemonProcess(lab) as daemon:
            _assert_truth_while_running(lab, daemon, names)
            daemon.terminate()
            assert daemon.wait(60) == 0, daemon.log()
            stopped = lab.command("status")
            assert stopped.returncode == 3
            assert "The daemon is stopped since" in stopped.stdout
            assert "Nothing moves: the daemon does not run (stopped)" in stopped.stdout
            daemon.start()
            wait_until("it runs again", lambda: lab.command("status").returncode == 0, daemon=daemon)
            daemon.kill()
            died = lab.command("status")
            assert died.returncode == 3
            assert "The daemon died; pid" in died.stdout
            assert lab.status()["daemon"]["state"] == "died"


def _assert_truth_while_running(lab: Installation, daemon: DaemonProcess, names: list[str]) -> None:
    wait_until("bytes arrive", lambda: lab.status()["rates_bytes_per_s"]["over_1_min"] > 0, daemon=daemon)
    response = lab.status()
    assert response["daemon"]["state"] == "running"
    assert response["daemon"]["pid"] == daemon.pid
    assert "busy" in response["accounts"][0]["sessions"]
    assert len(response["accounts"][0]["sessions"]) == 4
    assert response["why_idle"] is None
    assert response["listings"][0]["name"] == "slow.txt"
    screen = lab.command("status")
    assert screen.returncode == 0
    assert f", pid {daemon.pid}  " in screen.stdout
    assert "to go" in screen.stdout
    listing = lab.command("status", "slow.txt")
    assert "Listing slow.txt: open" in listing.stdout
    assert str(lab.inbox / ".accepted" / "slow.txt.receipt.txt") in listing.stdout
    seen = [lab.status(name)["product"] for name in names]  # by the second read it may be done
    downloading = [product for product in seen if product["state"] == "downloading"]
    assert downloading, screen.stdout
    product = max(downloading, key=lambda product: product["progress"]["size_bytes"])
    assert product["progress"]["size_bytes"] > 4_000_000
    assert [event["target"] for event in product["history"]][:3] == ["queued", "resolving", "ready"]


def test_watching_redraws_in_place_on_a_terminal_and_ends_with_an_interrupt(tmp_path: Path) -> None:
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        with DaemonProcess(lab) as daemon:
            wait_until("it runs", lambda: lab.command("status").returncode == 0, daemon=daemon)
            screen, terminal = pty.openpty()
            command = [sys.executable, "-m", "cdsed", "status", "--watch", "0.2", "--config", str(lab.config)]
            environ = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "60", "LINES": "40"}
            with subprocess.Popen(command, stdout=terminal, stderr=terminal, env=environ) as process:
                os.close(terminal)
                shown = b""
                while shown.count(b"\x1b[J") < 2:
                    shown += os.read(screen, 4096)
                fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("4H", 40, 61, 0, 0))
                process.send_signal(signal.SIGINT)
                assert process.wait(60) == 0
                with contextlib.suppress(OSError):  # nothing more comes
                    shown += os.read(screen, 65_536)
            os.close(screen)
    blocks = shown.decode(errors="replace").split("\x1b[J")
    assert shown.startswith(b"\x1b[?1049h\x1b[?25l\x1b[H"), "the alternate screen, without a cursor"
    assert shown.endswith(b"\x1b[?25h\x1b[?1049l"), "what was there before is back"
    assert all("running for" in block for block in blocks[:2])
    assert b"\x1b[2J" not in shown, "the screen is never blank"
