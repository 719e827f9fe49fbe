"""A state made from accepted listings, their receipts and reports, and the disks alone: nothing accepted is lost."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from itertools import count
from pathlib import Path

import pytest

from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.settings import Settings
from cdsed.local.presence import Presence
from cdsed.sandbox.names import realistic_safenames
from cdsed.store import audit, backup, leases, listings, products
from cdsed.store.database import FILE_NAME, Database, open_state
from cdsed.store.soundness import examine
from cdsed.work.intake import Intake
from cdsed.work.recover import open_for_daemon
from cdsed.work.remake import Source, remake
from tests.support.injection import needs_strace
from tests.support.state import SetClock, StateLab

_ROOT = Path(__file__).parents[2]
NAMES = realistic_safenames("S5P", 9, seed=941)
_REPORTED, _OPEN = NAMES[:4], NAMES[3:8]


class Desk:
    """An inbox, a spool and a state, with intake but without the other processes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.inbox, self.spool, self.state = root / "inbox", root / "spool", root / "state"
        for place in (self.inbox / "night", self.spool):
            place.mkdir(parents=True)
        self.settings = Settings.model_validate(
            {
                "state_dir": str(self.state),
                "inbox": {"path": str(self.inbox), "stable_for_s": 0.01},
                "spools": [str(self.spool)],
            }
        )
        self.clock = SetClock()

    def drop(self, name: str, *lines: str) -> None:
        path = self.inbox / name
        path.with_name(f".{path.name}").write_text("\n".join(lines) + "\n", encoding="utf-8")
        os.utime(path.with_name(f".{path.name}"), (1, 1))
        path.with_name(f".{path.name}").rename(path)

    def intake(self, db: Database) -> Intake:
        presence = Presence([self.spool], [], SYSTEM_CLOCK, fresh_s=0)
        return Intake(db, self.clock, self.settings, ["default", "night"], presence, lambda: None)

    def take(self, db: Database) -> None:
        """Run intake for one round, as after a start."""
        intake = self.intake(db)
        intake.go_on()
        for _ in range(50):
            intake.look()
        intake.report()

    def publish(self, *names: str) -> None:
        for name in names:
            (self.spool / name).write_bytes(b"CDF\x01")

    def receipt(self, name: str) -> dict[str, object]:
        path = self.inbox / ".accepted" / f"{name}.receipt.json"
        found: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def promises(self, db: Database) -> dict[str, set[str]]:
        """Return which products each listing wants."""
        rows = db.rows(
            "SELECT listing.name, product.safename FROM want JOIN listing ON listing.id = want.listing"
            " JOIN product ON product.id = want.product"
        )
        names = {row["name"] for row in rows}
        return {name: {row["safename"] for row in rows if row["name"] == name} for name in names}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """One listing is reported (three on disk, one unavailable). Another, of a group and with a priority, is open."""
    desk = Desk(tmp_path)
    db = open_state(desk.state)
    lab = StateLab(db, desk.clock, tmp_path)
    desk.publish(*_REPORTED[:3])
    desk.drop("reported.txt", *_REPORTED, _REPORTED[0], "no product")
    desk.take(db)
    lab.finish(products.find(db, _REPORTED[3]).id, products.State.UNAVAILABLE)  # type: ignore[union-attr]
    desk.take(db)
    desk.drop("night/open.txt", f"# cdsed: priority=7 outputdir={desk.root}/out", *_OPEN)
    desk.take(db)
    with db.write():
        db.rows("INSERT INTO traffic_hour VALUES ('lops-1', 500000, 5, 1234567)")
    db.close()
    assert examine(desk.state)
    return desk


def look_over(desk: Desk, db: Database) -> None:
    """Expect what may never be lost."""
    reported = listings.find(db, "reported.txt")
    assert reported is not None
    assert reported.state == "reported"
    assert reported.counts.lines == 6
    waiting = listings.find(db, "open.txt")
    assert waiting is not None
    assert (waiting.head.group, waiting.head.priority, waiting.head.outputdir) == ("night", 7, f"{desk.root}/out")
    assert desk.promises(db) == {"reported.txt": set(_REPORTED), "open.txt": set(_OPEN)}
    assert db.problems() + db.dangling() == []
    assert [each for each in audit.rules_broken(db) if each.rule == "history"] == []
    chains = db.rows("SELECT product, origin, target FROM event ORDER BY id")
    last: dict[int, str] = {}
    for row in chains:
        assert row["origin"] == last.get(row["product"])
        last[row["product"]] = row["target"]
    assert {row["id"]: row["state"] for row in db.rows("SELECT id, state FROM product")} == last
    counted = Counter(row["state"] for row in db.rows("SELECT state FROM product"))
    tallied = db.rows("SELECT state, products FROM tally WHERE listing = 0 AND products > 0")
    assert {row["state"]: row["products"] for row in tallied} == dict(counted)


def test_a_rebuilt_state_knows_every_listing_and_finds_what_came_meanwhile(desk: Desk) -> None:
    shown = desk.receipt("reported.txt"), (desk.inbox / ".accepted/reported.txt.report.json").read_bytes()
    desk.publish(_OPEN[1])
    made, aside = remake(desk.settings, desk.clock, "a test", Source())
    assert (made.source, made.reported, made.again, made.volumes_known) == (None, 1, 1, True)
    assert (aside / FILE_NAME).exists()
    db = open_for_daemon(desk.settings, desk.clock)
    desk.take(db)
    look_over(desk, db)
    assert products.find(db, _REPORTED[0]).state == "already_present"  # type: ignore[union-attr]
    assert products.find(db, _OPEN[1]).state == "already_present"  # type: ignore[union-attr]
    assert products.find(db, _OPEN[2]).state == "queued"  # type: ignore[union-attr]
    # Unavailable for the first listing, and asked for again by the second.
    assert products.find(db, _REPORTED[3]).state == "queued"  # type: ignore[union-attr]
    assert db.value("SELECT bytes FROM traffic_hour") == 1234567
    assert (desk.receipt("reported.txt"), (desk.inbox / ".accepted/reported.txt.report.json").read_bytes()) == shown
    db.close()


def test_without_any_file_of_a_state_the_first_start_rebuilds_it(desk: Desk) -> None:
    shutil.rmtree(desk.state)
    db = open_for_daemon(desk.settings, desk.clock)
    desk.take(db)
    look_over(desk, db)
    assert db.value("SELECT value FROM fence") > 10**12  # beyond every fence a lock file may still hold
    db.close()


def test_a_backup_is_brought_up_to_date_with_listings_disks_and_reports(desk: Desk) -> None:
    db = open_state(desk.state)
    (desk.root / "workers").mkdir()
    lab = StateLab(db, desk.clock, desk.root / "workers")
    lab.accounts("a", group="other")
    # Under way when the backup is made. The worker will be gone.
    first = lab.planned(NAMES[8], group="other")
    lease = lab.lease("a")
    lab.fetched(lease)
    backup.back_up(db, desk.settings.backups_dir, desk.clock)
    desk.publish(*_OPEN, NAMES[8])
    desk.intake(db).report()
    desk.drop("after.txt", NAMES[8])
    db.close()
    db = open_state(desk.state)
    desk.take(db)
    assert listings.find(db, "after.txt") is not None
    db.close()
    (desk.state / FILE_NAME).write_bytes(b"nothing of it is left")
    db = open_for_daemon(desk.settings, desk.clock)
    assert db.value("SELECT count(*) FROM process") == 0
    assert db.value("SELECT count(*) FROM session WHERE process IS NOT NULL") == 0
    assert db.value("SELECT count(*) FROM product WHERE deaths > 0") == 0
    assert (products.get(db, first).state, products.get(db, first).path) == (
        "already_present",
        str(desk.spool / NAMES[8]),
    )
    desk.take(db)
    assert leases.free_sessions(db, desk.clock, ["other"]) != []
    assert set(desk.promises(db)) == {"reported.txt", "open.txt", "after.txt"}
    assert listings.find(db, "after.txt").state == "reported"  # type: ignore[union-attr]
    assert db.problems() + db.dangling() == []
    db.close()


def test_what_was_delivered_since_the_backup_and_taken_away_is_not_fetched_again(desk: Desk) -> None:
    db = open_state(desk.state)
    backup.back_up(db, desk.settings.backups_dir, desk.clock)
    (desk.root / "workers").mkdir()
    lab = StateLab(db, desk.clock, desk.root / "workers")
    for name in _OPEN:
        lab.finish(products.find(db, name).id, products.State.ALREADY_PRESENT)  # type: ignore[union-attr]
    desk.take(db)  # its report is written. The owner moves the products away, so none is on disk
    db.close()
    (desk.state / FILE_NAME).write_bytes(b"nothing of it is left")
    db = open_for_daemon(desk.settings, desk.clock)
    assert {products.find(db, name).state.value for name in _OPEN} == {"already_present"}  # type: ignore[union-attr]
    look_over(desk, db)
    db.close()


def test_a_listing_that_a_cut_log_forgot_is_taken_again(desk: Desk) -> None:
    db = open_state(desk.state)
    db.close()
    kept = (desk.state / FILE_NAME).read_bytes()
    db = open_state(desk.state)
    desk.drop("forgotten.txt", NAMES[8])
    desk.take(db)
    db.close()
    (desk.state / FILE_NAME).write_bytes(kept)  # without its last commits
    db = open_for_daemon(desk.settings, desk.clock)
    desk.take(db)
    assert desk.promises(db)["forgotten.txt"] == {NAMES[8]}
    db.close()


def test_open_listings_are_taken_again_in_the_order_in_which_they_came(desk: Desk) -> None:
    """The first request has the product in its directory. A later one must not get a second copy in another."""
    first, later = desk.root / "first", desk.root / "later"
    first.mkdir()
    db = open_for_daemon(desk.settings, desk.clock)
    for name, place in (("z.txt", first), ("a.txt", later)):
        desk.clock.pass_s(100)
        desk.drop(name, f"# cdsed: outputdir={place}", NAMES[8], NAMES[3])
        desk.take(db)
    db.close()
    (first / NAMES[8]).write_bytes(b"CDF\x01")
    shutil.rmtree(desk.state)
    db = open_for_daemon(desk.settings, desk.clock)
    desk.take(db)
    found = products.find(db, NAMES[8])
    assert found is not None
    assert (found.state, found.path) == ("already_present", str(first / NAMES[8]))
    db.close()


@pytest.mark.parametrize("spoilt", [b"", b"{", b'{"schema": 2, "listing": {}, "counts": {}}', b"\xff\xfe{}"])
@pytest.mark.parametrize("report_file", ["receipt", "report"])
def test_a_listing_with_unreadable_reports_is_taken_again(desk: Desk, report_file: str, spoilt: bytes) -> None:
    (desk.inbox / ".accepted" / f"reported.txt.{report_file}.json").write_bytes(spoilt)
    shutil.rmtree(desk.state)
    db = open_for_daemon(desk.settings, desk.clock)
    desk.take(db)
    assert desk.promises(db)["reported.txt"] == set(_REPORTED)
    db.close()


_REMAKE = textwrap.dedent("""
    import sys
    from pathlib import Path
    from cdsed.clock import SYSTEM_CLOCK
    from cdsed.config.settings import Settings
    from cdsed.work.recover import open_for_daemon
    from cdsed.work.remake import Source, remake
    settings = Settings.model_validate_json(Path(sys.argv[1]).read_text())
    if sys.argv[2] == "start":
        open_for_daemon(settings, SYSTEM_CLOCK).close()
    else:
        remake(settings, SYSTEM_CLOCK, "a test", Source(newest=sys.argv[2] == "restore"))
""")


_ALL_CALLS = ("rename", "fsync", "fdatasync", "unlink", "unlinkat", "mkdir", "rmdir", "pwrite64", "ftruncate")


@needs_strace
@pytest.mark.parametrize("action", ["restore", "rebuild"])
@pytest.mark.parametrize(
    "call", [pytest.param(call, marks=() if call == "rename" else pytest.mark.soak) for call in _ALL_CALLS]
)
def test_killed_at_any_step_a_replacement_leaves_a_state_from_which_nothing_is_missing(
    desk: Desk, action: str, call: str
) -> None:
    db = open_state(desk.state)
    backup.back_up(db, desk.settings.backups_dir, desk.clock)
    db.close()
    order = desk.root / "settings.json"
    order.write_text(desk.settings.model_dump_json(), encoding="utf-8")
    kept = desk.root / "kept"
    for place in (desk.state, desk.inbox):
        shutil.copytree(place, kept / place.name)
    for number in count(1):
        command = ["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", f"inject={call}:signal=KILL:when={number}"]
        command += [sys.executable, "-c", _REMAKE, str(order), action]
        ended = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=60, check=False)
        db = open_for_daemon(desk.settings, desk.clock)
        desk.take(db)
        look_over(desk, db)
        db.close()
        if ended.returncode == 0:
            break
        assert ended.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), ended.stderr
        for place in (desk.state, desk.inbox):
            shutil.rmtree(place)
            shutil.copytree(kept / place.name, place)
    print(f"{action}: killed at {number - 1} calls of {call}")
    assert number > 1 or call in ("rmdir", "ftruncate")
