"""What an operator sees of machines: those with trouble first, and what each lost."""

from dataclasses import replace

from cdsed.model.alarm import Severity, alarms
from cdsed.model.machine_status import MachineNow, MachineStatus
from cdsed.model.status_report import DaemonState, DaemonStatus, Notice
from cdsed.view.machine_rows import machines
from cdsed.view.overview import overview
from cdsed.view.terminal import Canvas
from tests.support.status_examples import BUSY_REPORT, MACHINES, NOW, REPORTS, VIEWS

_REPORT = REPORTS["machines"]


def test_machines_with_trouble_come_first_and_what_was_lost_is_below_each() -> None:
    assert machines(_REPORT, Canvas()).whole() == [
        "MACHINE    WORKERS  CONNECTIONS        RATE  FILE DELAY  LOST  STATE",
        "✕ node9          1  0 of 4            0 B/s                    refused",
        "! node10                                          0.1 s     4  no worker for 13 min",
        "      4 connections lost because nothing was heard, the last 12 min 25 s ago",
        "      4 sessions not used until 08:02Z, because lost connections may still be open",
        "  node7          1  2 of 4       112.0 MB/s       0.1 s     3  ok",
        "      2 connections lost because a process died, the last 12 min ago",
        "  node8          1  1 of 4        36.0 MB/s       3.1 s        draining",
    ]


def test_what_is_drained_is_among_what_is_held_back_with_the_command_that_ends_it() -> None:
    lines = "\n".join(overview(VIEWS["machines"], Canvas()))
    assert "machine node8  draining  `cdsed resume machine node8`  you" in lines
    done = replace(_REPORT, machines=(replace(MACHINES[1], drained_at=NOW - 3),))
    assert machines(done, Canvas()).rows[0][0].endswith("drained")


def test_a_machine_whose_files_are_not_compared_yet_is_being_checked() -> None:
    new = MachineStatus(MachineNow("node7", workers=1, idle=4), NOW)
    assert machines(replace(_REPORT, machines=(new,)), Canvas()).rows[0][0].endswith("being checked")


def test_a_daemon_that_is_stopped_has_no_machines_but_those_that_are_drained() -> None:
    stopped = replace(_REPORT, daemon=DaemonStatus(DaemonState.STOPPED, 1, NOW, NOW, "0.1.0"))
    assert [row[0].split()[0] for row in machines(stopped, Canvas()).rows] == ["node8"]


def test_without_machines_nothing_is_shown_of_them() -> None:
    assert machines(BUSY_REPORT, Canvas()).whole() == []
    assert "MACHINE" not in "\n".join(overview(VIEWS["busy"], Canvas()))


def test_a_refused_machine_is_an_alarm_and_no_worker_at_all_a_critical_one() -> None:
    [refused] = [each for each in alarms(_REPORT) if each.name == "machine"]
    assert (refused.subject, refused.severity) == ("node9", Severity.WARNING)
    assert refused.text.startswith("node9 does not see what the daemon writes to /data/spool/.cdsed within 60 s")
    gone = replace(BUSY_REPORT, notices=(Notice("engine", "no worker of Dask runs a pilot", NOW - 60),))
    [none_left] = [each for each in alarms(gone) if each.name == "machine"]
    assert (none_left.subject, none_left.severity) == ("", Severity.CRITICAL)
    idle = replace(gone, products={})
    assert [each.severity for each in alarms(idle) if each.name == "machine"] == [Severity.WARNING]
