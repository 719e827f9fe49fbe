"""Log records as entries of the journal and as JSON: fields, any content, secrets, and a journal that takes nothing."""

import contextlib
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdsed import log, logjournal
from cdsed.errors import AccountError
from cdsed.logevent import LogEvent, about, fields_of, within
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import Installation
from tests.support.journal import Journal, journal_at, this_stderr
from tests.support.sandbox import SandboxProcess

ROOT = Path(__file__).parents[2]
_log = logging.getLogger("cdsed.test")


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Journal]:
    """A journal, and stderr that goes there."""
    monkeypatch.setenv("JOURNAL_STREAM", this_stderr())
    monkeypatch.setenv(logjournal.VARIABLE, str(tmp_path / "journal"))
    with journal_at(tmp_path / "journal") as made:
        yield made


@pytest.fixture
def set_up() -> Iterator[Callable[..., None]]:
    """`log.setup`, undone after the test."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield log.setup
    log.setup("x")  # closes the socket
    root.handlers[:] = before
    root.setLevel(level)


def fail(text: str) -> None:
    raise ValueError(text)


def objects(capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capfd.readouterr().err.splitlines()]


def test_an_entry_has_message_priority_and_fields(journal: Journal, set_up: Callable[..., None]) -> None:
    set_up("download-1")
    error = AccountError("account a is refused", code="KeyRevoked")
    with within(account="a"):
        _log.warning("%s; it backs off", error, extra=about(LogEvent.ACCOUNT_OUT, product="S1A", listing=None))
    assert journal.receive() == {
        "MESSAGE": "account a is refused; it backs off [download-1]",
        "PRIORITY": "4",
        "MESSAGE_ID": LogEvent.ACCOUNT_OUT.value,
        "SYSLOG_IDENTIFIER": "cdsed",
        "CDSED_PROCESS": "download-1",
        "CDSED_EVENT": "account_out",
        "CDSED_ACCOUNT": "a",
        "CDSED_PRODUCT": "S1A",
        "CDSED_ERROR": "KeyRevoked",
    }


def test_an_instance_has_the_name_of_its_unit(
    journal: Journal, set_up: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/cdsed-lab")
    set_up("x")
    _log.info("hello")
    assert journal.receive()["SYSLOG_IDENTIFIER"] == "cdsed-lab"


def test_a_traceback_and_a_text_of_megabytes_are_one_entry(journal: Journal, set_up: Callable[..., None]) -> None:
    set_up("x")
    try:
        fail("first\nsecond")
    except ValueError:
        _log.exception("it failed")
    message = journal.receive()["MESSAGE"]
    assert message.startswith("it failed\nTraceback")
    assert message.endswith("ValueError: first\nsecond [x]")
    _log.info("%s", "é" * 2_000_000)
    assert journal.receive()["MESSAGE"] == "é" * 2_000_000 + " [x]"


@pytest.mark.parametrize("text", ["a\nPRIORITY=0", "a\x00b\x1b[2J", "\udcff.txt", "", "=", "\n" * 3, "a" * 300_000])
def test_no_content_makes_a_field_or_breaks_an_entry(
    journal: Journal, set_up: Callable[..., None], text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    set_up("x")
    _log.info("%s", text, extra=about(listing=f"x{text}"))
    entry = journal.receive()
    assert set(entry) == {"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "CDSED_PROCESS", "CDSED_LISTING"}
    assert entry["PRIORITY"] == "6"
    assert capfd.readouterr().err == ""


def test_without_a_journal_the_lines_go_to_stderr(
    tmp_path: Path,
    set_up: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", this_stderr())
    monkeypatch.setenv(logjournal.VARIABLE, str(tmp_path / "journal"))
    set_up("x")
    _log.error("first")
    with journal_at(tmp_path / "journal") as journal:
        _log.error("second")
        assert journal.receive()["MESSAGE"] == "second [x]"
    _log.error("third")
    with journal_at(tmp_path / "journal") as journal:  # a restart makes another socket
        _log.error("fourth")
        assert journal.receive()["MESSAGE"] == "fourth [x]"
    assert capfd.readouterr().err == "<3>first [x]\n<3>third [x]\n"


def test_a_journal_that_takes_nothing_stops_nothing_and_learns_how_much_it_missed(
    journal: Journal, set_up: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    set_up("x")
    begun_s = time.monotonic()
    for number in range(2000):
        _log.info("record %d", number)
    assert time.monotonic() - begun_s < 5
    journal.socket.setblocking(False)
    read = 0
    with contextlib.suppress(BlockingIOError):
        while journal.receive():
            read += 1
    assert 0 < read < 2000
    _log.info("it reads again")
    text = f"it reads again [x] (and {2000 - read} records before, which the journal did not take)"
    assert journal.receive()["MESSAGE"] == text
    _log.info("and again")
    assert journal.receive()["MESSAGE"] == "and again [x]"
    assert capfd.readouterr().err == ""


def test_a_message_whose_arguments_do_not_fit_ends_nothing(
    journal: Journal, set_up: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    set_up("x")
    _log.info("%d", "text")
    _log.info("next")
    assert journal.receive()["MESSAGE"] == "next [x]"
    assert "Logging error" in capfd.readouterr().err


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_field_has_a_secret(
    journal: Journal,
    set_up: Callable[..., None],
    form: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    secret = 'CANARY "of/a &+secret'
    log.hide(secret)
    set_up("x", form=form)
    extra = about(LogEvent.PRODUCT_FAILED, product=f"{secret}.SAFE", account="password=CANARY", error=secret)
    try:
        fail(secret)
    except ValueError:
        _log.exception("it says %s, Authorization: Bearer CANARY", secret, extra=extra)
    assert "CANARY" not in str(journal.receive())
    monkeypatch.delenv("JOURNAL_STREAM")
    set_up("x", form=form)
    _log.error("it says %s", secret, extra=extra)
    assert "CANARY" not in capfd.readouterr().err


def test_the_guard_against_floods_counts_entries_too(
    journal: Journal, set_up: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    set_up("x")
    received = []
    journal.socket.settimeout(0.05)
    for number in range(12):
        _log.warning("%d: %s", number, AccountError("refused", code="Throttled"))
        if number < 10:
            received.append(journal.receive())
    with pytest.raises(TimeoutError):
        journal.receive()
    assert received[-1]["MESSAGE"] == "9: refused (more like this within a minute are only counted) [x]"
    assert {entry["CDSED_ERROR"] for entry in received} == {"Throttled"}


def test_json_has_the_same_fields_and_the_traceback_apart(
    set_up: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    set_up("resolve", form="json")
    try:
        fail("first\nsecond")
    except ValueError:
        _log.exception("it failed", extra=about(LogEvent.PRODUCT_FAILED, product="S1A", error="Bug"))
    [found] = objects(capfd)
    assert str(found.pop("exception")).endswith("ValueError: first\nsecond")
    assert str(found.pop("time")).endswith("Z")
    assert found == {
        "level": "ERROR",
        "process": "resolve",
        "pid": os.getpid(),
        "message": "it failed",
        "event": "product_failed",
        "message_id": LogEvent.PRODUCT_FAILED.value,
        "product": "S1A",
        "error": "Bug",
    }


def test_json_in_the_journal_is_the_message_of_an_entry(journal: Journal, set_up: Callable[..., None]) -> None:
    set_up("x", form="json")
    _log.info("hello", extra=about(account="a"))
    entry = journal.receive()
    assert json.loads(entry["MESSAGE"])["message"] == "hello"
    assert (entry["CDSED_ACCOUNT"], entry["PRIORITY"]) == ("a", "6")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(), max_size=50))
def test_any_content_is_one_line_of_valid_json(
    set_up: Callable[..., None], capfd: pytest.CaptureFixture[str], text: str
) -> None:
    set_up("x", form="json")
    _log.warning("%s", text, extra=about(listing=f"x{text}"))
    [line] = capfd.readouterr().err.splitlines()
    found = json.loads(line)
    assert line.isascii()
    assert found["message"].encode("utf-8").decode("utf-8") == found["message"]
    assert found["listing"].startswith("x")


def test_every_event_has_an_id_of_its_own_and_a_line_in_the_documentation() -> None:
    page = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
    assert len({event.value for event in LogEvent}) == len(LogEvent)
    assert all(len(event.value) == 32 and int(event.value, 16) for event in LogEvent)
    assert [event.label for event in LogEvent if f"| `{event.label}` | `{event.value}` |" not in page] == []


def test_every_event_is_logged_somewhere() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "cdsed").rglob("*.py"))
    assert [event.name for event in LogEvent if f"LogEvent.{event.name}" not in source] == []


def test_fields_of_a_block_end_with_it() -> None:
    record = logging.LogRecord("x", logging.INFO, "x", 1, "x", None, None)
    with within(account="a"), within(product="p"):
        assert dict(fields_of(record)) == {"account": "a", "product": "p"}
    assert dict(fields_of(record)) == {}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation whose sandbox has every second product of `NAMES`."""
    with SandboxProcess() as sandbox:
        made = Installation(tmp_path_factory.mktemp("log") / "lab", sandbox, retry={"attempts": 1})
        sandbox.add_products(*({"safename": name, "size_bytes": 10_000} for name in NAMES[::2]))
        yield made


NAMES = realistic_safenames("S1_OCN", 4, seed=806)


def test_a_run_sends_its_events_to_the_journal(lab: Installation, tmp_path: Path) -> None:
    lab.drop("one.txt", NAMES[:2])
    stderr = tmp_path / "stderr"
    with Journal(tmp_path / "journal") as journal, stderr.open("wb") as file:
        found = os.fstat(file.fileno())
        environ = {
            **os.environ,
            "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}",
            logjournal.VARIABLE: str(journal.path),
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-m", "cdsed", "run", "--once", "--config", str(lab.config)]
        assert subprocess.run(command, stderr=file, env=environ, timeout=100, check=False).returncode == 1
    assert stderr.read_text(encoding="utf-8") == ""
    once = ("daemon_started", "listing_taken", "product_published", "product_failed", "listing_finished")
    assert {event: len(journal.of(event)) for event in (*once, "daemon_stopped")} == dict.fromkeys(
        (*once, "daemon_stopped"), 1
    )
    assert journal.of("product_published")[0]["CDSED_PRODUCT"] == NAMES[0]
    assert journal.of("product_failed")[0]["CDSED_PRODUCT"] == NAMES[1]
    assert journal.of("product_failed")[0]["CDSED_ERROR"] == "NotInCatalogue"
    assert journal.of("listing_finished")[0]["CDSED_LISTING"] == "one.txt"
    [planned] = [entry for entry in journal.entries if "16 objects" in entry["MESSAGE"]]
    assert (planned["CDSED_PRODUCT"], planned["CDSED_ACCOUNT"]) == (NAMES[0], lab.sandbox.accounts[0].name)


def test_a_run_with_log_format_json_writes_nothing_else(lab: Installation) -> None:
    lab.drop("two.txt", NAMES[2:])
    done = lab.command("run", "--once", "--log-format", "json", "--config", str(lab.config))
    found = [json.loads(line) for line in done.stderr.splitlines()]
    assert {line["process"] for line in found} > {"supervisor", "intake", "resolve"}
    assert [line["product"] for line in found if line.get("event") == "product_published"] == NAMES[2:3]


def test_wrong_settings_are_json_too_if_json_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "cdsed.yml").write_text("colour: blue\n", encoding="utf-8")
    command = [sys.executable, "-m", "cdsed", "run", "--log-format", "json", "--config", str(tmp_path / "cdsed.yml")]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    assert done.returncode == 78
    assert [json.loads(line)["level"] for line in done.stderr.splitlines()] == ["ERROR"]
