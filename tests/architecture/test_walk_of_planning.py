"""A reader of the code that plans a product passes few functions."""

from tests.architecture.walk_of_planning import START, walk

_STOPS_MAX = 27


def test_the_planning_of_a_product_is_followed_at_few_stops():
    assert len(walk()) <= _STOPS_MAX


def test_the_walk_finds_functions_through_modules_objects_and_their_fields():
    assert {
        START,
        "cdsed.transfer.transport.Transport.list_objects",
        "cdsed.transfer.ownership.claim",
        "cdsed.work.destination.Destination.check_disk",
        "cdsed.work.outcome.Outcome.disk_failed",
        "cdsed.process.threadwatch.ThreadWatch.at",
    } <= walk()


def test_the_walk_grows_with_what_it_follows():
    assert walk() > walk("cdsed.work.destination.Destination.choose")
    assert not any(name.startswith("cdsed.store.") for name in walk())
