"""A real state on disk with accounts, products and a clock that the test moves."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

from cdsed.clock import Clock
from cdsed.config.settings import Settings
from cdsed.errors import ServiceError
from cdsed.model.disk import DirectoryIdentity
from cdsed.model.listing import ListingHead, ProductRequest
from cdsed.model.objects import Digests, Lease, ListedObject, Places
from cdsed.model.product_state import PathSource, Product, State
from cdsed.process.threadwatch import ThreadWatch
from cdsed.store import leases, listings, pieces, processes, products
from cdsed.store.database import Database
from cdsed.store.leases import AccountLimits, FreeSession
from cdsed.store.move import Move
from cdsed.store.products import Found

BROKEN = ServiceError("the connection broke", code="ConnectionLost")


class SetClock(Clock):
    """A clock that stands until the test moves it; no test may depend on how fast the machine is."""

    def __init__(self) -> None:
        self.boot = 1000.0
        self.utc = 1_800_000_000.0

    def boot_s(self) -> float:
        return self.boot

    def utc_s(self) -> float:
        return self.utc

    def pass_s(self, seconds: float) -> None:
        self.boot += seconds
        self.utc += seconds


class StateLab:
    """What a test does with a state, in few words."""

    def __init__(self, db: Database, clock: SetClock, root: Path) -> None:
        self.db = db
        self.clock = clock
        self.root = root
        self.process = self.new_process("download-1")

    def new_process(self, name: str) -> int:
        lock = self.root / f"process.{name}.lock"
        lock.touch()
        return processes.register(self.db, self.clock, name=name, lock=lock)

    def accounts(self, *names: str, group: str = "default", **limits: object) -> None:
        values = {"sessions": 4, "requests_per_minute": 2000, "volume_bytes": 10**13, "key_expires_at": None}
        leases.sync_accounts(
            self.db,
            [AccountLimits(name=name, group=group, has_keys=True, **{**values, **limits}) for name in names],  # type: ignore[arg-type]
        )

    def free(self, *groups: str) -> list[FreeSession]:
        return leases.free_sessions(self.db, self.clock, groups or ["default"])

    def lease(self, account: str = "a", process: int | None = None) -> Lease:
        session = next(session for session in self.free("default", "other") if session.account == account)
        lease = leases.take(self.db, self.clock, session, process or self.process)
        assert lease is not None
        return lease

    def queued(self, name: str, *, priority: int = 0, group: str = "default", outputdir: str | None = None) -> int:
        return products.add(self.db, self.clock, ProductRequest(name, group, priority, outputdir))

    def listed(self, name: str, *numbers: int, group: str = "default", priority: int = 0) -> int:
        """Let an open listing want these products; return its number."""
        head = ListingHead(0, name, name, group, priority, None, self.clock.utc_s(), None)
        listing = listings.begin(self.db, self.clock, head, f"/inbox/{name}").head.id
        for line, number in enumerate(numbers, start=1):
            listings.want(self.db, listing, number, line)
        listings.finish(self.db, listing, accepted=True, path=f"/inbox/{name}")
        return listing

    def ready(self, name: str, **options: object) -> int:
        number = self.queued(name, **options)  # type: ignore[arg-type]
        for product in products.claim_resolving(
            self.db, self.clock, self.process, (each.id for each in products.queued(self.db, 100))
        ):
            found = Found(f"/eodata/x/{product.safename}", PathSource.NAME)
            products.resolved(self.db, self.clock, product, found)
        return number

    def planned(self, name: str, sizes: tuple[int, ...] = (10,), **options: object) -> int:
        """Bring a product to where sessions may join it; each size is one object of one piece."""
        number = self.ready(name, **options)
        with self.db.write():
            product = products.claim_ready(self.db, self.clock, number, self.process)
        self.plan(product, [listed(f"f{i}", size) for i, size in enumerate(sizes)], staged={})
        return number

    def plan(
        self, product: Product, objects: list[ListedObject], staged: dict[str, int], piece_bytes: int = 2**25
    ) -> None:
        places = Places(str(self.root / "staging" / product.safename), str(self.root / "spool"))
        pieces.forget_lost(self.db, product, staged)
        pieces.plan(self.db, product, objects, places, piece_bytes)

    def fetched(self, lease: Lease) -> Product:
        """Hand out the next pieces and note them as arrived."""
        work = pieces.next_work(self.db, self.clock, lease, self.process)
        assert work is not None
        pieces.finish(self.db, lease, {piece: Digests(md5="0" * 32) for piece in work.pieces})
        return work.product

    def state(self, number: int) -> State:
        return products.get(self.db, number).state

    def finish(self, number: int, state: State) -> None:
        """Carry a fresh product to a finished state by allowed moves only."""
        move = Move(state, cause="test", path="/spool/x" if state in (State.DONE, State.ALREADY_PRESENT) else None)
        if state in (State.ALREADY_PRESENT, State.CANCELLED):
            products.move(self.db, self.clock, products.get(self.db, number), move)
            return
        [product] = products.claim_resolving(
            self.db, self.clock, self.process, (each.id for each in products.queued(self.db, 1))
        )
        if state is State.UNAVAILABLE:
            products.move(self.db, self.clock, product, move)
            return
        products.resolved(self.db, self.clock, product, Found("/eodata/x/y", PathSource.NAME))
        with self.db.write():
            product = products.claim_ready(self.db, self.clock, number, self.process)
        if state is State.FAILED:
            products.move(self.db, self.clock, product, move)
            return
        self.plan(product, [], {})
        product = products.claim_verifying(self.db, self.clock, self.process)
        assert product is not None
        products.move(self.db, self.clock, product, move)


def listed(path: str, size_bytes: int, etag: str = "e") -> ListedObject:
    return ListedObject(f"x/{path}", path, size_bytes, etag)


@dataclass
class DiskLab:
    """The parts of a worker's `DiskContext` that every test of disks needs; a test adds what it needs besides."""

    lab: StateLab
    settings: Settings
    watch: ThreadWatch = field(default_factory=ThreadWatch, kw_only=True)
    recognised: dict[Path, DirectoryIdentity] = field(default_factory=dict, kw_only=True)
    stop: threading.Event = field(default_factory=threading.Event, kw_only=True)

    @property
    def db(self) -> Database:
        return self.lab.db

    @property
    def clock(self) -> SetClock:
        return self.lab.clock
