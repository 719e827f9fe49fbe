"""A worker that grows without bound is replaced before it hurts the machine; one the kernel kills is started again."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.opening import when_opening
from tests.support.sandbox import SandboxProcess

# One process, once, grows by 400 MB when it opens a file of a product.
_LEAK = """
leaked = []

def opening(path, flags):
    if "/.cdsed/S1" in path and path.endswith(".nc"):
        try:
            os.mkdir("{once}")
        except FileExistsError:
            return
        leaked.append(bytearray(b"x") * 400_000_000)
"""


def test_a_worker_that_has_grown_too_large_is_replaced_uncharged(tmp_path: Path) -> None:
    leak = _LEAK.format(once=tmp_path / "once")
    names = realistic_safenames("S1_OCN", 6, seed=381)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path / "lab", sandbox, process={"rss_max_bytes": "300MB"}, transfer={"processes": 1})
        sandbox.add_products(*({"safename": name, "size_bytes": 300_000} for name in names))
        lab.drop("first.txt", names[:1])
        with DaemonProcess(lab, environ=when_opening(tmp_path / "hook", leak)) as daemon:
            wait_until("it is replaced", lambda: "a new process takes over" in daemon.log(), daemon=daemon)
            wait_until(
                "it left in order", lambda: re.search(r"download-1 .* exited with 0", daemon.log()), daemon=daemon
            )
            lab.drop("rest.txt", names[1:])
            wait_until("the rest", lambda: lab.report("rest.txt"), daemon=daemon)
            wait_until("the first", lambda: lab.report("first.txt"), daemon=daemon)
        assert lab.differences(names) == []
        assert lab.query("SELECT sum(deaths) AS deaths, sum(attempts) AS attempts FROM product") == [
            {"deaths": 0, "attempts": 0}
        ]


def _score(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text(encoding="ascii"))


def test_the_kernel_would_kill_each_worker_before_its_supervisor(tmp_path: Path) -> None:
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        with DaemonProcess(lab) as daemon:
            daemon.until_at_work()
            workers = daemon.worker_pids()
            assert len(workers) == 4
            assert {_score(pid) for pid in workers} == {min(1000, _score(daemon.pid) + 200)}


def test_workers_that_start_as_commands_go_first_too(tmp_path: Path) -> None:
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        with DaemonProcess(lab) as daemon:
            daemon.until_at_work()
            template = next(pid for pid in _children(daemon.pid) if pid not in daemon.worker_pids())
            os.kill(template, 9)
            former = daemon.worker_pids("intake")
            os.kill(former[0], 9)
            [new] = wait_until(
                "it runs again",
                lambda: [pid for pid in daemon.worker_pids("intake") if pid not in former],
                daemon=daemon,
            )
            assert "workers start as commands from now on" in daemon.log()
            score = min(1000, _score(daemon.pid) + 200)
            wait_until("it goes first", lambda: _score(new) == score, daemon=daemon)


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


class MemoryGroup:
    """A memory cgroup of version 2 or 1, with a limit for all that it holds."""

    def __init__(self, name: str) -> None:
        version_2 = Path("/sys/fs/cgroup/cgroup.controllers")
        is_2 = version_2.exists() and "memory" in version_2.read_text(encoding="ascii")
        self.place = Path("/sys/fs/cgroup") / ("" if is_2 else "memory") / name
        self.shared = Path("/dev/shm") / name
        self._limit = "memory.max" if is_2 else "memory.limit_in_bytes"

    def make(self, most_bytes: int) -> None:
        self.place.mkdir()
        (self.place / self._limit).write_text(f"{most_bytes}", encoding="ascii")

    def join(self) -> tuple[str, ...]:
        """A command that runs another one in the group."""
        return ("sh", "-c", f'echo $$ > {self.place / "cgroup.procs"}; exec "$@"', "in-group")


@pytest.fixture
def group() -> Iterator[MemoryGroup]:
    group = MemoryGroup(f"cdsed-test-{os.getpid()}")
    try:
        group.make(600_000_000)
    except OSError as error:
        pytest.skip(f"no memory cgroup can be made here: {error}")
    yield group
    group.shared.unlink(missing_ok=True)
    wait_until("the group is empty", lambda: not (group.place / "cgroup.procs").read_text(encoding="ascii"))
    group.place.rmdir()


_MORE = ("bs=10M", "count=1", "oflag=append", "conv=notrunc", "status=none")


@pytest.mark.soak
def test_when_the_memory_of_the_service_is_used_up_workers_die_uncharged_and_the_supervisor_stays(
    tmp_path: Path, group: MemoryGroup
) -> None:
    names = realistic_safenames("S1_OCN", 12, seed=382)
    shared = group.shared
    with SandboxProcess(bandwidth_bytes_per_s=200_000) as sandbox:
        lab = Installation(tmp_path / "lab", sandbox, transfer={"processes": 2})
        sandbox.add_products(*({"safename": name, "size_bytes": 600_000} for name in names))
        lab.drop("all.txt", names)
        with DaemonProcess(lab, under=group.join()) as daemon:
            wait_until("it transfers", lambda: lab.query("SELECT 1 FROM piece WHERE done_bytes > 0"), daemon=daemon)
            workers, supervisor = set(daemon.worker_pids()), daemon.pid
            # Pages that no process has: the group's memory shrinks until the kernel has to kill one of them.
            while len(workers & set(daemon.worker_pids())) > 2:
                subprocess.run([*group.join(), "dd", "if=/dev/zero", f"of={shared}", *_MORE], check=True)
            shared.unlink()
            assert daemon.running()
            wait_until("the report", lambda: lab.report("all.txt"), 120, daemon=daemon)
            assert daemon.pid == supervisor
        assert lab.differences(names) == []
        assert lab.query("SELECT sum(deaths) AS deaths, sum(attempts) AS attempts FROM product") == [
            {"deaths": 0, "attempts": 0}
        ]
