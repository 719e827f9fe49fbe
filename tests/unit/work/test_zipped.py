"""What S3 refuses comes as a zip: watched, and in the account's books while it comes."""

import json
import os
import queue
import urllib.parse
import urllib.request

import pytest

from cdsed.credentials.token_file import Grant, TokenFile, token_path
from cdsed.errors import AccountError
from cdsed.model.product import PathSource, State
from cdsed.sandbox.names import realistic_safenames
from cdsed.store import breakers, products
from cdsed.store.breakers import Cooling, account_breaker
from cdsed.store.products import Found
from cdsed.work.finish import finish_next
from tests.support.daemon import wait_until

_SIZE_BYTES = 2_000_000
_COOLS = "SELECT count(*) FROM breaker WHERE name = 'account:a' AND open = 1"
_COUNTED = "SELECT coalesce(sum(bytes), 0) FROM traffic_hour"


@pytest.fixture
def zipped(bench):
    """Give a bench where a product waits that S3 refuses, and a token for its zip."""
    [name] = realistic_safenames("S1_OCN", 1, seed=3)
    path = bench.sandbox.add_products({"safename": name, "size_bytes": _SIZE_BYTES, "zipped": True})[name]
    bench.sandbox.fault(kind="forbidden", operation="list", code="AccessDenied")
    query = urllib.parse.urlencode({"$filter": f"Name eq '{name}'"})
    [row] = _answer(f"{bench.sandbox.catalogue_url}/Products?{query}")["value"]
    md5 = next(item["Value"] for item in row["Checksum"] if item["Algorithm"] == "MD5")
    bench.number = bench.queued(name)
    [product] = products.claim_resolving(
        bench.db, bench.clock, bench.process, (each.id for each in products.queued(bench.db, 1))
    )
    products.resolved(bench.db, bench.clock, product, Found(path, PathSource.CATALOGUE, row["Id"], md5))
    known = bench.sandbox.accounts[0]
    login = {"client_id": "cdse-public", "grant_type": "password"}
    form = urllib.parse.urlencode({**login, "username": known.user_name, "password": known.password})
    token = _answer(bench.sandbox.services["identity_url"], form.encode())["access_token"]
    TokenFile(token_path(bench.bench.settings.sessions_dir, "a")).write(Grant(token, bench.clock.boot_s() + 600))
    return bench


def _answer(url, form=None):
    with urllib.request.urlopen(url, form, timeout=10) as response:
        return json.loads(response.read())


def _arrives(zipped):
    wait_until("it is whole", lambda: finish_next(zipped.bench) and zipped.state(zipped.number) is State.DONE)


def test_a_zip_stands_in_the_books_while_it_comes_and_nothing_of_it_twice(zipped):
    zipped.sandbox.fault(kind="trickle", operation="zip", after_bytes=500_000, bytes_per_s=1_000_000)
    zipped.start()
    half = wait_until("some of it is counted", lambda: zipped.db.value(_COUNTED))
    assert half < _SIZE_BYTES
    assert zipped.state(zipped.number) is State.DOWNLOADING
    _arrives(zipped)
    [sent] = zipped.sandbox.counters()["accounts"].values()
    assert zipped.db.value(_COUNTED) == sent["bytes"] > 0.9 * _SIZE_BYTES


def test_a_disk_that_hangs_while_a_zip_is_received_or_unpacked_is_noticed(zipped, monkeypatch):
    plain_open, hanging, goes_on = os.open, queue.Queue(), queue.Queue()

    def opening(path, flags, *arguments, **options):  # stands for a disk that does not answer
        if path == ".value":
            hanging.put(flags & os.O_ACCMODE)
            goes_on.get(timeout=60)
        return plain_open(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", opening)
    zipped.start()
    for accessed in (os.O_WRONLY, os.O_RDONLY):
        assert hanging.get(timeout=60) == accessed
        stuck = wait_until("it is noticed", lambda: zipped.bench.watch.look(0.2), 10)
        goes_on.put(None)
        assert [each.place for each in stuck] == [str(zipped.bench.settings.spools[0])]
    _arrives(zipped)


def test_an_account_that_brings_a_zip_works_again(zipped):
    breakers.fail(
        zipped.db, zipped.clock, account_breaker("a"), Cooling(1, 0.1, 0.1), AccountError("too many", code="Throttled")
    )
    zipped.start()
    _arrives(zipped)
    wait_until("it works again", lambda: not zipped.db.value(_COOLS))
