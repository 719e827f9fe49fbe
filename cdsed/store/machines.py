"""Machines on which workers of Dask run: what the daemon hears of each, what was lost there, and which are drained."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from cdsed.clock import Clock
from cdsed.frozen import frozen
from cdsed.model.machine_status import GrantLoss, LostGrants, MachineNow, MachineStatus
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("machines")

_KEPT_FOR_S = 86_400.0  # after the last word of a machine; nodes of a batch system come and go


@frozen
class MachineNote:
    """What is noted of a machine; `received_bytes` and `lost` are what came since the last note."""

    now: MachineNow
    rate_bytes_per_s: float
    received_bytes: int
    lost: dict[GrantLoss, int]


def begin(db: Database, *, used: bool) -> None:
    """Forget what a former daemon heard; a machine that is drained stays so.

    Parameters
    ----------
    used
        Whether the settings have Dask: if not, the status shows no machine.
    """
    if db.value(_SQL.any) is None:
        return
    with db.write():
        db.rows(_SQL.begin, used=used)
        db.rows(_SQL.forget, heard_before=0.0)
        db.rows(_SQL.forget_lost)


def of_all(db: Database, clock: Clock, *, running: bool) -> tuple[MachineStatus, ...]:
    """Return the machines by name; of a daemon that does not run, no process is at work."""
    rows = db.rows(_SQL.all)
    if not rows:
        return ()
    lost: dict[str, list[LostGrants]] = defaultdict(list)
    for row in db.rows(_SQL.lost):
        lost[row["machine"]].append(LostGrants(GrantLoss(row["why"]), row["grants"], row["last_at"]))
    kept = {row["machine"]: row for row in db.rows(_SQL.kept, now_s=clock.boot_s())}
    found = []
    for row in rows:
        name, held = row["name"], kept.get(row["name"])
        now = MachineNow(name, worker_sees_s=row["worker_sees_s"], daemon_sees_s=row["daemon_sees_s"])
        if running:
            counts = {each: row[each] for each in ("workers", "idle", "at_work")}
            now = replace(now, **counts, refused=row["refused"])
        found.append(
            MachineStatus(
                now=now,
                heard_at=row["heard_at"],
                rate_bytes_per_s=row["rate_bytes_per_s"] if running else 0.0,
                received_bytes=row["received_bytes"],
                drain_at=row["drain_at"],
                drained_at=row["drained_at"],
                lost=tuple(lost[name]),
                kept_sessions=held["sessions"] if held else 0,
                kept_until_at=clock.utc_s() + held["until_s"] - clock.boot_s() if held else None,
            )
        )
    return tuple(found)


def why_unusable(known: Sequence[MachineStatus]) -> str | None:
    """Return why no machine gets a connection; None if one does, or none is known."""
    if not known or any(each.usable for each in known):
        return None
    heard = [each for each in known if each.now.workers or each.now.refused is not None]
    if not heard:
        return "no worker of Dask is heard; see its scheduler and workers"
    said = (
        f"{each.now.name} is drained until `cdsed resume machine {each.now.name}`"
        if each.now.refused is None
        else each.now.refused
        for each in heard
    )
    return f"no machine gets a connection: {'; '.join(said)}"


def note(db: Database, clock: Clock, notes: Iterable[MachineNote]) -> None:
    """Note what has changed of machines; after a power cut the next note is as good."""
    at = clock.utc_s()
    with db.write(durable=False):
        for each in notes:
            now = each.now
            db.rows(
                _SQL.note,
                name=now.name,
                at=at,
                workers=now.workers,
                idle=now.idle,
                at_work=now.at_work,
                rate_bytes_per_s=each.rate_bytes_per_s,
                received_bytes=each.received_bytes,
                worker_sees_s=now.worker_sees_s,
                daemon_sees_s=now.daemon_sees_s,
                refused=now.refused,
            )
            for why, grants in each.lost.items():
                db.rows(_SQL.note_lost, machine=now.name, why=why, grants=grants, at=at)
        db.rows(_SQL.forget, heard_before=at - _KEPT_FOR_S)
        db.rows(_SQL.forget_lost)


def drains(db: Database) -> dict[str, bool]:
    """Return the machines that are drained, and whether that is done."""
    return {row["name"]: row["drained_at"] is not None for row in db.rows(_SQL.drains)}


def drain(db: Database, clock: Clock, name: str) -> bool:
    """Give a machine no new connection; return False if it was drained before."""
    with db.write():
        return db.row(_SQL.drain, name=name, at=clock.utc_s()) is not None


def resume(db: Database, name: str) -> bool:
    """End the drain of a machine; return whether there was one."""
    with db.write():
        return db.row(_SQL.resume, name=name) is not None


def note_drained(db: Database, clock: Clock, name: str) -> None:
    """Note that nothing is at work on a machine that is drained."""
    with db.write():
        db.rows(_SQL.note_drained, name=name, at=clock.utc_s())


def names(db: Database) -> list[str]:
    """Return all machines that are known."""
    return [row["name"] for row in db.rows(_SQL.all)]
