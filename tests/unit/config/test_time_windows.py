"""Limits of bandwidth and pauses in the settings: what is accepted, and what each mistake is answered."""

import time
from pathlib import Path

import pytest
import yaml

from cdsed.config.accounts import load_accounts
from cdsed.config.load import load_settings
from cdsed.config.settings import Settings
from cdsed.config.time_windows import wall_clock
from cdsed.errors import ConfigError
from cdsed.model.week import DAY_S, WeekWindow

_H = 3600


def load(directory: Path, text: str) -> Settings:
    (directory / "cdsed.yml").write_text(text, encoding="utf-8")
    return load_settings(directory / "cdsed.yml", {})


def problem_of(directory: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(directory, text)
    [problem] = caught.value.problems
    return problem.removeprefix(f"{directory}/")


@pytest.mark.parametrize("quote", ["", '"'])
def test_times_are_written_with_quotes_or_without(tmp_path: Path, quote: str) -> None:
    text = f"limits: {{machine: [{{bytes_per_s: 50MB, from: {quote}08:00{quote}, to: {quote}18:00{quote}}}]}}"
    [rule] = load(tmp_path, text).limits.machine
    assert (rule.bytes_per_s, rule.window) == (50_000_000, WeekWindow(frozenset(range(7)), 8 * _H, 18 * _H))


@pytest.mark.parametrize(
    ("days", "numbers"),
    [
        ("mon-fri", {0, 1, 2, 3, 4}),
        ("sat,sun", {5, 6}),
        ("fri-mon", {4, 5, 6, 0}),
        ("[sat, sun]", {5, 6}),
        ("Mon-Wed, Sat", {0, 1, 2, 5}),
        ("tue", {1}),
    ],
)
def test_days_are_ranges_and_lists(tmp_path: Path, days: str, numbers: set[int]) -> None:
    value = days if days.startswith("[") else f'"{days}"'
    [window] = load(tmp_path, f"pauses: {{all: [{{days: {value}}}]}}").pauses.all
    assert window.window == WeekWindow(frozenset(numbers), 0, DAY_S)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("limits: {machine: [{bytes_per_s: 5}]}", "limits.machine[0].bytes_per_s: should be greater than or equal to"),
        ("limits: {machine: [{from: 08:00}]}", "limits.machine[0].bytes_per_s: is missing"),
        ("limits: {machine: {bytes_per_s: 1MB}}", "limits.machine: should be a list"),
        (
            "limits: {machine: [{bytes_per_s: 1MB, form: 1}]}",
            "limits.machine[0].form: unknown key; did you mean 'from'",
        ),
        ("limits: {machine: [{bytes_per_s: 1MB}, {bytes_per_s: 2MB}]}", "limits.machine: has a limit without a window"),
        ("limits: {groups: {Lab: []}}", "limits.groups.Lab: should be at most 32 small letters"),
        ("pauses: {all: [{from: 8}]}", "pauses.all[0].from: should be a time from"),
        ("pauses: {all: [{from: 24:00}]}", "pauses.all[0]: should begin before"),
        ("pauses: {all: [{to: 00:00}]}", "pauses.all[0]: should begin before"),
        ("pauses: {all: [{to: 25:00}]}", "pauses.all[0].to: should be a time from"),
        ("pauses: {all: [{to: 12:60}]}", "pauses.all[0].to: should be a time from"),
        ("pauses: {all: [{from: 08:00, to: 08:00}]}", "pauses.all[0]: begins when it ends"),
        ("pauses: {all: [{days: mo}]}", "pauses.all[0].days: should be days (mon, tue"),
        ("pauses: {all: [{days: []}]}", "pauses.all[0].days: should be days"),
        ("pauses: {all: [{days: 1}]}", "pauses.all[0].days: should be days"),
        ("pauses: {all: [{}]}", "pauses.all: would pause all week"),
        ("pauses: {all: [{to: 12:00}, {from: 12:00}]}", "pauses.all: would pause all week"),
        ("pauses: {listings: {'*': [{to: 12:00}]}}", "should be a pattern of file names"),
        ("pauses: {disks: {data: [{to: 12:00}]}}", "pauses.disks.data: should be an absolute path"),
        ("time_zone: Mars/Olympus", "time_zone: should be a time zone that this machine knows"),
        ("time_zone: Europe", "time_zone: should be a time zone that this machine knows"),
        ("time_zone: /etc/passwd", "time_zone: should be a time zone that this machine knows"),
    ],
)
def test_each_mistake_is_named_with_its_key(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in problem_of(tmp_path, text)


@pytest.mark.parametrize("section", ["limits", "pauses"])
@pytest.mark.parametrize("kind", ["groups", "accounts"])
def test_a_name_that_the_accounts_file_does_not_have_is_refused(tmp_path: Path, section: str, kind: str) -> None:
    accounts = {"groups": {"default": {"accounts": {"first": {"login": "a@b.org", "password": "x" * 10}}}}}
    (tmp_path / "accounts.yml").touch(mode=0o600)
    (tmp_path / "accounts.yml").write_text(yaml.safe_dump(accounts), encoding="utf-8")
    rules = [{"bytes_per_s": "1MB"} if section == "limits" else {"to": "12:00"}]
    for name in ("default" if kind == "groups" else "first", "frist"):
        settings = {"accounts_file": f"{tmp_path}/accounts.yml", section: {kind: {name: rules}}}
        loaded = load(tmp_path, yaml.safe_dump(settings))
        if name == "frist":
            with pytest.raises(
                ConfigError, match=f"{section}.{kind} of the settings: the accounts file has no 'frist'"
            ):
                load_accounts(loaded, {})
        else:
            load_accounts(loaded, {})


def test_the_machines_own_zone_counts_without_a_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    try:
        assert wall_clock(None)(1_800_000_000.0) == 5.75 * _H
        assert wall_clock("Europe/Paris")(1_800_000_000.0) == _H
    finally:
        monkeypatch.undo()
        time.tzset()
