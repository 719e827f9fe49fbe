"""Where a product goes when the disk of its staging is away."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from cdsed.config.settings import RetrySettings, Settings
from cdsed.errors import DiskError, ProductError
from cdsed.local import marker
from cdsed.model.product_state import State
from cdsed.store import disks, products
from cdsed.store.move import Move
from cdsed.transfer.s3_errors import disk_error
from cdsed.work.destination import Destination
from cdsed.work.failure_action import FailureAction
from cdsed.work.failure_rules import rule_of
from cdsed.work.outcome import Outcome
from tests.support.state import DiskLab


@dataclass
class DestinationContext(DiskLab):
    """What the choice of a place needs: two spools."""

    spool: Path
    other: Path
    outcome: Outcome


@pytest.fixture
def context(lab):
    """Give a context whose first spool is known and then gone."""
    lab.accounts("a")
    spool, other = lab.root / "spool", lab.root / "other"
    settings = Settings.model_validate({"spools": [str(spool), str(other)], "disk": {"free_bytes_min": 0}})
    disks.remember(lab.db, lab.clock, spool, marker.mark(spool))
    spool.rename(lab.root / "away")
    return DestinationContext(lab, settings, spool, other, Outcome(lab.db, lab.clock, RetrySettings()))


def ready(context, name="A", **options):
    number = context.lab.ready(name, **options)
    with context.db.write():
        return products.claim_ready(context.db, context.clock, number, context.lab.process)


def refusal(context, product):
    with pytest.raises(DiskError) as caught:
        Destination(context, product).choose(10)
    assert "no room" not in str(caught.value)
    return caught.value.code, str(caught.value)


def _unreadable(*_):
    raise PermissionError(errno.EACCES, "Permission denied")


def _read_only(*_):
    raise OSError(errno.EROFS, "Read-only file system")


@pytest.mark.parametrize(
    ("spoil", "code", "reported"),
    [
        pytest.param(("cdsed.local.marker.mkdir_durable", _read_only), "EROFS", "ead-only", id="read-only"),
        pytest.param(("cdsed.local.marker.mkdir_durable", _unreadable), "EACCES", "let this user", id="no-right"),
        pytest.param(("cdsed.local.space.has_no_inodes", lambda _: True), "ENOSPC", "left", id="no-inodes"),
    ],
)
def test_an_unusable_disk_is_not_reported_as_full(context, monkeypatch, spoil, code, reported):
    product = ready(context, outputdir=str(context.lab.root / "out"))
    monkeypatch.setattr(*spoil)
    for _ in range(2):  # the second time it pauses already, and the reason is said again
        found, text = refusal(context, product)
        assert (found, reported in text) == (code, True)


def test_a_disk_without_its_marker_is_named_as_such(context):
    context.spool.mkdir()
    context.other.touch()
    code, text = refusal(context, ready(context))
    assert code == "NotMounted"
    assert "is not the directory it was" in text or "lacks its marker" in text
    assert str(context.other) in text


def test_a_disk_that_is_full_of_files_says_so(monkeypatch):
    full_of_files = os.statvfs_result((4096, 4096, 100, 5, 5, 100, 0, 0, 0, 255))
    monkeypatch.setattr("os.statvfs", lambda _: full_of_files)
    error = disk_error("/spool/x", OSError(errno.ENOSPC, "No space left on device"))
    assert (error.code, "no inodes left" in str(error)) == ("ENOSPC", True)


def test_what_was_begun_on_a_disk_that_is_away_is_begun_again_on_another(context):
    number = context.lab.planned("A")
    products.move(context.db, context.clock, products.get(context.db, number), Move(State.READY))
    with context.db.write():
        product = products.claim_ready(context.db, context.clock, number, context.lab.process)
    assert Destination(context, product).choose(10).destination == str(context.other)


def test_what_had_all_arrived_waits_for_its_disk_for_it_may_have_been_published_there(context):
    number = context.lab.planned("A")
    context.lab.fetched(context.lab.lease())
    with pytest.raises(DiskError) as caught:
        Destination(context, products.get(context.db, number)).choose(10)
    assert caught.value.code == "NotMounted"


def test_destinations_on_one_disk_share_its_room(context, monkeypatch):
    lab = context.lab
    free = {"bytes": 100}
    monkeypatch.setattr("cdsed.local.space.free_bytes", lambda _: free["bytes"])
    one, two = str(lab.root / "one"), str(lab.root / "two")
    for name, outputdir in (("A", one), ("B", two)):
        lab.ready(name, outputdir=outputdir)
    with lab.db.write():
        first, second = (
            products.claim_ready(lab.db, lab.clock, products.find(lab.db, name).id, lab.process) for name in "AB"
        )
    assert Destination(context, first).choose(60).destination == one
    with pytest.raises(DiskError, match="no room"):
        Destination(context, second).choose(60)
    free["bytes"] = 200
    assert Destination(context, second).choose(60).destination == two


def test_a_disk_that_was_swapped_while_the_place_was_chosen_is_noticed_before_anything_is_written(context):
    product = ready(context, outputdir=str(context.lab.root / "out"))
    destination = Destination(context, product)
    places = destination.choose(10)
    (context.lab.root / "out").rename(context.lab.root / "unmounted")
    (context.lab.root / "out").mkdir()
    with pytest.raises(DiskError) as caught:
        destination.claim()
    assert caught.value.code == "NotMounted"
    assert list((context.lab.root / "out").iterdir()) == []
    assert not Path(places.staging).exists()


def test_the_product_knows_the_place_that_was_chosen_and_the_state_has_it_reserved(context):
    product = ready(context, outputdir=str(context.lab.root / "out"))
    destination = Destination(context, product)
    places = destination.choose(10)
    stored = products.get(context.db, product.id)
    assert (destination.product.staging, destination.product.destination) == (places.staging, places.destination)
    assert (stored.staging, stored.destination) == (places.staging, places.destination)
    assert disks.reserved_bytes(context.db, places.destination, 0, everywhere=False) == 10


def test_a_destination_without_room_is_passed_over_and_all_are_named_when_none_has_room(context, monkeypatch):
    context.spool.mkdir()
    disks.remember(context.db, context.clock, context.spool, marker.mark(context.spool))
    free = {context.spool: 5, context.other: 50}
    monkeypatch.setattr("cdsed.local.space.free_bytes", lambda pre_spool: free[pre_spool.parent])
    product = ready(context)
    assert Destination(context, product).choose(10).destination == str(context.other)
    with pytest.raises(DiskError, match=r"needs 60.* MB|no room") as caught:
        Destination(context, product).choose(60_000_000)
    assert caught.value.code == "NoRoom"
    assert str(context.spool) in str(caught.value)
    assert str(context.other) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "paths", "needed"),
    [("A" * 250, [], 260), ("A", ["measurement/" + "b" * 256], 256)],
    ids=["of-the-product", "of-a-file"],
)
def test_a_product_whose_names_no_spool_holds_ends_and_says_what_each_holds(context, name, paths, needed):
    product = ready(context, name)
    with pytest.raises(DiskError) as caught:  # the first spool is away, and may hold it
        Destination(context, product).choose(10, paths)
    assert caught.value.code == "NoRoom"
    context.spool.mkdir()
    disks.remember(context.db, context.clock, context.spool, marker.mark(context.spool))
    context.clock.pass_s(60)  # its pause is over
    said = f"needs names of {needed} bytes.*{context.other} holds 255 bytes"
    with pytest.raises(ProductError, match=said) as refused:
        Destination(context, product).choose(10, paths)
    assert (refused.value.code, rule_of(refused.value).action) == ("NameTooLong", FailureAction.GIVE_UP)
