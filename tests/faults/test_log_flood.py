"""A lasting failure writes a bounded number of lines, and a line with the number of suppressed ones."""

import logging
import re
import time
from pathlib import Path

import pytest

from cdsed import logflood
from cdsed.logflood import Flood
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.addFilter(Flood())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def logger():
    made = logging.getLogger("a logger of this test's own")
    made.setLevel(logging.INFO)
    made.handlers = [_Lines()]
    return made


def test_the_eleventh_warning_of_a_kind_within_a_minute_is_only_counted(logger) -> None:
    for number in range(1000):
        logger.warning("%d failed", number)
    logger.warning("something else")
    lines = logger.handlers[0].lines
    assert len(lines) == 11
    assert lines[9] == "9 failed (more like this within a minute are only counted)"
    assert lines[10] == "something else"


def test_the_first_line_after_the_minute_says_how_many_were_kept_back(logger, monkeypatch) -> None:
    now_s = time.monotonic()
    monkeypatch.setattr(logflood.time, "monotonic", lambda: now_s)
    for number in range(101):
        if number == 100:
            now_s += 61
        logger.warning("%d failed", number)
    assert logger.handlers[0].lines[-1] == "100 failed (and 90 more like this before)"


def test_each_arrival_has_its_line(logger) -> None:
    for number in range(1000):
        logger.info("%d: done", number)
    assert len(logger.handlers[0].lines) == 1000


def test_an_outage_of_the_service_takes_few_lines_however_many_sessions_ask(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 60, seed=351)
    with SandboxProcess(accounts=4) as sandbox:
        lab = Installation(tmp_path, sandbox, retry={"first_delay_s": 0.1, "longest_delay_s": 0.1})
        sandbox.add_products(*({"safename": name, "size_bytes": 200_000} for name in names))
        sandbox.fault(kind="internal_error")
        lab.drop("sixty.txt", names)
        with DaemonProcess(lab) as daemon:
            # The first pause is of 5 s or so, the second of twice that.
            second = r"the service fails .* pause for (8|9|1\d) s"
            wait_until("it is probed in vain", lambda: re.search(second, daemon.log()), daemon=daemon)
            reported = [line for line in daemon.log().split("\n") if re.search(r"WARNING|ERROR|tried again", line)]
            assert len(reported) <= 30  # of one kind, each of both processes logs ten
            sandbox.clear_faults()
            wait_until("the report", lambda: lab.report("sixty.txt"), 120, daemon=daemon)
        assert lab.differences(names) == []
