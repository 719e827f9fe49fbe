"""`cdsed queries` and `cdsed hooks`, with a state but without a daemon."""

import json

import pytest

from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.event_hooks import EventHook
from cdsed.store import outbox
from tests.support.cli_lab import CliLab

_SETTINGS = """
queries:
  - {name: s1, search: {collection: SENTINEL-1}, cron: "0 6 * * *"}
hooks:
  - {name: fails, command: [/bin/sh, -c, "echo why; exit 3"]}
  - {name: works, command: [/bin/cat]}
"""


@pytest.fixture
def configured(used_cli_lab: CliLab) -> CliLab:
    with used_cli_lab.config.open("a", encoding="utf-8") as file:
        file.write(_SETTINGS)
    return used_cli_lab


def test_queries_are_listed_paused_and_resumed(configured: CliLab) -> None:
    [query] = json.loads(configured.cdsed("queries", "list", "--json").stdout)["queries"]
    assert (query["name"], query["last_run_at"], query["paused"]) == ("s1", None, False)
    assert "s1 is paused until" in configured.cdsed("queries", "pause", "s1").stdout
    assert configured.cdsed("queries", "pause", "s1").stdout == "s1 was paused already\n"
    assert "s1 runs after `cdsed queries resume s1`" in configured.cdsed("queries", "run", "s1").stdout
    [query] = json.loads(configured.cdsed("queries", "list", "--json").stdout)["queries"]
    assert (query["paused"], query["next_run_at"]) == (True, None)
    assert "s1 is resumed" in configured.cdsed("queries", "resume", "s1").stdout
    assert configured.cdsed("queries", "run", "s1").stdout == "s1 runs when the daemon starts\n"
    unknown = configured.cdsed("queries", "run", "s2")
    assert (unknown.returncode, "the settings have no query 's2'; they have s1" in unknown.stderr) == (64, True)


def test_hooks_are_listed_tested_and_retried(configured: CliLab) -> None:
    db = configured.open()
    outbox.sync(db, [EventHook(name="fails", command=("/bin/true",))])
    outbox.add_test(db, SYSTEM_CLOCK, "fails")
    db.close()
    hooks = json.loads(configured.cdsed("hooks", "list", "--json").stdout)["hooks"]
    assert [(hook["name"], hook["waiting"]) for hook in hooks] == [("fails", 1), ("works", 0)]
    failed = configured.cdsed("hooks", "test", "fails")
    assert (failed.returncode, failed.stderr) == (1, "cdsed: /bin/sh ended with exit code 3: why\n")
    assert configured.cdsed("hooks", "test", "works").stdout == "hook works accepted a test event from this command\n"
    assert configured.cdsed("hooks", "retry").stdout == "hook fails is tried at once\nhook works is tried at once\n"
