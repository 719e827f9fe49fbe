"""Idle threads look again from time to time while there is work, and at rest only when they are woken."""

import threading
from collections.abc import Callable

import pytest

from cdsed.work.context import WorkSignal

_LONG_S = 30.0  # a thread that missed the end of a rest waits longer
_A_MOMENT_S = 0.2


class _IdleThread:
    """A thread that waits for work; it would look again at once."""

    def __init__(self, signal: WorkSignal, generation: int) -> None:
        self.looks_again = threading.Event()
        self._signal = signal
        self._generation = generation
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        self._signal.idle(self._generation, 0.0)
        self.looks_again.set()


def test_a_thread_looks_again_by_itself_while_there_is_work() -> None:
    assert _IdleThread(WorkSignal(), 0).looks_again.wait(_LONG_S)


@pytest.mark.parametrize("wakes", [WorkSignal.notify, lambda signal: signal.note_rest(at_rest=False)])
def test_a_thread_waits_at_rest_until_there_is_news_or_the_rest_ends(wakes: Callable[[WorkSignal], None]) -> None:
    signal = WorkSignal()
    signal.note_rest(at_rest=True)
    thread = _IdleThread(signal, signal.generation)
    signal.note_rest(at_rest=True)
    assert not thread.looks_again.wait(_A_MOMENT_S)
    wakes(signal)
    assert thread.looks_again.wait(_LONG_S)


def test_a_rest_that_ends_before_a_thread_waits_is_not_missed() -> None:
    signal = WorkSignal()
    signal.note_rest(at_rest=True)
    generation = signal.generation
    signal.note_rest(at_rest=False)
    signal.note_rest(at_rest=True)
    assert _IdleThread(signal, generation).looks_again.wait(_LONG_S)
