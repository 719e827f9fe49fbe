"""Every command explains itself."""

import argparse
import re

import pytest

from cdsed.cli.main import _GROUPS, main, parser
from tests.architecture.sources import ROOT


def _choices(*argv: str) -> dict[str, argparse.ArgumentParser]:
    return next(action for action in parser(argv)._actions if isinstance(action, argparse._SubParsersAction)).choices


COMMANDS = _choices()


def test_all_promised_commands_are_there():
    promised = {"run", "status", "add", "sandbox", "demo", "config", "version"}
    promised |= {"query", "resolve", "match", "missing", "convert", "parse", "check", "retry"}
    promised |= {"pause", "resume", "drain", "cancel", "priority", "refetch", "explain"}
    assert promised <= set(COMMANDS)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_only_the_module_of_a_command_is_loaded(command):
    assert command in _choices(command, "--help")
    assert len(_choices(command, "--help")) <= 2  # pause and resume are one module


def test_all_commands_are_known_to_the_help_and_after_a_wrong_name():
    assert _choices("--help").keys() == _choices("no-such-command").keys() == COMMANDS.keys()


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    assert f"usage: cdsed {command}" in capsys.readouterr().out


def test_the_help_begins_with_the_five_commands_that_a_newcomer_needs():
    titles = [line.strip() for line in parser().format_help().splitlines() if re.fullmatch(r"  \S.*:", line)]
    assert titles[0] == "begin here:"
    assert len(titles) == len(_GROUPS)
    assert list(COMMANDS)[:5] == ["config", "add", "run", "status", "doctor"]


def test_the_man_page_has_the_commands_in_the_order_of_the_help():
    described = (ROOT / "docs/cdsed.1").read_text("utf-8").split(".Sh DESCRIPTION")[1]
    named = re.findall(r"^\.It Cm (\S+)", described, re.MULTILINE)
    assert list(dict.fromkeys(each for each in named if each in COMMANDS)) == list(COMMANDS)


def _options(command: argparse.ArgumentParser) -> set[str]:
    found = {each for action in command._actions for each in action.option_strings if each.startswith("--")}
    below = [action for action in command._actions if isinstance(action, argparse._SubParsersAction)]
    return found.union(*(_options(each) for action in below for each in action.choices.values()))


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"role"}))
def test_the_man_page_has_a_command_and_its_options(command):
    page = (ROOT / "docs/cdsed.1").read_text("utf-8")
    synopsis, described = page.split(".Sh DESCRIPTION")
    own = [part for part in synopsis.split(".Nm\n") if re.match(rf"\.Cm {command}\b", part)]
    assert own
    assert re.search(rf"^\.It Cm {command}\b", described, re.MULTILINE)
    shown = "".join(own) + (described if command in ("query", "sandbox") else "")  # too many for the synopsis
    assert _options(COMMANDS[command]) - {f"--{each}" for each in re.findall(r"(?:Fl|,) -([a-z-]+)", shown)} <= {
        "--help"
    }


def test_a_wrong_command_line_is_exit_code_64(capsys):
    with pytest.raises(SystemExit) as left:
        main(["no-such-command"])
    assert left.value.code == 64
    assert "no-such-command" in capsys.readouterr().err
