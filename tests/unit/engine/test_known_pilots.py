"""Pilots that the head hears of, and what a user sees of them."""

from cdsed._version import __version__
from cdsed.engine.known_pilots import KnownPilots
from cdsed.engine.wire import Leave, PilotHere, Welcome


def test_a_pilot_of_another_version_is_sent_away_and_the_user_is_told():
    pilots = KnownPilots(60.0, 0.0)
    assert pilots.hear(PilotHere("p", "node7", __version__), 1.0) == Welcome("p")
    answer = pilots.hear(PilotHere("q", "node8", "0.0.1"), 1.0)
    assert isinstance(answer, Leave)
    why = f"node8 has cdsed 0.0.1, and the daemon {__version__}: its workers are not used"
    assert pilots.refused() == {"node8": why}
    pilots.hear(PilotHere("p", "node7", __version__), 61.0)
    pilots.forget_silent(62.0)
    assert pilots.refused() == {}
    assert pilots.nodes == {"p": "node7"}


def test_a_user_is_told_when_no_pilot_runs_but_not_while_dask_starts():
    pilots = KnownPilots(60.0, 100.0)
    assert pilots.problem(150.0) is None
    assert pilots.problem(161.0) == (
        "no worker of Dask runs a pilot, so nothing is fetched; see its scheduler and workers"
    )
    pilots.hear(PilotHere("p", "node7", __version__), 162.0)
    assert pilots.problem(162.0) is None
    pilots.forget_silent(223.0)
    assert pilots.problem(223.0) is not None


def test_a_pilot_that_shall_leave_is_known_as_such_until_it_is_gone():
    pilots = KnownPilots(60.0, 0.0)
    pilots.hear(PilotHere("p", "node7", __version__), 1.0)
    pilots.let_leave("p")
    assert (pilots.is_leaving("p"), pilots.is_leaving("q")) == (True, False)
    pilots.forget_silent(62.0)
    assert (pilots.nodes, pilots.is_leaving("p")) == ({}, False)
