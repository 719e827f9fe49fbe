"""A state with something of everything, a report to show, and the page served from both."""

import json
import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw

from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.secrets import Secret
from cdsed.config.settings import Settings
from cdsed.model.alarm import Alarm, Severity
from cdsed.model.machine_status import GrantLoss, LostGrants, MachineNow, MachineStatus
from cdsed.model.operation import BandwidthLimit, DiskStatus, Eta, EtaLimit, Pause, ProductAt, Transfer
from cdsed.model.product_state import State
from cdsed.model.quota import Limit, QuotaWait
from cdsed.model.status_report import (
    AccountStatus,
    DaemonState,
    DaemonStatus,
    ErrorGroup,
    ListingStatus,
    Rates,
    SessionMark,
    StatusReport,
    Tally,
)
from cdsed.store import leases, processes
from cdsed.store.database import FILE_NAME, open_state
from cdsed.store.leases import AccountLimits
from cdsed.view.status_view import StatusView
from cdsed.web.app import create_app
from cdsed.web.server import served
from cdsed.web.state_reader import StateReader

TOKEN = "a-token-of-this-test-0123456789"
NAME = (
    "S1A_IW_GRDH_1SDV_2024060{day}T{hour:02}{minute:02}00_2024060{day}T{hour:02}{minute:02}25_054172_069690_"
    "{number:04X}.SAFE"
)
_STATES = [State.DONE] * 5 + [State.DOWNLOADING, State.QUEUED, State.QUEUED, State.FAILED, State.RETRY_WAIT]
_INSERT = """
INSERT INTO product (safename, state, account_group, priority, size_bytes, path, cause, code, due_s, changed_at)
VALUES (:name, :state, 'default', 0, 900000000, :path, :cause, :code, :due_s, :at)
"""


def product_name(number: int) -> str:
    return NAME.format(day=number // 1440 % 9 + 1, hour=number // 60 % 24, minute=number % 60, number=number)


def make_state(root: Path, products: int = 120) -> Settings:
    """Make a state with a listing of so many products, a tenth of them failed, with footprints and traffic."""
    settings = Settings(state_dir=root / "state", catalogue={"cache_dir": root / "cache"})  # type: ignore[arg-type]
    db, now = open_state(settings.state_dir), SYSTEM_CLOCK.utc_s()
    processes.daemon_started(db, SYSTEM_CLOCK, version="0.2.0", once=False)
    limits: dict[str, Any] = {"requests_per_minute": 2000, "volume_bytes": 12 * 10**12, "key_expires_at": None}
    names = {"first": "default", "second": "default", "third": "brest"}
    leases.sync_accounts(
        db,
        [AccountLimits(name=name, group=group, sessions=4, has_keys=True, **limits) for name, group in names.items()],
    )
    listing = root / "week12.geojson"
    with db.write():
        db.rows(
            "INSERT INTO listing (sha256, account_group, priority, name, state, path, taken_at, accepted) "
            "VALUES ('ab', 'default', 5, 'week12.geojson', 'open', :path, :at, :products)",
            path=str(listing),
            at=now - 7200,
            products=products,
        )
        for number in range(products):
            _insert(db, number, now)
        for back in range(720):
            busy = max(0.0, math.sin(back / 7) + 0.6) * (0.4 if back % 168 > 120 else 1)
            for account, share in (("first", 1.0), ("second", 0.5)):
                hour = int(now // 3600) - back
                db.rows(
                    "INSERT INTO traffic_hour VALUES (:account, :hour, 900, :bytes)",
                    account=account,
                    hour=hour,
                    bytes=int(share * busy * 2.4e10),
                )
    db.close()
    features = [
        {"type": "Feature", "properties": {"Name": product_name(number)}, "geometry": _footprint(number)}
        for number in range(0, products, 1)
        if number % 12 != 11
    ]
    listing.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return settings


def _insert(db: Any, number: int, now: float) -> None:
    state = _STATES[number % len(_STATES)]
    bad = state in (State.FAILED, State.RETRY_WAIT)
    db.rows(
        _INSERT,
        name=product_name(number),
        state=state,
        path="/data/spool/x" if state is State.DONE else None,
        cause="its bytes differ from the ETag of S3, three times in a row" if bad else None,
        code="Corrupt" if state is State.FAILED else "ConnectionLost" if bad else None,
        due_s=SYSTEM_CLOCK.boot_s() + 90 if state is State.RETRY_WAIT else None,
        at=now - 60 * number,
    )
    db.rows("INSERT INTO want VALUES (1, last_insert_rowid(), :line)", line=number + 1)


def _footprint(number: int) -> dict[str, Any]:
    row, column = divmod(number, 12)
    x, y = -12 + 2.7 * column - 0.55 * row, 36 + 1.7 * row + 0.35 * column
    corners = [[x, y], [x + 3.1, y + 0.4], [x + 2.8, y + 1.9], [x - 0.3, y + 1.5], [x, y]]
    return {"type": "Polygon", "coordinates": [[[round(a, 3), round(b, 3)] for a, b in corners]]}


def make_million(settings: Settings, products: int = 1_000_000) -> None:
    """Add so many finished products in seconds: the triggers, which do it one by one, are away meanwhile."""
    db = apsw.Connection(str(settings.state_dir / FILE_NAME))
    for journal in ("DELETE", "OFF"):  # from WAL to OFF it has to take both steps
        db.pragma("journal_mode", journal)
    db.pragma("synchronous", "OFF")
    db.pragma("cache_size", -400_000)
    triggers = list(db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'product'"))
    with db:
        for name, _ in triggers:
            db.execute(f"DROP TRIGGER {name}")
        db.execute(
            "INSERT INTO product (safename, state, account_group, priority, size_bytes, changed_at, path) "
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?) "
            "SELECT printf('S1A_TEST_%07d.SAFE', n), 'done', 'default', 0, 900000000, n, 'x' FROM n",
            (products,),
        )
        db.execute(
            "INSERT INTO tally VALUES (0, 'done', :n, :n * 900000000) ON CONFLICT (listing, state) "
            "DO UPDATE SET products = products + :n, size_bytes = size_bytes + excluded.size_bytes",
            {"n": products},
        )
        for _, sql in triggers:
            db.execute(sql)
    db.pragma("journal_mode", "WAL")
    db.close()


def account(name: str, group: str, marks: str, **values: Any) -> AccountStatus:
    """Return an account whose sessions are drawn as ``bf`` for a busy and a free one."""
    kinds = {
        mark.value[0]: mark for mark in SessionMark if mark is not SessionMark.WITHHELD and mark.value != "waiting"
    }
    sessions = tuple({**kinds, "w": SessionMark.WAITING, "h": SessionMark.WITHHELD}[mark] for mark in marks)
    used = values.pop("used_bytes", 0)
    defaults: dict[str, Any] = {
        "error": None,
        "probe_in_s": None,
        "volume_used_bytes": used,
        "volume_bytes": 12 * 10**12,
        "volume_left_bytes": 12 * 10**12 - used,
        "requests_last_minute": 0,
        "key_expires_at": None,
        "sessions_usable": len(sessions),
        "requests_per_minute": 2000,
    }
    return AccountStatus(name=name, group=group, sessions=sessions, **{**defaults, **values})


def full_report(now: float) -> StatusReport:
    """Return a report in which every block has something to show."""
    expired = "its S3 key has expired; make a new one and put it into the accounts file"
    return StatusReport(
        at=now,
        daemon=DaemonStatus(DaemonState.RUNNING, 17834, now - 12 * 86400 - 4 * 3600, None, "0.2.0"),
        products={
            State.QUEUED: Tally(1200, 10**12),
            State.DOWNLOADING: Tally(3, 5 * 10**9),
            State.DONE: Tally(612, 7 * 10**11),
            State.FAILED: Tally(3),
        },
        listings=(
            ListingStatus(
                1,
                "week12.geojson",
                "default",
                5,
                "open",
                now - 7200,
                1815,
                {State.DONE: 612, State.FAILED: 3, State.QUEUED: 1200},
                Eta(18720, EtaLimit.BANDWIDTH),
            ),
            ListingStatus(
                2,
                "brest.txt",
                "brest",
                0,
                "open",
                now - 4000,
                16,
                {State.DONE: 1, State.QUEUED: 15},
                Eta(80000, EtaLimit.PAUSE, lower_bound=True),
            ),
            ListingStatus(3, "may.csv", "default", 0, "reported", now - 90000, 400, {State.DONE: 400}),
        ),
        accounts=(
            account("first", "default", "bbbf", used_bytes=74 * 10**11, requests_last_minute=1210),
            account(
                "second",
                "default",
                "wwww",
                used_bytes=21 * 10**11,
                requests_last_minute=2000,
                wait=QuotaWait(Limit.REQUESTS, now + 23),
            ),
            account("third", "brest", "ffff", error=expired, error_code="KeyExpired"),
        ),
        rates=Rates(148e6, 131e6, 120e6),
        errors=(
            ErrorGroup("Corrupt", State.FAILED, 12, product_name(8), "its bytes differ from the ETag of S3"),
            ErrorGroup("ConnectionLost", State.RETRY_WAIT, 12, product_name(9), "the connection broke", 84.0),
        ),
        eta=Eta(18720, EtaLimit.REQUESTS),
        transfers=(
            Transfer(product_name(5), "default", 71 * 10**7, 10**9, 60.1e6, ("first",), 3, now - 65),
            Transfer(
                "S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T133420.SAFE",
                "default",
                9 * 10**7,
                75 * 10**7,
                19.8e6,
                ("first",),
                1,
                now - 4,
            ),
        ),
        last_published=ProductAt(product_name(0), now - 4),
        oldest_waiting=ProductAt(product_name(6), now - 7100),
        disks=(DiskStatus("/data/spool", 12 * 10**11), DiskStatus("/data/spool-2", None, "it is not mounted")),
        pauses=(Pause("group", "brest", "window", now - 3000, now + 9000),),
        bandwidth_limits=(BandwidthLimit("machine", "", 200_000_000, now + 9000),),
        machines=(
            MachineStatus(
                MachineNow("node7", 1, 2, 2, 0.0, 0.1),
                now - 2,
                112_000_000.0,
                41 * 10**12,
                lost=(LostGrants(GrantLoss.HOLDER_DIED, 2, now - 720),),
            ),
            MachineStatus(MachineNow("node8", 1, 4, 0, 3.1, 2.4), now - 2, drain_at=now - 90.0, drained_at=now - 40.0),
            MachineStatus(MachineNow("node9", 1, 4, refused="node9 does not see /data/spool"), now - 2),
        ),
    )


class ShownReader(StateReader):
    """Gives the report that a test shows; everything else is read from the state."""

    def __init__(self, state_dir: Path, named: Path | None = None) -> None:
        super().__init__(state_dir, SYSTEM_CLOCK)
        self.directory = named or state_dir
        self.error: Exception | None = None
        self.show(full_report(SYSTEM_CLOCK.utc_s()))

    def show(self, report: StatusReport) -> None:
        self.report = report
        self.shown_alarms: tuple[Alarm, ...] = ()
        for each in report.accounts:
            if each.error:
                text = f"account {each.name} cannot be used: {each.error}"
                self.add_alarm("account", each.name, Severity.WARNING, text, "run `cdsed keys`, and mend its entry")

    def add_alarm(self, *values: Any) -> None:
        self.shown_alarms = tuple(sorted((*self.shown_alarms, Alarm(*values)), key=lambda each: each.severity))

    def fail(self, error: Exception | None) -> None:
        """Let the state be unreadable, until the error is None."""
        self.error = error

    def full_disk(self) -> None:
        self.add_alarm(
            "disk",
            "/data/spool-2",
            Severity.CRITICAL,
            "/data/spool-2 cannot be written: it is not mounted",
            "mount it; transfers to it continue within a minute",
        )

    def status(self) -> StatusView:
        if self.error:
            raise self.error
        moved = SYSTEM_CLOCK.utc_s() - self.report.at
        return StatusView(self.directory, replace(self.report, at=self.report.at + moved))

    def alarms(self) -> tuple[Alarm, ...]:
        return self.shown_alarms


@contextmanager
def page(settings: Settings, reader: StateReader, token: str | None = TOKEN) -> Iterator[str]:
    """Serve the page on a port of this machine inside the block; yield its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with served(create_app(settings, reader, Secret(token) if token else None), listener) as thread:
        wait_for(listener, thread)
        yield address


def wait_for(listener: socket.socket, thread: threading.Thread) -> None:
    """Wait until the server answers."""
    end_s = time.monotonic() + 10
    while time.monotonic() < end_s and thread.is_alive():
        with socket.create_connection(listener.getsockname(), timeout=5) as probe:
            probe.sendall(b"GET /static/icon.svg HTTP/1.0\r\nHost: localhost\r\n\r\n")
            if probe.recv(16):
                return
    raise AssertionError("the server does not answer")
