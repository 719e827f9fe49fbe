"""The metrics, read as Prometheus and as node_exporter read them."""

from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from cdsed.model.alarm import Alarm, Severity
from cdsed.model.operation import Pause
from cdsed.model.status_report import DaemonState, DaemonStatus, OpenBreaker, StatusReport
from cdsed.store import page
from cdsed.store.page import TrafficCounter
from cdsed.view import metrics
from tests.support.cli_lab import CliLab
from tests.support.page_lab import full_report, product_name
from tests.support.state import StateLab

_ALARM = Alarm("disk", '/data/"odd"\\spool\n2', Severity.CRITICAL, "it is not mounted", "mount it")
_COUNTER = TrafficCounter("first", 1_700_000_000, 123_456_789_012, 4711)


def _samples(report: StatusReport, *alarms: Alarm) -> dict[tuple[str, ...], float]:
    text = metrics.render(report, alarms, [_COUNTER], openmetrics=True)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in openmetrics(text)
        for sample in family.samples
    }


def test_openmetrics_is_as_its_parser_expects() -> None:
    found = _samples(full_report(1_800_000_000.0), _ALARM)
    assert found["cdsed_daemon_running",] == 1
    assert found["cdsed_products", "done"] == 612
    assert found["cdsed_products", "corrupt"] == 0
    assert found["cdsed_transfer_bytes_total", "first"] == 123_456_789_012
    assert found["cdsed_transfer_bytes_created", "first"] == 1_700_000_000
    assert found["cdsed_quota_used_ratio", "minute", "second", "false"] == 1
    assert found["cdsed_quota_used_ratio", "30d", "first", "false"] == pytest.approx(7.4 / 12)
    assert found["cdsed_session_state", "first", "1", "busy"] == 1
    assert found["cdsed_session_state", "first", "1", "free"] == 0
    assert found["cdsed_account_usable", "third", "brest"] == 0
    assert found["cdsed_account_usable", "second", "default"] == 1
    assert found["cdsed_alarms", "critical"] == 1
    assert found["cdsed_alarm_active", "disk", _ALARM.subject, "critical"] == 1
    assert found["cdsed_listing_age_seconds", "week12.geojson", "1", "default"] == 7200
    assert ("cdsed_listing_age_seconds", "may.csv", "3", "default") not in found
    assert found["cdsed_paused", "group", "brest", "window"] == 1
    assert found["cdsed_disk_usable", "/data/spool-2"] == 0
    assert found["cdsed_eta_seconds",] == 18720


def test_each_machine_has_samples_and_without_any_there_is_no_metric_of_them() -> None:
    found = _samples(full_report(1_800_000_000.0))
    assert [found["cdsed_machine_usable", f"node{number}"] for number in (7, 8, 9)] == [1, 0, 0]
    assert found["cdsed_machine_holders", "node7", "at_work"] == 2
    assert found["cdsed_machine_holders", "node7", "idle"] == 2
    assert found["cdsed_machine_drained", "node8"] == 1
    assert ("cdsed_machine_drained", "node7") not in found
    assert found["cdsed_machine_file_delay_seconds", "node8", "worker"] == 3.1
    assert ("cdsed_machine_file_delay_seconds", "node9", "worker") not in found
    assert found["cdsed_machine_received_bytes_total", "node7"] == 41 * 10**12
    assert found["cdsed_machine_grants_lost_total", "node7", "holder_died"] == 2
    local = replace(full_report(1_800_000_000.0), machines=())
    assert not [name for name, *_ in _samples(local) if name.startswith("cdsed_machine")]


def test_an_open_breaker_and_a_second_pause_are_samples_of_their_own() -> None:
    report = replace(
        full_report(1_800_000_000.0),
        open_breakers=(OpenBreaker("service:s3", "it answers with 503", 30),),
        pauses=(Pause("all", "", "person", 0, None), Pause("all", "", "window", 0, 9)),
    )
    found = _samples(report)
    assert found["cdsed_breaker_open", "service:s3"] == 1
    assert found["cdsed_paused", "all", "", "person"] == found["cdsed_paused", "all", "", "window"] == 1


def test_two_paused_listings_of_one_name_are_one_sample() -> None:
    twice = (Pause("listing", "week.txt", "person", 0, None), Pause("listing", "week.txt", "person", 9, None))
    assert _samples(replace(full_report(1_800_000_000.0), pauses=twice))[
        "cdsed_paused", "listing", "week.txt", "person"
    ]


@pytest.mark.parametrize(
    "name", ['"', "\\", "\n", "\r", "\0", "\x1b[31m", "\u2028", "\u202etxt", "{}=,", "x" * 5000, "é😀"]
)
def test_every_name_can_be_a_label(name: str) -> None:
    report = full_report(1_800_000_000.0)
    report = replace(report, listings=(replace(report.listings[0], name=name),))
    assert ("cdsed_listing_age_seconds", name, "1", "default") in _samples(report)
    families = prometheus(metrics.render(report, [], [], openmetrics=False))
    assert name in [label for family in families for each in family.samples for label in each.labels.values()]


def test_no_age_is_negative_after_the_clock_was_moved_back() -> None:
    found = _samples(replace(full_report(1_800_000_000.0), at=1_700_000_000.0))
    assert [key for key, value in found.items() if value < 0] == []


def test_the_older_format_names_counters_as_their_samples() -> None:
    text = metrics.render(full_report(1_800_000_000.0), [_ALARM], [_COUNTER], openmetrics=False)
    families = {family.name: family for family in prometheus(text)}
    assert families["cdsed_transfer_bytes"].type == "counter"
    assert "# TYPE cdsed_transfer_bytes_total counter\n" in text
    assert "_created" not in text
    assert all(family.documentation for family in families.values())
    assert not [name for name, family in families.items() if family.type == "unknown"]


def test_an_empty_state_has_metrics_too() -> None:
    found = _samples(StatusReport(1.0, DaemonStatus(DaemonState.NEVER)))
    assert found["cdsed_daemon_running",] == 0
    assert found["cdsed_alarms", "critical"] == 0


def test_no_product_is_a_label_or_a_value() -> None:
    text = metrics.render(full_report(1_800_000_000.0), [], [], openmetrics=True)
    assert product_name(5) not in text
    assert "S1A" not in text


def test_names_have_base_units() -> None:
    text = metrics.render(full_report(1_800_000_000.0), [], [], openmetrics=True)
    names = [family.name for family in openmetrics(text)]
    assert all(name.startswith("cdsed_") for name in names)
    assert not [name for name in names if name.endswith(("_minutes", "_ms", "_kb", "_mb", "_percent", "_hours"))]


def test_counters_only_grow_until_they_begin_again(lab: StateLab) -> None:
    lab.accounts("a")
    now = lab.clock.utc
    hour, before, grown = int(now // 3600), -1.0, 0
    for step in range(0, 24 * 40, 7):
        lab.clock.utc = now + 3600 * step
        lab.db.rows("INSERT INTO traffic_hour VALUES ('a', :hour, 1, 10)", hour=hour + step)
        lab.db.rows("DELETE FROM traffic_hour WHERE hour < :hour", hour=hour + step - 720)
        [counter] = page.traffic_counters(lab.db, lab.clock)
        assert counter.since_at > before or (counter.since_at == before and counter.size_bytes > grown)
        before, grown = counter.since_at, counter.size_bytes


def test_the_command_replaces_a_file_at_once_and_prints_without_one(used_cli_lab: CliLab, tmp_path: Path) -> None:
    file = tmp_path / "cdsed.prom"
    file.write_text("old", encoding="utf-8")
    before = file.stat().st_ino
    assert used_cli_lab.cdsed("metrics", "--textfile", str(file)).stderr == ""
    assert file.stat().st_ino != before
    assert file.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    names = {family.name for family in prometheus(file.read_text(encoding="utf-8"))}
    assert {"cdsed_products", "cdsed_account_usable"} <= names
    printed = used_cli_lab.cdsed("metrics", "--openmetrics").stdout
    assert printed.endswith("# EOF\n")
    assert "canary" not in printed


def test_a_file_that_node_exporter_would_not_read_is_refused(used_cli_lab: CliLab, tmp_path: Path) -> None:
    done = used_cli_lab.cdsed("metrics", "--textfile", str(tmp_path / "cdsed.txt"))
    assert done.returncode == 64
    assert ".prom" in done.stderr


def test_a_status_that_cannot_be_read_leaves_the_file(used_cli_lab: CliLab, tmp_path: Path) -> None:
    file = tmp_path / "cdsed.prom"
    file.write_text("old", encoding="utf-8")
    (used_cli_lab.state_dir / "cdsed.sqlite").write_bytes(b"this is not a database" * 100)
    done = used_cli_lab.cdsed("metrics", "--textfile", str(file))
    assert done.returncode == 72
    assert file.read_text(encoding="utf-8") == "old"
