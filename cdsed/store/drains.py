"""Drains: what begins no new product, and finishes those in transfer."""

import json

from cdsed.clock import Clock
from cdsed.model.operation import Drain
from cdsed.store.database import Database
from cdsed.store.pauses import resuming
from cdsed.store.queries import Queries

_SQL = Queries("drains")


def add(db: Database, clock: Clock, account: str) -> bool:
    """Drain an account, or with '' the whole daemon; return False if it was drained before."""
    with db.write():
        return db.row(_SQL.add, account=account, at=clock.utc_s()) is not None


def remove(db: Database, account: str) -> bool:
    """End a drain; return whether there was one."""
    with db.write():
        return db.row(_SQL.remove, account=account) is not None


def active(db: Database) -> tuple[Drain, ...]:
    """Return what is drained."""
    return tuple(Drain(**row) for row in db.rows(_SQL.all))


def note_done(db: Database, clock: Clock) -> list[str]:
    """Note which drains have nothing left in transfer since the last call; return their accounts."""
    done = [row["account"] for row in db.rows(_SQL.done)]
    if done:
        with db.write():
            db.rows(_SQL.note_done, accounts=json.dumps(done), at=clock.utc_s())
    return done


def sentence(drain: Drain) -> str:
    """Return what is drained, and whether that is done."""
    what = f"account {drain.account}" if drain.account else "the daemon"
    undo = resuming("account", drain.account) if drain.account else resuming("all")
    end = "nothing is in transfer" if drain.done_at is not None else "products in transfer are being finished"
    return f"{what} is drained by a person, so it begins no new product until `{undo}`; {end}"
