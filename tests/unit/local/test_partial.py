"""Products that were fetched in part, and layouts: what the disk alone says of them."""

import json
import shutil
from pathlib import Path

import pytest

from cdsed.local import layouts
from cdsed.local.intact import check_product
from cdsed.local.partial import is_marked, read_marker
from cdsed.local.presence import Presence
from cdsed.local.whole import is_whole, satisfies
from cdsed.model.choice import Choice
from cdsed.model.layout import ProductLayout
from cdsed.model.part_marker import MARKER, parse
from tests.support.local_products import SAFENAME, make_part, make_product, make_zip

VV = Choice.of(["measurement"], [])
EVERYTHING_BUT_PREVIEWS = Choice.of([], ["preview"])
PREVIEWS = Choice.of(["preview"], [])


def test_a_product_that_was_fetched_in_part_is_never_complete(tmp_path: Path) -> None:
    part = make_part(tmp_path)
    check = check_product(part)
    assert check.problems == ("it was fetched in part (include=measurement): 1 file was left out",)
    assert check.as_taken
    assert not check.good
    assert not is_whole(part)
    assert not is_whole(make_zip(tmp_path / f"{SAFENAME}.zip", part))


def test_it_satisfies_who_wants_only_what_it_has(tmp_path: Path) -> None:
    part = make_part(tmp_path)
    assert satisfies(part, SAFENAME, VV)
    assert satisfies(part, SAFENAME, EVERYTHING_BUT_PREVIEWS)
    assert not satisfies(part, SAFENAME, PREVIEWS)
    assert not satisfies(part, SAFENAME, None)
    assert satisfies(make_product(tmp_path / "whole"), SAFENAME, PREVIEWS)


@pytest.mark.parametrize("damage", ["measurement/a.tiff", "manifest.safe"])
def test_a_part_that_lost_a_file_satisfies_no_choice(tmp_path: Path, damage: str) -> None:
    part = make_part(tmp_path)
    (part / damage).unlink()
    check = check_product(part)
    assert not check.as_taken
    assert f"{damage} is not as it was taken" in check.problems
    assert not satisfies(part, SAFENAME, VV)


def test_a_part_with_a_changed_file_differs_from_its_manifest(tmp_path: Path) -> None:
    part = make_part(tmp_path)
    (part / "measurement/a.tiff").write_bytes(b"pixelS")
    assert "measurement/a.tiff: md5 is" in check_product(part).problems[1]


@pytest.mark.parametrize("marker", [b"", b"{}", b"[]", b'{"schema": 2}', b"\xff"])
def test_a_damaged_marker_still_says_that_the_product_is_not_complete(tmp_path: Path, marker: bytes) -> None:
    part = make_part(tmp_path)
    (part / MARKER).write_bytes(marker)
    assert read_marker(part) is None
    assert is_marked(part)
    assert not is_whole(part)
    assert not satisfies(part, SAFENAME, VV)


def test_a_marker_that_leads_out_of_the_product_is_not_read(tmp_path: Path) -> None:
    marker = json.loads((make_part(tmp_path) / MARKER).read_bytes())
    marker["files"][0]["path"] = "../../etc/passwd"
    assert parse(json.dumps(marker).encode()) is None


def test_presence_finds_a_part_only_for_a_choice_and_the_whole_for_all(tmp_path: Path) -> None:
    part = make_part(tmp_path / "partial")
    presence = Presence([tmp_path], [], fresh_s=0)
    for find in (presence.find, presence.find_now):
        assert find(SAFENAME) is None
        assert find(SAFENAME, choice=PREVIEWS) is None
        assert find(SAFENAME, choice=VV) == part
    whole = make_product(tmp_path)
    for find in (presence.find, presence.find_now):
        assert find(SAFENAME) == find(SAFENAME, choice=VV) == whole


def test_presence_finds_products_in_every_layout_that_was_used_there_without_the_state(tmp_path: Path) -> None:
    layout = ProductLayout.parse("{mission}/{year}/{doy}")
    layouts.note(tmp_path / "spool", layout)
    layouts.note(tmp_path / "spool", ProductLayout.parse("{tile}"))
    product = make_product(tmp_path / "spool/sentinel-1/2024/156")
    assert Presence([tmp_path / "spool"], []).find_now(SAFENAME) == product
    shutil.move(tmp_path / "spool", tmp_path / "moved")
    moved = Presence([tmp_path / "moved"], [])
    assert moved.find(SAFENAME) == moved.find_now(SAFENAME) == tmp_path / "moved/sentinel-1/2024/156" / SAFENAME
    part = make_part(tmp_path / "other/partial/sentinel-1/2024/156")
    layouts.note(tmp_path / "other", layout)
    assert Presence([tmp_path / "other"], []).find_now(SAFENAME, choice=VV) == part


def test_presence_finds_what_another_tool_put_where_the_settings_or_the_listing_say(tmp_path: Path) -> None:
    by_day = make_product(tmp_path / "2024/06/04")
    layout = ProductLayout.parse("{year}/{month}/{day}")
    assert Presence([tmp_path], []).find_now(SAFENAME) is None
    assert Presence([tmp_path], [], layouts=[layout]).find_now(SAFENAME) == by_day
    assert Presence([], []).find_now(SAFENAME, tmp_path, "2024/06/04") == by_day


def test_a_layout_is_noted_once_and_what_is_not_one_is_skipped(tmp_path: Path) -> None:
    layout = ProductLayout.parse("{year}")
    layouts.note(tmp_path, layout)
    layouts.note(tmp_path, layout)
    folder = tmp_path / ".cdsed-files/.layouts"
    (folder / "bad").write_text("../{year}")
    (folder / "x.new").write_text("{doy}")
    assert layouts.noted(tmp_path) == (layout,)
    assert layouts.noted(tmp_path / "absent") == ()
