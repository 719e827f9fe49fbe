from datetime import UTC, datetime, timedelta

import pytest

from cdsed.config.secrets import Secret
from cdsed.credentials.keys_manager import KeysManager
from cdsed.errors import AccountError, ServiceError
from cdsed.sandbox.faults import Fault
from tests.support.identity_site import identity_site


@pytest.fixture
def site(tmp_path):
    with identity_site(tmp_path) as site:
        yield site


def soon(site, days: float = 1) -> datetime:
    return datetime.fromtimestamp(int(site.clock.utc_s()), UTC) + timedelta(days=days)


def test_a_key_is_made_listed_and_deleted(site):
    manager = site.manager()
    expires = soon(site)

    made = manager.create(expires)

    assert made.expires == expires
    assert site.s3_knows(made.keys)
    (listed,) = manager.listed()
    assert (listed.access_key, listed.user_name) == (made.keys.access_key.reveal(), "first@example.org")
    assert listed.expires == expires
    assert manager.delete(listed.access_key)
    assert not manager.delete(listed.access_key)
    assert manager.listed() == []
    assert not site.s3_knows(made.keys)
    assert site.grants == {"password": 1}


def test_every_page_of_a_long_list_is_read(site):
    site.sandbox.rules.keys_max = 300
    manager = site.manager()
    made = {manager.create().keys.access_key.reveal() for _ in range(250)}
    assert {key.access_key for key in manager.listed()} == made


def test_the_cap_is_reported_with_what_to_do(site):
    site.sandbox.rules.keys_max = 1
    manager = site.manager()
    manager.create()
    with pytest.raises(AccountError) as refused:
        manager.create()
    assert refused.value.code == "KeyCapReached"
    assert "Max number of credentials reached." in str(refused.value)
    assert "cdsed keys delete --account first" in str(refused.value)


def test_a_token_that_ended_meanwhile_is_replaced(site):
    manager = site.manager()
    manager.listed()
    site.sandbox.identity.end_sessions()  # our token still looks good to us
    assert manager.listed() == []
    assert site.grants == {"password": 1, "refresh_token": 1} or site.grants["password"] == 2


def test_a_refused_login_is_the_error_of_the_call(site):
    with pytest.raises(AccountError) as refused:
        site.manager(password=Secret("guess")).listed()
    assert refused.value.code == "WrongPassword"


def test_a_key_is_never_made_twice_because_its_answer_was_lost(site):
    manager = site.manager()
    site.sandbox.rules.drop_key_answers = 1
    with pytest.raises(ServiceError):
        manager.create()
    assert len(manager.listed()) == 1


def test_listing_and_deleting_outlast_a_blip(site):
    manager = site.manager()
    made = manager.create()
    site.sandbox.faults.add(Fault("internal_error", operation="keys", times=1))
    assert len(manager.listed()) == 1
    site.sandbox.faults.add(Fault("internal_error", operation="keys", times=1))
    assert manager.delete(made.keys.access_key.reveal())


def test_no_secret_shows_in_what_is_printed(site):
    made = site.manager().create()
    assert made.keys.secret_key.reveal() not in repr(made)


def test_a_response_not_from_the_keys_manager_is_not_believed(site):
    manager = KeysManager(f"{site.sandbox.url}/odata/v1", "first", site.tokens(), site.http_client)
    with pytest.raises((ServiceError, AccountError)):
        manager.listed()
