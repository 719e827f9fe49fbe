import copy
import os
import pickle
import re
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cdsed import log
from cdsed.config.accounts import accounts_file, load_accounts
from cdsed.config.secrets import Secret
from cdsed.config.settings import Settings
from cdsed.errors import ConfigError
from cdsed.model.quota import Limit

ETC = Path(__file__).parents[3] / "etc"
TWO_GROUPS = """\
groups:
  default:
    sessions: 3
    bandwidth_bytes_per_s: 20MB
    accounts:
      lops-1: {login: one@example.org, password: canary-a, s3_access_key: canary-b, s3_secret_key: canary-c,
               s3_key_expires: 2027-01-31, sessions: 2, bandwidth_bytes_per_s: null}
      lops-2: {login: two@example.org, password: canary-d}
  reserve:
    accounts:
      spare: {login: "12345", s3_access_key: canary-e, s3_secret_key: canary-f,
              s3_key_expires: 2027-01-31T12:00:00+02:00}
"""


@pytest.fixture(autouse=True)
def _log_without_our_canaries(monkeypatch):
    monkeypatch.setattr(log, "_secrets", set())


def write(directory: Path, text: str, mode: int = 0o600) -> Settings:
    file = directory / "accounts.yml"
    file.touch(0o600)
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return Settings(accounts_file=file)


def problems_of(directory: Path, text: str, mode: int = 0o600) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_accounts(write(directory, text, mode), {})
    error: BaseException | None = caught.value
    while error:  # whatever a traceback could print
        assert "canary" not in repr(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return [problem.removeprefix(f"{directory}/") for problem in caught.value.problems]


def test_an_account_has_the_quotas_of_its_group_unless_it_has_its_own(tmp_path):
    accounts = load_accounts(write(tmp_path, TWO_GROUPS), {})

    first, second, spare = accounts
    assert [account.name for account in accounts.groups["default"].accounts] == ["lops-1", "lops-2"]
    assert (first.group, spare.group) == ("default", "reserve")
    assert (first.sessions, first.bandwidth_bytes_per_s) == (2, None)
    assert (second.sessions, second.bandwidth_bytes_per_s) == (3, 20_000_000)
    assert (spare.sessions, spare.requests_per_minute, spare.volume_bytes) == (4, 2000, 12 * 10**12)


SHARED = """\
groups:
  default:
    shared: [%s]
    volume_bytes: 100TB
    sessions: 6
    accounts:
      a: {login: a@example.org, s3_access_key: canary-1, s3_secret_key: canary-2%s}
      b: {login: b@example.org, s3_access_key: canary-3, s3_secret_key: canary-4}
"""


def test_a_group_may_share_its_volume_its_requests_and_its_connections(tmp_path):
    text = SHARED % ("volume, requests, connections", ", sessions: 2")
    loaded = load_accounts(write(tmp_path, text), {})
    first, second = loaded
    assert first.shares == second.shares == {Limit.VOLUME, Limit.REQUESTS, Limit.CONNECTIONS}
    assert (first.sessions, first.pool_sessions, second.sessions, second.volume_bytes) == (2, 6, 6, 100 * 10**12)
    assert loaded.groups["default"].sessions == 6
    first, second = load_accounts(write(tmp_path, SHARED % ("volume", "")), {})
    assert (first.shares, first.pool_sessions) == ({Limit.VOLUME}, None)


@pytest.mark.parametrize(
    ("shared", "own", "complaint"),
    [
        ("volumes", "", "default.shared[0]: should be one of volume, requests, connections; it is the list of the"),
        ("bandwidth", "", "default.shared[0]: should be one of volume, requests, connections"),
        ("volume, volume", "", "default.shared: should name each quota once"),
        ("volume", ", volume_bytes: 1TB", "a.volume_bytes: is for one account, but its group shares volume: put it"),
        ("requests", ", requests_per_minute: 9", "a.requests_per_minute: is for one account, but its group shares req"),
        ("connections", ", sessions: 7", "a.sessions: should be at most 6, the connections that its group shares"),
    ],
)
def test_a_shared_quota_that_cannot_be_is_refused_with_its_place(tmp_path, shared, own, complaint):
    (problem,) = problems_of(tmp_path, SHARED % (shared, own))
    assert complaint in problem


def test_keys_logins_and_expiry_are_typed(tmp_path):
    first, second, spare = load_accounts(write(tmp_path, TWO_GROUPS), {})

    assert first.s3_keys
    assert (first.s3_keys.access_key.reveal(), first.s3_keys.secret_key.reveal()) == ("canary-b", "canary-c")
    assert first.s3_key_expires == datetime(2027, 1, 31, tzinfo=UTC)
    assert second.s3_keys is None
    assert second.password == Secret("canary-d")
    assert spare.login == "12345"
    assert spare.s3_key_expires == datetime(2027, 1, 31, 10, tzinfo=UTC)


def test_every_secret_is_hidden_from_the_log(tmp_path):
    load_accounts(write(tmp_path, TWO_GROUPS), {})

    assert "canary" not in log.redact(" ".join(f"canary-{letter}" for letter in "abcdef"))


def test_a_secret_never_shows_itself():
    secret = Secret("canary")

    assert {repr(secret), str(secret), f"{secret}", "%s" % secret, f"{secret!r}"} == {"***"}  # noqa: UP031
    assert "canary" not in repr([secret, {"key": secret}])
    assert not hasattr(secret, "__dict__")
    assert (secret == Secret("canary"), secret == Secret("other"), secret == "canary") == (True, False, False)
    for copier in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="not pickled"):
            copier(secret)


def test_no_account_shows_its_secrets(tmp_path):
    assert "canary" not in repr(load_accounts(write(tmp_path, TWO_GROUPS), {}))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o644])
def test_an_accounts_file_that_others_may_touch_is_refused_with_the_remedy(tmp_path, mode):
    (problem,) = problems_of(tmp_path, TWO_GROUPS, mode)

    assert problem.endswith(f"run: chmod 600 {tmp_path}/accounts.yml")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_an_accounts_file_of_another_user_is_refused(tmp_path):
    settings = write(tmp_path, TWO_GROUPS)
    os.chown(settings.accounts_file, 12345, -1)

    with pytest.raises(ConfigError, match="belongs to another user"):
        load_accounts(settings, {})


def test_an_absent_accounts_file_points_to_the_example(tmp_path):
    with pytest.raises(
        ConfigError, match=r"no such file; copy etc/accounts\.example\.yml there and change what you need$"
    ):
        load_accounts(Settings(accounts_file=tmp_path / "none.yml"), {})


def test_the_credential_of_systemd_wins_and_its_mode_is_not_judged(tmp_path):
    write(tmp_path, TWO_GROUPS, 0o440)
    settings = Settings(accounts_file=Path("/nowhere/accounts.yml"))
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}

    assert accounts_file(settings, environ) == tmp_path / "accounts.yml"
    assert len(list(load_accounts(settings, environ))) == 3


def test_without_a_file_in_it_the_credentials_directory_does_not_count(tmp_path):
    (tmp_path / "empty").mkdir()
    settings = write(tmp_path, TWO_GROUPS)

    assert accounts_file(settings, {"CREDENTIALS_DIRECTORY": str(tmp_path / "empty")}) == settings.accounts_file


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({"CREDENTIALS_DIRECTORY": "/run/credentials/x"}, r"no accounts\.yml in it"),
        ({"INVOCATION_ID": "ab"}, "not set"),
    ],
)
def test_a_service_without_its_credential_names_the_line_its_unit_needs(tmp_path, environ, why):
    with pytest.raises(ConfigError) as refused:
        load_accounts(Settings(accounts_file=tmp_path / "none.yml"), environ)

    assert re.search(rf"\$CREDENTIALS_DIRECTORY/accounts\.yml, and .*{why}", refused.value.problems[1])
    assert f"LoadCredential=accounts.yml:{tmp_path}/none.yml" in refused.value.problems[1]
    hint = ["if the unit has that line and this is a container"] if "CREDENTIALS_DIRECTORY" in environ else []
    assert [problem.partition(":")[0] for problem in refused.value.problems[2:]] == hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has files that others may not read")
def test_a_service_that_may_not_read_roots_accounts_says_so_too(tmp_path):
    settings = write(tmp_path, TWO_GROUPS)
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(ConfigError, match=r"Permission denied(.|\n)*LoadCredential="):
            load_accounts(settings, {"INVOCATION_ID": "ab"})
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has directories that others may not enter")
def test_a_credentials_directory_that_is_closed_is_as_one_without_accounts(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(0o700)
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(ConfigError, match=r"mount --make-rshared /"):
            load_accounts(Settings(accounts_file=tmp_path / "none.yml"), {"CREDENTIALS_DIRECTORY": str(closed)})
    finally:
        os.seteuid(0)


def test_the_example_becomes_valid_once_its_keys_are_filled_in(tmp_path):
    example = (ETC / "accounts.example.yml").read_text("utf-8")
    with pytest.raises(ConfigError) as refused:
        load_accounts(write(tmp_path, example), {})
    assert len(refused.value.problems) == 4
    assert "first.s3_access_key: should have no space in it" in refused.value.problems[0]
    assert "put the" not in str(refused.value)  # no value of this file is shown, nor of this one

    settings = write(tmp_path, re.sub(r'"put .* here"', lambda found: f'"key-{found.start()}"', example))
    accounts = load_accounts(settings, {})

    assert [(account.name, account.sessions) for account in accounts] == [("first", 4), ("second", 2), ("third", 4)]
    assert [account.name for account in accounts if account.needs_temporary_keys] == ["third"]


@pytest.mark.parametrize(
    "text",
    [
        "groups: {default: {accounts: {a: {login: x, password: *canary}}}}",
        "groups: {default: {accounts: {a: {login: x, password: !canary y}}}}",
        "groups: {default: {accounts: {a: {login: x, password: @canary}}}}",
        "groups:\n  a: {password: canary: x}",
        'password: "canary',
        'password: "\\canary"',
        "password: {canary",
        "- &canary x\n- &canary y",
        "canary",
        "[canary]",
        "password: &canary\n\t- canary: %canary",
    ],
)
def test_yaml_that_is_broken_at_a_secret_does_not_show_it(tmp_path, text):
    (problem,) = problems_of(tmp_path, text)

    assert problem.startswith("accounts.yml:")


ACCOUNT = "login: x@example.org, s3_access_key: canary-1, s3_secret_key: canary-2"


@pytest.mark.parametrize(
    ("account", "complaint"),
    [
        ("password: canary", "default.accounts.a.login: is missing; it is the CDSE user name"),
        (f"{ACCOUNT}, password: 0123", "a.password: should be text; put it in quotes"),
        (f"{ACCOUNT}, password: 2027-01-31", "a.password: should be text; put it in quotes"),
        (f"{ACCOUNT}, password: [canary]", "a.password: should be text; put it in quotes"),
        (f"{ACCOUNT}, password: ''", "a.password: should be text; put it in quotes"),
        (f'{ACCOUNT}, password: "canary "', "a.password: begins or ends with a space"),
        (
            f'{ACCOUNT}, password: "can\\ncanary"',
            "a.password: begins or ends with a space, or holds a line break",
        ),
        (f"{ACCOUNT}, pasword: canary", "a.pasword: unknown key; did you mean 'password'?"),
        (f"{ACCOUNT}, canary", "default.accounts.a: unknown key; known here: sessions,"),
        (f"{ACCOUNT}, canary: {{canary: 1}}", "default.accounts.a: unknown key; known here: sessions,"),
        (f"{ACCOUNT}, login: canary", "default.accounts.a: is repeated on line 1; keep one"),
        ("login: x, s3_access_key: canary", "a.s3_secret_key: should be given together with s3_access_key"),
        ("login: x, s3_secret_key: canary", "a.s3_secret_key: should be given together with s3_access_key"),
        (f"{ACCOUNT}, s3_key_expires: canary", "a.s3_key_expires: should be a date such as 2027-01-31"),
        (f"{ACCOUNT}, s3_key_expires: 9999-12-31T23:00:00-05:00", "a.s3_key_expires: should be a date such as"),
        (f"{ACCOUNT}, s3_key_expires: 5", "a.s3_key_expires: should be a date such as 2027-01-31"),
        (
            f"{ACCOUNT}, sessions: canary",
            "a.sessions: should be a valid integer; it is the number of connections",
        ),
        (f"{ACCOUNT}, sessions: 0", "a.sessions: should be greater than or equal to 1"),
        (f"{ACCOUNT}, volume_bytes: 10000000TB", "a.volume_bytes: should be less than or equal to 92233"),
        (f"{ACCOUNT}, requests_per_minute: {10**19}", "a.requests_per_minute: should be less than or equal"),
        (f"{ACCOUNT}, volume_bytes: canary", "a.volume_bytes: should be a size such as 32MiB"),
        (f"{ACCOUNT}, login: 5", ""),
    ],
)
def test_a_wrong_account_is_explained_without_its_values(tmp_path, account, complaint):
    problems = problems_of(tmp_path, f"groups: {{default: {{accounts: {{a: {{{account}}}}}}}}}")

    assert complaint in problems[0]
    assert problems[0].startswith("accounts.yml:1: groups.default.accounts.a")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{}", "groups: is missing; it is the groups of accounts, by name"),
        ("groups: {}", "groups: should name at least one"),
        (
            "groups: {default: {accounts: {}}}",
            "groups.default.accounts: should name at least one",
        ),
        (
            f"groups: {{default: {{accounts: {{A: {{{ACCOUNT}}}}}}}}}",
            "accounts.***: should be at most 32 small",
        ),
        (
            f"groups: {{default: {{accounts: {{../a: {{{ACCOUNT}}}}}}}}}",
            "accounts.***: should be at most 32",
        ),
        (
            f"groups: {{other: {{accounts: {{a: {{{ACCOUNT}}}}}}}}}",
            "groups: lacks the default_group of the settings",
        ),
    ],
)
def test_wrong_groups_are_explained(tmp_path, text, complaint):
    (problem,) = problems_of(tmp_path, text)

    assert complaint in problem


def test_no_name_login_or_key_stands_twice(tmp_path):
    problems = problems_of(
        tmp_path,
        "groups:\n"
        "  default:\n"
        "    accounts:\n"
        "      a: {login: one, s3_access_key: canary-1, s3_secret_key: canary-2}\n"
        "      b: {login: 'One '}\n"
        "  other:\n"
        "    accounts:\n"
        "      a: {login: two}\n"
        "      c: {login: three, s3_access_key: canary-1, s3_secret_key: canary-3}\n",
    )

    assert [problem.removeprefix("accounts.yml:").removesuffix("; each stands once") for problem in problems] == [
        "5: groups.default.accounts.b: has the same login as account 'a' of group 'default'",
        "8: groups.other.accounts.a: has the same name as account 'a' of group 'default'",
        "9: groups.other.accounts.c: has the same s3_access_key as account 'a' of group 'default'",
    ]


def test_a_fifo_in_place_of_the_file_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "accounts.yml", 0o600)
    assert stat.S_ISFIFO((tmp_path / "accounts.yml").stat().st_mode)

    with pytest.raises(ConfigError, match="is not a regular file"):
        load_accounts(Settings(accounts_file=tmp_path / "accounts.yml"), {})


@pytest.mark.parametrize(
    "text",
    [
        "groups: {default: {accounts: {Canary-Secret1: {login: x}}}}",
        "groups: {default: {accounts: {'canary pass/word': {login: x}}}}",
        "groups: {default: {accounts: {canary0f00d0f00d0f00d0f00d: {password: x}}}}",
        "groups: {Canary!: {accounts: {}}}",
        "groups: {'canary:x': 5}",
        "groups: {default: {accounts: {a: {login: x, password: y}, b: {canary1: {login: z}}}}}",
        "groups: {default: {accounts: {a: canary}}}",
        "groups: {default: {accounts: {a: [canary]}}}",
        "groups: {default: {accounts: canary}}",
        "groups: canary",
        "groups: {default: {sessions: canary, accounts: {a: {login: [canary]}}}}",
        "canary: {default: {accounts: {a: {login: x}}}}",
        "password-canary: x",
        "groups: {default: {password1canary: x, accounts: {a: {login: x}}}}",
        "groups: {canary0f00d0f00d0f00d0f00d: {accounts: {a: {login: x}}}}",
        "groups: {default: {accounts: {canary0f00d0f00d0f00d0f00d: {login: x, password: y}, b: {login: x}}}}",
    ],
)
def test_a_secret_that_stands_where_a_name_or_a_key_should_is_not_shown(tmp_path, text):
    problems = problems_of(tmp_path, text)

    assert "canary" not in "\n".join(problems).lower()
    assert all(problem.startswith("accounts.yml:1: ") for problem in problems)


def test_the_key_of_an_account_in_place_of_its_name_is_not_shown(tmp_path):
    key = "3f9ac07b2e8d4415a6b0c1d2e3f40516"
    problems = problems_of(tmp_path, f"groups: {{default: {{accounts: {{{key}: {{password: x}}}}}}}}")

    assert problems[0].startswith("accounts.yml:1: groups.default.accounts.***.login: is missing")
    assert key not in str(problems)
