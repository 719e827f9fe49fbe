"""Every command explains itself."""

import argparse

import pytest

from cdsed.cli.main import main, parser

COMMANDS = next(action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)).choices


def test_all_promised_commands_are_there():
    promised = {"run", "status", "add", "sandbox", "demo", "config", "version"}
    promised |= {"query", "resolve", "match", "missing", "convert", "parse", "check", "retry"}
    assert promised <= set(COMMANDS)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    assert f"usage: cdsed {command}" in capsys.readouterr().out


def test_a_wrong_command_line_is_exit_code_64(capsys):
    with pytest.raises(SystemExit) as left:
        main(["no-such-command"])
    assert left.value.code == 64
    assert "no-such-command" in capsys.readouterr().err
