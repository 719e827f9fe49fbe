"""`cdsed demo` shows the main job from end to end, and leaves no unexpected files."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.daemon import wait_until

ROOT = Path(__file__).parents[2]


def _demo(temporary: Path, *arguments: str) -> "subprocess.Popen[str]":
    temporary.mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "cdsed", "demo", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)},
    )


def _processes_of(directory: Path) -> list[str]:
    """Return the command lines of living processes that name something below `directory`."""
    commands = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (NotADirectoryError, FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if entry.name.isdigit() and int(entry.name) != os.getpid() and str(directory) in command:
            commands.append(command)
    return commands


def test_the_demo_comes_out_as_it_has_to(tmp_path: Path) -> None:
    place = tmp_path / "place"
    with _demo(tmp_path / "tmp", str(place)) as demo:
        said, errors = demo.communicate(timeout=120)
    assert demo.returncode == 0, errors
    progress = [line for line in said.splitlines() if line.startswith("OK ")]
    assert progress[-1].startswith("OK 7  ERR 2  to go 0"), "the last look comes after the daemon has left"
    assert "second: its S3 key" in said
    assert "first:[●" in said
    assert "second:[✕✕✕✕]" in said
    assert "It backs off and is tried again later; no product is charged for it." in said
    assert "9 products: 6 done, 2 unavailable, 1 already_present" in said
    assert "perhaps misspelt: orbit '05417' should be six digits" in said
    assert "files byte-identical to the source, none differs." in said
    assert f"cdsed status --config {place}/cdsed.yml" in said
    assert (place / "inbox" / ".accepted" / "demo.txt.report.txt").exists()
    assert _processes_of(tmp_path) == []


def test_the_demo_comes_out_alike_over_three_workers(tmp_path: Path) -> None:
    with _demo(tmp_path / "tmp", "--cluster", str(tmp_path / "place")) as demo:
        said, errors = demo.communicate(timeout=170)
    assert demo.returncode == 0, errors
    assert "9 products: 6 done, 2 unavailable, 1 already_present" in said
    assert "files byte-identical to the source, none differs." in said
    fetched = re.findall(r"worker [123] on \S+: ([0-9.]+) MB in [0-9]+ requests", said)
    assert 2 <= len(fetched) <= 3
    assert sum(map(float, fetched)) >= 210
    assert _processes_of(tmp_path) == []


def test_an_interrupted_demo_leaves_neither_processes_nor_files(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    with _demo(temporary) as demo:
        wait_until("the daemon has begun", lambda: list(temporary.glob("cdsed-demo-*/state/cdsed.sqlite")))
        demo.send_signal(signal.SIGINT)
        _said, errors = demo.communicate(timeout=60)
    assert demo.returncode == 130, errors
    assert "Traceback" not in errors
    assert _processes_of(tmp_path) == []
    assert list(temporary.iterdir()) == []


def test_a_directory_that_is_not_empty_is_ignored(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / "thesis.tex").write_text("do not touch", encoding="utf-8")
    with _demo(tmp_path / "tmp", str(place)) as demo:
        _said, errors = demo.communicate(timeout=60)
    assert demo.returncode == 64
    assert "is not an empty directory" in errors
    assert [path.name for path in place.iterdir()] == ["thesis.tex"]
