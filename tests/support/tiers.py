"""A run that tests nothing fails: pytest would pass a run in which every test was skipped.

pytest itself ends with 5 where nothing was collected or selected, and with 1 or 2 after an error at collection. Here a
run of which every test was skipped ends with 5, too, and says so.
"""

from collections import Counter

import pytest

_MACHINE_TIMEOUT_S = 1200


class Ran:
    """Counts the tests of a run by outcome; with several workers, in the process that started them."""

    def __init__(self) -> None:
        self._outcomes: Counter[str] = Counter()

    @property
    def skipped_only(self) -> int:
        """How many tests were skipped if no other was run, else 0."""
        return self._outcomes["skipped"] if set(self._outcomes) == {"skipped"} else 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test once: a setup or teardown counts only if it is skipped or fails."""
        if report.when == "call" or report.outcome != "passed":
            self._outcomes["expected failure" if hasattr(report, "wasxfail") else report.outcome] += 1

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Make a run fail of which every test was skipped."""
        if self.skipped_only and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say so in the summary."""
        if self.skipped_only:
            terminalreporter.write_sep(
                "=", f"NOTHING WAS TESTED: all {self.skipped_only} tests were skipped", red=True, bold=True
            )


def pytest_configure(config: pytest.Config) -> None:
    """Count in the process that reports."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Ran(), "tests-that-ran")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give a test of a machine the time in which another process may make the trees and run its own machine."""
    for item in items:
        if "machine" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(_MACHINE_TIMEOUT_S))
