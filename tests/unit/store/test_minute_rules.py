"""Random requests of sessions that live and die: the service never sees more of them in any 60 s than it allows."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cdsed.model.objects import Lease
from cdsed.store import leases, processes, quota_usage
from cdsed.store.database import open_state
from tests.support.state import SetClock, StateLab

_LIMIT = 6
_MINUTE_S = 60.0


@dataclass
class Session:
    """A leased session: how many of its requests are on the way to the service, and how many arrived uncounted."""

    lease: Lease
    process: int
    claimed: int = 1
    on_the_way: int = 0
    uncounted: int = field(default=0)


class Requests(RuleBasedStateMachine):
    """Sessions of two accounts with one quota claim, send and count; workers are killed, and time passes."""

    which = st.integers(0, 7)

    @initialize(shares=st.booleans())
    def begin(self, shares: bool) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.lab = StateLab(open_state(Path(self.folder.name)), SetClock(), Path(self.folder.name))
        self.lab.db.rows("PRAGMA synchronous = OFF")  # no power cut is tested here
        self.processes = [self.lab.process, self.lab.new_process("two")]
        self.killed = 0
        self.sessions: list[Session] = []
        self.arrived: dict[str, list[float]] = {"a": [], "b": []}
        self.shares = shares
        shared = frozenset({quota_usage.Limit.REQUESTS} if shares else ())
        limits = [
            leases.AccountLimits(name, "default", 2, _LIMIT, 10**13, None, has_keys=True, shares=shared)
            for name in ("a", "b")
        ]
        leases.sync_accounts(self.lab.db, limits)

    def teardown(self) -> None:
        if hasattr(self, "lab"):
            self.lab.db.close()
            self.folder.cleanup()

    def pick(self, which: int) -> Session:
        return self.sessions[which % len(self.sessions)]

    @rule(which=which, process=st.integers(0, 1))
    def lease(self, which: int, process: int) -> None:
        if free := self.lab.free():
            owner = self.processes[process]
            lease = leases.take(self.lab.db, self.lab.clock, free[which % len(free)], owner)
            assert lease is not None
            self.sessions.append(Session(lease, owner))

    @precondition(lambda self: getattr(self, "sessions", None))
    @rule(which=which, count=st.integers(1, 4))
    def send(self, which: int, count: int) -> None:
        session = self.pick(which)
        for _ in range(count):
            if session.claimed or leases.claim_one_more(self.lab.db, self.lab.clock, session.lease):
                session.claimed = max(0, session.claimed - 1)
                session.on_the_way += 1

    @precondition(lambda self: getattr(self, "sessions", None))
    @rule(which=which)
    def arrive(self, which: int) -> None:
        self.reach(self.pick(which))

    def reach(self, session: Session) -> None:
        self.arrived[session.lease.account] += [self.lab.clock.boot_s()] * session.on_the_way
        session.uncounted += session.on_the_way
        session.on_the_way = 0

    @precondition(lambda self: getattr(self, "sessions", None))
    @rule(which=which)
    def count(self, which: int) -> None:
        """An answer came for all that was sent, so it had reached the service."""
        session = self.pick(which)
        self.reach(session)
        leases.count_traffic(
            self.lab.db,
            self.lab.clock,
            session.lease.account,
            requests=session.uncounted,
            size_bytes=0,
            lease=session.lease,
        )
        session.uncounted = 0

    @precondition(lambda self: getattr(self, "sessions", None))
    @rule(which=which)
    def give_back(self, which: int) -> None:
        session = self.pick(which)
        self.count(which)
        self.sessions.remove(session)
        leases.release(self.lab.db, self.lab.clock, session.lease, cooldown_s=0)

    @rule(process=st.integers(0, 1))
    def kill(self, process: int) -> None:
        dead = [each for each in self.sessions if each.process == self.processes[process]]
        for session in dead:
            self.reach(session)
        self.sessions = [each for each in self.sessions if each not in dead]
        processes.release(self.lab.db, self.lab.clock, self.processes[process])
        self.killed += 1
        self.processes[process] = self.lab.new_process(f"after-{self.killed}")

    @rule(seconds=st.sampled_from([0.01, 0.3, 0.999, 1.0, 4.0, 5.0, 20.0, 59.0, 60.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.lab.clock.pass_s(seconds)

    @invariant()
    def no_minute_has_more_than_the_limit(self) -> None:
        now_s = self.lab.clock.boot_s() if hasattr(self, "lab") else 0.0
        for quota in [[*"ab"]] if getattr(self, "shares", False) else [["a"], ["b"]]:
            times = [at_s for name in quota for at_s in getattr(self, "arrived", {}).get(name, ())]
            assert sum(now_s - _MINUTE_S <= at_s for at_s in times) <= _LIMIT

    @invariant()
    def what_was_counted_is_free_after_61_s(self) -> None:
        if not hasattr(self, "lab") or self.sessions:
            return
        newest_s = max((at_s for times in self.arrived.values() for at_s in times), default=0.0)
        if not self.killed and newest_s and self.lab.clock.boot_s() - newest_s > 200:
            assert all(each.requests_left == _LIMIT for each in quota_usage.of_all(self.lab.db, self.lab.clock))


TestRequests = Requests.TestCase
TestRequests.settings = settings(
    max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
