"""A view of a state with something of everything, for the tests of renderers."""

from dataclasses import replace
from pathlib import Path

from cdsed.model.operation import Eta, EtaLimit
from cdsed.model.product_state import State
from cdsed.model.status_report import (
    AccountStatus,
    CrashingWorker,
    DaemonState,
    DaemonStatus,
    ErrorGroup,
    ListingStatus,
    Notice,
    OpenBreaker,
    Rates,
    SessionMark,
    StatusReport,
    Tally,
)
from cdsed.view.status_view import StatusView

BUSY, FREE, RESTING, WITHHELD = SessionMark.BUSY, SessionMark.FREE, SessionMark.RESTING, SessionMark.WITHHELD
WAITING = SessionMark.WAITING
NAME = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
NOW = 1_800_000_000.0
FIRST = AccountStatus(
    name="first",
    group="default",
    sessions=(BUSY, BUSY, FREE, RESTING),
    error=None,
    probe_in_s=None,
    volume_used_bytes=100_000_000_000,
    volume_bytes=12_000_000_000_000,
    volume_left_bytes=11_900_000_000_000,
    requests_last_minute=133,
    requests_per_minute=2000,
    sessions_usable=4,
    key_expires_at=NOW + 86_400,
)
SECOND = replace(
    FIRST, name="second", sessions=(FREE,) * 4, error="the S3 key is unknown", probe_in_s=28.0, key_expires_at=None
)
REPORT = StatusReport(
    at=NOW,
    daemon=DaemonStatus(DaemonState.RUNNING, 42, NOW - 4200, None, "0.1.0"),
    products={
        State.DOWNLOADING: Tally(3, 12_200_000_000),
        State.DONE: Tally(40, 33_100_000_000),
        State.UNAVAILABLE: Tally(1),
    },
    listings=(
        ListingStatus(
            1, "campaign.txt", "default", 0, "open", NOW, 50, {State.DONE: 40, State.UNAVAILABLE: 1, State.QUEUED: 3}
        ),
        ListingStatus(2, "huge.txt", "default", 0, "taking", NOW, 120_000, {}),
    ),
    accounts=(FIRST, SECOND),
    rates=Rates(34_100_000.0, 30_000_000.0, 20_000_000.0),
    to_go_bytes=12_200_000_000.0,
    eta=Eta(406.0, EtaLimit.BANDWIDTH),
    open_breakers=(OpenBreaker("disk:/spool", "no room left", 40.0),),
    errors=(ErrorGroup("NotInCatalogue", State.UNAVAILABLE, 1, NAME, "not in the catalogue; perhaps misspelt"),),
    notices=(Notice("recovered", "the state was made again", NOW),),
)
CRASHING = CrashingWorker("resolve", 7, "exited with 70 (an error in cdsed itself)", 70, 24.0)
PENALTY = "runs at about 1 MB/s, as if its volume were spent at CDSE: find out what else uses it"
VIEW = StatusView(Path("/var/lib/cdsed"), REPORT)
