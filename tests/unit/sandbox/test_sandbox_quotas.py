"""Quotas: what is counted is really open connections, and throttling is smooth."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cdsed.sandbox.accounts import read_accounts
from cdsed.sandbox.starter import accounts_yaml


def test_a_fifth_connection_is_answered_with_an_empty_429_and_counted(site):
    product = site.add("S5P")
    connections = [site.connect() for _ in range(5)]
    responses = [connection.get(product.key) for connection in connections]
    assert [status for status, _body in responses] == [200, 200, 200, 200, 429]
    assert responses[-1][1] == b""
    counters = site.account()
    assert (counters["open_now"], counters["open_max"], counters["overbooked"]) == (4, 5, 1)
    assert site.connect(1).get(product.key)[0] == 200


def test_a_closed_connection_is_free_at_once_for_the_next(site):
    product = site.add("S5P")
    for _ in range(100):
        four = [site.connect() for _ in range(4)]
        assert [connection.get(product.key)[0] for connection in four] == [200] * 4
        for connection in four:
            connection.connection.close()
    assert site.account()["overbooked"] == 0
    assert site.account()["open_max"] == 4


def test_a_connection_closed_in_the_middle_of_a_paced_body_is_noticed_at_once(start_site, until):
    site = start_site(bandwidth_bytes_per_s=1000)
    product = site.add("S5P", size_bytes=1_000_000)
    connection = site.connect()
    response = connection.ask(product.key)
    response.read(500)
    assert site.account()["open_now"] == 1
    response.close()
    connection.connection.close()
    assert site.account()["open_now"] == 0
    until(lambda: not site.sandbox._connections)


def test_bandwidth_is_held_per_connection_and_smoothly(start_site):
    site = start_site(bandwidth_bytes_per_s=4_000_000)
    product = site.add("S5P", size_bytes=2_000_000)
    begun = time.monotonic()
    response = site.connect().ask(product.key)
    received, timestamps = 0, set()
    while data := response.read1(65_536):
        received += len(data)
        at = time.monotonic() - begun
        assert received < 4_000_000 * at + 100_000, "ahead of the rate"
        timestamps.add(round(at, 2))
    assert received == 2_000_000
    assert len(timestamps) > 10, "in bursts"


def test_a_rate_beyond_the_minute_is_refused(start_site):
    site = start_site(requests_per_minute=3)
    product = site.add("S5P", size_bytes=1000)
    statuses = [site.connect().get(product.key)[0] for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    assert site.account()["overbooked"] == 0


def test_a_spent_volume_leaves_one_connection_at_a_megabyte_per_second(start_site):
    site = start_site(volume_bytes=500_000)
    product = site.add("S5P", size_bytes=500_000)
    first, second = site.connect(), site.connect()
    assert first.get(product.key)[0] == 200
    begun = time.monotonic()
    assert first.get(product.key)[0] == 200
    assert time.monotonic() - begun > 0.35
    assert second.get(product.key)[0] == 429


def test_a_key_is_unknown_before_and_after_its_validity(site, start_site):
    product = site.add("S5P")
    now = datetime.now(UTC)
    for validity in (
        {"key_expires": now - timedelta(seconds=1)},
        {"key_valid_from": now + timedelta(hours=1)},
    ):
        refusing = start_site(**validity)
        status, body = refusing.connect().get(product.key)
        assert status == 403
        assert b"<Code>InvalidAccessKeyId</Code>" in body
    assert start_site(key_expires=now + timedelta(hours=1)).connect().get(product.key)[0] == 404


def test_a_connection_changes_its_account_with_the_signature(site):
    product = site.add("S5P")
    connection = site.connect()
    connection.get(product.key)
    connection._account = replace(site.sandbox.accounts[1])
    connection.get(product.key)
    assert [site.account(index)["open_now"] for index in (0, 1)] == [0, 1]


def test_bytes_and_requests_are_counted_by_key_and_account(site):
    product = site.add("S5P", size_bytes=200_000)
    connection = site.connect()
    connection.get(product.key)
    connection.get(product.key, Range="bytes=0-49999")
    assert site.sandbox.counters.values()["keys"][product.key] == {"requests": 2, "bytes_sent": 250_000}
    assert site.account()["bytes"] == 250_000


def _organisation(start_site, *shares, **limits):
    """Return a running sandbox whose two accounts share quotas."""
    return start_site(organisation="lops", shares=shares, **limits)


def test_accounts_of_an_organisation_may_share_their_connections(start_site):
    site = _organisation(start_site, "connections", sessions=3)
    product = site.add("S5P")
    connections = [site.connect(number) for number in (0, 1, 0, 1)]
    assert [each.get(product.key)[0] for each in connections] == [200, 200, 200, 429]
    assert [site.account(number)["open_now"] for number in (0, 1)] == [2, 1]
    assert site.account(1)["overbooked"] == 1
    connections[0].connection.close()
    assert connections[3].get(product.key)[0] == 200


def test_accounts_of_an_organisation_may_share_their_requests(start_site):
    site = _organisation(start_site, "requests", requests_per_minute=3)
    product = site.add("S5P", size_bytes=1000)
    assert [site.connect(number).get(product.key)[0] for number in (0, 1, 0, 1)] == [200, 200, 200, 429]


def test_accounts_of_an_organisation_may_share_their_volume(start_site):
    site = _organisation(start_site, "volume", volume_bytes=500_000)
    product = site.add("S5P", size_bytes=300_000)
    first, second, third = site.connect(0), site.connect(1), site.connect(1)
    assert [first.get(product.key)[0], second.get(product.key)[0]] == [200, 200]
    assert third.get(product.key)[0] == 429  # one connection is left to each account, at 1 MB/s


def test_an_accounts_file_shares_what_all_of_an_organisation_share(tmp_path):
    def written(**second):
        account = {"access_key": "A", "secret_key": "s", "organisation": "lops", "shares": ["volume"]}
        accounts = [{**account, "name": "a"}, {**account, "name": "b", "access_key": "B", **second}]
        path = tmp_path / "accounts.json"
        path.write_text(json.dumps(accounts), encoding="utf-8")
        return path

    assert [account.shares for account in read_accounts(written())] == [("volume",)] * 2
    shown = accounts_yaml(read_accounts(written()))
    assert "  lops:\n    shared: [volume]\n    volume_bytes: 12000000000000\n    accounts:\n      a:\n" in shown
    assert shown.count("volume_bytes") == 1
    for wrong, complaint in (
        ({"shares": []}, "account b: should share the same volume"),
        ({"volume_bytes": 5}, r"account b: should share the same volume \(volume_bytes\)"),
        ({"shares": ["bytes"]}, "account 2: shares should be a list of volume, requests, connections"),
        ({"organisation": ""}, "account 2: shares needs an organisation"),
    ):
        with pytest.raises(ValueError, match=complaint):
            read_accounts(written(**wrong))
