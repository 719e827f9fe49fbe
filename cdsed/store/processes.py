"""Processes: the row of the daemon, the rows of its workers, and how the work of dead workers is reclaimed.

The kernel decides whether a worker is dead: a worker holds a flock on its lock file as long as it runs. If the lock is
free, the worker is gone, and the daemon may release what it held. Whether a product is charged for the death depends on
how the worker ended. Only its parent process knows that; see `Evidence`.
"""

import json
import os
from collections.abc import Callable, Sequence
from enum import Enum, auto
from pathlib import Path

from cdsed.clock import Clock, same_boot
from cdsed.errors import TransferError
from cdsed.frozen import frozen
from cdsed.store import breakers
from cdsed.store.breakers import BreakerPolicy
from cdsed.store.database import Database
from cdsed.store.queries import Queries
from cdsed.store.quota_usage import step_of

_SQL = Queries("processes")

#: A product over which this many workers died, without an advance between the deaths, becomes *failed*.
DEATHS_MAX = 3

#: Seconds without the death of any worker after which a product that two died over is tried again. A poisonous product
#: kills every worker that touches it. A cause that kills workers at random rarely pauses for this time, and then kills
#: a worker over the same product again.
_QUIET_S = 5.0

#: The content of a worker's lock file: it works; it leaves, on request or because the state cannot be used, which is
#: not the fault of a product; it leaves because it has reached its memory limit. All have the same length, so that one
#: can overwrite another on a full disk.
AT_WORK, LEFT, OUTGREW = b"work", b"left", b"full"


class Evidence(Enum):
    """What the end of a worker says about the products that it worked on."""

    NOTHING = auto()  # it was killed from outside, or all processes died with it
    SUSPICION = auto()  # it crashed, and so did other workers at the same time
    PROOF = auto()  # only this worker crashed


@frozen
class DeadWorker:
    """A worker that is gone; `outgrew`: it had reached its memory limit."""

    process: int
    pid: int
    outgrew: bool


def no_evidence(dead: DeadWorker) -> Evidence:  # noqa: ARG001 - of any
    """Charge nothing: it is unknown how the worker ended."""
    return Evidence.NOTHING


def daemon_started(db: Database, clock: Clock, *, version: str, once: bool) -> None:
    """Note that this process is the daemon; after a new boot, all waiting times end at once."""
    booted_at = clock.booted_at()
    with db.write():
        if booted_again(db, clock):
            for reset in (
                _SQL.reset_due,
                _SQL.reset_pieces_due,
                _SQL.reset_written,
                _SQL.reset_breakers,
                _SQL.reset_throttles,
                _SQL.reset_steps,
                _SQL.reset_received,
            ):
                db.rows(reset)
            db.rows(_SQL.reset_rests, now_s=clock.boot_s())
        db.rows(
            _SQL.daemon_started,
            pid=os.getpid(),
            at=clock.utc_s(),
            booted_at=booted_at,
            version=version,
            once=once,
        )


def stalls_after(db: Database, stalled_after_s: float) -> None:
    """Note how long a connection may be silent before it is cut (seconds)."""
    with db.write():
        db.rows(_SQL.stalls_after, stalled_after_s=stalled_after_s)


def booted_again(db: Database, clock: Clock) -> bool:
    """Tell whether the machine booted since the daemon last started: then seconds since boot in the state are void."""
    before = db.row(_SQL.daemon)
    return before is not None and not same_boot(before["booted_at"], clock.booted_at())


def daemon_stopped(db: Database, clock: Clock) -> None:
    """Note that the daemon stopped in order; without this note a daemon that does not run has died."""
    with db.write():
        db.rows(_SQL.daemon_stopped, at=clock.utc_s())


def register(db: Database, clock: Clock, *, name: str, lock: Path) -> int:
    """Enter this process, which already holds a flock on `lock`; return its number."""
    with db.write():
        return int(db.value(_SQL.register, name=name, pid=os.getpid(), lock=str(lock), started_at=clock.utc_s()))


def release(db: Database, clock: Clock, process: int, *, cooldown_s: float = 0.0) -> None:
    """Release everything that a process holds, and delete its row; after a power cut, the next start does it again."""
    with db.write(durable=False):
        at = clock.utc_s()
        if elsewhere := [row["fence"] for row in db.rows(_SQL.held_elsewhere, id=process)]:
            from cdsed.store import lost_holders  # as `products` below

            lost_holders.begin_again(db, clock, elsewhere)
        db.rows(_SQL.release_pieces, id=process)
        db.rows(_SQL.count_claims, id=process, step=step_of(clock))
        db.rows(_SQL.count_lost_grants, id=process, at=at)
        db.rows(_SQL.release_sessions, id=process, rest_until_s=clock.boot_s() + cooldown_s)
        db.rows(_SQL.release_objects, id=process)
        db.rows(_SQL.release_resolving, id=process, at=at)
        db.rows(_SQL.release_verifying, id=process, at=at)
        db.rows(_SQL.release_planning, id=process, at=at)
        db.rows(_SQL.forget, id=process)


def any_older(db: Database, at: float) -> bool:
    """Tell whether a worker that started before `at` (s UTC) still runs."""
    return bool(db.value(_SQL.older, at=at))


def newest(db: Database) -> int:
    """Return the number of the worker that was entered last; 0 without any."""
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
        Tells by the kernel whether no process holds the flock of a file.
    session_lock
        Returns the lock file of a session; a session is only reclaimed when its own lock is free too.
    cooldown_s
        How long a session cannot be leased after its holder died, because the service may still count its connection.
    evidence
        Returns what a death says about the products the worker worked on; None: not known yet, ask again next time.

    Returns
    -------
    list of str
        The names of the dead workers.
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
    """Return the products (by number) that a worker works on."""
    return [row["id"] for row in db.rows(_SQL.at_hand, id=process)]


def outgrew(db: Database, clock: Clock, name: str, at_hand: Sequence[int]) -> None:
    """Charge the products that a worker worked on when it reached its memory limit; it has released them since."""
    with db.write():
        _give_up(db, clock, _charge(db, clock, at_hand, name, Evidence.PROOF))


def _charge(db: Database, clock: Clock, at_hand: Sequence[int], name: str, said: Evidence) -> list[int]:
    """Charge a death to the products the worker worked on; return those that reached `DEATHS_MAX`.

    A single product is charged. Of several it is unknown which one was the cause, so each becomes a suspect.
    """
    if said is Evidence.NOTHING or not at_hand:
        return []
    ids = json.dumps(list(at_hand))
    alone = said is Evidence.PROOF and len(at_hand) == 1
    db.rows(_SQL.charge_death if alone else _SQL.suspect, ids=ids)
    reason = f"{name} died; a product over which {DEATHS_MAX - 1} workers died waits until no worker dies for a while"
    death = TransferError(reason, code="WorkerDied", retry_after_s=_QUIET_S)
    breakers.fail(db, clock, breakers.SUSPECTS, BreakerPolicy(1, _QUIET_S, _QUIET_S), death)
    return [row["id"] for row in db.rows(_SQL.poisoned, ids=ids, deaths_max=DEATHS_MAX)]


def _give_up(db: Database, clock: Clock, poisoned: Sequence[int]) -> None:
    cause = f"killed the worker that worked on it {DEATHS_MAX} times; start it again with `cdsed retry`"
    for product in poisoned:
        from cdsed.store import products  # `cdsed status` reads only `booted_again`

        products.give_up(db, clock, product, code="KilledWorker", cause=cause)


def _keep_what_arrived(db: Database, clock: Clock, lock: Path, fence: int) -> None:
    """Take the resume point from the lock file of a dead worker's session, if it is of this lease and boot."""
    from cdsed.model.objects import ResumePoint

    point = ResumePoint.unpack(lock.read_bytes()) if lock.exists() else None
    if point is not None and point.fence == fence and point.is_of_boot(clock.booted_at()):
        db.rows(_SQL.take_over_resume_point, piece=point.piece, fence=fence, done_bytes=point.done_bytes)
