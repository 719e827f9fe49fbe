"""``cdsodatacli.session.get_sessions_download_available_s3``."""

from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from cdsed.compat.session import (
    MAX_SESSION_PER_ACCOUNT,
    get_sessions_download_available_s3,
    release_s3_session_after_usage,
)
from cdsed.errors import ConfigError

COLUMNS = ["s3_session", "login", "S3Path", "output_path", "safe", "s3_access_key", "s3_secret"]
KEYS = {"cdse-psswd": "p", "s3-access-key": "key", "s3-secret": "secret"}
CONF = {"logins": {"a@x": KEYS, "b@x": KEYS | {"s3-access-key": "key-b"}}, "listed": [{"a@x": KEYS}, {"b@x": KEYS}]}


def _sessions(*logins: str) -> dict[str, dict[int, bool]]:
    return {login: dict.fromkeys(range(MAX_SESSION_PER_ACCOUNT), False) for login in logins}


def _products(count: int) -> pd.DataFrame:
    names = [f"P{number}" for number in range(count)]
    return pd.DataFrame({"safe": names, "S3Path": [f"k/{n}" for n in names], "outputpath": [f"/o/{n}" for n in names]})


@pytest.mark.parametrize("group", ["logins", "listed"])
def test_every_free_session_gets_a_product(group: str) -> None:
    sessions = _sessions("a@x", "b@x")
    sessions["a@x"][0] = True
    ready, updated = get_sessions_download_available_s3(CONF, sessions, _products(9), [], logins_group=group)
    assert isinstance(ready, pd.DataFrame)
    assert list(ready.columns) == COLUMNS
    assert list(zip(ready["login"], ready["s3_session"], strict=True)) == [
        *(("a@x", number) for number in (1, 2, 3)),
        *(("b@x", number) for number in range(4)),
    ]
    assert list(ready["safe"]) == [f"P{number}" for number in range(7)]
    assert list(ready["output_path"][:2]) == ["/o/P0", "/o/P1"]
    assert updated is sessions
    assert all(busy for used in sessions.values() for busy in used.values())


def test_no_more_sessions_are_taken_than_there_are_products() -> None:
    sessions = _sessions("a@x")
    ready, updated = get_sessions_download_available_s3(CONF, sessions, _products(1), [])
    assert len(ready) == 1
    assert updated["a@x"] == {0: True, 1: False, 2: False, 3: False}
    assert (ready["s3_access_key"][0], ready["s3_secret"][0]) == ("key", "secret")


def test_blacklisted_accounts_are_ignored_and_empty_has_the_same_columns() -> None:
    ready, updated = get_sessions_download_available_s3(CONF, _sessions("a@x"), _products(2), ["a@x"], "logins")
    assert list(ready.columns) == COLUMNS
    assert ready.empty
    assert not any(updated["a@x"].values())


def test_two_threads_never_get_the_same_session() -> None:
    sessions = _sessions("a@x", "b@x")
    with ThreadPoolExecutor(8) as pool:
        got = list(
            pool.map(lambda _: get_sessions_download_available_s3(CONF, sessions, _products(1), [])[0], range(8))
        )
    taken = [(row.login, row.s3_session) for ready in got for row in ready.itertuples()]
    assert len(taken) == len(set(taken)) == 8


def test_a_group_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'nobody'.*logins"):
        get_sessions_download_available_s3(CONF, _sessions("a@x"), _products(1), [], "nobody")


def test_a_released_session_is_given_again() -> None:
    sessions = _sessions("a@x")
    get_sessions_download_available_s3(CONF, sessions, _products(4), [])
    assert release_s3_session_after_usage(sessions, login="a@x", session_id=2) is sessions
    ready, _ = get_sessions_download_available_s3(CONF, sessions, _products(4), [])
    assert list(ready["s3_session"]) == [2]
