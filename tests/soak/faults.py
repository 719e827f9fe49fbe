"""All faults that the soak injects, each with its end: of the service, the processes, the disks, the keys."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from cdsed.errors import ExitCode
from tests.soak.world import World, wait

Undo = Callable[[], None]

_SERVICE = ["throttle", "internal_error", "slow_down", "reset", "stall", "trickle", "short_body", "xml_body"]
_OF_OBJECTS = ["wrong_bytes", "changed_etag", "not_found", "reset", "short_body", "stall"]
_REFUSALS = ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"]
_LOCK_IT = """
import sys, time, apsw
db = apsw.Connection(sys.argv[1])
db.set_busy_timeout(20_000)
db.execute("BEGIN IMMEDIATE")
time.sleep(float(sys.argv[2]))
"""


def kill_worker(world: World, dice: random.Random) -> None:
    """Kill -9 any worker."""
    where = dice.random()
    if pids := world.daemon.worker_pids():
        world.kill(pids[int(where * len(pids))])


def kill_supervisor(world: World, dice: random.Random) -> None:
    """Kill -9 the supervisor, and perhaps all of its workers with it."""
    all_of_them = dice.random() < 0.3
    pids = world.daemon.worker_pids()
    if world.daemon.running():
        world.counts["kills"] += 1
        world.daemon.kill()
    for pid in pids if all_of_them else []:
        world.kill(pid)
    world.revive()


def terminate(world: World, dice: random.Random) -> None:
    """Stop in order, or with a second TERM at once; then start again."""
    twice, pause_s = dice.random() < 0.3, dice.uniform(0, 0.5)
    _stop(world)
    if twice:
        wait(pause_s)
        world.daemon.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        world.daemon.wait(30)
    if world.daemon.running():
        world.found.append("it did not stop within 30 s of TERM")
        world.counts["rules broken"] += 1
        world.daemon.kill()
    world.revive()


def reload_storm(world: World, dice: random.Random) -> None:
    """Send HUP several times."""
    for _ in range(dice.randrange(1, 5)):
        world.daemon.send(signal.SIGHUP)
        wait(dice.uniform(0, 0.5))


def stop_and_continue(world: World, dice: random.Random) -> Undo:
    """Stop a worker, or the supervisor, for a while."""
    where, pids = dice.random(), [world.daemon.pid, *world.daemon.worker_pids()]
    pid = pids[int(where * len(pids))]
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)

    def go_on() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    return go_on


def service_faults(world: World, dice: random.Random) -> Undo:
    """Let some operation fail for a while, in any of the ways the sandbox knows."""
    fault = {
        "kind": dice.choice(_SERVICE),
        "operation": dice.choice(["", "get", "get", "list", "odata", "identity", "keys"]),
        "times": dice.randrange(1, 12),
        "after_bytes": dice.choice([None, 1, 1000, 300_000]),
        "retry_after_s": dice.choice([None, 1, 3]),
        "bytes_per_s": dice.choice([100, 20_000, 200_000]),
    }
    return _until_later(world, fault)


def object_faults(world: World, dice: random.Random) -> Undo:
    """Let bytes be wrong, change under way, or vanish for a while."""
    return _until_later(
        world,
        {
            "kind": dice.choice(_OF_OBJECTS),
            "operation": "get",
            "times": dice.randrange(1, 5),
            "skip": dice.randrange(9),
        },
    )


def refusals(world: World, dice: random.Random) -> Undo:
    """Let an account, or both, be refused for a while."""
    account = dice.choice(["", *(account.name for account in world.sandbox.accounts)])
    fault = {"kind": "forbidden", "code": dice.choice(_REFUSALS), "account": account, "times": dice.randrange(1, 20)}
    return _until_later(world, fault)


def penalty(world: World, dice: random.Random) -> Undo:
    """Let an account be slow, as one that has spent its volume."""
    fault = {"kind": "trickle", "operation": "get", "bytes_per_s": 125_000}
    return _until_later(world, {**fault, "account": dice.choice(world.sandbox.accounts).name})


def keys_replaced(world: World, dice: random.Random) -> Undo:
    """Give the daemon a wrong key or password, and later the right one again."""
    world.write_accounts(wrong=dice.choice(world.sandbox.accounts).name)
    world.daemon.send(signal.SIGHUP)

    def put_right() -> None:
        world.write_accounts()
        world.daemon.send(signal.SIGHUP)

    return put_right


def settings_broken(world: World, dice: random.Random) -> Undo:
    """Spoil the settings file, and reload; the old settings stay in force."""
    text = world.lab.config.read_text(encoding="utf-8")
    world.lab.config.write_text(text[: dice.randrange(len(text))] + "\n  : [", encoding="utf-8")
    if world.daemon.running():
        world.daemon.send(signal.SIGHUP)
    wait(0.3)
    world.lab.config.write_text(text, encoding="utf-8")
    return lambda: None


def full_disk(world: World, dice: random.Random) -> Undo | None:
    """Fill the first spool to its last byte, or nearly."""
    if world.small_disk is None or world.disk_is_away():
        return None
    left_bytes, ballast = dice.choice([0, 4096, 1_000_000]), world.small_disk / ".ballast"
    with contextlib.suppress(OSError), ballast.open("wb") as file:
        free = shutil.disk_usage(world.small_disk).free
        os.posix_fallocate(file.fileno(), 0, max(1, free - left_bytes))
    return lambda: ballast.unlink(missing_ok=True)


def read_only_disk(world: World, dice: random.Random) -> Undo | None:
    """Make the first spool read-only."""
    if (
        world.small_disk is None
        or world.disk_is_away()
        or (world.small_disk / ".ballast").exists()  # which would have to be removed from the read-only disk
        or not _remount(world.small_disk, "ro", tries=dice.randrange(20, 60))
    ):
        return None
    disk = world.small_disk

    def writable() -> None:
        if not _remount(disk, "rw", tries=50):
            raise RuntimeError(f"{disk} stays read-only")

    return writable


def disk_away(world: World, dice: random.Random) -> Undo | None:
    """Unmount the first spool, so that only its bare mount point is left; later it comes back as it was."""
    # A disk that was never used is not missed. The second daemon would not see products of the first on it.
    if (
        world.second_state.running()
        or world.small_disk is None
        or not (world.small_disk / ".cdsed" / "marker").exists()
    ):
        return None
    if (world.small_disk / ".ballast").exists() or os.statvfs(world.small_disk).f_flag & os.ST_RDONLY:
        return None  # those end on the disk itself
    disk, shelter = str(world.small_disk), world.root / "shelter"
    shelter.mkdir(exist_ok=True)
    _run("mount", "--bind", disk, str(shelter))
    _run("umount", "--lazy", disk)

    def come_back() -> None:
        written = [path.name for path in Path(disk).iterdir()]
        if written:
            world.found.append(f"{written[:3]} is in the unmounted mount point")
            world.counts["rules broken"] += 1
        _run("mount", "--bind", str(shelter), disk)
        _run("umount", "--lazy", str(shelter))

    return come_back


def second_state(world: World, dice: random.Random) -> Undo | None:
    """Let another daemon, with a state of its own, fetch what is under way here to the same spools; then it is killed.

    Now and then it stops in order instead. The first daemon takes over what it leaves.
    """
    in_order, other = dice.random() < 0.3, world.second_state
    rows = world.lab.query(
        "SELECT safename FROM product WHERE state IN ('ready', 'downloading', 'retry_wait') ORDER BY id DESC LIMIT 30"
    )
    if not rows or other.running() or world.disk_is_away():
        return None
    world.counts["listings of the second state"] += 1
    number = world.counts["listings of the second state"]
    other.lab.drop(f"second-{number}.txt", [str(row["safename"]) for row in rows])
    other.start()

    def end() -> None:
        if in_order:
            other.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                other.wait(30)
        if other.running():
            other.kill()
        for pid in other.worker_pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if secret := next((secret for secret in world.secrets() if secret in other.log()), None):
            world.look_for_secrets("the log of the second state", secret)

    return end


def state_damaged(world: World, dice: random.Random) -> None:
    """Back the state up, stop, spoil its file; the start recovers."""
    where, how, garbage = dice.random(), dice.choice(["page", "cut", "delete"]), dice.randbytes(4096)
    _stop(world)
    with contextlib.suppress(subprocess.TimeoutExpired):
        world.daemon.wait(30)
    made = world.lab.command("state", "backup")
    path = world.lab.state / "cdsed.sqlite"
    if made.returncode == 0 and not world.daemon.running():
        size_bytes = path.stat().st_size
        if how == "delete":
            path.unlink()
        elif how == "cut":
            os.truncate(path, int(where * size_bytes))
        else:
            with path.open("r+b") as file:
                file.seek(int(where * size_bytes) // 4096 * 4096)
                file.write(garbage)
        world.counts["states spoilt"] += 1
    world.revive()


def state_locked(world: World, dice: random.Random) -> Undo | None:
    """Hold a write transaction on the state."""
    path = world.lab.state / "cdsed.sqlite"
    if not path.exists():
        return None
    holder = subprocess.Popen([sys.executable, "-c", _LOCK_IT, str(path), str(dice.uniform(1, 15))])

    def let_go() -> None:
        holder.kill()
        holder.wait()

    return let_go


def backup_and_restore(world: World, dice: random.Random) -> None:
    """Back the state up, stop, restore that very backup, continue."""
    restore = dice.random() < 0.4
    if not restore:
        world.lab.command("state", "backup")
        return
    _stop(world)
    with contextlib.suppress(subprocess.TimeoutExpired):
        world.daemon.wait(30)
    for arguments in (("state", "backup"), ("state", "restore", "--yes")):
        done = world.lab.command(*arguments)
        if done.returncode == ExitCode.DAMAGED:
            break  # the soak damaged it, and has killed the daemon before that could recover it
        if done.returncode != 0:
            world.found.append(f"cdsed {' '.join(arguments)}: {done.returncode} {done.stderr}")
            world.counts["rules broken"] += 1
            break
    world.revive()


def _stop(world: World) -> None:
    for pid in (world.daemon.pid, *world.daemon.worker_pids()):  # `stop_and_continue` may have stopped one
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    world.daemon.terminate()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _until_later(world: World, fault: dict[str, object]) -> Undo:
    number = world.sandbox.fault(**{key: value for key, value in fault.items() if value not in (None, "")})
    return lambda: world.sandbox.clear_faults(number)


def _remount(disk: Path, how: str, *, tries: int) -> bool:
    """Remount; while a process writes, the kernel refuses ``ro``."""
    for _ in range(tries):
        if (
            subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], capture_output=True, check=False).returncode
            == 0
        ):
            return True
        wait(0.05)
    return False


#: How often each is chosen, and for how long (seconds) it lasts at most.
FAULTS: dict[Callable[[World, random.Random], Undo | None], tuple[int, float]] = {
    kill_worker: (60, 0),
    kill_supervisor: (8, 0),
    terminate: (3, 0),
    reload_storm: (3, 0),
    stop_and_continue: (5, 8),
    service_faults: (20, 10),
    object_faults: (8, 10),
    refusals: (5, 10),
    penalty: (2, 10),
    keys_replaced: (2, 10),
    settings_broken: (1, 0),
    full_disk: (3, 10),
    read_only_disk: (2, 10),
    disk_away: (2, 10),
    state_locked: (3, 15),
    backup_and_restore: (2, 0),
    state_damaged: (1, 0),
    second_state: (6, 25),
}
