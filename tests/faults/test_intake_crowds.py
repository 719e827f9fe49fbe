"""Very many files, very large ones, and an inbox without inotify events."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdsed.sandbox.names import realistic_safenames
from tests.faults.intake import counts, descriptors, lab_that_only_takes, peak_bytes, refusal
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.disks import fill
from tests.support.sandbox import SandboxProcess

_MiB = 2**20
_IDLE_TIMEOUT_S = 170


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess() as sandbox:
        yield sandbox


def _taken(lab: Installation) -> int:
    found: int = lab.query("SELECT count(*) AS n FROM listing WHERE state IN ('open', 'reported', 'refused')")[0]["n"]
    return found


def _crowd(root: Path, sandbox: SandboxProcess, files: int, idle_timeout_s: float) -> None:
    """Drop many listings while intake stands still, more than inotify keeps events for; all are taken in the end."""
    lab = lab_that_only_takes(root, sandbox)
    names = realistic_safenames("S1_OCN", 1000, seed=401)
    with DaemonProcess(lab) as daemon:
        daemon.until_at_work()
        before = descriptors(daemon)
        [pid] = daemon.worker_pids("intake")
        os.kill(pid, signal.SIGSTOP)
        for number in range(files):
            (lab.inbox / f"{number}.txt").write_bytes(f"{names[number % 1000]}\n".encode())
        os.kill(pid, signal.SIGCONT)
        begun_s = time.monotonic()
        wait_until("all are taken", lambda: _taken(lab) == files, idle_timeout_s, daemon=daemon)
        print(f"{files} listings in {time.monotonic() - begun_s:.0f} s, {peak_bytes(daemon) // _MiB} MiB at most")
        assert [pid] == daemon.worker_pids("intake")
        assert peak_bytes(daemon) < 150 * _MiB + files * 1500
        assert descriptors(daemon) <= before + 10  # a few come and go, but thousands of files leave none open
    assert len(list((lab.inbox / ".accepted").glob("*.receipt.txt"))) == files
    assert len(list((lab.inbox / ".accepted").glob("*.receipt.json"))) == files
    [sums] = lab.query("SELECT sum(accepted) AS accepted, sum(accepted + known) AS lines FROM listing")
    assert sums == {"accepted": 1000, "lines": files}


def _events_max() -> int:
    return int(Path("/proc/sys/fs/inotify/max_queued_events").read_text(encoding="ascii"))


def test_more_files_at_once_than_inotify_has_events_for_are_all_taken(tmp_path: Path, sandbox: SandboxProcess) -> None:
    if _events_max() > 20_000:
        pytest.skip("inotify keeps too many events here: fs.inotify.max_queued_events")
    # each file makes at least three events: created, modified, closed
    _crowd(tmp_path / "lab", sandbox, _events_max() // 3 + 500, _IDLE_TIMEOUT_S)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_hundred_thousand_files_at_once_are_all_taken(tmp_path: Path, sandbox: SandboxProcess) -> None:
    _crowd(tmp_path / "lab", sandbox, 100_000, 7200)


def test_where_the_kernel_tells_nothing_the_inbox_is_scanned_and_log_and_status_say_so(
    tmp_path: Path, sandbox: SandboxProcess
) -> None:
    # A user namespace has limits of its own: other processes of this machine are not affected.
    blind = 'echo 0 > /proc/sys/user/max_inotify_instances && exec "$@"'
    if subprocess.run(["unshare", "-Ur", "sh", "-c", blind, "sh", "true"], check=False).returncode:
        pytest.skip("no user namespaces here (unshare -Ur)")
    lab = lab_that_only_takes(tmp_path / "lab", sandbox)
    (lab.inbox / "default").mkdir()
    names = realistic_safenames("S1_OCN", 3, seed=403)
    command = [
        "unshare",
        "-Ur",
        "sh",
        "-c",
        blind,
        "sh",
        sys.executable,
        "-m",
        "cdsed",
        "run",
        "--config",
        str(lab.config),
    ]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with (tmp_path / "log").open("wb") as log:
        daemon = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
    try:
        wait_until("it is said", lambda: b"it is scanned from time to time" in (tmp_path / "log").read_bytes())
        lab.drop("in.txt", names[:1])
        lab.drop("group.txt", names[1:2], group="default")
        (lab.inbox / "written.txt").write_text(f"{names[2]}\n", encoding="utf-8")
        wait_until("all are taken", lambda: lab.receipt("in.txt") and lab.receipt("written.txt") and _taken(lab) == 3)
        [notice] = lab.status()["notices"]
        assert notice["name"] == "inbox"
        assert f"changes in {lab.inbox} are not noticed" in notice["text"]
    finally:
        daemon.terminate()
        daemon.wait(30)


_ENDLESS = [
    ("line.txt", b"", b"x" * 64, b""),
    ("string.json", b'{"Name": "', b"x" * 64, b'"}'),
    ("quotes.json", b'{"Name": "', b'\\"' * 32, b'"}'),
    ("digits.json", b'{"value": [{"Name": ', b"9" * 64, b"}]}"),
    ("item.json", b'{"value": [{"x": [', b"0,0,0,0," * 8, b"0]}]}"),
]


def test_endless_lines_and_values_are_refused_in_little_memory(tmp_path: Path, sandbox: SandboxProcess) -> None:
    _endless(tmp_path, sandbox, _ENDLESS, 30 * _MiB)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_one_line_of_a_gigabyte_is_refused_in_little_memory(tmp_path: Path, sandbox: SandboxProcess) -> None:
    _endless(tmp_path, sandbox, _ENDLESS[:1], 1024 * _MiB)


def _endless(
    tmp_path: Path, sandbox: SandboxProcess, shapes: list[tuple[str, bytes, bytes, bytes]], size_bytes: int
) -> None:
    lab = lab_that_only_takes(tmp_path / "lab", sandbox)
    with DaemonProcess(lab) as daemon:
        daemon.until_at_work()
        before = peak_bytes(daemon)
        for name, head, filler, tail in shapes:
            with (tmp_path / "written").open("wb") as file:
                file.write(head)
                for _ in range(size_bytes // _MiB):
                    file.write(filler * (_MiB // len(filler)))
                file.write(tail)
            (tmp_path / "written").rename(lab.inbox / name)
        for name, *_ in shapes:
            wait_until(f"{name} is judged", lambda: lab.receipt(name) or refusal(lab, name), 600, daemon=daemon)  # noqa: B023
        assert peak_bytes(daemon) < before + 25 * _MiB
    for name, *_ in shapes:
        assert refusal(lab, name) or counts(lab, name)["rejected"] == counts(lab, name)["lines"] == 1


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_listing_of_a_gigabyte_is_taken_in_little_memory_in_spite_of_kills(
    tmp_path: Path, sandbox: SandboxProcess
) -> None:
    seed = int(os.environ.get("CDSED_SOAK_SEED", random.SystemRandom().randrange(2**32)))
    print(f"CDSED_SOAK_SEED={seed}")
    lines = 12_000_000
    _killed(
        tmp_path,
        sandbox,
        seed,
        [f"no product of any kind, nor one of Sentinel's, has the name {n}" for n in range(1000)],
        lines,
    )


def test_kills_at_random_neither_lose_nor_double_a_line(tmp_path: Path, sandbox: SandboxProcess) -> None:
    _killed(
        tmp_path,
        sandbox,
        5,
        [
            *(names := realistic_safenames("S1_OCN", 85_000, seed=405)),
            *names[:5000],
            *["no product"] * 9000,
            *[""] * 1000,
        ],
        100_000,
    )


def _at_work(lab: Installation) -> list[int]:
    return [row["pid"] for row in lab.query("SELECT pid FROM process WHERE name = 'intake'")]


def _killed(tmp_path: Path, sandbox: SandboxProcess, seed: int, lines: list[str], count: int) -> None:
    timestamps = random.Random(seed)
    lab = lab_that_only_takes(tmp_path / "lab", sandbox)
    with DaemonProcess(lab) as daemon:
        daemon.until_at_work()
        written = tmp_path / "written"
        with written.open("w", encoding="utf-8") as file:
            for _ in range(count // len(lines)):
                file.write("".join(f"{line}\n" for line in lines))
        written.rename(lab.inbox / "long.txt")
        kills = 0
        while not lab.receipt("long.txt") and kills < 4:  # its successor comes after 0.5, 1, 2, 4 s
            [pid] = wait_until("it lives", lambda: _at_work(lab), daemon=daemon)
            time.sleep(timestamps.uniform(0, 0.6))
            os.kill(pid, signal.SIGKILL)
            kills += 1
            wait_until("it is gone", lambda: pid not in _at_work(lab), daemon=daemon)  # noqa: B023
        wait_until(
            "the receipt", lambda: lab.receipt("long.txt"), 7200 if count > 10**6 else _IDLE_TIMEOUT_S, daemon=daemon
        )
        if count > 10**6:
            assert peak_bytes(daemon) < 200 * _MiB
    assert kills >= 2, "it was too quick to be killed"
    found = counts(lab, "long.txt")
    named = {line for line in lines if line.startswith("S1")}
    assert found["lines"] == count
    assert found["accepted"] == len(named)
    assert found["accepted"] + found["duplicate"] == count // len(lines) * sum(line in named for line in lines)
    assert {row["safename"] for row in lab.query("SELECT safename FROM product")} == named
    assert lab.query("SELECT count(*) AS n FROM want") == [{"n": len(named)}]
    assert lab.query("SELECT count(*) AS n FROM event WHERE origin IS NULL") == [{"n": len(named)}]
    assert not list((lab.inbox / ".taking").rglob("*"))


def test_without_room_for_a_receipt_it_is_handed_out_when_there_is(
    tmp_path: Path, sandbox: SandboxProcess, small_disk: Path
) -> None:
    lab = lab_that_only_takes(tmp_path / "lab", sandbox)
    inbox = small_disk / "inbox"
    lab.inbox.rmdir()
    inbox.mkdir()
    lab.inbox = inbox
    lab.configure(inbox={"path": str(inbox)})
    [name] = realistic_safenames("S1_OCN", 1, seed=407)
    with DaemonProcess(lab) as daemon:
        daemon.until_at_work()
        [pid] = daemon.worker_pids("intake")
        (inbox / ".x").write_text(f"{name}\n", encoding="utf-8")
        fill(small_disk / "ballast")
        (inbox / ".x").rename(inbox / "x.txt")
        wait_until("it is said", lambda: "no receipt can be written" in daemon.log(), daemon=daemon)
        [alarm] = [each for each in lab.status()["alarms"] if each["name"] == "inbox"]
        assert (alarm["subject"], "no receipt can be written" in alarm["text"]) == (str(inbox), True)
        assert lab.receipt("x.txt") is None
        (small_disk / "ballast").unlink()
        wait_until("the receipt", lambda: lab.receipt("x.txt"), daemon=daemon)
        shutil.copyfile(lab.inbox / ".accepted" / "x.txt", inbox / "y.txt")
        wait_until("the next one's", lambda: lab.receipt("y.txt"), daemon=daemon)
        assert [each for each in lab.status()["alarms"] if each["name"] == "inbox"] == []
        assert daemon.worker_pids("intake") == [pid]
    assert counts(lab, "x.txt")["accepted"] == counts(lab, "x.txt")["lines"] == 1
