"""Calls in this process: what they answer and raise, and that none keeps the process from its end."""

import subprocess
import sys

from cdsed.engine.calls import CallsHere, EndedCall


def test_an_answer_and_what_was_raised_come_back() -> None:
    calls = CallsHere(lambda text: str(10 // int(text)))
    calls.begin(1, calls.NAME, "2")
    calls.begin(2, calls.NAME, "0")
    assert calls.ended(60) == [EndedCall(1, "5")]
    [ended] = calls.ended(60)
    assert (ended.number, ended.answer) == (2, None)
    assert (ended.raised or "").startswith("ZeroDivisionError: ")
    calls.close()


def test_a_read_that_hangs_keeps_no_process_from_its_end() -> None:
    script = (
        "import threading; from cdsed.engine.calls import CallsHere\n"
        "begun = threading.Event()\n"
        "calls = CallsHere(lambda text: begun.set() or threading.Event().wait())\n"
        "calls.begin(1, calls.NAME, ''); begun.wait(); calls.close()\n"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 0
