"""A session whose connection is on another machine stays taken for as long as that may be open, whatever happens."""

from dataclasses import replace

import pytest

from cdsed.model.objects import Lease
from cdsed.store import leases, processes
from cdsed.store.leases import FreeSession
from tests.support.state import StateLab

_HOLD_S = 40.0


@pytest.fixture
def held(lab: StateLab) -> Lease:
    lab.accounts("a", sessions=1)
    lease = leases.take(lab.db, lab.clock, FreeSession("a", 1), lab.process)
    assert lease is not None
    assert leases.hold(lab.db, lab.clock, lease, _HOLD_S)
    return lease


def _is_free(lab: StateLab) -> bool:
    return leases.free_sessions(lab.db, lab.clock, ["default"]) != []


def _reboot(lab: StateLab) -> None:
    lab.clock.boot, lab.clock.utc = 10.0, lab.clock.utc + 100


def test_it_is_free_at_once_when_its_connection_is_closed(lab, held):
    leases.release(lab.db, lab.clock, held, cooldown_s=0.0)
    assert _is_free(lab)


def test_if_that_is_not_known_it_waits_until_the_connection_must_be_closed(lab, held):
    leases.release(lab.db, lab.clock, held, cooldown_s=0.0, closed=False)
    lab.clock.pass_s(_HOLD_S - 1)
    assert not _is_free(lab)
    lab.clock.pass_s(2)
    assert _is_free(lab)


def test_a_renewal_makes_it_longer(lab, held):
    lab.clock.pass_s(30)
    assert leases.hold(lab.db, lab.clock, held, _HOLD_S)
    leases.release(lab.db, lab.clock, held, cooldown_s=0.0, closed=False)
    lab.clock.pass_s(30)
    assert not _is_free(lab)


def test_the_end_of_its_process_does_not_free_it(lab, held):
    processes.release(lab.db, lab.clock, lab.process, cooldown_s=2.0)
    lab.clock.pass_s(_HOLD_S - 1)
    assert not _is_free(lab)
    lab.clock.pass_s(2)
    assert _is_free(lab)


def test_after_a_reboot_its_time_begins_again(lab, held):
    processes.daemon_started(lab.db, lab.clock, version="1", once=False)
    processes.release(lab.db, lab.clock, lab.process, cooldown_s=0.0)
    _reboot(lab)
    processes.daemon_started(lab.db, lab.clock, version="1", once=False)
    lab.clock.pass_s(_HOLD_S - 1)
    assert not _is_free(lab)
    lab.clock.pass_s(2)
    assert _is_free(lab)


def test_a_session_of_this_machine_is_free_after_a_reboot(lab):
    lab.accounts("a", sessions=1)
    processes.daemon_started(lab.db, lab.clock, version="1", once=False)
    lease = leases.take(lab.db, lab.clock, FreeSession("a", 1), lab.process)
    assert lease is not None
    leases.release(lab.db, lab.clock, lease, cooldown_s=100.0)
    _reboot(lab)
    processes.daemon_started(lab.db, lab.clock, version="1", once=False)
    assert _is_free(lab)


def test_an_old_lease_holds_nothing(lab, held):
    assert not leases.hold(lab.db, lab.clock, replace(held, fence=held.fence - 1), _HOLD_S)
    leases.release(lab.db, lab.clock, held, cooldown_s=0.0)
    assert not leases.hold(lab.db, lab.clock, held, _HOLD_S)
    assert _is_free(lab)


def test_the_next_lease_begins_without_a_hold(lab, held):
    leases.release(lab.db, lab.clock, held, cooldown_s=0.0, closed=False)
    lab.clock.pass_s(_HOLD_S + 1)
    assert leases.take(lab.db, lab.clock, FreeSession("a", 1), lab.process) is not None
    assert lab.db.value("SELECT hold_s FROM session") == 0
