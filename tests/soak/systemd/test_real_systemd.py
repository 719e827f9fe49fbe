"""The unit as an administrator installs it, under a real systemd, while products arrive and something happens to it."""

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.invariants import Watcher
from tests.support.machine.machine import send
from tests.support.machine.service import Service, UnderWay

pytestmark = [
    pytest.mark.soak,
    pytest.mark.parametrize(
        "machine", [("trixie", "make"), ("bookworm", "make")], ids=lambda kind: kind[0], indirect=True
    ),
]
_MORE = ("if=/dev/zero", "bs=10M", "count=1", "oflag=append", "conv=notrunc", "status=none")


def _workers(service: Service) -> list[int]:
    """Return its workers, by their numbers here."""
    listed = service.machine.run("ps", "-u", "cdsed", "-o", "pid=,args=").splitlines()
    inside = [int(words[0]) for words in map(str.split, listed) if "role" in words and service.config_inside in words]
    return [service.machine.pid_outside(pid) for pid in inside]


def _is_well(service: Service) -> bool:
    return (service.show("ActiveState"), service.show("SubState")) == ("active", "running")


def _reload(service: Service) -> None:
    pid = service.pid
    reloaded = service.control("reload")
    assert reloaded.returncode == 0, reloaded.stderr
    assert service.pid == pid


def _restart(service: Service) -> None:
    pid = service.pid
    restarted = service.control("restart")
    assert restarted.returncode == 0, restarted.stderr
    assert service.pid != pid


def _stop_and_start(service: Service) -> None:
    service.stop()
    assert service.show("Result") == "success"
    service.start()


def _kill_the_supervisor(service: Service) -> None:
    restarts = int(service.show("NRestarts"))
    send(service.pid, signal.SIGKILL)
    service.machine.wait("it is restarted", lambda: int(service.show("NRestarts")) > restarts, 180)


def _let_the_supervisor_stand_still(service: Service) -> None:
    restarts = int(service.show("NRestarts"))
    send(service.pid, signal.SIGSTOP)
    service.machine.wait("it is restarted", lambda: int(service.show("NRestarts")) > restarts, 180)
    assert service.machine.journal("--grep", "watchdog timeout")


def _kill_the_workers(service: Service) -> None:
    pid = service.pid
    for worker in _workers(service):
        send(worker, signal.SIGKILL)
    assert service.pid == pid


def _restart_the_journal(service: Service) -> None:
    pid = service.pid
    service.machine.run("systemctl", "restart", "systemd-journald")
    assert service.pid == pid


def _kill_the_journal(service: Service) -> None:
    pid = service.pid
    service.machine.run("systemctl", "kill", "--signal=KILL", "systemd-journald")
    service.machine.wait(
        "the journal is back",
        lambda: service.machine.attempt("systemctl", "is-active", "systemd-journald").returncode == 0,
    )
    assert service.pid == pid


def _reload_systemd_itself(service: Service) -> None:
    pid = service.pid
    service.machine.run("systemctl", "daemon-reexec")
    assert service.pid == pid


_EVENTS: list[Callable[[Service], None]] = [
    _reload,
    _restart,
    _stop_and_start,
    _kill_the_supervisor,
    _let_the_supervisor_stand_still,
    _kill_the_workers,
    _restart_the_journal,
    _kill_the_journal,
    _reload_systemd_itself,
]


@pytest.fixture(scope="module")
def watcher(installed_service: Service) -> Iterator[Watcher]:
    """What sees every product of these tests appear."""
    with Watcher(installed_service.sandbox, [installed_service.spool], counts_requests=False) as watcher:
        yield watcher


@pytest.fixture
def busy(service: Service, watcher: Watcher, request: pytest.FixtureRequest) -> UnderWay:
    """A listing that the service is in the middle of, seen by the watcher."""
    return UnderWay(service, request.node.name.replace("[", "-").rstrip("]"), "slow", watcher.expect)


def _ends_well(busy: UnderWay, watcher: Watcher) -> None:
    service = busy.service
    service.machine.wait("it is well", lambda: _is_well(service), 180)
    assert busy.becomes_whole()
    assert (watcher.doubled, watcher.partial) == ([], [])
    assert Counter(service.endings(busy.listing)) == {("done", 0): len(busy.names)}
    assert service.command("check", "--state").returncode == 0


@pytest.mark.parametrize("event", _EVENTS, ids=lambda event: event.__name__.strip("_"))
def test_what_happens_to_the_service_under_load_loses_doubles_halves_and_charges_no_product(
    service: Service, busy: UnderWay, watcher: Watcher, event: Callable[[Service], None]
) -> None:
    assert not busy.is_reported

    event(service)

    _ends_well(busy, watcher)


def _score(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text(encoding="ascii"))


def test_the_unit_makes_the_supervisor_the_last_to_be_killed_for_memory(service: Service) -> None:
    workers = _workers(service)

    assert (service.show("OOMPolicy"), service.show("OOMScoreAdjust")) == ("continue", "-100")
    assert len(workers) == len(service.roles())
    # A root without CAP_SYS_RESOURCE lowers no score, and systemd then goes on without a word.
    supervisor = _score(service.pid)
    assert supervisor in (-100, _score(service.machine.pid))
    assert {_score(pid) for pid in workers} == {supervisor + 200}


@pytest.fixture
def shared() -> Iterator[Path]:
    """Give a file in memory, whose pages no process has."""
    path = Path("/dev/shm") / f"cdsed-test-{os.getpid()}"
    yield path
    path.unlink(missing_ok=True)


@pytest.fixture
def filled(service: Service, shared: Path) -> Iterator[Callable[[], None]]:
    """What uses up 10 MB more of the memory that the service may have, 600 MB, for `shared`."""
    inside = service.machine.path("/sys/fs/cgroup")
    own = Path("/sys/fs/cgroup/memory") / shared.name
    if "memory" in (inside / "cgroup.controllers").read_text(encoding="ascii"):
        service.machine.run(
            "systemctl", "set-property", "--runtime", service.unit, "MemoryHigh=infinity", "MemoryMax=600M"
        )
        group = inside / "system.slice" / f"{service.unit}.service"
    elif own.parent.is_dir():
        own.mkdir()
        (own / "memory.limit_in_bytes").write_text("600000000", encoding="ascii")
        for pid in (service.pid, *_children(service.pid)):
            (own / "cgroup.procs").write_text(f"{pid}", encoding="ascii")
        _begin_workers_again(service)  # what they had before would count elsewhere, and their end would free nothing
        group = own
    else:
        pytest.skip("no memory controller of cgroup v2 for the machine, and none of v1: MemoryMax= has no effect here")

    def fill() -> None:
        join = f'echo $$ > {group / "cgroup.procs"}; exec "$@"'
        subprocess.run(["sh", "-c", join, "in-group", "dd", f"of={shared}", *_MORE], check=True, timeout=60)

    yield fill
    if group == own:
        service.stop()
        own.rmdir()


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def _begin_workers_again(service: Service) -> None:
    before = set(_workers(service))
    for pid in before:
        send(pid, signal.SIGKILL)
    service.machine.wait("other workers", lambda: len(set(_workers(service)) - before) == len(before), 300)


def test_where_its_memory_is_used_up_workers_go_and_the_supervisor_stays(
    service: Service, busy: UnderWay, watcher: Watcher, filled: Callable[[], None], shared: Path
) -> None:
    pid, workers, restarts = service.pid, set(_workers(service)), service.show("NRestarts")

    while len(workers & set(_workers(service))) > len(workers) - 2:
        filled()
    shared.unlink()  # else those that begin find as little

    assert (service.pid, service.show("NRestarts")) == (pid, restarts)
    _ends_well(busy, watcher)


def _logins_of(service: Service) -> set[str]:
    return {account["name"] for account in service.status()["accounts"]}


def test_accounts_that_root_has_changed_come_with_a_restart_at_the_latest(
    service: Service, busy: UnderWay, watcher: Watcher
) -> None:
    before, kept = _logins_of(service), service.accounts_file.read_text("utf-8")
    first, _second, _third, slow, lab = service.sandbox.accounts
    service.write_groups({"default": [first], "slow": [slow, lab]})
    try:
        assert service.control("reload").returncode == 0
        service.machine.wait("it is well", lambda: _is_well(service))
        # systemd 252 passes them again for the reload, and its successors do not.
        assert _logins_of(service) in (before, {first.name, slow.name, lab.name})

        assert service.control("restart").returncode == 0

        service.machine.wait("it has the new ones", lambda: lab.name in _logins_of(service))
        _ends_well(busy, watcher)
    finally:
        service.machine.write("/etc/cdsed/accounts.yml", kept, 0o600)
        assert service.control("restart").returncode == 0


def test_a_service_to_which_a_container_passes_no_accounts_says_so_and_continues_when_it_does(
    service: Service, busy: UnderWay, watcher: Watcher
) -> None:
    service.machine.run("mount", "--make-rprivate", "/")
    try:
        assert service.control("restart").returncode != 0
        assert service.show("ExecMainStatus") == "78"
        assert "mount --make-rshared /" in service.journal("-p", "err")
    finally:
        service.machine.run("mount", "--make-rshared", "/")

    service.start()

    _ends_well(busy, watcher)
