"""Intake: every line is counted once, after kills, repeated drops, and for products on disk."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.settings import Settings
from cdsed.errors import InboxError, Stopped
from cdsed.inbox import source
from cdsed.local.presence import Presence
from cdsed.model.choice import Choice, union
from cdsed.model.disk import DirectoryIdentity
from cdsed.model.product_state import State
from cdsed.sandbox.names import realistic_safenames
from cdsed.store import audit, disks, listings, products
from cdsed.store.database import open_state
from cdsed.work.intake import Intake
from tests.support.local_products import make_part, make_product
from tests.support.state import SetClock, StateLab

_ROOT = Path(__file__).resolve().parents[3]
NAMES = realistic_safenames("S2_L1C", 1200, seed=5)
MANY = realistic_safenames("S2_L1C", 4000, seed=5)  # more than three batches, each of which may be twice the former

_TAKEN = ("", ".receipt.json", ".receipt.txt")


class Desk(StateLab):
    """A state with an inbox, a spool and their settings."""

    def __init__(self, db, root):
        super().__init__(db, SetClock(), root)
        self.inbox, self.spool = root / "inbox", root / "spool"
        self.inbox.mkdir()
        self.spool.mkdir()
        self.settings = Settings.model_validate(
            {
                "state_dir": str(root / "state"),
                "inbox": {"path": str(self.inbox), "stable_for_s": 0.01},
                "spools": [str(self.spool)],
            }
        )


@pytest.fixture
def desk(tmp_path):
    with contextlib.closing(open_state(tmp_path / "state")) as db:
        yield Desk(db, tmp_path)


def intake(desk):
    presence = Presence([desk.spool], [], SYSTEM_CLOCK, fresh_s=0)
    return Intake(desk.db, SYSTEM_CLOCK, desk.settings, ["default", "other"], presence, lambda: None)


def drop(desk, name, lines):
    hidden = (desk.inbox / name).with_name(".hidden")
    hidden.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.utime(hidden, (1, 1))
    hidden.rename(desk.inbox / name)


def take(desk, name, lines):
    """Drop a listing and have it taken; return its receipt's counts."""
    drop(desk, name, lines)
    until_taken(desk, name)
    return counts(desk, name)


def until_taken(desk, name):
    """Start intake, and let it look until it has taken a file."""
    worker = intake(desk)
    for _ in range(100):
        worker.look()
        if not (desk.inbox / name).exists():
            break


def counts(desk, name):
    listing = listings.find(desk.db, name)
    assert listing is not None
    found = {verdict: getattr(listing.counts, verdict) for verdict in listing.counts.__dataclass_fields__}
    return {verdict: count for verdict, count in found.items() if count}


def test_each_line_is_counted_once(desk):
    lines = [NAMES[0], "# a comment", NAMES[1], NAMES[0], "no product at all", ""]
    found = take(desk, "l.txt", lines)
    assert found == {"accepted": 2, "duplicate": 1, "rejected": 1, "ignored": 2}
    [receipt] = (desk.inbox / ".accepted").rglob("l.txt.receipt.json")
    reported = json.loads(receipt.read_text(encoding="utf-8"))
    assert [remark["line"] for remark in reported["remarks"]] == [4, 5]
    assert desk.db.value("SELECT count(*) FROM remark") == 0, "they stand in the receipt now"


def test_a_listing_of_more_than_a_batch_is_taken_whole(desk):
    assert take(desk, "l.txt", NAMES) == {"accepted": 1200}
    assert desk.db.value("SELECT products FROM tally WHERE listing = 0 AND state = 'queued'") == 1200


def test_products_are_numbered_in_the_order_of_their_lines_whatever_is_between_them(desk):
    make_product(desk.spool, NAMES[4])
    lines = [NAMES[0], "nonsense", NAMES[1], NAMES[1], "", NAMES[4], NAMES[2], NAMES[0], NAMES[3]]
    assert take(desk, "l.txt", lines) == {
        "accepted": 4,
        "duplicate": 2,
        "already_present": 1,
        "rejected": 1,
        "ignored": 1,
    }
    rows = desk.db.rows("SELECT safename, line FROM product JOIN want ON want.product = product.id ORDER BY product.id")
    assert [(row["safename"], row["line"]) for row in rows] == [
        *((NAMES[0], 1), (NAMES[1], 3), (NAMES[4], 6), (NAMES[2], 7), (NAMES[3], 9)),
    ]


def test_a_path_and_an_id_of_a_line_are_entered_with_its_product(desk):
    path = f"/eodata/Sentinel-2/MSI/L1C/2024/01/01/{NAMES[0]}"
    number = "0a1b2c3d-0000-4000-8000-000000000001"
    assert take(desk, "l.csv", ["Id,Name,S3Path", f"{number},{NAMES[0]},{path}", f",{NAMES[1]},"])["accepted"] == 2
    first, second = products.find(desk.db, NAMES[0]), products.find(desk.db, NAMES[1])
    assert (first.product_id, first.s3_path, first.path_source) == (number, path, "listing")
    assert (second.product_id, second.s3_path, second.path_source) == (None, None, None)


def test_a_known_product_under_way_gets_the_higher_priority(desk):
    take(desk, "one.txt", NAMES[:3])
    assert take(desk, "two.txt", ["# cdsed: priority=7", *NAMES[1:4]]) == {"accepted": 1, "known": 2, "ignored": 1}
    assert [products.find(desk.db, name).priority for name in NAMES[:4]] == [0, 7, 7, 7]


def test_what_failed_is_tried_again_when_it_is_dropped_again(desk):
    take(desk, "one.txt", NAMES[:1])
    number = products.find(desk.db, NAMES[0]).id
    desk.finish(number, State.UNAVAILABLE)
    assert take(desk, "two.txt", NAMES[:1]) == {"accepted": 1}
    assert desk.state(number) is State.QUEUED


def test_what_is_on_disk_is_present(desk):
    name = realistic_safenames("S5P", 1, seed=9)[0]
    (desk.spool / name).write_bytes(b"CDF\x01netcdf")
    assert take(desk, "l.txt", [name]) == {"already_present": 1}
    assert products.find(desk.db, name).path == str(desk.spool / name)
    worker = intake(desk)
    worker.report()
    assert list((desk.inbox / ".accepted").rglob("l.txt.report.json"))


def test_what_its_owner_has_half_deleted_since_is_fetched_again(desk):
    name = realistic_safenames("S5P", 1, seed=9)[0]
    (desk.spool / name).write_bytes(b"CDF\x01netcdf")
    assert take(desk, "one.txt", [name]) == {"already_present": 1}
    (desk.spool / name).write_bytes(b"")
    assert take(desk, "two.txt", [name]) == {"accepted": 1}
    assert products.find(desk.db, name).state is State.QUEUED


def test_an_unknown_group_refuses_the_listing_in_words(desk):
    drop(desk, "l.txt", ["# cdsed: group=nobody", NAMES[0]])
    for _ in range(5):
        intake(desk).look()
    refused = list((desk.inbox / ".rejected").rglob("l.txt*"))
    assert refused
    assert products.find(desk.db, NAMES[0]) is None


def test_a_product_is_found_where_its_spool_was_moved_to(desk, tmp_path):
    """The former place is not there any more, as if its disk were not mounted."""
    name, old = NAMES[0], tmp_path / "old"
    make_product(old, name)
    presence = Presence([old], [], SYSTEM_CLOCK, fresh_s=0)
    drop(desk, "first.txt", [name])
    look_until(
        Intake(desk.db, SYSTEM_CLOCK, desk.settings, ["default"], presence, lambda: None),
        desk.inbox / ".accepted/first.txt.receipt.json",
    )
    disks.remember(desk.db, desk.clock, old, DirectoryIdentity("marker", 1, 2))
    old.rename(desk.spool / "moved")
    for each in (desk.spool / "moved").iterdir():
        each.rename(desk.spool / each.name)
    assert take(desk, "second.txt", [name]) == {"already_present": 1}
    assert products.find(desk.db, name).path == str(desk.spool / name)


def test_an_answer_that_breaks_off_at_once_is_refused_whole(desk):
    drop(desk, "l.json", ['{"value": [{"Name": "' + NAMES[0] + '"}, {"Na'])
    for _ in range(5):
        intake(desk).look()
    assert list((desk.inbox / ".rejected").rglob("l.json"))
    assert products.find(desk.db, NAMES[0]) is None


def test_a_group_whose_directory_is_out_of_order_keeps_neither_receipt_nor_report_from_the_others(desk):
    (desk.inbox / "other").mkdir()
    home = desk.inbox / ".accepted" / "other"
    for number in range(201):  # more than are reported on at one time
        drop(desk, f"other/l{number}.txt", [NAMES[0], f"# {number}"])
    worker = intake(desk)
    look_until(worker, home / "l200.txt.receipt.json")
    home.rename(desk.inbox / ".accepted" / "away")
    home.touch()
    drop(desk, "other/l201.txt", [NAMES[0], "# 201"])
    drop(desk, "late.txt", [NAMES[0], "# late"])
    look_until(worker, desk.inbox / ".accepted" / "late.txt.receipt.json")
    desk.finish(products.find(desk.db, NAMES[0]).id, State.UNAVAILABLE)
    look_until(worker, desk.inbox / ".accepted" / "late.txt.report.json")
    home.unlink()
    (desk.inbox / ".accepted" / "away").rename(home)
    look_until(worker, home / "l0.txt.report.json")
    look_until(worker, home / "l201.txt.report.json")


def look_until(worker, report_file):
    deadline = time.monotonic() + 60
    while not report_file.exists():
        assert time.monotonic() < deadline, f"{report_file} did not appear"
        worker.look()
        worker.report()


_DIES_AFTER = """
import json, os, shutil, sys
from pathlib import Path
from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.settings import Settings
from cdsed.errors import InboxError, Stopped
from cdsed.local.presence import Presence
from cdsed.store import listings
from cdsed.store.database import open_state
from cdsed.work.intake import Intake
from tests.support.local_products import make_part
from tests.support.state import SetClock, StateLab
settings = Settings.model_validate(json.loads(sys.argv[1]))
db = open_state(settings.state_dir)
count, left = listings.count, int(sys.argv[2])
def counting(*arguments):
    global left
    if not Path(sys.argv[3]).exists():
        shutil.copytree(settings.state_dir, sys.argv[3])
    count(*arguments)
    left -= 1
    if left < 0:
        os.kill(os.getpid(), 9)
    print(arguments[2], flush=True)  # how far the listing is taken after this batch
listings.count = counting
intake = Intake(db, SYSTEM_CLOCK, settings, ["default"], Presence(settings.spools, [], SYSTEM_CLOCK), lambda: None)
while True:
    intake.look()
"""


@pytest.mark.parametrize("batches", [0, 1, 2])
def test_a_kill_in_the_middle_neither_loses_nor_doubles_a_line(desk, batches):
    committed = kill_in_batch(desk, batches)
    with contextlib.closing(open_state(desk.settings.state_dir)) as other:
        taken = listings.half_taken(other)[0].items_taken
    assert len(committed) == batches
    assert taken == (committed or [0])[-1]  # the batch it died in is not half taken
    intake(desk).go_on()
    assert_that_many_are_taken(desk)


def test_a_power_cut_that_takes_back_the_first_batches_neither_loses_nor_doubles_a_line(desk, tmp_path):
    assert len(kill_in_batch(desk, 2)) == 2
    desk.db.close()
    shutil.rmtree(desk.settings.state_dir)
    (tmp_path / "before").rename(desk.settings.state_dir)
    with contextlib.closing(open_state(desk.settings.state_dir)) as desk.db:
        assert listings.half_taken(desk.db)[0].items_taken == 0
        intake(desk).go_on()
        assert_that_many_are_taken(desk)


def kill_in_batch(desk, batches):
    """Kill intake after so many batches; return how far each of them came. The state before is copied aside."""
    drop(desk, "l.txt", [*MANY, *MANY[:10], "nonsense"])
    values = json.dumps(
        {
            "state_dir": str(desk.settings.state_dir),
            "inbox": {"path": str(desk.inbox), "stable_for_s": 0.01},
            "spools": [str(desk.spool)],
        }
    )
    command = [sys.executable, "-c", _DIES_AFTER, values, str(batches), str(desk.root / "before")]
    killed = subprocess.run(command, cwd=_ROOT, timeout=60, check=False, capture_output=True, text=True)
    assert killed.returncode == -9
    return [int(position) for position in killed.stdout.split()]


def assert_that_many_are_taken(desk):
    assert counts(desk, "l.txt") == {"accepted": len(MANY), "duplicate": 10, "rejected": 1}
    assert desk.db.value("SELECT count(*) FROM want") == len(MANY)
    assert listings.half_taken(desk.db) == []


def test_a_listing_whose_receipt_cannot_be_written_for_long_is_not_taken_for_what_kills_its_reader(desk):
    drop(desk, "a.txt", NAMES[:3])
    in_the_way = desk.inbox / ".accepted" / ".a.txt.receipt.json.tmp"  # stands for a full disk
    in_the_way.mkdir(parents=True)
    for _ in range(8):  # the daemon is restarted many times
        one = intake(desk)
        one.go_on()
        one.look()
    in_the_way.rmdir()
    intake(desk).go_on()
    assert counts(desk, "a.txt") == {"accepted": 3}
    assert desk.db.value("SELECT count(*) FROM listing") == 1
    assert [path.name for path in (desk.inbox / ".rejected").iterdir()] == []


def test_a_listing_whose_reader_is_stopped_repeatedly_is_taken_in_the_end(desk, monkeypatch):
    monkeypatch.setattr(source, "_CHUNKS_BETWEEN_HEARTBEATS", 1)  # a listing of gigabytes sends heartbeats like this

    def stop():
        raise Stopped

    drop(desk, "long.txt", NAMES[:3])
    (desk.inbox / ".taking").mkdir()
    (desk.inbox / "long.txt").rename(desk.inbox / ".taking/long.txt")
    presence = Presence([desk.spool], [], SYSTEM_CLOCK, fresh_s=0)
    for _ in range(8):
        with pytest.raises(Stopped):
            Intake(desk.db, SYSTEM_CLOCK, desk.settings, ["default"], presence, stop).go_on()
    intake(desk).go_on()
    assert counts(desk, "long.txt") == {"accepted": 3}


@pytest.mark.parametrize("former", ["l.txt", ".taking/l.txt", "other/l.txt", ".taking/other/l.txt"])
def test_a_former_name_that_comes_back_with_a_power_cut_is_no_other_listing(desk, caplog, former):
    (desk.inbox / "other").mkdir()
    name = former.removeprefix(".taking/")
    drop(desk, name, NAMES[:3])
    until_taken(desk, name)
    (desk.inbox / former).parent.mkdir(exist_ok=True)
    os.link(desk.inbox / ".accepted" / name, desk.inbox / former)  # as btrfs replays its log
    after_the_cut = intake(desk)
    after_the_cut.go_on()
    after_the_cut.look()
    assert files_below(desk.inbox) == {f".accepted/{name}{suffix}" for suffix in _TAKEN}
    assert desk.db.value("SELECT count(*) FROM listing") == 1
    assert f"{former} came back as a second name of" in caplog.text


@pytest.mark.parametrize("another", ["l.txt", ".accepted/l.txt"])
def test_a_listing_of_two_names_after_a_power_cut_in_its_move_is_taken_once(desk, another):
    drop(desk, "l.txt", NAMES[:3])
    in_the_way = desk.inbox / ".accepted" / ".l.txt.receipt.json.tmp"  # the move to .accepted/ waits for it
    in_the_way.mkdir(parents=True)
    until_taken(desk, "l.txt")
    in_the_way.rmdir()
    os.link(desk.inbox / ".taking/l.txt", desk.inbox / another)
    after_the_cut = intake(desk)
    after_the_cut.go_on()
    after_the_cut.look()
    assert files_below(desk.inbox) == {f".accepted/l.txt{suffix}" for suffix in _TAKEN}
    assert counts(desk, "l.txt") == {"accepted": 3}
    assert desk.db.value("SELECT count(*) FROM listing") == 1


def test_a_file_that_its_owner_drops_as_a_link_each_day_is_taken_each_day(desk):
    own = desk.root / "daily.txt"
    own.write_text(f"{NAMES[0]}\n", encoding="utf-8")
    os.utime(own, (1, 1))
    for _ in range(2):
        os.link(own, desk.inbox / "daily.txt")
        until_taken(desk, "daily.txt")
    assert desk.db.value("SELECT count(*) FROM listing") == 2


def files_below(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_an_inbox_that_is_bare_at_a_start_is_waited_for_while_a_listing_of_it_is_not_reported(desk, tmp_path):
    take(desk, "l.txt", [NAMES[0]])
    desk.inbox.rename(tmp_path / "away")
    desk.inbox.mkdir()  # the mount point
    after_a_start = intake(desk)
    for begin in (after_a_start.go_on, after_a_start.look):
        with pytest.raises(InboxError, match="its disk is not mounted"):
            begin()
    assert list(desk.inbox.iterdir()) == []
    desk.inbox.rmdir()
    (tmp_path / "away").rename(desk.inbox)
    after_a_start.go_on()
    after_a_start.look()


def test_every_product_of_a_line_has_its_remark_with_the_number_of_the_line(desk):
    lines = [f"{NAMES[0]},{NAMES[1]}", f"{NAMES[1]};{NAMES[0]};{NAMES[2]}", f"{NAMES[3]},s3://elsewhere/x/", "?"]
    assert take(desk, "l.txt", lines) == {"accepted": 4, "duplicate": 2, "rejected": 1}
    [receipt] = (desk.inbox / ".accepted").rglob("l.txt.receipt.json")
    remarks = json.loads(receipt.read_text(encoding="utf-8"))["remarks"]
    assert [(each["line"], each["verdict"], each["safename"]) for each in remarks] == [
        (2, "duplicate", NAMES[1]),
        (2, "duplicate", NAMES[0]),
        (3, "accepted", NAMES[3]),
        (4, "rejected", None),
    ]
    assert remarks[2]["text"] == "its path is not in the bucket eodata and was not used"
    assert "Accepted\n  line         3" in receipt.with_suffix(".txt").read_text(encoding="utf-8")
    assert products.find(desk.db, NAMES[3]).s3_path is None
    assert audit.rules_broken(desk.db) == []


def test_a_line_of_several_products_is_taken_in_one_transaction(desk):
    lines = [*NAMES[:499], ",".join(NAMES[495:520]), *NAMES[520:600]]
    assert take(desk, "l.txt", lines) == {"accepted": 600, "duplicate": 4}
    assert audit.rules_broken(desk.db) == []


def test_an_id_alone_is_accepted_for_the_catalogue(desk):
    number = "7fa0bb0c-6f5d-4c55-a3a5-4d6b3b1a6f10"
    assert take(desk, "l.txt", [number, number.upper()]) == {"accepted": 1, "duplicate": 1}
    assert products.find(desk.db, number).product_id == number


FIRST = "# cdsed: layout={tile}/{year} exclude=GRANULE"


def test_a_listing_says_where_to_and_what_and_the_first_listing_of_a_product_decides_where(desk):
    assert take(desk, "first.txt", [FIRST, NAMES[0], NAMES[1]]) == {"accepted": 2, "ignored": 1}
    product = products.find(desk.db, NAMES[0])
    assert (product.layout, product.choice) == ("{tile}/{year}", Choice.of([], ["GRANULE"]).to_json())
    assert take(desk, "second.txt", ["# cdsed: layout={year} include=*.xml", NAMES[0]]) == {"known": 1, "ignored": 1}
    [remark] = receipt_of(desk, "second.txt")
    assert "(layout {tile}/{year}), not by {year}" in remark["text"]
    product = products.find(desk.db, NAMES[0])
    assert product.layout == "{tile}/{year}"
    assert Choice.from_json(product.choice) == union(Choice.of([], ["GRANULE"]), Choice.of(["*.xml"], []))
    take(desk, "third.txt", [NAMES[0]])
    assert products.find(desk.db, NAMES[0]).choice is None


def receipt_of(desk, name):
    path = desk.inbox / ".accepted" / f"{name}.receipt.json"
    return json.loads(path.read_text(encoding="utf-8"))["remarks"]


def test_a_name_without_a_field_of_the_layout_is_rejected_with_the_fields_that_it_has(desk):
    assert take(desk, "l.txt", ["# cdsed: layout={orbit}", NAMES[0]]) == {"rejected": 1, "ignored": 1}
    [remark] = receipt_of(desk, "l.txt")
    assert "no place in the layout {orbit}" in remark["text"]
    assert "has no {orbit}; it has family, mission" in remark["text"]
    assert products.find(desk.db, NAMES[0]) is None


def test_a_part_on_disk_is_present_for_a_listing_that_wants_it_and_fetched_for_one_that_wants_more(desk):
    part = make_part(desk.spool / "partial", NAMES[0])
    assert take(desk, "part.txt", ["# cdsed: include=measurement", NAMES[0]]) == {"already_present": 1, "ignored": 1}
    product = products.find(desk.db, NAMES[0])
    assert (product.state, product.path, product.partial) == (State.ALREADY_PRESENT, str(part), True)
    assert take(desk, "whole.txt", [NAMES[0]]) == {"accepted": 1}
    product = products.find(desk.db, NAMES[0])
    assert (product.state, product.partial, product.choice) == (State.QUEUED, False, None)


def test_the_settings_of_a_group_hold_for_a_listing_that_says_nothing(desk):
    group = {"layout": "{year}", "exclude": ["GRANULE"]}
    desk.settings = Settings.model_validate(
        {**desk.settings.model_dump(exclude={"groups"}), "groups": {"default": group}}
    )
    take(desk, "l.txt", [NAMES[0]])
    head = listings.find(desk.db, "l.txt").head
    assert (head.layout, head.exclude) == ("{year}", ("GRANULE",))
    take(desk, "own.txt", ["# cdsed: layout=. include=*", NAMES[1]])
    product = products.find(desk.db, NAMES[1])
    assert (product.layout, product.choice) == (None, None)
