"""Where a product goes when the disk it was begun on is away."""

import errno
from types import SimpleNamespace

import pytest

from cdsed.config.settings import RetrySettings, Settings
from cdsed.errors import DiskError
from cdsed.local import marker
from cdsed.model.product import State
from cdsed.process.threadwatch import ThreadWatch
from cdsed.store import disks, products
from cdsed.store.products import Move
from cdsed.transfer.translate import disk_error
from cdsed.work.outcome import Outcome
from cdsed.work.place import places_for


@pytest.fixture
def context(lab):
    """Give what the choice of a place needs: two spools, of which the first is known and then gone."""
    lab.accounts("a")
    lab.spool, lab.other = lab.root / "spool", lab.root / "other"
    settings = Settings.model_validate({"spools": [str(lab.spool), str(lab.other)], "disk": {"free_bytes_min": 0}})
    disks.remember(lab.db, lab.clock, lab.spool, marker.mark(lab.spool))
    lab.spool.rename(lab.root / "away")
    return SimpleNamespace(
        db=lab.db,
        clock=lab.clock,
        settings=settings,
        watch=ThreadWatch(),
        outcome=Outcome(lab.db, lab.clock, RetrySettings()),
        lab=lab,
    )


def ready(context, name="A", **options):
    number = context.lab.ready(name, **options)
    with context.db.write():
        return products.claim_ready(context.db, context.clock, number, context.lab.process)


def refusal(context, product):
    with pytest.raises(DiskError) as caught:
        places_for(context, product, 10)
    assert "no room" not in str(caught.value)
    return caught.value.code, str(caught.value)


def _unreadable(*_):
    raise PermissionError(errno.EACCES, "Permission denied")


def _read_only(*_):
    raise OSError(errno.EROFS, "Read-only file system")


@pytest.mark.parametrize(
    ("spoil", "code", "told"),
    [
        pytest.param(("cdsed.local.marker.make_lasting", _read_only), "EROFS", "ead-only", id="read-only"),
        pytest.param(("cdsed.local.marker.make_lasting", _unreadable), "EACCES", "let this user", id="no-right"),
        pytest.param(("cdsed.work.place.has_no_inodes", lambda _: True), "ENOSPC", "left", id="no-inodes"),
    ],
)
def test_a_disk_that_cannot_be_used_is_not_told_as_one_without_room(context, monkeypatch, spoil, code, told):
    product = ready(context, outputdir=str(context.lab.root / "out"))
    monkeypatch.setattr(*spoil)
    for _ in range(2):  # the second time it pauses already, and the reason is said again
        found, text = refusal(context, product)
        assert (found, told in text) == (code, True)


def test_a_disk_without_its_marker_is_told_as_such(context):
    context.lab.spool.mkdir()
    context.lab.other.touch()
    code, text = refusal(context, ready(context))
    assert code == "NotMounted"
    assert "is not the directory it was" in text or "lacks its marker" in text
    assert str(context.lab.other) in text


def test_a_disk_that_is_full_of_files_says_so(monkeypatch):
    monkeypatch.setattr("os.statvfs", lambda _: SimpleNamespace(f_files=100, f_favail=0, f_bavail=5))
    error = disk_error("/spool/x", OSError(errno.ENOSPC, "No space left on device"))
    assert (error.code, "no inodes left" in str(error)) == ("ENOSPC", True)


def test_what_was_begun_on_a_disk_that_is_away_is_begun_anew_on_another(context):
    number = context.lab.planned("A")
    products.move(context.db, context.clock, products.get(context.db, number), Move(State.READY))
    with context.db.write():
        product = products.claim_ready(context.db, context.clock, number, context.lab.process)
    assert places_for(context, product, 10).destination == str(context.lab.other)


def test_what_had_all_arrived_waits_for_its_disk_for_it_may_have_been_published_there(context):
    number = context.lab.planned("A")
    context.lab.fetched(context.lab.lease())
    with pytest.raises(DiskError) as caught:
        places_for(context, products.get(context.db, number), 10)
    assert caught.value.code == "NotMounted"


def test_destinations_on_one_disk_share_its_room(context, monkeypatch):
    lab = context.lab
    free = {"bytes": 100}
    monkeypatch.setattr("cdsed.work.place.free_bytes", lambda _: free["bytes"])
    one, two = str(lab.root / "one"), str(lab.root / "two")
    for name, outputdir in (("A", one), ("B", two)):
        lab.ready(name, outputdir=outputdir)
    with lab.db.write():
        first, second = (
            products.claim_ready(lab.db, lab.clock, products.find(lab.db, name).id, lab.process) for name in "AB"
        )
    assert places_for(context, first, 60).destination == one
    with pytest.raises(DiskError, match="no room"):
        places_for(context, second, 60)
    free["bytes"] = 200
    assert places_for(context, second, 60).destination == two
