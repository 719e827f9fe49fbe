import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cdsed.config.secrets import Secret
from cdsed.credentials.key_ledger import Keyring, read_ledger
from cdsed.credentials.key_rotation import KeyRotation
from cdsed.errors import AccountError, ServiceError, StateError
from tests.support.identity_site import IdentitySite, account, identity_site
from tests.support.sandbox import SandboxProcess

ROOT = Path(__file__).resolve().parents[3]
LEDGER = "ledger.json"

A_PROCESS_THAT_IS_KILLED = """
import os, signal, sys, threading
from pathlib import Path
from cdsed.credentials.tokens import Tokens
from cdsed.credentials.keys_manager import KeysManager
from cdsed.credentials.key_rotation import KeyRotation
from cdsed.catalogue.http_client import HttpClient
from cdsed.clock import SYSTEM_CLOCK
from tests.support.identity_site import account

url, folder, timestamp = sys.argv[1], Path(sys.argv[2]), sys.argv[3]

class Killed(KeysManager):
    def create(self, expires=None):
        if timestamp == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        made = super().create(expires)
        if timestamp == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return made

with HttpClient(timeout_s=10, clock=SYSTEM_CLOCK, stop=threading.Event()) as http_client:
    tokens = Tokens(f"{url}/auth/realms/CDSE/protocol/openid-connect/token", account(), folder, http_client)
    manager = Killed(f"{url}/api/user", "first", tokens, http_client)
    rotation = KeyRotation("first", manager, folder / "ledger.json", lambda keys: True, SYSTEM_CLOCK)
    print(rotation.maintain().keys.access_key.reveal(), flush=True)
    if timestamp == "kept":
        os.kill(os.getpid(), signal.SIGKILL)
    if timestamp == "end":
        rotation.end()
"""


@pytest.fixture
def site(tmp_path):
    with identity_site(tmp_path) as site:
        yield site


def rotation(site: IdentitySite) -> KeyRotation:
    return KeyRotation("first", site.manager(), site.folder / LEDGER, site.s3_knows, site.clock)


def listed(site: IdentitySite) -> set[str]:
    return {key.access_key for key in site.manager().listed()}


def test_a_key_is_awaited_until_s3_knows_it(site):
    site.sandbox.rules.key_delay_s = 30
    rotated = rotation(site)
    keyring = Keyring(site.folder / LEDGER, site.clock)

    assert rotated.maintain() is None
    assert keyring.keys_of(account()) is None
    site.clock.ahead_s += 15
    assert rotated.maintain() is None
    site.clock.ahead_s += 20
    key = rotated.maintain()

    assert key is not None
    assert key.keys is not None
    assert keyring.keys_of(account()) == key.keys
    assert site.s3_knows(key.keys)
    assert len(listed(site)) == 1


def test_a_key_lasts_a_day_and_is_renewed_before_its_end(site):
    rotated = rotation(site)
    first = rotated.maintain()
    assert first is not None
    assert 24 * 3600 - 60 < first.expires_at - site.clock.utc_s() < 25.5 * 3600
    site.clock.ahead_s += 17 * 3600
    assert rotated.maintain() == first
    site.clock.ahead_s += 3 * 3600

    second = rotated.maintain()

    assert second is not None
    assert second.keys != first.keys
    assert site.s3_knows(first.keys), "what uses the older one continues"
    assert len(listed(site)) == 2
    site.clock.ahead_s += 7 * 3600
    assert rotated.maintain() == second
    assert len(listed(site)) == 1, "the older one has ended, and is deleted"


def test_the_older_key_stays_in_force_until_the_newer_one_works(site):
    rotated = rotation(site)
    first = rotated.maintain()
    site.sandbox.rules.key_delay_s = 60
    site.clock.ahead_s += 20 * 3600
    assert rotated.maintain() == first
    site.clock.ahead_s += 90
    assert rotated.maintain() != first


def test_all_keys_are_deleted_at_the_end(site):
    others = site.manager().create()
    rotated = rotation(site)
    rotated.maintain()
    site.clock.ahead_s += 20 * 3600
    rotated.maintain()
    assert len(listed(site)) == 3

    rotated.end()

    assert listed(site) == {others.keys.access_key.reveal()}, "a key that is not ours stays"
    assert read_ledger(site.folder / LEDGER) == ()


def test_what_could_not_be_deleted_is_deleted_at_the_next_start(site):
    from cdsed.sandbox.faults import Fault

    rotated = rotation(site)
    rotated.maintain()
    fault = site.sandbox.faults.add(Fault("internal_error", operation="keys"))
    with pytest.raises(ServiceError):
        rotated.end()
    assert len(read_ledger(site.folder / LEDGER)) == 1
    site.sandbox.faults.remove(fault)

    rotation(site).end()

    assert listed(site) == set()


def test_a_key_deleted_from_outside_is_replaced(site):
    rotated = rotation(site)
    first = rotated.maintain()
    assert first is not None
    assert first.keys is not None
    site.manager().delete(first.keys.access_key.reveal())
    site.clock.ahead_s += 700
    second = rotated.maintain()
    assert second is not None
    assert second.keys != first.keys


def test_a_lost_answer_leaves_no_key_behind(site):
    rotated = rotation(site)
    others = site.manager().create()
    site.sandbox.rules.drop_key_answers = 1
    with pytest.raises(ServiceError):
        rotated.maintain()
    assert len(listed(site)) == 2

    key = rotated.maintain()

    assert key is not None
    assert key.keys is not None
    assert listed(site) == {others.keys.access_key.reveal(), key.keys.access_key.reveal()}


def test_the_cap_leaves_nothing_behind_and_says_so(site):
    site.sandbox.rules.keys_max = 0
    rotated = rotation(site)
    for _ in range(2):
        with pytest.raises(AccountError) as refused:
            rotated.maintain()
        assert refused.value.code == "KeyCapReached"
    rotated.end()
    assert read_ledger(site.folder / LEDGER) == ()


def test_the_ledger_is_for_its_owner_only(site):
    rotation(site).maintain()
    assert (site.folder / LEDGER).stat().st_mode & 0o777 == 0o600


def test_a_broken_ledger_is_not_taken_for_an_empty_one(tmp_path):
    (tmp_path / LEDGER).write_text("{}{", encoding="utf-8")
    with pytest.raises(StateError, match="cdsed keys list"):
        read_ledger(tmp_path / LEDGER)


def test_an_account_with_keys_of_its_own_uses_those(site):
    from cdsed.config.accounts import S3Keys

    rotation(site).maintain()
    own = S3Keys(Secret("own"), Secret("secret"))
    assert Keyring(site.folder / LEDGER, site.clock).keys_of(account(s3_keys=own)) == own


@pytest.mark.parametrize("timestamp", ["before", "after", "kept"])
def test_killed_at_any_moment_the_next_start_leaves_no_key_behind(tmp_path, timestamp):
    from cdsed.sandbox.accounts import SandboxAccount
    from tests.support.identity_site import PASSWORD

    with SandboxProcess([SandboxAccount("first", "SANDBOXKEY", "sandbox-secret", password=PASSWORD)]) as sandbox:
        killed = _run(sandbox.url, tmp_path, timestamp)
        assert killed.returncode == -signal.SIGKILL
        again = _run(sandbox.url, tmp_path, "end")
        assert again.returncode == 0, again.stderr
        if timestamp == "kept":
            assert again.stdout == killed.stdout, "a key that works is used on"
        assert read_ledger(tmp_path / LEDGER) == ()
        assert sandbox.call("GET", "identity")["grants"]["password"] == 1, "the token was shared, too"
        assert _count_keys(sandbox.url, tmp_path) == 0


def _run(url: str, folder: Path, timestamp: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", A_PROCESS_THAT_IS_KILLED, url, str(folder), timestamp]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


def _count_keys(url: str, folder: Path) -> int:
    from cdsed.catalogue.http_client import HttpClient
    from cdsed.clock import SYSTEM_CLOCK
    from cdsed.credentials.keys_manager import KeysManager
    from cdsed.credentials.tokens import Tokens

    with HttpClient(timeout_s=10, clock=SYSTEM_CLOCK, stop=threading.Event()) as http_client:
        tokens = Tokens(f"{url}/auth/realms/CDSE/protocol/openid-connect/token", account(), folder, http_client)
        return len(KeysManager(f"{url}/api/user", "first", tokens, http_client).listed())
