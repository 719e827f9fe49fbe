"""Who is alive: the daemon's own row, its workers' rows, and the sweep of what the dead leave behind.

Death is judged by the kernel: a worker holds a flock on its lock file for as long as it lives. Whoever gets
that lock knows that the worker is gone and may give back what it held. Whether a product is charged for the death
depends on how the worker ended, which only its parent knows; see `Evidence`.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from cdsed.clock import Clock, same_boot
from cdsed.errors import TransferError
from cdsed.model.objects import ResumePoint
from cdsed.store import breakers, products
from cdsed.store.breakers import BreakerPolicy
from cdsed.store.database import Database
from cdsed.store.queries import Queries
from cdsed.store.quota_usage import step_of

_SQL = Queries("processes")

#: A product that has cost this many workers their lives, without advancing in between, is given up.
DEATHS_MAX = 3

#: Seconds without the death of any worker after which a product that two died over is tried again. A poison kills
#: whenever it is touched; who kills workers at random rarely leaves them alone for so long, and then hits it again.
_QUIET_S = 5.0

#: What a worker's lock file holds: that it works; that it leaves, told to or because the state cannot be used, which is
#: no product's fault; or that it leaves because it has reached its memory limit. Equally long, so that the one can take
#: the place of the other on a full disk.
AT_WORK, LEFT, OUTGREW = b"work", b"left", b"full"


class Evidence(Enum):
    """What the end of a worker says about the products it was at."""

    NOTHING = auto()  # it was killed from outside, or everything died with it
    SUSPICION = auto()  # it crashed, and so did others at the same moment
    PROOF = auto()  # it alone crashed


@dataclass(frozen=True, slots=True)
class DeadWorker:
    """A worker that is gone; `outgrew`: it had reached its memory limit."""

    process: int
    pid: int
    outgrew: bool


def no_evidence(dead: DeadWorker) -> Evidence:  # noqa: ARG001 - of any
    """Charge nothing: nobody saw how the worker ended."""
    return Evidence.NOTHING


def daemon_started(db: Database, clock: Clock, *, version: str, once: bool) -> None:
    """Note that this process is the daemon; after a new boot every due time becomes "at once"."""
    booted_at = clock.booted_at()
    with db.write():
        if booted_again(db, clock):
            for reset in (
                _SQL.reset_due,
                _SQL.reset_pieces_due,
                _SQL.reset_written,
                _SQL.reset_breakers,
                _SQL.reset_rests,
                _SQL.reset_throttles,
                _SQL.reset_steps,
            ):
                db.rows(reset)
        db.rows(
            _SQL.daemon_started,
            pid=os.getpid(),
            at=clock.utc_s(),
            booted_at=booted_at,
            version=version,
            once=once,
        )


def booted_again(db: Database, clock: Clock) -> bool:
    """Tell whether the machine booted since the daemon last started: seconds since boot in the state mean nothing."""
    before = db.row(_SQL.daemon)
    return before is not None and not same_boot(before["booted_at"], clock.booted_at())


def daemon_stopped(db: Database, clock: Clock) -> None:
    """Note that the daemon left in order; without this note a daemon that is gone has died."""
    with db.write():
        db.rows(_SQL.daemon_stopped, at=clock.utc_s())


def register(db: Database, clock: Clock, *, name: str, lock: Path) -> int:
    """Enter this process, which already holds a flock on `lock`; return its number."""
    with db.write():
        return int(db.value(_SQL.register, name=name, pid=os.getpid(), lock=str(lock), started_at=clock.utc_s()))


def release(db: Database, clock: Clock, process: int, *, cooldown_s: float = 0.0) -> None:
    """Give back everything a process holds, and forget it."""
    with db.write():
        at = clock.utc_s()
        db.rows(_SQL.release_pieces, id=process)
        db.rows(_SQL.count_claims, id=process, step=step_of(clock))
        db.rows(_SQL.release_sessions, id=process, rest_until_s=clock.boot_s() + cooldown_s)
        db.rows(_SQL.release_objects, id=process)
        db.rows(_SQL.release_resolving, id=process, at=at)
        db.rows(_SQL.release_verifying, id=process, at=at)
        db.rows(_SQL.release_planning, id=process, at=at)
        db.rows(_SQL.forget, id=process)


def any_older(db: Database, at: float) -> bool:
    """Tell whether a worker lives that started before then (UTC s)."""
    return bool(db.value(_SQL.older, at=at))


def newest(db: Database) -> int:
    """Return the number of the worker that was entered last, 0 when there was none."""
    return int(db.value(_SQL.newest) or 0)


def reclaim(
    db: Database,
    clock: Clock,
    is_free: Callable[[Path], bool],
    *,
    session_lock: Callable[[str, int], Path],
    cooldown_s: float,
    evidence: Callable[[DeadWorker], Evidence | None] = no_evidence,
) -> list[str]:
    """Release what dead workers held.

    Parameters
    ----------
    is_free
        Tells whether nobody holds the flock of a file (the kernel's answer).
    session_lock
        The lock file of an account's session; a session is only taken back when its own lock is free too.
    rest_s
        How long a session rests after its holder died, for the service's own bookkeeping.
    evidence
        Tells what a death says about the products the worker was at; None: it is not known yet, ask next time.

    Returns
    -------
    list of str
        The names of the dead.
    """
    dead = []
    for row in db.rows(_SQL.all):
        lock = Path(row["lock"])
        if not is_free(lock):
            continue
        sessions = db.rows(_SQL.sessions_of, id=row["id"])
        if not all(is_free(session_lock(session["account"], session["slot"])) for session in sessions):
            continue
        noted = lock.read_bytes() if lock.exists() else AT_WORK
        said = Evidence.NOTHING if noted == LEFT else evidence(DeadWorker(row["id"], row["pid"], noted == OUTGREW))
        if said is None:
            continue
        with db.write():
            for session in sessions:
                _keep_what_arrived(db, clock, session_lock(session["account"], session["slot"]), session["fence"])
            poisoned = _charge(db, clock, at_hand(db, row["id"]), str(row["name"]), said)
            release(db, clock, row["id"], cooldown_s=cooldown_s)
            _give_up(db, clock, poisoned)
        lock.unlink(missing_ok=True)
        dead.append(str(row["name"]))
    return dead


def at_hand(db: Database, process: int) -> list[int]:
    """Return the products (by number) that a worker is at."""
    return [row["id"] for row in db.rows(_SQL.at_hand, id=process)]


def outgrew(db: Database, clock: Clock, name: str, at_hand: Sequence[int]) -> None:
    """Charge what a worker was at when it reached its memory limit; it has given everything back since."""
    with db.write():
        _give_up(db, clock, _charge(db, clock, at_hand, name, Evidence.PROOF))


def _charge(db: Database, clock: Clock, at_hand: Sequence[int], name: str, said: Evidence) -> list[int]:
    """Charge a death to what the dead worker was at; return the products that have cost too many.

    One that it was at alone is charged. Of several nobody knows which one it was, so they are only suspected.
    """
    if said is Evidence.NOTHING or not at_hand:
        return []
    ids = json.dumps(list(at_hand))
    alone = said is Evidence.PROOF and len(at_hand) == 1
    db.rows(_SQL.charge_death if alone else _SQL.suspect, ids=ids)
    reason = f"{name} died; products that {DEATHS_MAX - 1} workers died over wait until none has for a while"
    death = TransferError(reason, code="WorkerDied", retry_after_s=_QUIET_S)
    breakers.fail(db, clock, breakers.SUSPECTS, BreakerPolicy(1, _QUIET_S, _QUIET_S), death)
    return [row["id"] for row in db.rows(_SQL.poisoned, ids=ids, deaths_max=DEATHS_MAX)]


def _give_up(db: Database, clock: Clock, poisoned: Sequence[int]) -> None:
    cause = f"killed the worker that was at it {DEATHS_MAX} times; start it again with `cdsed retry`"
    for product in poisoned:
        products.give_up(db, clock, product, code="KilledWorker", cause=cause)


def _keep_what_arrived(db: Database, clock: Clock, lock: Path, fence: int) -> None:
    """Take over the resume point in the lock file of a dead worker's session, if it is of this lease and boot."""
    point = ResumePoint.unpack(lock.read_bytes()) if lock.exists() else None
    if point is not None and point.fence == fence and point.is_of_boot(clock.booted_at()):
        db.rows(_SQL.take_over_resume_point, piece=point.piece, fence=fence, done_bytes=point.done_bytes)
