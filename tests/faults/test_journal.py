"""What systemd's journal makes of cdsed's lines: the priority of each is what `journalctl -p` filters by."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import Installation
from tests.support.sandbox import SandboxProcess

ROOT = Path(__file__).parents[2]


def journal_of(*arguments: str) -> tuple[int, list[str]]:
    """Run a command whose stderr is a stream of the journal; return its exit code and what arrived there."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stream = os.fstat(theirs.fileno())
        environ = {
            **os.environ,
            "JOURNAL_STREAM": f"{stream.st_dev}:{stream.st_ino}",
            "CDSED_JOURNAL_SOCKET": "/nonexistent",
            "PYTHONPATH": str(ROOT),
        }
        process = subprocess.Popen([sys.executable, "-m", "cdsed", *arguments], stderr=theirs, env=environ)
        theirs.close()
        with ours.makefile(encoding="utf-8") as text:
            lines = text.read().splitlines()
        return process.wait(60), lines


def test_every_problem_of_wrong_settings_has_priority_err(tmp_path: Path) -> None:
    (tmp_path / "cdsed.yml").write_text("colour: blue\nlog_level: LOUD\n", encoding="utf-8")
    for command in (["run"], ["config", "check"], ["role", "intake", "--name", "intake"]):
        code, lines = journal_of(*command, "--config", str(tmp_path / "cdsed.yml"))
        assert code == 78
        assert len(lines) == 2, lines
        assert all(line.startswith("<3>") for line in lines), lines


def test_a_wrong_command_line_has_priority_err() -> None:
    code, lines = journal_of("run", "--colour")
    assert code == 64
    assert lines[-1].startswith("<3>")


def test_every_line_of_a_whole_run_carries_a_priority(tmp_path: Path) -> None:
    [known, unknown] = realistic_safenames("S1_OCN", 2, seed=805)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        sandbox.add_products({"safename": known, "size_bytes": 10_000})
        lab.drop("one.txt", [known, unknown])
        code, lines = journal_of("run", "--once", "--config", str(lab.config))
    assert code == 1
    assert [line for line in lines if not line.startswith(("<3>", "<4>", "<6>"))] == []
    assert any(line.startswith("<6>") for line in lines)


def test_lines_that_go_elsewhere_look_as_they_do_without_systemd(tmp_path: Path) -> None:
    (tmp_path / "cdsed.yml").write_text("colour: blue\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "cdsed", "role", "intake", "--name", "intake", "--config", str(tmp_path / "cdsed.yml")],
        env={**os.environ, "JOURNAL_STREAM": "1:1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78
    assert done.stderr.startswith("20")
    assert "ERROR" in done.stderr
