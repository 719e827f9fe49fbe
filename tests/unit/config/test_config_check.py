import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cdsed import log
from cdsed.cli.config import add_parser
from cdsed.errors import ExitCode


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch):
    monkeypatch.setattr(log, "_secrets", set())
    for name in ("CDSED_CONFIG", "XDG_CONFIG_HOME", "CREDENTIALS_DIRECTORY", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


def check(file: Path, *options: str) -> int:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["config", "check", "--config", str(file), *options])
    return arguments.command(arguments)


def write(directory: Path, accounts: str) -> Path:
    (directory / "cdsed.yml").write_text(f"accounts_file: {directory}/accounts.yml\n", encoding="utf-8")
    (directory / "accounts.yml").touch(0o600)
    (directory / "accounts.yml").write_text(accounts, encoding="utf-8")
    return directory / "cdsed.yml"


def account(name: str, expires: datetime | None, keys: str = "s3_access_key: canary-1, s3_secret_key: canary-2") -> str:
    expiry = f", s3_key_expires: {expires.isoformat()}" if expires else ""
    keys = keys.replace("canary-1", f"canary-{name}")
    return f"groups: {{default: {{accounts: {{{name}: {{login: x, {keys}{expiry}}}}}}}}}\n"


def test_a_fit_configuration_is_summed_up(tmp_path, capsys):
    file = write(tmp_path, account("lops", datetime(2099, 1, 31, tzinfo=UTC)))

    assert check(file) == ExitCode.OK
    assert capsys.readouterr().out == (
        f"settings: {tmp_path}/cdsed.yml\n"
        f"accounts: {tmp_path}/accounts.yml\n"
        "1 group, 1 account, 4 sessions; keys expire from 2099-01-31 on\n"
    )


def test_the_accounts_can_be_left_out_when_unreadable(tmp_path, capsys):
    file = write(tmp_path, "groups: [")

    assert check(file) == ExitCode.CONFIG
    assert check(file, "--no-accounts") == ExitCode.OK
    assert capsys.readouterr().out == f"settings: {file}\nthe accounts were not checked\n"
    file.write_text("colour: blue\n", encoding="utf-8")
    assert check(file, "--no-accounts") == ExitCode.CONFIG


@pytest.mark.parametrize(
    ("left", "warning"),
    [
        (timedelta(days=-1), "warning: the S3 keys of account lops expired on "),
        (timedelta(hours=12), "warning: the S3 keys of account lops expire in 1 day, on "),
        (timedelta(days=13, hours=12), "warning: the S3 keys of account lops expire in 14 days, on "),
        (timedelta(days=15), None),
        (None, None),
    ],
)
def test_keys_near_their_end_are_a_warning_and_no_failure(tmp_path, capsys, left, warning):
    expires = datetime.now(UTC) + left if left else None

    assert check(write(tmp_path, account("lops", expires))) == ExitCode.OK
    out = capsys.readouterr().out
    assert (warning or "") in out
    assert ("warning" in out) is bool(warning)


def test_an_account_without_keys_and_a_file_open_to_all_are_warnings(tmp_path, capsys):
    file = write(tmp_path, account("lops", None, "password: canary"))
    assert check(file) == ExitCode.OK
    assert "no S3 keys" not in capsys.readouterr().out, "it gets temporary ones"
    with file.open("a", encoding="utf-8") as text:
        text.write("services: {temporary_keys: false}\n")
    file.chmod(0o666)

    assert check(file) == ExitCode.OK
    out = capsys.readouterr().out
    assert "warning: account lops has no S3 keys and gets no temporary ones: it downloads nothing" in out
    assert f"run: chmod o-w {file}" in out


def test_every_problem_is_one_line_on_stderr_and_the_exit_code_is_78(tmp_path, capsys):
    file = tmp_path / "cdsed.yml"
    file.write_text("colour: blue\nlog_level: loud\n", encoding="utf-8")

    assert check(file) == 78
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.rstrip("\n").split("\n")) == 2


def test_problems_of_the_accounts_count_and_show_no_secret(tmp_path, capsys):
    file = write(tmp_path, account("lops", None) + "canary: 1\n")

    assert check(file) == 78
    captured = capsys.readouterr()
    assert "unknown key" in captured.err
    assert "canary" not in captured.err
