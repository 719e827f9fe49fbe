import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cdsed.catalogue.http_client import HttpClient
from cdsed.clock import SYSTEM_CLOCK, Clock
from cdsed.config.secrets import Secret
from cdsed.credentials.token_file import TokenFile, TokenGrant
from cdsed.credentials.tokens import Tokens, one_time_code
from cdsed.errors import AccountError, ServiceError, Stopped
from tests.support.catalogue_server import serving
from tests.support.identity_site import PASSWORD, IdentitySite, TurnedClock, account, identity_site

ROOT = Path(__file__).resolve().parents[3]

ANOTHER_PROCESS = """
import sys, threading
from pathlib import Path
from cdsed.clock import SYSTEM_CLOCK
from cdsed.credentials.tokens import Tokens
from cdsed.catalogue.http_client import HttpClient
from tests.support.identity_site import account
with HttpClient(timeout_s=10, clock=SYSTEM_CLOCK, stop=threading.Event()) as http_client:
    print(Tokens(sys.argv[1], account(), Path(sys.argv[2]), http_client).access_token())
"""


@pytest.fixture
def site(tmp_path):
    with identity_site(tmp_path) as site:
        yield site


def bearer(site: IdentitySite, token: str) -> str:
    """Return what the sandbox makes of a token: the account's name, or why not."""
    from cdsed.sandbox.http import Request

    found = site.sandbox.identity.bearer(Request("GET", "/", "", {"authorization": f"Bearer {token}"}))
    return getattr(found, "name", None) or found.reason


def test_a_token_is_asked_for_once_and_used_by_all(site):
    first, second = site.tokens(), site.tokens()

    tokens = {source.access_token() for source in (first, second, first)}

    assert len(tokens) == 1
    assert bearer(site, tokens.pop()) == "first"
    assert site.grants == {"password": 1}


def test_threads_that_ask_at_once_log_in_once(site):
    sources = [site.tokens() for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(lambda number: sources[number % 4].access_token(), range(32)))

    assert len(tokens) == 1
    assert site.grants == {"password": 1}


def test_two_processes_share_one_token(tmp_path):
    from tests.support.sandbox import SandboxProcess

    known = _sandbox_account()
    with SandboxProcess([known]) as sandbox:
        url = f"{sandbox.url}/auth/realms/CDSE/protocol/openid-connect/token"
        command = [sys.executable, "-c", ANOTHER_PROCESS, url, str(tmp_path)]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        both = [subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        tokens = {process.communicate(timeout=60)[0].strip() for process in both}
        assert len(tokens) == 1
        assert tokens != {""}
        assert sandbox.call("GET", "identity") == {"grants": {"password": 1}, "sessions": {"first": 1}}


def test_the_token_is_refreshed_before_it_ends_and_stays_one_session(site):
    tokens = site.tokens()
    first = tokens.access_token()
    site.clock.ahead_s += 560
    assert tokens.access_token() == first
    site.clock.ahead_s += 20  # 20 s are left of its 600

    second = tokens.access_token()

    assert second != first
    assert bearer(site, second) == "first"
    assert site.grants == {"password": 1, "refresh_token": 1}
    assert site.sessions == 1


def test_lifetimes_are_those_of_the_reply(site):
    site.sandbox.rules.token_s = 10
    tokens = site.tokens()
    first = tokens.access_token()
    site.clock.ahead_s += 7
    assert tokens.access_token() == first
    site.clock.ahead_s += 2
    assert tokens.access_token() != first


def test_a_session_that_is_over_is_begun_again(site):
    tokens = site.tokens()
    tokens.access_token()
    site.clock.ahead_s += 3600
    tokens.access_token()
    assert site.grants == {"password": 2}

    site.sandbox.identity.end_sessions()
    site.clock.ahead_s += 580
    assert bearer(site, tokens.access_token()) == "first"
    assert site.grants == {"password": 3, "refresh_token": 1}


def test_a_token_that_was_refused_is_replaced_for_everybody(site):
    first, second = site.tokens(), site.tokens()
    token = first.access_token()
    second.access_token()

    first.reject(token)

    assert first.access_token() != token
    second.reject(token)  # late: what has taken its place stays
    assert second.access_token() == first.access_token()


def test_a_wrong_password_is_the_accounts_fault_and_is_not_hammered(site):
    wrong = site.tokens(password=Secret("guess"))
    for _ in range(20):
        with pytest.raises(AccountError) as refused:
            wrong.access_token()
        assert refused.value.code == "WrongPassword"
    assert "Invalid user credentials" in str(refused.value)
    assert "accounts file" in str(refused.value)
    assert site.grants == {"password": 1}
    assert bearer(site, site.tokens().access_token()) == "first", "another password is tried at once"


def test_the_pause_after_a_refusal_doubles(site):
    wrong = site.tokens(password=Secret("guess"))
    pauses = []
    for _ in range(3):
        with pytest.raises(AccountError) as refused:
            wrong.access_token()
        pauses.append(refused.value.retry_after_s)
        site.clock.ahead_s += refused.value.retry_after_s
    assert pauses == [300, 600, 1200]


def test_the_refusal_holds_for_other_processes_too(site):
    for source in (site.tokens(password=Secret("guess")), site.tokens(password=Secret("guess"))):
        with pytest.raises(AccountError):
            source.access_token()
    assert site.grants == {"password": 1}


def test_too_many_sessions_says_what_to_do(site):
    site.sandbox.rules.sessions_max = 0
    with pytest.raises(AccountError) as refused:
        site.tokens().access_token()
    assert refused.value.code == "TooManySessions"
    assert "100 sessions" in str(refused.value)


def test_a_long_day_never_holds_more_than_one_session(site):
    tokens = site.tokens()
    most = 0
    for _ in range(48):
        tokens.access_token()
        most = max(most, site.sessions)
        site.clock.ahead_s += 400
    assert most == 1


def test_an_account_without_a_password_is_told_so(site):
    with pytest.raises(AccountError) as refused:
        site.tokens(password=None).access_token()
    assert refused.value.code == "NoPassword"
    assert site.grants == {}


def test_a_second_factor_is_passed_on(tmp_path):
    with identity_site(tmp_path, totp="123456") as site:
        with pytest.raises(AccountError):
            site.tokens().access_token()
        assert bearer(site, site.tokens(totp=Secret("123 456")).access_token()) == "first"


@pytest.mark.parametrize(("utc_s", "code"), [(59, "287082"), (1111111109, "081804"), (20000000000, "353130")])
def test_a_seed_gives_the_codes_of_rfc_6238(utc_s, code):
    class SetClock(Clock):
        def utc_s(self):
            return utc_s

    assert one_time_code(Secret("GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"), SetClock()) == code


def test_a_second_factor_that_is_none_is_refused_without_showing_it():
    with pytest.raises(AccountError) as refused:
        one_time_code(Secret("no-seed-at-all!"), SYSTEM_CLOCK)
    assert refused.value.code == "BadTotp"
    assert "seed-at-all" not in str(refused.value)


def test_a_sick_identity_service_is_not_the_accounts_fault(site):
    from cdsed.sandbox.faults import Fault

    site.sandbox.faults.add(Fault("internal_error", operation="identity", times=2))
    assert site.tokens().access_token()
    site.sandbox.identity.end_sessions()
    site.sandbox.faults.add(Fault("internal_error", operation="identity"))
    site.clock.ahead_s += 600
    with pytest.raises(ServiceError):
        site.tokens().access_token()


def test_a_service_that_asks_for_patience_is_not_asked_again(site):
    from cdsed.sandbox.faults import Fault

    site.sandbox.faults.add(Fault("throttle", operation="identity", retry_after_s=3600))
    with pytest.raises(ServiceError) as refused:
        site.tokens().access_token()
    assert refused.value.retry_after_s == 3600
    assert site.sandbox.faults.applied() == {"throttle": 1}


def test_the_shared_file_is_for_its_owner_only_and_holds_no_password(site):
    site.tokens().access_token()
    (file,) = site.folder.glob("token.*.json")
    assert file.stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in file.read_text(encoding="utf-8")


def test_no_secret_is_in_any_text_of_ours(site, caplog):
    caplog.set_level("DEBUG")
    tokens = site.tokens()
    secrets = {PASSWORD, tokens.access_token()}
    site.sandbox.identity.end_sessions()
    site.clock.ahead_s += 580
    secrets.add(tokens.access_token())
    grant = TokenFile(site.folder / "token.first.json", site.clock).read()
    secrets.add(grant.refresh_token)
    shown = caplog.text + repr(grant) + repr(account()) + repr(tokens)
    assert not [secret for secret in secrets if secret in shown]


def test_a_file_of_another_boot_or_a_broken_one_is_as_good_as_none(site):
    site.tokens().access_token()
    file = site.folder / "token.first.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    other = {**document, "booted_at": document["booted_at"] - 3600}
    later = {**document, "written_s": document["written_s"] + 3600}  # a short boot, after which the clock was set back
    for text in (json.dumps(other), json.dumps(later), "{", "[]", '{"booted_at": "then"}'):
        file.write_text(text, encoding="utf-8")
        assert TokenFile(file).read() == TokenGrant()
    assert site.tokens().access_token()


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(tmp_path):
    script = (
        "import sys\nfrom pathlib import Path\nfrom cdsed.credentials.token_file import TokenFile, TokenGrant\n"
        "file = TokenFile(Path(sys.argv[1]))\nnumber = 0\nprint('begun', flush=True)\n"
        "while True:\n    number += 1\n    file.write(TokenGrant(access_token=str(number) * 2000))\n"
    )
    file = tmp_path / "token.json"
    for _ in range(5):
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(file)], env=environ, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        deadline = time.monotonic() + 10
        while not file.exists():
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert TokenFile(file).read().access_token != ""


def test_waiting_for_another_process_ends_at_once_on_stop(site):
    stop = threading.Event()
    with HttpClient(timeout_s=10, clock=SYSTEM_CLOCK, stop=stop) as http_client:
        tokens = Tokens("http://127.0.0.1:9/", account(), site.folder, http_client)
        with TokenFile(site.folder / "token.first.json").held(threading.Event()):
            threading.Timer(0.1, stop.set).start()
            with pytest.raises(Stopped):
                tokens.access_token()


def _sandbox_account():
    from cdsed.sandbox.accounts import SandboxAccount

    return SandboxAccount("first", "SANDBOXKEY", "sandbox-secret", password=PASSWORD)


def test_no_password_goes_to_a_host_without_a_valid_certificate(tmp_path, certificate):
    with (
        serving(certificate) as server,
        HttpClient(timeout_s=10, clock=TurnedClock(), stop=threading.Event()) as http_client,
    ):
        with pytest.raises(ServiceError) as caught:
            Tokens(server.url, account(), tmp_path, http_client).access_token()
        assert caught.value.code == "TlsFailed"
        assert server.paths == server.lists == []
