"""Random steps of processes, sessions, failures and users, in any order: the rules of the state hold.

Workers that lost a lease or claim continue, too: with old leases, pieces of another plan, and old claims.
"""

import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cdsed.config.settings import RetrySettings
from cdsed.errors import AccountError, DiskError, LeaseLost, ProductError, ServiceError, TransferError
from cdsed.model.listing import ListingHead, Named
from cdsed.model.objects import Digests, Lease, ListedObject, Piece, Places
from cdsed.model.product_state import TERMINAL, PathSource, Product, State
from cdsed.store import audit, digesting, leases, listings, pieces, processes, products
from cdsed.store.database import open_state
from cdsed.store.move import Move
from cdsed.store.pieces import Work
from cdsed.store.products import Found
from cdsed.work.lines import Lines
from cdsed.work.outcome import Outcome
from cdsed.work.requeue import requeue
from tests.support.state import SetClock, StateLab, listed

_NAMES = [
    f"S1A_IW_GRDH_1SDV_20240{month}01T000000_20240{month}01T000025_05{month}000_05{month}ABC_000{month}.SAFE"
    for month in range(1, 5)
]
_PIECE_BYTES = 5 * 2**20  # two exceed a batch: sessions share a product
_HELD_MOST, _ATTEMPTS, _ERROR_RATE, _STEPS = 3, 2, 0.2, 60
_SIZES = ([3, 2], [3, 2], [3, 2], [1, 4, 0])  # in pieces
_ERRORS = (
    ProductError("another ETag", code="Changed"),
    ProductError("not there", code="NotListed"),
    AccountError("429", code="Throttled"),
    ServiceError("a reset", code="ConnectionLost"),
    DiskError("full", code="ENOSPC"),
    DiskError("its directory is gone", code="ENOENT"),
)


class _Nowhere:
    """A presence that finds no product on any disk."""

    def find(self, *_wanted: object) -> Path | None:
        return None

    def surely_absent(self, *_wanted: object) -> frozenset[str]:
        return frozenset()


class _Disk:
    """Staged files by directory and path: of which copy (size, ETag) each is, and what was written."""

    def __init__(self) -> None:
        self._files: dict[tuple[str, str], tuple[int, str, set[tuple[int, int]]]] = {}

    def sizes(self, folder: str) -> dict[str, int]:
        return {path: size for (place, path), (size, _, _) in self._files.items() if place == folder}

    def prepare(self, folder: str, listed: list[ListedObject], keep: frozenset[str]) -> None:
        kept = {path: self._files[folder, path] for path in keep}
        self.remove(folder)
        for item in listed:
            self._files[folder, item.path] = kept.get(item.path, (item.size_bytes, item.etag, set()))

    def write(self, folder: str, piece: Piece) -> None:
        size, etag, written = self._files[folder, piece.path]
        if (size, etag) == (piece.object_bytes, piece.etag):  # else the service refuses, by its If-Match
            written.add((piece.first_byte, piece.first_byte + piece.size_bytes))

    def has(self, folder: str, path: str) -> bool:
        return (folder, path) in self._files

    def is_whole(self, folder: str, path: str) -> bool:
        size, _, written = self._files[folder, path]
        reached = 0
        for first, end in sorted(written):  # pieces are cut
            reached = max(reached, end) if first <= reached else reached
        return reached == size

    def remove(self, folder: str) -> None:
        self._files = {place: file for place, file in self._files.items() if place[0] != folder}


class ProductRules(RuleBasedStateMachine):
    """Listings come, workers work, fail, are killed and lose their leases, and a user runs `cdsed retry`."""

    which = st.integers(0, 7)

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self.root = Path(self.folder.name)
        self.lab = lab = StateLab(open_state(self.root), SetClock(), self.root)
        lab.db.rows("PRAGMA synchronous = OFF")  # no power cut is tested here
        lab.accounts("a", "b")
        (self.root / "spool").mkdir()
        self.processes = [lab.process, lab.new_process("two")]
        self.outcome = Outcome(lab.db, lab.clock, RetrySettings(attempts=_ATTEMPTS))
        self.lines = Lines(lab.db, lab.clock, _Nowhere())  # type: ignore[arg-type]
        self.held: list[tuple[int, Lease, Work | None]] = []
        self.claims: list[tuple[int, Product]] = []
        self.digesting: list[tuple[int, int]] = []
        self.disk = _Disk()
        self.promised: dict[int, set[str]] = {}
        self.written: list[tuple[int, int, dict[str, str]]] = []
        self.finished: dict[str, State] = {}
        self.asked: set[str] = set()
        self.newest_fence = self.count = 0
        self.listing(_NAMES[:2], 0)

    def teardown(self) -> None:
        if hasattr(self, "lab"):
            self.lab.db.close()
            self.folder.cleanup()

    @rule(names=st.lists(st.sampled_from(_NAMES), min_size=1, max_size=3), priority=st.integers(0, 1))
    def listing(self, names: list[str], priority: int) -> None:
        self.count += 1
        head = ListingHead(0, f"{self.count}", " ".join(names), "default", priority, None, 0.0, None)
        head = listings.begin(self.lab.db, self.lab.clock, head, f"{self.count}").head
        lines = [Named(number, name) for number, name in enumerate(names, start=1)]
        self.lines.enter(head, len(lines), lines, self.lines.places(head, lines))
        listings.finish(self.lab.db, head.id, accepted=True, path=f"{self.count}")
        self.promised[head.id] = set(names)
        assert not any(row.state in TERMINAL for row in listings.report_rows(self.lab.db, head.id))
        self.asked.update(names)

    @rule(seed=st.integers(0, 2**32))
    def run_steps(self, seed: int) -> None:
        """Run many possible steps, with errors in between: single steps rarely get far."""
        dice = Random(seed)
        for _ in range(_STEPS):
            which = dice.randrange(64)
            dice.choice(self.error(dice, which) if dice.random() < _ERROR_RATE else self.progress(dice, which))()
            self.look()

    def progress(self, dice: Random, which: int) -> list[Callable[[], None]]:
        able: list[Callable[[], None]] = [partial(self.verify, which % 2), self.report, partial(self.pass_time, 100.0)]
        if self.written and which % 4 == 0:  # late: products may have moved meanwhile
            able.append(self.reported)
        if self.any_in("queued"):
            able.append(partial(self.resolve, which % 2))
        if len(self.held) < _HELD_MOST:
            able.append(partial(self.lease, which % 2, which))
        if any(not work for _, _, work in self.held):
            able.append(partial(self.work, which))
        if any(work for _, _, work in self.held):
            able += [partial(self.arrive, which)] * 2
        if any(product.state is State.DOWNLOADING for _, product in self.claims):
            able.append(
                partial(self.plan, which, dice.choice(_SIZES), dice.choice("eeeeef"), int(dice.random() < _ERROR_RATE))
            )
        if any(product.state is State.VERIFYING for _, product in self.claims):
            able.append(partial(self.decide, which, good=True, error=_ERRORS[0]))
        return able

    def error(self, dice: Random, which: int) -> list[Callable[[], None]]:
        able = [
            partial(self.listing, dice.choices(_NAMES, k=2), which % 2),
            partial(self.kill, which % 2),
            partial(self.lose, which),
            *(partial(self.retry, name) for name in _NAMES),
            partial(self.digest, which % 2),
            self.overtaken,
        ]
        if any(work for _, _, work in self.held):
            able += [partial(self.fail, which, dice.choice(_ERRORS))] * 2 + [partial(self.advance, which)]
        if self.claims:
            able.append(partial(self.decide, which, good=False, error=dice.choice(_ERRORS)))
        if self.digesting:
            able.append(partial(self.digested, which))
        if self.held:
            able.append(partial(self.release, which))
        return able

    @precondition(lambda self: self.any_in("queued"))
    @rule(process=st.integers(0, 1))
    def resolve(self, process: int) -> None:
        for product in products.claim_resolving(
            self.lab.db, self.lab.clock, self.processes[process], (each.id for each in products.queued(self.lab.db, 2))
        ):
            products.resolved(self.lab.db, self.lab.clock, product, Found(f"/eodata/x/{product.safename}", "name"))  # type: ignore[arg-type]

    @precondition(lambda self: len(self.held) < _HELD_MOST)
    @rule(process=st.integers(0, 1), which=which)
    def lease(self, process: int, which: int) -> None:
        if not (free := self.lab.free()):
            return
        lease = leases.take(self.lab.db, self.lab.clock, free[which % len(free)], self.processes[process])
        assert lease is not None
        self.held.append((process, lease, None))

    @precondition(lambda self: any(not work for _, _, work in self.held))
    @rule(which=which)
    def work(self, which: int) -> None:
        idle = [each for each in self.held if not each[2]]
        self.held.remove(idle[which % len(idle)])
        process, lease, _ = idle[which % len(idle)]
        work = pieces.next_work(self.lab.db, self.lab.clock, lease, self.processes[process])
        if work is not None and not work.pieces:
            self.claims.append((process, work.product))
            work = None
        self.held.append((process, lease, work))

    @precondition(lambda self: any(work for _, _, work in self.held))
    @rule(which=which)
    def advance(self, which: int) -> None:
        """Note progress of half a piece, as workers do every two seconds."""
        found = self.pick(which)
        _, lease, work = found
        with suppress(LeaseLost):
            pieces.advance(self.lab.db, lease, work.pieces[0], 1 if work.pieces[0].size_bytes > 1 else 0)

    @precondition(lambda self: any(work for _, _, work in self.held))
    @rule(which=which)
    def arrive(self, which: int) -> None:
        found = self.pick(which)
        process, lease, work = found
        self.held[self.held.index(found)] = (process, lease, None)
        for number, piece in enumerate(work.pieces):
            if not self.disk.has(str(work.product.staging), piece.path):
                self.failed(DiskError("its file is gone", code="ENOENT"), lease, work, number)
                return
            self.disk.write(str(work.product.staging), piece)
        with suppress(LeaseLost):
            pieces.finish(self.lab.db, lease, {piece: Digests() for piece in work.pieces})

    @precondition(lambda self: any(work for _, _, work in self.held))
    @rule(which=which, error=st.sampled_from(_ERRORS))
    def fail(self, which: int, error: TransferError) -> None:
        process, lease, work = found = self.pick(which)
        self.held[self.held.index(found)] = (process, lease, None)
        self.failed(error, lease, work, 0)

    def failed(self, error: TransferError, lease: Lease, work: Work, number: int) -> None:
        before = products.get(self.lab.db, work.product.id)
        ours = self.lab.db.value(
            "SELECT count(*) FROM piece WHERE fence = :fence AND id = :id", fence=lease.fence, id=work.pieces[number].id
        )
        self.outcome.of_piece(error, lease, work.product, work.pieces[number])
        if not ours:
            assert products.get(self.lab.db, work.product.id) == before
        for piece in work.pieces:
            pieces.let_go(self.lab.db, lease, piece)

    @precondition(lambda self: any(product.state is State.DOWNLOADING for _, product in self.claims))
    @rule(which=which, sizes=st.sampled_from(_SIZES), etag=st.sampled_from("ef"), place=st.integers(0, 1))
    def plan(self, which: int, sizes: list[int], etag: str, place: int) -> None:
        """Do what `begin` does, with the disk of the test."""
        claims = [each for each in self.claims if each[1].state is State.DOWNLOADING]
        self.claims.remove(claims[which % len(claims)])
        product = claims[which % len(claims)][1]
        places = Places(str(self.root / f"staging-{place}" / product.safename), str(self.root / "spool"))
        listed_now = [listed(f"f{number}", size * _PIECE_BYTES, etag) for number, size in enumerate(sizes)]
        products.choose_place(self.lab.db, products.get(self.lab.db, product.id), places, 0)
        if pieces.forget_lost(self.lab.db, product, self.disk.sizes(places.staging)):
            self.outcome.of_product(ProductError("lost once more", code="VerificationFailed"), None, product)
            return
        self.disk.prepare(places.staging, listed_now, pieces.arrived(self.lab.db, product, listed_now))
        pieces.plan(self.lab.db, product, listed_now, places, _PIECE_BYTES)

    @precondition(lambda self: self.any_in("downloading"))
    @rule(process=st.integers(0, 1))
    def verify(self, process: int) -> None:
        product = products.claim_verifying(self.lab.db, self.lab.clock, self.processes[process])
        if product is not None:
            self.claims.append((process, product))

    @precondition(lambda self: self.claims)
    @rule(which=which, good=st.booleans(), error=st.sampled_from(_ERRORS))
    def decide(self, which: int, good: bool, error: TransferError) -> None:
        """End a plan or a verification, well or badly."""
        process, product = self.claims.pop(which % len(self.claims))
        lease = self.held[0][1] if self.held else None
        if product.state is State.VERIFYING and good:
            self.publish(product)
        elif product.state is State.DOWNLOADING or not (
            isinstance(error, AccountError | ServiceError) or error.code == "NotListed"
        ):
            self.outcome.of_product(error, lease, product)
        else:
            self.claims.append((process, product))

    def publish(self, product: Product) -> None:
        folder, objects = str(product.staging), pieces.objects(self.lab.db, product.id)
        if not all(self.disk.has(folder, item.path) for item in objects):
            self.outcome.of_product(DiskError("its disk has lost what had arrived", code="Lost"), None, product)
            return
        assert objects
        assert all(self.disk.is_whole(folder, item.path) for item in objects)
        products.move(self.lab.db, self.lab.clock, product, Move(State.DONE, path=f"/spool/{product.safename}"))
        self.disk.remove(folder)

    @precondition(lambda self: self.claims or self.held)
    @rule()
    def overtaken(self) -> None:
        """A worker that lost its claim or lease continues: that changes nothing."""
        for _, product in self.claims:
            late = replace(product, fence=(product.fence or 0) - 1)
            now, made_of = products.get(self.lab.db, product.id), pieces.objects(self.lab.db, product.id)
            for state in (State.DONE, State.READY, State.RETRY_WAIT):
                due_s = 0.0 if state is State.RETRY_WAIT else None
                with pytest.raises(LeaseLost):
                    products.move(self.lab.db, self.lab.clock, late, Move(state, path="/late", due_s=due_s))
            with pytest.raises(LeaseLost):
                pieces.plan(self.lab.db, late, [listed("late", 1)], Places("/late", "/late"), 1)
            products.resolved(self.lab.db, self.lab.clock, late, Found("/eodata/late", PathSource.NAME))
            with pytest.raises(LeaseLost):
                products.choose_place(self.lab.db, late, Places("/late", "/late"), 1)
            with pytest.raises(LeaseLost):
                pieces.forget_lost(self.lab.db, late, {})
            assert (products.get(self.lab.db, product.id), pieces.objects(self.lab.db, product.id)) == (now, made_of)
        for _, lease, work in self.held:
            late_lease = replace(lease, fence=-lease.fence)  # one that no worker has any more
            held = self.holding()
            leases.release(self.lab.db, self.lab.clock, late_lease, cooldown_s=9.0)
            for piece in work.pieces if work else ():
                pieces.let_go(self.lab.db, late_lease, piece, transient_failure=True)
                with pytest.raises(LeaseLost):
                    pieces.finish(self.lab.db, late_lease, {piece: Digests()})
                with pytest.raises(LeaseLost):
                    pieces.advance(self.lab.db, late_lease, piece, 1)
            assert self.holding() == held

    @precondition(lambda self: self.held)
    @rule(which=which)
    def release(self, which: int) -> None:
        leases.release(self.lab.db, self.lab.clock, self.held.pop(which % len(self.held))[1], cooldown_s=0.0)

    def holding(self) -> list[object]:
        """Return the holders of pieces, and how much has arrived."""
        return [self.lab.db.rows(f"SELECT * FROM {table}") for table in ("session", "piece")]

    @precondition(lambda self: self.any_in("downloading"))
    @rule(process=st.integers(0, 1))
    def digest(self, process: int) -> None:
        if (claimed := digesting.claim(self.lab.db, self.lab.clock, self.processes[process], 0)) is not None:
            self.digesting.append((self.processes[process], claimed))

    @precondition(lambda self: self.digesting)
    @rule(which=which)
    def digested(self, which: int) -> None:
        process, claimed = self.digesting.pop(which % len(self.digesting))
        digesting.store(self.lab.db, process, claimed, Digests(md5=f"of {claimed}"))

    @precondition(lambda self: self.any_in("downloading"))
    @rule(which=which)
    def lose(self, which: int) -> None:
        """A user removes a staging directory."""
        if known := self.lab.db.rows("SELECT staging FROM product WHERE staging IS NOT NULL"):
            self.disk.remove(known[which % len(known)]["staging"])

    @rule(process=st.integers(0, 1))
    def kill(self, process: int) -> None:
        dead, self.count = self.processes[process], self.count + 1
        processes.release(self.lab.db, self.lab.clock, dead)
        self.held = [each for each in self.held if each[0] != process]
        self.claims = [each for each in self.claims if each[0] != process]
        self.digesting = [each for each in self.digesting if each[0] != dead]
        self.processes[process] = self.lab.new_process(f"after-{self.count}")

    @precondition(lambda self: self.any_in("retry_wait", "failed", "unavailable"))
    @rule(name=st.sampled_from(_NAMES))
    def retry(self, name: str) -> None:
        if (product := products.find(self.lab.db, name)) is not None:
            self.asked.add(name)
            requeue(self.lab.db, self.lab.clock, [product])

    @precondition(lambda self: self.any_in("retry_wait") or self.held)
    @rule(seconds=st.sampled_from([1.0, 100.0, 30_000.0]))
    def pass_time(self, seconds: float) -> None:
        self.lab.clock.pass_s(seconds)
        products.wake_due(self.lab.db, self.lab.clock)

    @precondition(lambda self: self.any_in(*TERMINAL))
    @rule()
    def report(self) -> None:
        """Write reports; that they are written is noted later."""
        seen = listings.newest_event(self.lab.db)
        for listing in listings.finished(self.lab.db, 10):
            rows = {row.safename: row.state for row in listings.report_rows(self.lab.db, listing.head.id)}
            assert rows.keys() == self.promised[listing.head.id]
            assert all(State(state) in TERMINAL for state in rows.values())
            self.written.append((listing.head.id, seen, rows))

    @precondition(lambda self: self.written)
    @rule()
    def reported(self) -> None:
        while self.written:
            listing, seen, rows = self.written.pop(0)
            listings.reported(self.lab.db, self.lab.clock, listing, seen=seen)
            if listings.get(self.lab.db, listing).state == "reported":
                assert {row.safename: row.state for row in listings.report_rows(self.lab.db, listing)} == rows

    def any_in(self, *states: str) -> bool:
        """Tell whether a product is in one of these states."""
        known = self.lab.db.rows("SELECT DISTINCT state FROM product")
        return any(row["state"] in states for row in known)

    def pick(self, which: int) -> tuple[int, Lease, Work]:
        working = [each for each in self.held if each[2]]
        return working[which % len(working)]  # type: ignore[return-value]

    @invariant()
    def look(self) -> None:
        """Check all rules."""
        if hasattr(self, "lab"):
            self.the_rules_hold()
            self.fences_only_grow()
            self.what_is_reported_is_finished()
            self.what_was_promised_is_kept()
            self.who_has_no_work_holds_none()
            self.no_more_attempts_are_charged_than_there_are()

    def the_rules_hold(self) -> None:
        assert audit.rules_broken(self.lab.db) == []

    def fences_only_grow(self) -> None:
        fence = self.lab.db.value("SELECT value FROM fence")
        assert fence >= self.newest_fence
        self.newest_fence = fence

    def what_is_reported_is_finished(self) -> None:
        open_ones = self.lab.db.rows(
            "SELECT listing.id FROM listing JOIN want ON want.listing = listing.id"
            " JOIN product ON product.id = want.product"
            " WHERE listing.state = 'reported'"
            " AND product.state NOT IN ('done', 'already_present', 'unavailable', 'corrupt', 'failed', 'cancelled')"
            " AND NOT EXISTS (SELECT 1 FROM want AS later JOIN listing AS other ON other.id = later.listing"
            " WHERE later.product = product.id AND other.state = 'open')"
        )
        assert open_ones == []

    def what_was_promised_is_kept(self) -> None:
        """Each open listing wants what it named, and what is finished stays so until a request for it."""
        for listing in self.lab.db.rows("SELECT id FROM listing WHERE state = 'open'"):
            rows = listings.report_rows(self.lab.db, listing["id"])
            assert {row.safename for row in rows} == self.promised[listing["id"]]
        states = {row["safename"]: State(row["state"]) for row in self.lab.db.rows("SELECT * FROM product")}
        for name, before in self.finished.items():
            assert states[name] is before or name in self.asked
        self.finished = {name: state for name, state in states.items() if state in TERMINAL}
        self.asked.clear()

    def who_has_no_work_holds_none(self) -> None:
        idle = {lease.fence for _, lease, work in self.held if not work}
        held = {row["fence"] for row in self.lab.db.rows("SELECT fence FROM piece WHERE fence IS NOT NULL")}
        assert not idle & held

    def no_more_attempts_are_charged_than_there_are(self) -> None:
        assert not self.lab.db.rows("SELECT 1 FROM product WHERE attempts > :most", most=_ATTEMPTS)


TestProductRules = ProductRules.TestCase
TestProductRules.settings = settings(
    max_examples=15, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(6, 200))])
def test_in_a_long_run_the_rules_hold_too(seed: int) -> None:
    run = ProductRules()
    run.begin()
    try:
        for stretch in range(10):
            run.run_steps(1000 * seed + stretch)
    finally:
        run.teardown()
