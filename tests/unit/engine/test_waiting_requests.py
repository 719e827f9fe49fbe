"""Requests of holders wait in their order, the newest of each; some are answered at a time."""

from cdsed.engine.waiting_requests import WaitingRequests
from cdsed.engine.wire import Renew, Want


def test_some_are_answered_at_a_time_and_all_in_the_end() -> None:
    waiting = WaitingRequests()
    for number in range(20):
        waiting.add(Want(f"p.{number}", 1, 0))
    answered = []
    while waiting:
        some = waiting.some()
        assert 0 < len(some) < 20
        answered += [each.nonce for each in some]
    assert answered == [f"p.{number}" for number in range(20)]


def test_only_the_newest_request_of_a_holder_is_answered_whatever_comes_last() -> None:
    waiting, newest = WaitingRequests(), Renew("p.1", 3, 1, 0, busy=True)
    for request in (Renew("p.1", 2, 1, 0, busy=True), newest, Want("p.1", 1, 0)):
        waiting.add(request)
    assert waiting.some() == [newest]
    assert waiting.some() == []


def test_a_holder_that_is_dead_gets_no_answer() -> None:
    waiting = WaitingRequests()
    waiting.add(Want("p.1", 1, 0))
    waiting.forget("p.1")
    assert not waiting
