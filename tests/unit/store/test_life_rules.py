"""Whatever processes, sessions, failures and people do to products in whatever order: the rules of the state hold.

Those who were overtaken go on, too: with leases that were taken from them, pieces of another plan, and old claims.
"""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cdsed.config.settings import RetrySettings
from cdsed.errors import AccountError, DiskError, LeaseLost, ProductError, ServiceError
from cdsed.model.listing import ListingHead, Named
from cdsed.model.product import FINAL, Product, State
from cdsed.model.transfer import Digests, Places
from cdsed.store import audit, leases, listings, pieces, processes, products
from cdsed.store.database import open_state
from cdsed.store.leases import Lease
from cdsed.store.pieces import Work
from cdsed.store.products import Found, Move
from cdsed.work.again import start_again
from cdsed.work.lines import Lines
from cdsed.work.outcome import Outcome
from tests.unit.store.state import Lab, SetClock, listed

_NAMES = [
    f"S1A_IW_GRDH_1SDV_20240{month}01T000000_20240{month}01T000025_05{month}000_05{month}ABC_000{month}.SAFE"
    for month in range(1, 5)
]
_ERRORS = (
    ProductError("another ETag", code="Changed"),
    ProductError("not there", code="NotListed"),
    AccountError("429", code="Throttled"),
    ServiceError("a reset", code="ConnectionLost"),
    DiskError("full", code="ENOSPC"),
    DiskError("its directory is gone", code="ENOENT"),
)


class _Nowhere:
    """What finds no product on any disk."""

    def find(self, _safename: str, _outputdir: Path | None = None) -> Path | None:
        return None


class Life(RuleBasedStateMachine):
    """Listings come, workers work, fail, are killed and overtaken, and somebody says `cdsed retry`."""

    which = st.integers(0, 7)

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.lab = lab = Lab(open_state(self.root), SetClock(), self.root)
        lab.db.rows("PRAGMA synchronous = OFF")  # nobody pulls the plug here
        lab.accounts("a", "b")
        (self.root / "spool").mkdir()
        self.processes = [lab.process, lab.new_process("two")]
        self.outcome = Outcome(lab.db, lab.clock, RetrySettings())
        self.lines = Lines(lab.db, lab.clock, _Nowhere())  # type: ignore[arg-type]
        self.held: list[tuple[int, Lease, Work | None]] = []
        self.claims: list[tuple[int, Product]] = []
        self.done_since_asked: dict[str, int] = {}
        self.newest_fence = self.count = 0

    def teardown(self) -> None:
        if hasattr(self, "lab"):
            self.lab.db.close()
            self.folder.cleanup()

    @rule(names=st.lists(st.sampled_from(_NAMES), min_size=1, max_size=3), priority=st.integers(0, 1))
    def listing(self, names: list[str], priority: int) -> None:
        self.count += 1
        head = ListingHead(0, f"{self.count}", f"{self.count}", "default", priority, None, 0.0, None)
        head = listings.begin(self.lab.db, self.lab.clock, head, f"{self.count}").head
        lines = [Named(number, name) for number, name in enumerate(names, start=1)]
        self.lines.enter(head, len(lines), lines, self.lines.places(head, lines))
        listings.settle(self.lab.db, head.id, accepted=True, path=f"{self.count}")

    @rule(process=st.integers(0, 1))
    def resolve(self, process: int) -> None:
        for product in products.claim_resolving(
            self.lab.db, self.lab.clock, self.processes[process], (each.id for each in products.queued(self.lab.db, 2))
        ):
            products.resolved(self.lab.db, self.lab.clock, product, Found(f"/eodata/x/{product.safename}", "name"))  # type: ignore[arg-type]

    @rule(process=st.integers(0, 1), which=which)
    def lease(self, process: int, which: int) -> None:
        if not (free := self.lab.free()):
            return
        lease = leases.take(self.lab.db, self.lab.clock, free[which % len(free)], self.processes[process])
        assert lease is not None
        self.held.append((process, lease, None))

    @rule(which=which)
    def work(self, which: int) -> None:
        if not self.held:
            return
        process, lease, work = self.held.pop(which % len(self.held))
        if work is None or not work.pieces:
            work = pieces.next_work(self.lab.db, self.lab.clock, lease, self.processes[process])
            if work is not None and not work.pieces:
                self.claims.append((process, work.product))
                work = None
        self.held.append((process, lease, work))

    @rule(which=which)
    def arrive(self, which: int) -> None:
        if (found := self.pick(which)) is None:
            return
        process, lease, work = found
        try:
            pieces.finish(self.lab.db, lease, {piece: Digests() for piece in work.pieces})
        except LeaseLost:
            pass
        self.held[self.held.index(found)] = (process, lease, None)

    @rule(which=which, error=st.sampled_from(_ERRORS))
    def fail(self, which: int, error: Exception) -> None:
        if (found := self.pick(which)) is None:
            return
        process, lease, work = found
        before = products.get(self.lab.db, work.product.id)
        ours = self.lab.db.value(
            "SELECT count(*) FROM piece WHERE fence = :fence AND id = :id", fence=lease.fence, id=work.pieces[0].id
        )
        self.outcome.of_piece(error, lease, work.product, work.pieces[0])  # type: ignore[arg-type]
        if not ours:
            assert products.get(self.lab.db, work.product.id) == before
        for piece in work.pieces[1:]:
            pieces.let_go(self.lab.db, lease, piece)
        self.held[self.held.index(found)] = (process, lease, None)

    @rule(which=which, sizes=st.lists(st.integers(1, 3), min_size=1, max_size=3), place=st.integers(0, 1))
    def plan(self, which: int, sizes: list[int], place: int) -> None:
        if not self.claims:
            return
        _, product = self.claims.pop(which % len(self.claims))
        places = Places(str(self.root / f"staging-{place}" / product.safename), str(self.root / "spool"))
        if product.state is State.DOWNLOADING:
            objects = [listed(f"f{number}", size) for number, size in enumerate(sizes)]
            before = products.get(self.lab.db, product.id)
            products.choose_place(self.lab.db, before, places, sum(sizes))
            try:
                pieces.plan(self.lab.db, product, objects, {item.path: item.size_bytes for item in objects}, places, 2)
            except LeaseLost:
                return
            if before.staging != places.staging:
                assert not pieces.arrived(self.lab.db, product, objects)

    @rule(process=st.integers(0, 1))
    def verify(self, process: int) -> None:
        product = products.claim_verifying(self.lab.db, self.lab.clock, self.processes[process])
        if product is not None:
            assert pieces.have_all_arrived(self.lab.db, product.id)
            self.claims.append((process, product))

    @rule(which=which, good=st.booleans(), error=st.sampled_from(_ERRORS))
    def decide(self, which: int, good: bool, error: Exception) -> None:
        if not self.claims:
            return
        _, product = self.claims.pop(which % len(self.claims))
        if good and product.state is State.VERIFYING:
            products.move(
                self.lab.db, self.lab.clock, product, Move(State.DONE, whereabouts=f"/spool/{product.safename}")
            )
        elif product.state is State.DOWNLOADING or not isinstance(error, AccountError | ServiceError):
            lease = self.held[0][1] if self.held else None
            if product.state is State.VERIFYING and error.code == "NotListed":  # type: ignore[attr-defined]
                self.claims.append((0, product))
                return
            self.outcome.of_product(error, lease, product)  # type: ignore[arg-type]
        else:
            self.claims.append((0, product))

    @rule(which=which)
    def give_back(self, which: int) -> None:
        if self.held:
            leases.give_back(self.lab.db, self.lab.clock, self.held.pop(which % len(self.held))[1], rest_s=0.0)

    @rule(process=st.integers(0, 1))
    def kill(self, process: int) -> None:
        dead, self.count = self.processes[process], self.count + 1
        processes.release(self.lab.db, self.lab.clock, dead)
        self.held = [each for each in self.held if each[0] != process]
        self.claims = [
            (0, product) for _, product in self.claims if products.get(self.lab.db, product.id).fence == product.fence
        ]
        self.processes[process] = self.lab.new_process(f"after-{self.count}")

    @rule(name=st.sampled_from(_NAMES))
    def retry(self, name: str) -> None:
        if (product := products.find(self.lab.db, name)) is not None:
            start_again(self.lab.db, self.lab.clock, [product])

    @rule(seconds=st.sampled_from([1.0, 100.0, 30_000.0]))
    def pass_time(self, seconds: float) -> None:
        self.lab.clock.pass_s(seconds)
        products.wake_due(self.lab.db, self.lab.clock)

    @rule()
    def report(self) -> None:
        seen = listings.newest_event(self.lab.db)
        for listing in listings.finished(self.lab.db, 10):
            assert all(State(row.state) in FINAL for row in listings.report_rows(self.lab.db, listing.head.id))
            listings.reported(self.lab.db, self.lab.clock, listing.head.id, seen=seen)

    def pick(self, which: int) -> tuple[int, Lease, Work] | None:
        working = [each for each in self.held if each[2] is not None]
        return working[which % len(working)] if working else None  # type: ignore[return-value]

    @invariant()
    def the_rules_hold(self) -> None:
        if hasattr(self, "lab"):
            assert audit.rules_broken(self.lab.db) == []

    @invariant()
    def fences_only_grow(self) -> None:
        if hasattr(self, "lab"):
            fence = self.lab.db.value("SELECT value FROM fence")
            assert fence >= self.newest_fence
            self.newest_fence = fence

    @invariant()
    def what_is_reported_is_settled(self) -> None:
        if hasattr(self, "lab"):
            open_ones = self.lab.db.rows(
                "SELECT listing.id FROM listing JOIN want ON want.listing = listing.id"
                " JOIN product ON product.id = want.product"
                " WHERE listing.state = 'reported' AND product.state IN ('queued', 'ready', 'waiting', 'downloading')"
                " AND NOT EXISTS (SELECT 1 FROM want AS later JOIN listing AS other ON other.id = later.listing"
                " WHERE later.product = product.id AND other.state = 'open')"
            )
            assert open_ones == []


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=15, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
