"""`cdsed drain` and `cdsed resume` of machines, by the command line."""

import json
from contextlib import closing
from typing import Any

import pytest

from cdsed.clock import SYSTEM_CLOCK
from cdsed.model.machine_status import MachineNow
from cdsed.store import machines
from cdsed.store.machines import MachineNote
from tests.support.cli_lab import CliLab


@pytest.fixture
def lab(used_cli_lab: CliLab) -> CliLab:
    """Give a used state with machines, one of which has the name of an account."""
    with closing(used_cli_lab.open()) as db:
        known = [MachineNote(MachineNow(name, workers=1, idle=4), 0.0, 0, {}) for name in ("node7", "node8", "first")]
        machines.note(db, SYSTEM_CLOCK, known)
    return used_cli_lab


def _drained(lab: CliLab) -> list[str]:
    found: list[dict[str, Any]] = json.loads(lab.cdsed("status", "--json").stdout)["machines"]
    return [each["name"] for each in found if each["drain_at"] is not None]


def test_a_machine_is_drained_and_resumed_by_its_name_and_both_are_recorded(lab: CliLab) -> None:
    done = lab.cdsed("drain", "node7")
    assert done.returncode == 0
    assert done.stdout == (
        "machine node7 gets no new connection until `cdsed resume machine node7`\n"
        "no daemon runs: products in transfer are finished when it runs again\n"
    )
    assert _drained(lab) == ["node7"]
    again = lab.cdsed("drain", "node7")
    assert "machine node7 was drained already, and gets no new connection until" in again.stdout
    assert lab.cdsed("drain", "node7", "--wait").returncode == 3
    assert "machine node7  draining  `cdsed resume machine node7`" in lab.cdsed("status").stdout
    assert lab.cdsed("resume", "machine", "node7").stdout == "machine node7 gets connections again\n"
    assert lab.cdsed("resume", "machine", "node7").stdout == "machine node7 was not drained\n"
    assert _drained(lab) == []
    with closing(lab.open()) as db:
        said = [row["text"] for row in db.rows("SELECT text FROM command ORDER BY id")]
    assert said[:2] == ["drain machine node7"] * 2
    assert said[-1] == "resume machine node7"


def test_patterns_and_json_name_machines_too_and_a_trial_changes_nothing(lab: CliLab) -> None:
    tried = json.loads(lab.cdsed("drain", "node*", "second", "--json", "--dry-run").stdout)
    assert (tried["accounts"], tried["machines"], tried["drained"]) == (["second"], ["node7", "node8"], False)
    assert _drained(lab) == []


def test_a_name_of_both_an_account_and_a_machine_has_to_be_said_which(lab: CliLab) -> None:
    both = lab.cdsed("drain", "first")
    assert (both.returncode, both.stderr) == (
        64,
        "cdsed: first names accounts and machines: say which by --kind account or --kind machine\n",
    )
    assert lab.cdsed("drain", "first", "--kind", "machine").returncode == 0
    assert _drained(lab) == ["first"]


def test_an_unknown_name_is_answered_with_those_that_are_known(lab: CliLab) -> None:
    unknown = lab.cdsed("drain", "node77")
    assert unknown.returncode == 64
    assert "no account or machine is named node77; accounts are first, second; machines are first, node7, node8" in (
        unknown.stderr
    )
    assert "no machine is named x; there are first, node7, node8" in lab.cdsed("resume", "machine", "x").stderr
    assert lab.cdsed("pause", "machine", "node7").returncode == 64


def test_without_machines_the_command_is_about_accounts(used_cli_lab: CliLab) -> None:
    unknown = used_cli_lab.cdsed("drain", "node7")
    assert unknown.stderr == "cdsed: no account or machine is named node7; accounts are first, second\n"
    assert (
        "account first begins no new product until `cdsed resume account first`"
        in used_cli_lab.cdsed("drain", "first").stdout
    )
