"""Random events of accounts, sessions and processes: never more sessions than allowed, and fences only grow."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cdsed.model.objects import Lease
from cdsed.store import leases, processes, quota_usage
from cdsed.store.database import open_state
from tests.support.state import SetClock, StateLab

_GROW_S = 60.0


class Leasing(RuleBasedStateMachine):
    """Processes lease and are killed; the accounts file changes; the service refuses and delivers."""

    which = st.integers(0, 7)

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.lab = StateLab(open_state(Path(self.folder.name)), SetClock(), Path(self.folder.name))
        self.lab.db.rows("PRAGMA synchronous = OFF")  # no power cut is tested here
        self.sessions = {"a": 4, "b": 4}
        self.pool: int | None = None
        self.processes = [self.lab.process, self.lab.new_process("two"), self.lab.new_process("three")]
        self.held: list[tuple[int, Lease]] = []
        self.newest_fence = 0
        self.killed = 0
        self.lab.accounts("a", "b")

    def teardown(self) -> None:
        if hasattr(self, "lab"):
            self.lab.db.close()
            self.folder.cleanup()

    def allowed(self, account: str) -> int:
        """Return the limit, computed more simply than in the store."""
        usable = self.lab.db.value("SELECT sessions FROM throttle WHERE account = :account", account=account)
        return min(self.sessions.get(account, 0), usable or 100)

    def pick(self, which: int) -> tuple[int, Lease] | None:
        return self.held[which % len(self.held)] if self.held else None

    @rule(process=st.integers(0, 2), which=which)
    def lease(self, process: int, which: int) -> None:
        free = self.lab.free()
        if not free:
            return
        lease = leases.take(self.lab.db, self.lab.clock, free[which % len(free)], self.processes[process])
        assert lease is not None
        assert lease.fence > self.newest_fence
        self.newest_fence = lease.fence
        self.held.append((self.processes[process], lease))
        assert sum(each.account == lease.account for _, each in self.held) <= self.allowed(lease.account)
        assert self.pool is None or len(self.held) <= self.pool

    @rule(which=which, cooldown_s=st.sampled_from([0.0, 2.0]))
    def complete(self, which: int, cooldown_s: float) -> None:
        if (found := self.pick(which)) is not None:
            self.held.remove(found)
            leases.release(self.lab.db, self.lab.clock, found[1], cooldown_s=cooldown_s)

    @rule()
    def give_back_what_may_not_continue(self) -> None:
        for found in list(self.held):
            if not leases.may_continue(self.lab.db, self.lab.clock, found[1]):
                self.held.remove(found)
                leases.release(self.lab.db, self.lab.clock, found[1], cooldown_s=0)

    @rule(process=st.integers(0, 2))
    def kill(self, process: int) -> None:
        processes.release(self.lab.db, self.lab.clock, self.processes[process], cooldown_s=2)
        self.held = [(owner, lease) for owner, lease in self.held if owner != self.processes[process]]
        self.killed += 1
        self.processes[process] = self.lab.new_process(f"after-{self.killed}")

    @rule(seconds=st.sampled_from([1.0, 61.0, 4000.0]))
    def expire(self, seconds: float) -> None:
        self.lab.clock.pass_s(seconds)

    @rule(a=st.integers(0, 5), b=st.integers(0, 5), pool=st.sampled_from([None, 1, 3, 6]))
    def reload(self, a: int, b: int, pool: int | None) -> None:
        self.pool = pool
        self.sessions = {name: count for name, count in (("a", a), ("b", b)) if count}
        leases.sync_accounts(
            self.lab.db,
            [
                leases.AccountLimits(name, "default", count, 2000, 10**13, None, has_keys=True, pool_sessions=pool)
                for name, count in self.sessions.items()
            ],
        )

    @rule(which=which)
    def throttle(self, which: int) -> None:
        if (found := self.pick(which)) is not None:
            lease = found[1]
            quota_usage.throttled(self.lab.db, self.lab.clock, lease.account, lease.fence, grow_after_s=_GROW_S)

    @rule(which=which)
    def grow(self, which: int) -> None:
        if (found := self.pick(which)) is not None:
            lease = found[1]
            for _ in range(2):
                quota_usage.delivered(self.lab.db, self.lab.clock, lease.account, lease.fence, grow_after_s=_GROW_S)
                self.lab.clock.pass_s(_GROW_S)

    @rule()
    def forget(self) -> None:
        leases.close_breakers(self.lab.db)

    @invariant()
    def the_state_knows_who_holds_what(self) -> None:
        if hasattr(self, "lab"):
            known = self.lab.db.rows("SELECT account, slot, fence FROM session WHERE process IS NOT NULL")
            ours = {(lease.account, lease.slot, lease.fence) for _, lease in self.held}
            assert {tuple(row.values()) for row in known} == ours

    @invariant()
    def no_more_continue_than_are_allowed(self) -> None:
        if hasattr(self, "lab"):
            going = [lease for _, lease in self.held if leases.may_continue(self.lab.db, self.lab.clock, lease)]
            for account in ("a", "b"):
                assert sum(lease.account == account for lease in going) <= self.allowed(account)
            assert self.pool is None or len(going) <= self.pool


TestLeasing = Leasing.TestCase
TestLeasing.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
