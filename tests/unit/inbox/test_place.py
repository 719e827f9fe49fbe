import os
import threading
from pathlib import Path

import pytest

from cdsed.errors import InboxError
from cdsed.inbox import directory
from cdsed.inbox.directory import finished, place_when_accepted, put, taken
from cdsed.inbox.durable_files import DurableFileBatch
from cdsed.inbox.options import read_options
from cdsed.inbox.parse import read_listing
from cdsed.model.layout import ProductLayout
from cdsed.model.listing import Ignored, ListingOptions, Named

A = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    root = tmp_path / "inbox"
    (root / "lops").mkdir(parents=True)
    return root


def drop(path: Path, text: str = A) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def take(path: Path, root: Path) -> Path:
    with DurableFileBatch() as batch:
        return directory.take(path, root, batch)


def finish(listing: Path, root: Path, *, accepted: bool) -> Path:
    target = finished(listing, root, accepted=accepted)
    with DurableFileBatch() as batch:
        batch.move(listing, target)
    return target


def test_a_listing_is_taken_and_finished_below_its_group(inbox: Path) -> None:
    moved = take(drop(inbox / "lops" / "a.txt"), inbox)
    assert moved == inbox / ".taking" / "lops" / "a.txt"
    assert taken(inbox) == [moved]
    finished = finish(moved, inbox, accepted=True)
    assert finished == inbox / ".accepted" / "lops" / "a.txt"
    assert finished.read_text(encoding="utf-8") == A
    assert taken(inbox) == []


def test_a_rejected_listing_goes_elsewhere(inbox: Path) -> None:
    moved = take(drop(inbox / "a.txt"), inbox)
    assert finish(moved, inbox, accepted=False) == inbox / ".rejected" / "a.txt"


def test_a_name_dropped_again_gets_a_number_and_overwrites_nothing(inbox: Path) -> None:
    first = finish(take(drop(inbox / "a.txt", "1"), inbox), inbox, accepted=True)
    second = finish(take(drop(inbox / "a.txt", "2"), inbox), inbox, accepted=False)
    third = take(drop(inbox / "a.txt", "3"), inbox)
    fourth = take(drop(inbox / "a.txt", "4"), inbox)
    assert [path.name for path in (first, second, third, fourth)] == [
        "a.txt",
        "a-2.txt",
        "a-3.txt",
        "a-4.txt",
    ]
    assert [path.read_text(encoding="utf-8") for path in (first, second, third, fourth)] == list("1234")


def test_moving_again_after_a_kill_finds_what_was_moved(inbox: Path) -> None:
    moved = take(drop(inbox / "a.txt"), inbox)
    finished = finish(moved, inbox, accepted=True)
    assert finish(moved, inbox, accepted=True) == finished


def test_moving_does_not_overwrite_an_existing_file(inbox: Path) -> None:
    moved = take(drop(inbox / "a.txt", "mine"), inbox)
    (inbox / ".accepted").mkdir()
    drop(inbox / ".accepted" / "a.txt", "theirs")
    assert finish(moved, inbox, accepted=True) == inbox / ".accepted" / "a-2.txt"


def test_what_is_gone_belongs_where_its_receipt_goes(inbox: Path) -> None:
    assert finish(inbox / ".taking" / "a.txt", inbox, accepted=True) == inbox / ".accepted" / "a.txt"
    assert not (inbox / ".accepted" / "a.txt").exists()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("a.receipt.json", "a-receipt.json"),
        ("a.report.txt", "a-report.txt"),
        ("two\nlines.txt", "two_lines.txt"),
        ("\x1b[2J.txt", "_[2J.txt"),
        ("\udcff.txt", "_.txt"),
        ("x" * 251 + ".txt", "x" * 196 + ".txt"),
        ("\u00e9" * 127, "\u00e9" * 100),
        ("x." + "y" * 250, "x." + "y" * 198),
    ],
)
def test_a_name_is_kept_in_a_form_that_can_be_written_and_shown(inbox: Path, name: str, kept: str) -> None:
    assert take(drop(inbox / name), inbox).name == kept


def test_a_link_in_place_of_our_directories_is_refused(inbox: Path, tmp_path: Path) -> None:
    (inbox / ".accepted").symlink_to(tmp_path)
    with pytest.raises(InboxError, match=r"\.accepted is a symbolic link; remove it"):
        directory.prepare(inbox, used=False)


def test_a_listing_put_into_the_inbox_is_the_same_bytes(inbox: Path, tmp_path: Path) -> None:
    source = drop(tmp_path / "a.txt", f"# cdsed: priority=3\r\n{A}\r\n")
    target = put(source, inbox)
    assert target == inbox / "a.txt"
    assert target.read_bytes() == source.read_bytes()
    assert sorted(path.name for path in inbox.iterdir()) == ["a.txt", "lops"]


def test_options_given_go_in_front_and_win(inbox: Path, tmp_path: Path) -> None:
    source = drop(tmp_path / "a.txt", f"\ufeff# cdsed: priority=3 group=esa\n{A}\n")
    target = put(source, inbox, "lops", ListingOptions(priority=7, outputdir="/data/my out"))
    assert target == inbox / "lops" / "a.txt"
    assert read_options(target) == ListingOptions(7, "esa", "/data/my out")
    assert list(read_listing(target)) == [Ignored(1), Ignored(2), Named(3, A)]


def test_a_choice_that_is_given_replaces_that_of_the_listing_and_its_layout_stays(inbox: Path, tmp_path: Path) -> None:
    source = drop(tmp_path / "a.txt", f"# cdsed: layout=S1:{{unit}};S2:{{tile}} include=measurement exclude=a\n{A}\n")
    given = ListingOptions(exclude=("*-ql.jpg", "two words"))
    options = read_options(put(source, inbox, options=given))
    assert options == ListingOptions(layout=ProductLayout.parse("S1:{unit};S2:{tile}"), exclude=given.exclude)


def test_options_given_to_a_json_answer_leave_it_readable(inbox: Path, tmp_path: Path) -> None:
    source = drop(tmp_path / "a.json", f'{{"value": [{{"Name": "{A}"}}]}}')
    target = put(source, inbox, options=ListingOptions(priority=7))
    assert read_options(target) == ListingOptions(7)
    assert list(read_listing(target)) == [Named(1, A)]


def test_two_listings_put_under_one_name_at_once_are_both_kept(inbox: Path, tmp_path: Path) -> None:
    sources = []
    for number in range(8):
        (tmp_path / str(number)).mkdir()
        sources.append(drop(tmp_path / str(number) / "a.txt", str(number)))
    threads = [threading.Thread(target=put, args=(source, inbox)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = sorted(path.read_text(encoding="utf-8") for path in inbox.glob("*.txt"))
    assert found == [str(number) for number in range(8)]


def test_an_inbox_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    source = drop(tmp_path / "a.txt")
    with pytest.raises(InboxError, match=r"cannot be put into .*: No such file or directory"):
        put(source, tmp_path / "no" / "inbox")


@pytest.mark.parametrize("name", [".a.txt", "a.tmp", "a.txt~"])
def test_a_name_that_the_inbox_leaves_alone_is_refused_before_it_is_forgotten_there(
    inbox: Path, tmp_path: Path, name: str
) -> None:
    with pytest.raises(InboxError, match="rename it"):
        put(drop(tmp_path / name), inbox)


def test_the_path_of_a_listing_is_known_before_it_can_be_taken(tmp_path):
    inbox, source = tmp_path / "inbox", tmp_path / "names.txt"
    (inbox / ".accepted").mkdir(parents=True)
    (inbox / ".accepted" / "names.txt").touch()
    source.write_text("S1A\n", encoding="utf-8")
    reported = []

    def before(target):
        reported.append((target.exists(), place_when_accepted(target, inbox).name))

    assert put(source, inbox, before=before) == inbox / "names.txt"
    assert reported == [(False, "names-2.txt")]


def test_what_a_killed_put_left_goes_after_a_day_and_what_is_being_written_stays(inbox: Path, tmp_path: Path) -> None:
    left, written = inbox / ".put-0123.tmp", inbox / ".put-4567.tmp"
    for path in (left, written):
        path.touch()
    os.utime(left, (0, 0))
    put(drop(tmp_path / "week.txt"), inbox)
    assert [path.name for path in sorted(inbox.iterdir()) if path.is_file()] == [written.name, "week.txt"]
