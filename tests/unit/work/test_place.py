"""Where a product goes when the disk it was begun on is away."""

from types import SimpleNamespace

import pytest

from cdsed.config.settings import RetrySettings, Settings
from cdsed.errors import DiskError
from cdsed.local import marker
from cdsed.model.product import State
from cdsed.process.threadwatch import ThreadWatch
from cdsed.store import disks, products
from cdsed.store.products import Move
from cdsed.work.outcome import Outcome
from cdsed.work.place import places_for


@pytest.fixture
def bench(lab):
    """Give what the choice of a place needs of a bench: two spools, of which the first is known and then gone."""
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


def test_what_was_begun_on_a_disk_that_is_away_is_begun_anew_on_another(bench):
    number = bench.lab.planned("A")
    products.move(bench.db, bench.clock, products.get(bench.db, number), Move(State.READY))
    with bench.db.write():
        product = products.claim_ready(bench.db, bench.clock, number, bench.lab.process)
    assert places_for(bench, product, 10).destination == str(bench.lab.other)


def test_what_had_all_arrived_waits_for_its_disk_for_it_may_have_been_published_there(bench):
    number = bench.lab.planned("A")
    bench.lab.fetched(bench.lab.lease())
    with pytest.raises(DiskError) as caught:
        places_for(bench, products.get(bench.db, number), 10)
    assert caught.value.code == "NotMounted"


def test_destinations_on_one_disk_share_its_room(bench, monkeypatch):
    lab = bench.lab
    free = {"bytes": 100}
    monkeypatch.setattr("cdsed.work.place.free_bytes", lambda _: free["bytes"])
    one, two = str(lab.root / "one"), str(lab.root / "two")
    for name, outputdir in (("A", one), ("B", two)):
        lab.ready(name, outputdir=outputdir)
    with lab.db.write():
        first, second = (
            products.claim_ready(lab.db, lab.clock, products.find(lab.db, name).id, lab.process) for name in "AB"
        )
    assert places_for(bench, first, 60).destination == one
    with pytest.raises(DiskError, match="no room"):
        places_for(bench, second, 60)
    free["bytes"] = 200
    assert places_for(bench, second, 60).destination == two
