"""Thousands of listings of one line dropped at once: receipts and reports, against plain writes of the same files."""

import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.settings import Settings
from cdsed.local.presence import presence_of
from cdsed.model.product_state import State
from cdsed.sandbox.names import realistic_safenames
from cdsed.store import products
from cdsed.store.database import Database, open_state
from cdsed.store.move import Move
from cdsed.work.intake import Intake
from tests.benchmarks.result import Result

_LISTINGS = 2_000
_REPORT = b"x" * 500
_AT_ONCE = 16


def run() -> list[Result]:
    """Time receipts, then reports, of listings that come at once; beside each, two synced files per listing."""
    names = realistic_safenames("S1_GRD", _LISTINGS, seed=3)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        intake, db = _intake(root, names)
        receipts_s = _time_s(lambda: _take(intake, root / "inbox"))
        with db.write():
            for product in products.queued(db, _LISTINGS):
                db.rows("UPDATE product SET state = 'resolving', process = 1, fence = 0 WHERE id = :id", id=product.id)
                products.move(db, SYSTEM_CLOCK, products.get(db, product.id), Move(State.UNAVAILABLE, cause="measured"))
        reports_s = _time_s(intake.report)
        written = len(list((root / "inbox" / ".accepted").glob("*.report.txt")))
        assert written == _LISTINGS, f"{written} reports of {_LISTINGS} listings"
        plainly_s = _time_s(lambda: _write_plainly(root / "plain"))
        db.close()
    for what, seconds in (("receipts", receipts_s), ("reports", reports_s)):
        print(f"{_LISTINGS} listings of one line: {_LISTINGS / seconds:.0f} {what} a second")
    return [
        Result("receipts of small listings: time / two synced files each", receipts_s / plainly_s, at_most=20),
        Result("reports of small listings: time / two synced files each", reports_s / plainly_s, at_most=12),
    ]


def _intake(root: Path, names: list[str]) -> tuple[Intake, Database]:
    inbox, state, spool = root / "inbox", root / "state", root / "spool"
    for directory in (inbox, spool, root / "plain"):
        directory.mkdir()
    for number, name in enumerate(names):
        (inbox / f"{number:05}.txt").write_text(f"{name}\n", encoding="utf-8")
    settings = Settings.model_validate(
        {"state_dir": str(state), "spools": [str(spool)], "inbox": {"path": str(inbox), "stable_for_s": 0.01}}
    )
    db = open_state(state)
    db.rows("INSERT INTO process (id, name, pid, lock, started_at) VALUES (1, 'measured', 1, 'none', 0)")
    intake = Intake(db, SYSTEM_CLOCK, settings, {"default"}, presence_of(settings, SYSTEM_CLOCK), lambda: None)
    intake.go_on()
    return intake, db


def _take(intake: Intake, inbox: Path) -> None:
    while any(inbox.glob("*.txt")):
        intake.look()


def _write_plainly(folder: Path) -> None:
    def write(number: int) -> None:
        for kind in ("json", "txt"):
            hidden = folder / f".{number}.{kind}"
            with hidden.open("wb") as file:
                file.write(_REPORT)
                file.flush()
                os.fsync(file.fileno())
            hidden.rename(folder / f"{number}.{kind}")

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(write, range(_LISTINGS)))


def _time_s(what: Callable[[], None]) -> float:
    begun_s = time.monotonic()
    what()
    return time.monotonic() - begun_s
