"""A worker that crashes in a loop and a refused reload are named in the log, the status and to systemd."""

import signal
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess


def test_a_worker_that_crashes_in_a_loop_is_named_and_makes_the_exit_code_1(tmp_path: Path) -> None:
    [name] = realistic_safenames("S1_OCN", 1, seed=807)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        (lab.state / "run" / "catalogue.rate_limit").mkdir(parents=True)  # resolve cannot open it
        lab.drop("one.txt", [name])
        with DaemonProcess(lab) as daemon:
            wait_until("it is seen", lambda: lab.status()["crashing"], daemon=daemon)
            [seen] = wait_until(
                "it waits", lambda: [each for each in lab.status()["crashing"] if each["next_start_in_s"]]
            )
            assert (seen["name"], seen["code"]) == ("resolve", 70)
            assert seen["crashes"] >= 3
            reported = lab.command("status")
            assert reported.returncode == 1
            assert "✕ resolve crashes in a loop: " in reported.stdout
            assert "times, it exited with 70 (an error in cdsed itself) last; " in reported.stdout
            daemon.terminate()
            assert daemon.wait(30) == 0
        stopped = lab.command("status")
        assert stopped.returncode == 3
        assert "crashes in a loop" not in stopped.stdout
        (lab.state / "run" / "catalogue.rate_limit").rmdir()
        with DaemonProcess(lab) as daemon:
            wait_until("it is finished", lambda: lab.report("one.txt"), daemon=daemon)
            assert lab.command("status").returncode == 0


def heard(systemd: socket.socket, reported: list[str]) -> str:
    """Return all messages to systemd so far."""
    with suppress(BlockingIOError):
        while True:
            reported.append(systemd.recv(4096).decode())
    return "\n".join(reported)


def test_a_refused_reload_is_reported_until_one_succeeds(tmp_path: Path) -> None:
    with SandboxProcess() as sandbox, ExitStack() as stack:
        lab = Installation(tmp_path, sandbox)
        systemd = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        systemd.bind(str(tmp_path / "notify"))
        systemd.setblocking(False)
        reported: list[str] = []
        with DaemonProcess(lab, environ={"NOTIFY_SOCKET": str(tmp_path / "notify")}) as daemon:
            daemon.until_at_work()
            lab.configure(colour="blue", log_level="LOUD")
            daemon.send(signal.SIGHUP)
            [notice] = wait_until("the notice", lambda: lab.status()["notices"], daemon=daemon)
            assert notice["text"].startswith(f"reload refused: {lab.config}:")
            assert notice["text"].endswith("(and 1 more, see the log); the former settings and accounts stay in force")
            wait_until("systemd knows", lambda: "STATUS=reload refused: " in heard(systemd, reported), daemon=daemon)
            lab.configure(colour=None)
            text = lab.config.read_text(encoding="utf-8")
            lab.config.write_text(text.replace("colour: null\n", "").replace("LOUD", "INFO"), encoding="utf-8")
            daemon.send(signal.SIGHUP)
            wait_until("it is over", lambda: lab.status()["notices"] == [], daemon=daemon)
