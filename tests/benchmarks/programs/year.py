"""Make the state that a year leaves: products come in listings, are fetched and reported. Arguments: state directory,
products, listings.

The first product of each listing goes through the functions of the store, with their triggers. The others are entered
as intake enters them, and then get what the first one got, by the set. Every hour has traffic, and old traffic is
forgotten as the daemon forgets it. The products of the last listing stay ready. It prints JSON.
"""

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cdsed.clock import SYSTEM_CLOCK
from cdsed.model.listing import Counts, ListingHead, Named
from cdsed.model.objects import Places
from cdsed.model.product_state import PathSource, State
from cdsed.store import audit, backup, leases, listings, new_products, pieces, processes, products
from cdsed.store.database import Database, open_state
from cdsed.store.move import Move
from cdsed.store.products import Found
from tests.support.state import SetClock, StateLab, listed

_YEAR_S = 365 * 86_400
_HOUR_S = 3600
_ACCOUNTS = ("first", "second")
_SIZES = (1_600_000_000, 30_000_000, 40_000)  # bytes of the objects of a product
_AUDITED_MAX = 200_000  # products: to count more takes minutes
_FIRST_BACKUPS = 9  # at as many listings; a backup of the full state is not made here
_SAME = """
UPDATE product SET {changes}
FROM product AS one WHERE one.id = :one AND product.id BETWEEN :first AND :last
"""
_EVENTS = """
INSERT INTO event (product, at, origin, target, attempts, cause)
SELECT product.id, event.at, origin, event.target, event.attempts, event.cause
FROM product CROSS JOIN event ON event.product = :one AND event.origin IS NOT NULL
WHERE product.id BETWEEN :first AND :last ORDER BY product.id, event.id
"""
_TALLY = """
UPDATE tally SET products = products + :products * iif(state = 'queued', -1, 1),
    size_bytes = size_bytes + iif(state = 'queued', 0, :products * :size_bytes)
WHERE listing IN (0, :listing) AND state IN ('queued', :state)
"""
_BACKLOG = "UPDATE backlog SET products = products - :products WHERE listing IN (0, :listing) AND kind = :kind"


class Year:
    """A year of work on one state."""

    def __init__(self, db: Database, state: Path, count: int, number_of_listings: int) -> None:
        self._db, self._state = db, state
        self._clock = SetClock()
        self._clock.utc -= self._clock.utc - SYSTEM_CLOCK.utc_s() + _YEAR_S
        self._lab = StateLab(db, self._clock, state)
        self._lab.accounts(*_ACCOUNTS)
        self._lease = self._lab.lease(_ACCOUNTS[0])
        self._count, self._listings = count, number_of_listings
        self._hours = 0

    def pass_by(self) -> None:
        """Take, fetch and report all listings; of the last one, only bring the products to where they are ready."""
        each = self._count // self._listings
        for number in range(self._listings):
            self._pass_hours((number + 1) * _YEAR_S // self._listings // _HOUR_S)
            head = self._take(number, each)
            self._fetch(head, each, is_last=number == self._listings - 1)
            for finished in listings.finished(self._db, 10):
                seen = listings.newest_event(self._db)
                listings.reported(self._db, self._clock, finished.head.id, seen=seen)
            if number < _FIRST_BACKUPS:
                backup.back_up(self._db, self._state / "backups", self._clock)
        leases.release(self._db, self._clock, self._lease, cooldown_s=0)
        leases.forget_old_traffic(self._db, SYSTEM_CLOCK)  # as a start does: the year's seconds since boot are not ours

    def _pass_hours(self, until: int) -> None:
        with self._db.write():
            for _ in range(self._hours, until):
                self._clock.pass_s(_HOUR_S)
                for account in _ACCOUNTS:
                    leases.count_traffic(self._db, self._clock, account, requests=900, size_bytes=10**9)
                leases.forget_old_traffic(self._db, self._clock)
        self._hours = until

    def _take(self, number: int, count: int) -> ListingHead:
        name = f"listing-{number}.txt"
        head = ListingHead(0, name, f"{number:064x}", "default", 0, None, self._clock.utc_s(), None)
        head = listings.begin(self._db, self._clock, head, f"/inbox/.taking/{name}").head
        with self._db.write():
            lines = [Named(line, _name(number * count + line)) for line in range(1, count + 1)]
            new_products.add(self._db, self._clock, head, lines)
            listings.count(self._db, head.id, count, Counts(accepted=count), [])
        listings.finish(self._db, head.id, accepted=True, path=f"/inbox/.accepted/{name}")
        return head

    def _fetch(self, head: ListingHead, count: int, *, is_last: bool) -> None:
        one = int(self._db.value("SELECT max(id) FROM product")) - count + 1
        before = self._db.rows("SELECT * FROM product WHERE id = :one", one=one)[0]
        [product] = products.claim_resolving(self._db, self._clock, self._lab.process, [one])
        path = f"/eodata/Sentinel-1/SAR/IW_GRDH_1S/2025/01/01/{product.safename}"
        products.resolved(self._db, self._clock, product, Found(path, PathSource.NAME))
        if not is_last:
            with self._db.write():
                product = products.claim_ready(self._db, self._clock, one, self._lab.process)
            objects = [listed(f"f{at}", size_bytes) for at, size_bytes in enumerate(_SIZES)]
            places = Places(f"/data/pre-spool/{product.safename}", "/data/spool")
            pieces.plan(self._db, product, objects, places, max(_SIZES))
            while self._db.value("SELECT count(*) FROM piece WHERE done_bytes < size_bytes"):
                self._lab.fetched(self._lease)
            claimed = products.claim_verifying(self._db, self._clock, self._lab.process)
            assert claimed is not None
            done = Move(State.DONE, path=f"/data/spool/{product.safename}")
            products.move(self._db, self._clock, claimed, done)
        self._do_the_same(head, before, count - 1)

    def _do_the_same(self, head: ListingHead, before: "dict[str, object]", count: int) -> None:
        """Let the other products of a listing have become what the first one has become."""
        one = int(str(before["id"]))
        after = self._db.rows("SELECT * FROM product WHERE id = :one", one=one)[0]
        changed = [name for name in after if after[name] != before[name] and name not in ("place", "kind")]
        named = {name for name in changed if isinstance(after[name], str)}
        text = ", ".join(
            f"{name} = replace(one.{name}, one.safename, product.safename)" if name in named else f"{name} = one.{name}"
            for name in changed
        )
        size_bytes = after["size_bytes"] or 0
        values = {"products": count, "listing": head.id}
        with self._db.write(durable=False), self._db.without_triggers():
            which = {"one": one, "first": one + 1, "last": one + count}
            self._db.rows(_SAME.format(changes=text), **which)
            self._db.rows(_EVENTS, **which)
            self._db.rows(_TALLY, state=after["state"], size_bytes=size_bytes, **values)
            if after["state"] == "done":
                self._db.rows(_BACKLOG, kind=after["kind"], **values)


def _name(number: int) -> str:
    start = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=3 * number)
    stop = start + timedelta(seconds=25)
    ends = f"{number // 1000 % 1_000_000:06}_{number % 0xFFFFFF:06X}_{number % 0xFFFF:04X}.SAFE"
    return f"S1A_IW_GRDH_1SDV_{start:%Y%m%dT%H%M%S}_{stop:%Y%m%dT%H%M%S}_{ends}"


def main() -> None:
    """Make the state, check it, and print what was measured."""
    state, count, number_of_listings = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    begun_s = time.monotonic()
    db = open_state(state)
    processes.daemon_started(db, SYSTEM_CLOCK, version="0.2.0", once=False)
    Year(db, state, count, number_of_listings).pass_by()
    db.checkpoint()
    made_s = time.monotonic() - begun_s
    if count <= _AUDITED_MAX:
        broken = audit.rules_broken(db)
        assert broken == [], broken
    looked_s = time.monotonic()
    assert db.problems() == []
    looked_s = time.monotonic() - looked_s
    lines = Path("/proc/self/status").read_text(encoding="utf-8").split("\n")
    found = {
        "made_s": made_s,
        "looked_s": looked_s,
        "backups": len(backup.backups(state / "backups")),
        "hours_of_traffic": db.value("SELECT count(*) FROM traffic_hour"),
        "steps_of_traffic": db.value("SELECT count(*) FROM traffic_step"),
        "events": db.value("SELECT max(id) FROM event"),
        "peak_bytes": next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024,
    }
    db.close()
    print(json.dumps(found))


main()
