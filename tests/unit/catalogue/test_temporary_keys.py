import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cdsed.catalogue.temporary import KeyKeeper
from cdsed.config.secrets import Secret
from cdsed.config.temporary_keys import Keyring, read_ledger
from cdsed.errors import AccountError, ServiceError, StateError
from tests.support.sandbox import SandboxProcess
from tests.unit.catalogue.identity_site import IdentitySite, account, identity_site

ROOT = Path(__file__).resolve().parents[3]
LEDGER = "ledger.json"

A_PROCESS_THAT_IS_KILLED = """
import os, signal, sys, threading
from pathlib import Path
from cdsed.catalogue.identity import Tokens
from cdsed.catalogue.keys import KeysManager
from cdsed.catalogue.temporary import KeyKeeper
from cdsed.catalogue.wire import Wire
from cdsed.clock import SYSTEM_CLOCK
from tests.unit.catalogue.identity_site import account

url, folder, moment = sys.argv[1], Path(sys.argv[2]), sys.argv[3]

class Killed(KeysManager):
    def create(self, expires=None):
        if moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        made = super().create(expires)
        if moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return made

with Wire(timeout_s=10, clock=SYSTEM_CLOCK, stop=threading.Event()) as wire:
    tokens = Tokens(f"{url}/auth/realms/CDSE/protocol/openid-connect/token", account(), folder, wire)
    manager = Killed(f"{url}/api/user", "first", tokens, wire)
    keeper = KeyKeeper("first", manager, folder / "ledger.json", lambda keys: True, SYSTEM_CLOCK)
    print(keeper.tend().keys.access_key.reveal(), flush=True)
    if moment == "kept":
        os.kill(os.getpid(), signal.SIGKILL)
    if moment == "end":
        keeper.end()
"""


@pytest.fixture
def site(tmp_path):
    with identity_site(tmp_path) as site:
        yield site


def keeper(site: IdentitySite) -> KeyKeeper:
    return KeyKeeper("first", site.manager(), site.folder / LEDGER, site.s3_knows, site.clock)


def listed(site: IdentitySite) -> set[str]:
    return {key.access_key for key in site.manager().listed()}


def test_a_key_is_awaited_until_s3_knows_it(site):
    site.sandbox.rules.key_delay_s = 30
    keep = keeper(site)
    keyring = Keyring(site.folder / LEDGER, site.clock)

    assert keep.tend() is None
    assert keyring.keys_of(account()) is None
    site.clock.ahead_s += 15
    assert keep.tend() is None
    site.clock.ahead_s += 20
    key = keep.tend()

    assert key is not None
    assert key.keys is not None
    assert keyring.keys_of(account()) == key.keys
    assert site.s3_knows(key.keys)
    assert len(listed(site)) == 1


def test_a_key_lasts_a_day_and_is_renewed_before_its_end(site):
    keep = keeper(site)
    first = keep.tend()
    assert first is not None
    assert 24 * 3600 - 60 < first.expires_at - site.clock.utc_s() < 25.5 * 3600
    site.clock.ahead_s += 17 * 3600
    assert keep.tend() == first
    site.clock.ahead_s += 3 * 3600

    second = keep.tend()

    assert second is not None
    assert second.keys != first.keys
    assert site.s3_knows(first.keys), "what uses the older one goes on"
    assert len(listed(site)) == 2
    site.clock.ahead_s += 7 * 3600
    assert keep.tend() == second
    assert len(listed(site)) == 1, "the older one has ended, and is deleted"


def test_the_older_key_stays_in_force_until_the_newer_one_works(site):
    keep = keeper(site)
    first = keep.tend()
    site.sandbox.rules.key_delay_s = 60
    site.clock.ahead_s += 20 * 3600
    assert keep.tend() == first
    site.clock.ahead_s += 90
    assert keep.tend() != first


def test_all_keys_are_deleted_at_the_end(site):
    others = site.manager().create()
    keep = keeper(site)
    keep.tend()
    site.clock.ahead_s += 20 * 3600
    keep.tend()
    assert len(listed(site)) == 3

    keep.end()

    assert listed(site) == {others.keys.access_key.reveal()}, "a key that is not ours stays"
    assert read_ledger(site.folder / LEDGER) == ()


def test_what_could_not_be_deleted_is_deleted_at_the_next_start(site):
    from cdsed.sandbox.faults import Fault

    keep = keeper(site)
    keep.tend()
    fault = site.sandbox.faults.add(Fault("internal_error", operation="keys"))
    with pytest.raises(ServiceError):
        keep.end()
    assert len(read_ledger(site.folder / LEDGER)) == 1
    site.sandbox.faults.remove(fault)

    keeper(site).end()

    assert listed(site) == set()


def test_a_key_that_somebody_deleted_is_replaced(site):
    keep = keeper(site)
    first = keep.tend()
    assert first is not None
    assert first.keys is not None
    site.manager().delete(first.keys.access_key.reveal())
    site.clock.ahead_s += 700
    second = keep.tend()
    assert second is not None
    assert second.keys != first.keys


def test_a_lost_answer_leaves_no_key_behind(site):
    keep = keeper(site)
    others = site.manager().create()
    site.sandbox.rules.drop_key_answers = 1
    with pytest.raises(ServiceError):
        keep.tend()
    assert len(listed(site)) == 2

    key = keep.tend()

    assert key is not None
    assert key.keys is not None
    assert listed(site) == {others.keys.access_key.reveal(), key.keys.access_key.reveal()}


def test_the_cap_leaves_nothing_behind_and_says_so(site):
    site.sandbox.rules.keys_max = 0
    keep = keeper(site)
    for _ in range(2):
        with pytest.raises(AccountError) as refused:
            keep.tend()
        assert refused.value.code == "KeyCapReached"
    keep.end()
    assert read_ledger(site.folder / LEDGER) == ()


def test_the_ledger_is_for_its_owner_only(site):
    keeper(site).tend()
    assert (site.folder / LEDGER).stat().st_mode & 0o777 == 0o600


def test_a_broken_ledger_is_not_taken_for_an_empty_one(tmp_path):
    (tmp_path / LEDGER).write_text("{}{", encoding="utf-8")
    with pytest.raises(StateError, match="cdsed keys list"):
        read_ledger(tmp_path / LEDGER)


def test_an_account_with_keys_of_its_own_uses_those(site):
    from cdsed.config.accounts import S3Keys

    keeper(site).tend()
    own = S3Keys(Secret("own"), Secret("secret"))
    assert Keyring(site.folder / LEDGER, site.clock).keys_of(account(s3_keys=own)) == own


@pytest.mark.parametrize("moment", ["before", "after", "kept"])
def test_killed_at_any_moment_the_next_start_leaves_no_key_behind(tmp_path, moment):
    from cdsed.sandbox.accounts import Account
    from tests.unit.catalogue.identity_site import PASSWORD

    with SandboxProcess([Account("first", "SANDBOXKEY", "sandbox-secret", password=PASSWORD)]) as sandbox:
        killed = _run(sandbox.url, tmp_path, moment)
        assert killed.returncode == -signal.SIGKILL
        again = _run(sandbox.url, tmp_path, "end")
        assert again.returncode == 0, again.stderr
        if moment == "kept":
            assert again.stdout == killed.stdout, "a key that works is used on"
        assert read_ledger(tmp_path / LEDGER) == ()
        assert sandbox.call("GET", "identity")["grants"]["password"] == 1, "the token was shared, too"
        assert _count_keys(sandbox.url, tmp_path) == 0


def _run(url: str, folder: Path, moment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", A_PROCESS_THAT_IS_KILLED, url, str(folder), moment]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


def _count_keys(url: str, folder: Path) -> int:
    from cdsed.catalogue.identity import Tokens
    from cdsed.catalogue.keys import KeysManager
    from cdsed.catalogue.wire import Wire
    from cdsed.clock import SYSTEM_CLOCK

    with Wire(timeout_s=10, clock=SYSTEM_CLOCK, stop=threading.Event()) as wire:
        tokens = Tokens(f"{url}/auth/realms/CDSE/protocol/openid-connect/token", account(), folder, wire)
        return len(KeysManager(f"{url}/api/user", "first", tokens, wire).listed())
