"""Grant sessions by kernel locks: each session has a file, and the kernel frees its ``flock`` when the holder dies."""

from collections.abc import Mapping
from dataclasses import dataclass

from cdsed.config.accounts import Account, S3Keys
from cdsed.config.settings import Settings
from cdsed.credentials import key_diagnosis
from cdsed.credentials.key_ledger import Keyring
from cdsed.errors import StateError
from cdsed.model.objects import Lease, ResumePoint
from cdsed.process.lock import KernelLock
from cdsed.store import leases, lost_holders, products
from cdsed.store.leases import FreeSession
from cdsed.transfer.bandwidth import Pace
from cdsed.transfer.connection import Connection, Credentials
from cdsed.transfer.lease_broker import SessionTools
from cdsed.transfer.transport import LocalTransport
from cdsed.work.context import StoreContext
from cdsed.work.sharing import SharedAccounts


@dataclass(frozen=True, slots=True)
class FlockGrant:
    """A session whose locks this process holds; see `cdsed.transfer.lease_broker.Grant`."""

    broker: "FlockBroker"
    lease: Lease
    lock: KernelLock
    shared: KernelLock
    account: Account
    keys: S3Keys

    def transport(self, tools: SessionTools) -> LocalTransport:
        """Return a connection in this process."""
        credentials = Credentials(self.keys.access_key, self.keys.secret_key)
        return LocalTransport(
            connection=Connection(tools.endpoint, credentials, tools.claim),
            account=self.lease.account,
            buffer=tools.buffer,
            pace=Pace(tools.budget, self.lease.account, self.account.bandwidth_bytes_per_s),
            checkpoint_every_s=tools.checkpoint_every_s,
            stop=tools.stop,
            watch=tools.watch,
        )

    def is_valid(self) -> bool:
        """Tell whether the lease is valid, its account may be used, and its keys are still the current ones."""
        store = self.broker.store
        return leases.may_continue(store.db, store.clock, self.lease) and self.has_current_keys()

    def has_current_keys(self) -> bool:
        """Tell whether the keys are still the current ones of the account: temporary ones are renewed."""
        return self.broker.keyring.keys_of(self.account) == self.keys

    def may_take_more(self) -> bool:
        """As `cdsed.transfer.lease_broker.Grant`."""
        return self.has_current_keys()

    def save_resume_point(self, piece: int, done_bytes: int, booted_at: float) -> None:
        """Write into the lock file how far a piece is."""
        try:
            self.lock.note(ResumePoint(self.lease.fence, piece, done_bytes, booted_at).pack())
        except OSError as error:  # the disk of the state fails: not charged to a product
            raise StateError(f"{self.lock.path} cannot be written: {error.strerror}") from error

    def keep(self, hold_s: float, machine: str | None = None) -> bool:
        """Keep the session for `hold_s`, whatever happens to this process; return whether the lease is valid.

        `cdsed.store.leases.hold` says when to call it. 0: keep it no longer.
        """
        store = self.broker.store
        self.broker.shared.keep(self.shared, hold_s)
        return leases.hold(store.db, store.clock, self.lease, hold_s, machine)

    def release(self, *, used: bool, closed: bool = True, lost: bool = False) -> None:
        """End the lease, then release its locks; `closed` as for `leases.release`.

        `lost`: the holder of its connection ended without its own word, see `cdsed.store.lost_holders`.
        """
        store = self.broker.store
        cooldown_s = self.broker.settings.transfer.session_cooldown_s if used or lost else 0.0
        with store.db.write(durable=False):
            if lost:
                lost_holders.begin_again(store.db, store.clock, [self.lease.fence])
            leases.release(store.db, store.clock, self.lease, cooldown_s=cooldown_s, closed=closed, lost=lost)
        self.shared.release()
        self.lock.release()


@dataclass(frozen=True, slots=True)
class FlockBroker:
    """Grants the sessions of this state's accounts; see `cdsed.transfer.lease_broker.LeaseBroker`."""

    store: StoreContext
    settings: Settings
    accounts: Mapping[str, Account]
    keyring: Keyring
    shared: SharedAccounts

    def grant(self) -> FlockGrant | None:
        """Grant the best free session of a group that has work."""
        store = self.store
        groups = products.groups_at_work(store.db, store.clock)
        for session in leases.free_sessions(store.db, store.clock, groups) if groups else ():
            account = self.accounts.get(session.account)
            if account is None or session.login not in ("", account.login_mark):
                continue  # new in the accounts file, or another login by now: this process will be replaced soon
            keys = self.keyring.keys_of(account)
            if keys is None:  # they have just expired
                continue
            granted = self.take(session, account, keys)
            if granted is not None:
                return granted
        return None

    def take(self, session: FreeSession, account: Account, keys: S3Keys) -> FlockGrant | None:
        """Grant one session: first its flock, then the flock that other daemons see, then its row in the state."""
        store = self.store
        lock = KernelLock(self.settings.session_lock(session.account, session.slot))
        if not lock.acquire():
            return None
        shared = self.shared.take(account, session.slot)
        lease = leases.take(store.db, store.clock, session, store.process) if shared else None
        if shared is not None and lease is not None:
            key_diagnosis.note_use(store.db, store.clock, session.account, keys)
            return FlockGrant(self, lease, lock, shared, account, keys)
        if shared is not None:
            shared.release()
        lock.release()
        return None
