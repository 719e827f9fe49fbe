import http.client
import json
from contextlib import closing
from urllib.parse import urlencode

import jwt
import pytest

from cdsed.clock import Clock
from cdsed.sandbox import identity, keysmanager, tokens
from cdsed.sandbox.accounts import SandboxAccount
from cdsed.sandbox.server import Sandbox


class TurnedClock(Clock):
    ahead_s = 0.0

    def boot_s(self):
        return super().boot_s() + self.ahead_s

    def utc_s(self):
        return super().utc_s() + self.ahead_s


class Client:
    def __init__(self, sandbox, clock):
        self.sandbox = sandbox
        self.clock = clock

    def ask(self, method, path, body=None, token=""):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with closing(http.client.HTTPConnection("127.0.0.1", self.sandbox.port, timeout=10)) as connection:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            data = response.read()
        is_json = response.headers.get("Content-Type") == "application/json"
        return response.status, json.loads(data) if is_json and data else data

    def grant(self, **form):
        values = {"client_id": "cdse-public", "grant_type": "password", "username": "a@example.org", **form}
        return self.ask("POST", identity.PATH, urlencode(values))

    def keys(self, method, token, path="/credentials", **values):
        return self.ask(method, keysmanager.PATH + path, json.dumps(values) if values else None, token)


@pytest.fixture
def client():
    clock = TurnedClock()
    account = SandboxAccount("a", "KEY", "secret", login="a@example.org", password="right")
    with Sandbox([account], clock=clock) as sandbox:
        yield Client(sandbox, clock)


def test_a_grant_has_the_members_of_keycloaks(client):
    status, response = client.grant(password="right")
    assert status == 200
    assert response["expires_in"] == 600
    assert 3599 <= response["refresh_expires_in"] <= 3600
    assert response["token_type"] == "Bearer"
    assert client.keys("GET", response["access_token"])[0] == 200


def test_a_wrong_password_is_answered_as_by_keycloak(client):
    response = {"error": "invalid_grant", "error_description": "Invalid user credentials"}
    assert client.grant(password="wrong") == (401, response)
    assert client.grant(username="nobody", password="right") == (401, response)
    assert client.grant() == (401, response)


def test_hammering_locks_the_account_even_for_the_right_password(client):
    for _ in range(5):
        client.grant(password="wrong")
    assert client.grant(password="right")[0] == 401
    client.clock.ahead_s += 120
    assert client.grant(password="right")[0] == 200


def test_the_hundred_and_first_session_is_refused_with_400_until_one_ends(client):
    assert [client.grant(password="right")[0] for _ in range(101)] == [200] * 100 + [400]
    client.clock.ahead_s += 3601
    assert client.grant(password="right")[0] == 200


def test_a_refresh_token_may_be_used_several_times_while_its_session_lasts(client):
    _, response = client.grant(password="right")
    refresh = {"grant_type": "refresh_token", "refresh_token": response["refresh_token"]}
    assert [client.grant(**refresh)[0] for _ in range(3)] == [200, 200, 200]
    client.clock.ahead_s += 3600
    assert client.grant(**refresh) == (
        400,
        {"error": "invalid_grant", "error_description": "Session not active"},
    )


def test_a_token_ends(client):
    _, response = client.grant(password="right")
    client.clock.ahead_s += 601
    assert client.keys("GET", response["access_token"])[0] == 401


def test_the_keys_manager_takes_no_one_without_a_token(client):
    assert client.keys("GET", "")[0] == 401
    assert client.keys("POST", "made-up")[0] == 401


def test_a_key_works_between_its_propagation_and_its_end(client):
    client.sandbox.rules.key_delay_s = 20
    token = client.grant(password="right")[1]["access_token"]
    status, key = client.keys("POST", token, expiration_date="2099-01-01T00:00:00Z")
    assert status == 200
    known = client.sandbox.quotas.account_of(key["access_id"])
    assert known is not None
    assert known.secret_key == key["secret"]
    assert 0 < known.key_valid_from.timestamp() - client.clock.utc_s() <= 20
    assert known.key_expires.year == 2099
    assert known.name == "a", "its quotas are the account's"


def test_the_cap_is_answered_as_documented(client):
    client.sandbox.rules.keys_max = 2
    token = client.grant(password="right")[1]["access_token"]
    assert [client.keys("POST", token)[0] for _ in range(2)] == [200, 200]
    assert client.keys("POST", token) == (403, {"detail": "Max number of credentials reached."})
    status, listed = client.keys("GET", token)
    assert (status, listed["count"], len(listed["credentials"])) == (200, 2, 2)
    access_id = listed["credentials"][0]["access_id"]
    assert client.keys("DELETE", token, f"/credentials/access_id/{access_id}")[0] == 204
    assert client.keys("DELETE", token, f"/credentials/access_id/{access_id}")[0] == 404
    assert client.keys("POST", token)[0] == 200


@pytest.mark.parametrize(("date", "status"), [("tomorrow", 422), ("2001-01-01T00:00:00Z", 400)])
def test_a_senseless_expiry_is_refused(client, date, status):
    token = client.grant(password="right")[1]["access_token"]
    assert client.keys("POST", token, expiration_date=date)[0] == status


def test_a_rule_that_is_none_is_refused(client):
    with pytest.raises(ValueError, match="colour"):
        client.sandbox.rules.change({"colour": 1})


def _certificates(client):
    status, configuration = client.ask("GET", f"{tokens.REALM}/.well-known/openid-configuration")
    assert status == 200
    assert configuration["token_endpoint"] == f"{client.sandbox.url}{identity.PATH}"
    keys = client.ask("GET", configuration["jwks_uri"].removeprefix(client.sandbox.url))[1]
    return configuration, jwt.PyJWKSet.from_dict(keys)


def test_an_access_token_is_signed_with_the_published_key(client):
    token = client.grant(password="right")[1]["access_token"]
    configuration, keys = _certificates(client)
    key = keys[jwt.get_unverified_header(token)["kid"]].key
    algorithms = configuration["id_token_signing_alg_values_supported"]
    options = {"audience": "CLOUDFERRO_PUBLIC", "issuer": configuration["issuer"]}
    claims = jwt.decode(token, key, algorithms, **options)
    assert claims["exp"] - claims["iat"] == 600
    assert claims["preferred_username"] == "a@example.org"


def test_two_tokens_of_one_second_differ(client):
    assert client.grant(password="right")[1]["access_token"] != client.grant(password="right")[1]["access_token"]


def test_a_token_that_the_service_did_not_give_is_unknown_even_if_it_is_signed(client):
    account = client.sandbox.accounts[0]
    forged = tokens.access_token(account, f"{client.sandbox.url}{tokens.REALM}", "x", client.clock.utc_s(), 600)
    assert client.keys("GET", forged)[0] == 401


@pytest.mark.parametrize("path", ["/.well-known/other", "/protocol/openid-connect/auth"])
def test_the_realm_has_nothing_else(client, path):
    assert client.ask("GET", f"{tokens.REALM}{path}")[0] == 404
