"""Sessions granted by locks: one at a time each, only where there is work, and free again when they are given back."""

from dataclasses import replace

import pytest

from cdsed.errors import StateError
from cdsed.process.lock import KernelLock, is_free
from cdsed.transfer.lease_broker import LeaseBroker


@pytest.fixture
def broker(worker_lab):
    """Give the broker of a process that has work for one account."""
    worker_lab.wanted()
    return worker_lab.broker


def test_each_session_is_granted_once_until_it_is_given_back(broker: LeaseBroker):
    grants = [broker.grant() for _ in range(4)]
    assert {grant.lease.slot for grant in grants} == {1, 2, 3, 4}
    assert broker.grant() is None
    assert all(grant.is_valid() for grant in grants)
    grants[1].release(used=False)
    assert not grants[1].is_valid()
    assert broker.grant().lease.slot == grants[1].lease.slot


def test_nothing_is_granted_without_work(worker_lab):
    assert worker_lab.broker.grant() is None


def test_a_session_whose_lock_another_process_holds_is_passed_over(broker):
    with KernelLock(broker.settings.session_lock("a", 1)):
        assert broker.grant().lease.slot == 2
    assert broker.grant().lease.slot == 1


def test_a_session_that_another_daemon_uses_is_passed_over_and_its_own_lock_is_free_again(broker, worker_lab):
    elsewhere = replace(broker.shared, db=worker_lab.db)
    used = elsewhere.take(broker.accounts["a"], 1)
    assert used is not None
    assert broker.grant().lease.slot == 2
    assert is_free(broker.settings.session_lock("a", 1))


def test_an_account_that_is_new_in_its_file_is_passed_over(broker):
    assert replace(broker, accounts={}).grant() is None


def test_a_session_that_was_used_rests(broker, worker_lab):
    transfer = broker.settings.transfer.model_copy(update={"session_cooldown_s": 60.0})
    resting = replace(broker, settings=broker.settings.model_copy(update={"transfer": transfer}))
    for _ in range(4):
        resting.grant().release(used=True)
    assert broker.grant() is None
    assert worker_lab.db.value("SELECT count(fence) FROM session") == 0


def test_new_keys_end_a_grant(broker, monkeypatch):
    grant = broker.grant()
    monkeypatch.setattr(type(broker.keyring), "keys_of", lambda *_: None)
    assert not grant.is_valid()


def test_an_unwritable_resume_point_is_an_error_of_the_state(broker, monkeypatch):
    grant = broker.grant()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(KernelLock, "note", full)
    with pytest.raises(StateError, match="cannot be written"):
        grant.save_resume_point(1, 2, 3.0)
