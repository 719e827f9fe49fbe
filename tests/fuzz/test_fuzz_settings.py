"""Whatever the settings and the accounts file hold, they are read, or each problem is named, and no secret."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cdsed import log
from cdsed.config.accounts import load_accounts
from cdsed.config.load import load_settings
from cdsed.config.settings import Settings
from cdsed.errors import ConfigError
from tests.fuzz.campaign import examples
from tests.fuzz.mutations import mutated

SECRET = "c4n4ryOfAPassword"
ACCOUNTS = f"""\
groups:
  default:
    sessions: 3
    bandwidth_bytes_per_s: 20MB
    accounts:
      lab-1: &one {{login: one@example.org, password: {SECRET}, s3_key_expires: 2027-01-31}}
      lab-2: {{login: two@example.org, s3_access_key: {SECRET}A, s3_secret_key: {SECRET}B, sessions: 2}}
""".encode()
SETTINGS = (Path(__file__).parents[2] / "etc" / "cdsed.yml").read_bytes()
STRANGE = [
    b"",
    b"\0",
    b"\xff",
    b"[",
    b"- 1",
    b"a: &a [*a]",
    b"groups: &a {b: *a}",
    b"<<: {a: 1}",
    b"groups: {<<: [1, 2]}",
    b"? [a]\n: 1",
    b"? {a: 1}\n: 1",
    b"a: 1\na: 2",
    b"groups: !!python/object/apply:os.system [ls]",
    b"!!binary x",
    b"!!set {a}",
    b"a: !!timestamp x",
    b"%YAML 9.9\n---\n",
    b"--- 1\n--- 2\n",
    b"state_dir: !!binary Zm9v",
    b"log_level: 0o17",
    b"1: 2",
    b"null: 1",
    b"? \n: 1",
    b"a: " + b"[" * 50_000,
    b"{a: " * 50_000,
    b"a: &a [x]\n" + b"b: [" + b"*a," * 10_000 + b"]",
    b"inbox: {stable_for_s: .inf, scan_every_s: .nan}",
    b"inbox: {stable_for_s: " + b"9" * 10_000 + b"}",
    b"a: 9999-99-99",
    b"a: 1:99:99",
    b"a: 2027-01-31T25:00:00",
    b"a: !!int x",
    b"a: !!float x",
]
BOMB = b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"%c: &%c [%b]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 9)) for n in range(9)
)


@pytest.fixture(scope="module", autouse=True)
def _log_without_our_canaries() -> object:
    before = dict(log._secrets)
    yield
    log._secrets.clear()
    log._secrets.update(before)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def _check(error: ConfigError, content: bytes) -> None:
    assert error.problems
    for problem in error.problems:
        assert 0 < len(problem) < 1000
    cause: BaseException | None = error
    while cause:  # whatever a traceback could print
        assert SECRET not in repr(cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _accounts(directory: Path, content: bytes) -> None:
    file = directory / "accounts.yml"
    file.touch(0o600)
    file.write_bytes(content)
    try:
        load_accounts(Settings(accounts_file=file), {})
    except ConfigError as error:
        _check(error, content)


@examples(250)
@given(st.one_of(mutated(ACCOUNTS), st.sampled_from(STRANGE).flatmap(mutated), st.binary(max_size=200)))
def test_any_accounts_file_is_read_or_its_problems_named_without_a_secret(directory: Path, content: bytes) -> None:
    _accounts(directory, content)


@pytest.mark.parametrize("content", [*STRANGE, BOMB], ids=lambda content: repr(content[:30]))
def test_unusual_yaml_is_refused_in_words(directory: Path, content: bytes) -> None:
    _accounts(directory, content)
    _settings(directory, content)


@examples(100)
@given(st.one_of(mutated(SETTINGS), st.binary(max_size=200)))
@example(b"spools: [/a, /a]\ninbox: {path: /a}")
def test_any_settings_are_read_or_their_problems_named(directory: Path, content: bytes) -> None:
    _settings(directory, content)


def _settings(directory: Path, content: bytes) -> None:
    file = directory / "cdsed.yml"
    file.write_bytes(content)
    try:
        load_settings(file, {})
    except ConfigError as error:
        _check(error, content)
