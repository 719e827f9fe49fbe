"""Views of the status in many states, as values: for tests of renderers, and to look at the screens."""

from dataclasses import replace
from pathlib import Path

from cdsed.model.listing import Counts, ListingHead, ReportRow
from cdsed.model.machine_status import GrantLoss, LostGrants, MachineNow, MachineStatus
from cdsed.model.operation import (
    BandwidthLimit,
    DiskStatus,
    Drain,
    Eta,
    EtaLimit,
    FailedProduct,
    Pause,
    ProductAt,
    Transfer,
)
from cdsed.model.product_state import PathSource, Product, State
from cdsed.model.quota import Limit, QuotaFreeAt, QuotaWait, ThrottleReason
from cdsed.model.status_report import (
    AccountStatus,
    CrashingWorker,
    DaemonState,
    DaemonStatus,
    ErrorGroup,
    Event,
    ListingStatus,
    Notice,
    ObjectProgress,
    OpenBreaker,
    PoolStatus,
    Rates,
    SessionMark,
    StatusReport,
    Tally,
)
from cdsed.store.listings import Listing
from cdsed.store.pauses import reason
from cdsed.view.status_view import FailedProducts, ListingDetails, ProductDetails, StatusView

NOW = 1_800_000_000.0
SLC = "S1A_IW_SLC__1SDV_20210609T114848_20210609T114915_054484_0DACCA_D672.SAFE"
L1C = "S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T133420.SAFE"
BUSY, FREE, WAITING = SessionMark.BUSY, SessionMark.FREE, SessionMark.WAITING
KEY_REASON = (
    "its S3 key still worked at 2026-11-22T15:54:38Z and is unknown now: revoked, deleted or expired; make a new one "
    "(`cdsed keys create`), put it into the accounts file and restart the daemon"
)


def account(name: str, group: str = "default", **values: object) -> AccountStatus:
    """Return an account that works, but for the given values."""
    works = AccountStatus(
        name=name,
        group=group,
        sessions=(BUSY, BUSY, BUSY, FREE),
        error=None,
        probe_in_s=None,
        volume_used_bytes=7_400_000_000_000,
        volume_bytes=12_000_000_000_000,
        volume_left_bytes=4_600_000_000_000,
        requests_last_minute=1210,
        requests_per_minute=2000,
        sessions_usable=4,
        key_expires_at=NOW + 200 * 86_400,
    )
    return replace(works, **values)  # type: ignore[arg-type]


def _waits(name: str, limit: Limit, until_at: float | None) -> AccountStatus:
    wait = QuotaWait(limit, until_at)
    return account(name, sessions=(WAITING,) * 4, wait=wait, session_waits=(wait,) * 4, requests_last_minute=2000)


DEAD = account("second", sessions=(FREE,) * 4, error=KEY_REASON, error_code="InvalidAccessKeyId", probe_in_s=29.0)
WEEK = ListingStatus(
    1,
    "week12.csv",
    "default",
    5,
    "open",
    NOW - 7200,
    1800,
    {State.DONE: 409, State.UNAVAILABLE: 3, State.DOWNLOADING: 2, State.READY: 1386},
    Eta(18_720.0, EtaLimit.REQUESTS),
)
BREST = ListingStatus(2, "brest.txt", "brest", 0, "open", NOW - 600, 16, {State.DONE: 1, State.READY: 15})
BUSY_REPORT = StatusReport(
    at=NOW,
    daemon=DaemonStatus(DaemonState.RUNNING, 17834, NOW - 1_050_000, None, "0.2.0"),
    products={
        State.READY: Tally(1401, 9_800_000_000_000),
        State.DOWNLOADING: Tally(2, 12_200_000_000),
        State.DONE: Tally(410, 3_310_000_000_000),
        State.UNAVAILABLE: Tally(3),
    },
    listings=(WEEK, BREST),
    accounts=(account("first"), account("third", "brest", sessions=(FREE,) * 4)),
    rates=Rates(148_000_000.0, 140_000_000.0, 120_000_000.0),
    to_go_bytes=9_812_200_000_000.0,
    errors=(ErrorGroup("NotInCatalogue", State.UNAVAILABLE, 3, L1C, "not in the catalogue; perhaps misspelt"),),
    eta=Eta(18_720.0, EtaLimit.REQUESTS),
    transfers=(
        Transfer(SLC, "default", 5_680_000_000, 8_000_000_000, 60_100_000.0, ("first",), 3, NOW - 64),
        Transfer(L1C, "default", 96_000_000, 800_000_000, None, ("first",), 1, NOW - 4),
    ),
    rate_steps=(0.0, 2e7, 6e7, 9e7, 1.2e8, 1.3e8, 1.2e8, 1.1e8, 1.4e8, 1.45e8, 1.3e8, 1.48e8),
    last_published=ProductAt(SLC, NOW - 4),
    oldest_waiting=ProductAt(L1C, NOW - 10_800),
    disks=(DiskStatus("/data/spool", 1_200_000_000_000),),
)
WAIT = QuotaWait(Limit.REQUESTS, NOW + 23)
_IDLE = replace(
    BUSY_REPORT,
    products={State.DONE: Tally(412, 3_310_000_000_000)},
    listings=(),
    accounts=(account("first", sessions=(FREE,) * 4),),
    rates=Rates(),
    errors=(),
    eta=None,
    to_go_bytes=0.0,
    transfers=(),
    rate_steps=(0.0,) * 12,
    oldest_waiting=None,
    why_idle="every product asked for is finished; drop a listing into the inbox",
)
_STILL = replace(BUSY_REPORT, transfers=(), rates=Rates(0.0, 1e6, 2e7))
_NIGHT = Pause("all", "", "window", NOW - 3600, NOW + 7200)
_LISTINGS = tuple(
    replace(WEEK, id=number, name=f"a-listing-with-a-long-name-of-the-week-{number:02d}-of-2027.csv", eta=None)
    for number in range(30)
)
_TEN = tuple(account(f"laboratory-{number}", "ifremer") for number in range(10))
_UNSEEN = (
    "node9 does not see what the daemon writes to /data/spool/.cdsed within 60 s: mount the same file system at this "
    "path on both, and let it keep attributes for a shorter time (of NFS: actimeo)"
)
MACHINES = (
    MachineStatus(
        MachineNow("node7", 1, 2, 2, 0.0, 0.1),
        NOW - 2,
        rate_bytes_per_s=112_000_000.0,
        received_bytes=41_000_000_000_000,
        lost=(LostGrants(GrantLoss.HOLDER_DIED, 2, NOW - 720), LostGrants(GrantLoss.SILENT, 1, NOW - 200_000)),
    ),
    MachineStatus(
        MachineNow("node8", 1, 3, 1, 3.1, 2.4), NOW - 2, 36_000_000.0, 9_000_000_000_000, drain_at=NOW - 40.0
    ),
    MachineStatus(MachineNow("node9", 1, 4, 0, refused=_UNSEEN), NOW - 2),
    MachineStatus(
        MachineNow("node10", worker_sees_s=0.1, daemon_sees_s=0.1),
        NOW - 780,
        received_bytes=8_000_000_000_000,
        lost=(LostGrants(GrantLoss.SILENT, 4, NOW - 745),),
        kept_sessions=4,
        kept_until_at=NOW + 170,
    ),
)
REPORTS = {
    "busy": BUSY_REPORT,
    "machines": replace(BUSY_REPORT, listings=(WEEK,), transfers=BUSY_REPORT.transfers[:1], machines=MACHINES),
    "idle": _IDLE,
    "quota_waits": replace(
        _STILL,
        accounts=(_waits("first", Limit.REQUESTS, NOW + 23),),
        why_idle=f"the work waits for a quota: first: {WAIT.reason}, {WAIT.end(NOW)}",
        quota_wait=WAIT,
        listings=(WEEK,),
    ),
    "volume_spent": replace(
        _STILL,
        accounts=(
            replace(
                _waits("first", Limit.VOLUME, NOW + 300_000),
                volume_used_bytes=11_990_000_000_000,
                quota_free_at=QuotaFreeAt(NOW + 300_000, 1_200_000_000_000),
                shares=(Limit.VOLUME,),
            ),
        ),
        pools=(
            PoolStatus("default", None, None, None, None, 12 * 10**12, 12 * 10**12, QuotaFreeAt(NOW + 300_000, 10**12)),
        ),
        why_idle="the work waits for a quota: first: the 30-day volume that its group shares is spent",
        quota_wait=QuotaWait(Limit.VOLUME, NOW + 300_000, shared=True),
        eta=Eta(864_000.0, EtaLimit.VOLUME),
        listings=(WEEK,),
    ),
    "all_dead": replace(
        _STILL,
        accounts=(replace(DEAD, name="first"), DEAD),
        why_idle=f"no account can be used: first: {KEY_REASON}; second: {KEY_REASON}",
        needs_account=True,
        eta=None,
        listings=(WEEK,),
    ),
    "one_dead": replace(BUSY_REPORT, accounts=(account("first"), DEAD), listings=(WEEK,)),
    "paused": replace(
        _STILL,
        pauses=(
            _NIGHT,
            Pause("listing", "brest.txt", "person", NOW - 90_000, None),
        ),
        drains=(Drain("first", NOW - 600, None),),
        bandwidth_limits=(BandwidthLimit("machine", "", 50_000_000, NOW + 3600),),
        why_idle=reason(_NIGHT),
        eta=Eta(90_000.0, EtaLimit.PAUSE, lower_bound=True),
    ),
    "disk_full": replace(
        _STILL,
        disks=(DiskStatus("/data/spool", 12_000_000, "no space is left"), DiskStatus("/data/other", 10**12)),
        open_breakers=(
            OpenBreaker("disk:/data/spool", "no space is left on /data/spool; free some, or add a spool", 40.0),
        ),
        why_idle="disk:/data/spool backs off, next try in 40 s: "
        "no space is left on /data/spool; free some, or add a spool",
    ),
    "stopped": replace(
        _STILL,
        daemon=DaemonStatus(DaemonState.STOPPED, 17834, NOW - 90_000, NOW - 60, "0.2.0"),
        why_idle="the daemon does not run (stopped); 1403 products wait for it",
    ),
    "stalled": replace(BUSY_REPORT, stalled_for_s=430.0),
    "everything_wrong": replace(
        BUSY_REPORT,
        accounts=(
            DEAD,
            account("old", key_expires_at=NOW + 40_000),
            account("older", key_expires_at=NOW + 400_000),
            account("slow", sessions_usable=1, throttle_reason=ThrottleReason.PENALISED, grows_in_s=3000.0),
        ),
        crashing=(CrashingWorker("resolve", 7, "exited with 70 (an error in cdsed itself)", 70, 24.0),),
        notices=(
            Notice("recovered", "the state was made again from the backup cdsed-20261122.sqlite", NOW - 90_000),
            Notice("reload", "the reload was refused: transfer.processes should be at least 1", NOW - 60),
            Notice("shared:first", "account first is used by another cdsed on this machine too", NOW - 60),
        ),
        open_breakers=(
            OpenBreaker("service:catalogue", "the catalogue answers 503", 120.0),
            OpenBreaker("inbox", "the inbox /data/inbox cannot be used: it is not there", 20.0),
            OpenBreaker("suspects", "a worker died; products are fetched one at a time", 20.0),
        ),
        errors=(
            *BUSY_REPORT.errors,
            ErrorGroup("Corrupt", State.CORRUPT, 1, SLC, "two copies were alike, and differ from the manifest"),
            ErrorGroup("ConnectionLost", State.RETRY_WAIT, 41, SLC, "the connection broke (attempt 1 of 6)", 60.0),
        ),
    ),
    "many": replace(
        BUSY_REPORT,
        listings=_LISTINGS,
        accounts=_TEN,
        transfers=tuple(
            Transfer(
                f"{SLC[:60]}{number:030d}{SLC[60:]}"[:100],
                "ifremer",
                10**9 * number,
                8 * 10**9,
                6e7,
                (f"laboratory-{number % 10}", f"laboratory-{number % 7}"),
                3,
                NOW - 64 * number,
            )
            for number in range(1, 40)
        ),
        products={State.READY: Tally(1_000_000, 8 * 10**15), State.DONE: Tally(123_456, 10**15)},
    ),
    "just_started": StatusReport(NOW, DaemonStatus(DaemonState.RUNNING)),
}
VIEWS = {name: StatusView(Path("/var/lib/cdsed"), report) for name, report in REPORTS.items()} | {
    "died": StatusView(
        Path("/var/lib/cdsed"),
        replace(REPORTS["stopped"], daemon=DaemonStatus(DaemonState.DIED, 17834, NOW - 90_000, None, "0.2.0")),
        last_heard_at=NOW - 120,
    ),
    "never": StatusView(Path("/var/lib/cdsed"), StatusReport(NOW, DaemonStatus(DaemonState.NEVER))),
}

HEAD = ListingHead(1, "week12.csv", "0" * 64, "default", 5, None, NOW, "jean")
PRODUCT = Product(
    *(1, SLC, State.DOWNLOADING, "default", 0, None, None, "/eodata/x", PathSource.CATALOGUE, None, 8_000_000_000),
    *(1, 2, True, "/data/spool", "/data/spool/.cdsed/x", None, "the connection broke", 7),
)
DETAILS = {
    "product": ProductDetails(
        PRODUCT,
        ObjectProgress(40, 10, 20),
        [Event(NOW, None, State.QUEUED, 0, None), Event(NOW + 2, State.QUEUED, State.RESOLVING, 0, "why")],
        12.0,
        QuotaWait(Limit.REQUESTS, NOW + 23),
    ),
    "listing": ListingDetails(
        Listing(HEAD, "open", "/inbox/.accepted/week12.csv", 3, Counts(accepted=3), None),
        WEEK,
        [ReportRow(4, L1C, "unavailable", None, None, 0, "not in the catalogue")],
        {"receipt": Path("/inbox/.accepted/week12.csv.receipt.txt")},
    ),
    "failed": FailedProducts(
        (FailedProduct(L1C, State.UNAVAILABLE, "NotInCatalogue", "not in the catalogue", 0, NOW),), 3
    ),
}
