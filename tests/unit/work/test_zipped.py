"""What S3 refuses comes as a zip: watched for stalls, and counted for the account."""

import json
import os
import queue
import urllib.parse
import urllib.request
from dataclasses import dataclass

import pytest

from cdsed.credentials.token_file import TokenFile, TokenGrant, token_path
from cdsed.errors import AccountError
from cdsed.model.product_state import PathSource, State
from cdsed.sandbox.names import realistic_safenames
from cdsed.store import breakers, products
from cdsed.store.breakers import BreakerPolicy, account_breaker
from cdsed.store.products import Found
from cdsed.work.finish import finish_next
from tests.support.daemon import wait_until
from tests.support.download_lab import DownloadLab

_SIZE_BYTES = 2_000_000
_BACKS_OFF = "SELECT count(*) FROM breaker WHERE name = 'account:a' AND open = 1"
_COUNTED = "SELECT coalesce(sum(bytes), 0) FROM traffic_hour"


@dataclass(frozen=True)
class Zipped:
    """A product that waits, which S3 refuses; there is a token for its zip."""

    lab: DownloadLab
    number: int


@pytest.fixture
def zipped(worker_lab):
    [name] = realistic_safenames("S1_OCN", 1, seed=3)
    path = worker_lab.sandbox.add_products({"safename": name, "size_bytes": _SIZE_BYTES, "zipped": True})[name]
    worker_lab.sandbox.fault(kind="forbidden", operation="list", code="AccessDenied")
    query = urllib.parse.urlencode({"$filter": f"Name eq '{name}'"})
    [row] = _response(f"{worker_lab.sandbox.catalogue_url}/Products?{query}")["value"]
    md5 = next(item["Value"] for item in row["Checksum"] if item["Algorithm"] == "MD5")
    number = worker_lab.queued(name)
    [product] = products.claim_resolving(
        worker_lab.db, worker_lab.clock, worker_lab.process, (each.id for each in products.queued(worker_lab.db, 1))
    )
    products.resolved(worker_lab.db, worker_lab.clock, product, Found(path, PathSource.CATALOGUE, row["Id"], md5))
    known = worker_lab.sandbox.accounts[0]
    login = {"client_id": "cdse-public", "grant_type": "password"}
    form = urllib.parse.urlencode({**login, "username": known.user_name, "password": known.password})
    token = _response(worker_lab.sandbox.services["identity_url"], form.encode())["access_token"]
    TokenFile(token_path(worker_lab.context.settings.sessions_dir, "a")).write(
        TokenGrant(token, worker_lab.clock.boot_s() + 600)
    )
    return Zipped(worker_lab, number)


def _response(url, form=None):
    with urllib.request.urlopen(url, form, timeout=10) as response:
        return json.loads(response.read())


def _arrives(zipped):
    wait_until("it is whole", lambda: finish_next(zipped.lab.context) and zipped.lab.state(zipped.number) is State.DONE)


def test_a_zip_stands_in_the_books_while_it_comes_and_nothing_of_it_twice(zipped):
    zipped.lab.sandbox.fault(kind="trickle", operation="zip", after_bytes=500_000, bytes_per_s=1_000_000)
    zipped.lab.start()
    half = wait_until("some of it is counted", lambda: zipped.lab.db.value(_COUNTED))
    assert half < _SIZE_BYTES
    assert zipped.lab.state(zipped.number) is State.DOWNLOADING
    _arrives(zipped)
    sandbox = zipped.lab.sandbox
    sent = sandbox.counters()["accounts"][sandbox.accounts[0].name]
    assert zipped.lab.db.value(_COUNTED) == sent["bytes"] > 0.9 * _SIZE_BYTES


def test_a_disk_that_hangs_while_a_zip_is_received_or_unpacked_is_noticed(zipped, monkeypatch):
    plain_open, hanging, goes_on = os.open, queue.Queue(), queue.Queue()

    def opening(path, flags, *arguments, **options):  # stands for a disk that does not answer
        if path == ".value":
            hanging.put(flags & os.O_ACCMODE)
            goes_on.get(timeout=60)
        return plain_open(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", opening)
    zipped.lab.start()
    for accessed in (os.O_WRONLY, os.O_RDONLY):
        assert hanging.get(timeout=60) == accessed
        stuck = wait_until("it is noticed", lambda: zipped.lab.context.disks.watch.look(0.2), 10)
        goes_on.put(None)
        assert [each.place for each in stuck] == [str(zipped.lab.context.settings.spools[0])]
    _arrives(zipped)


def test_an_account_that_brings_a_zip_works_again(zipped):
    breakers.fail(
        zipped.lab.db,
        zipped.lab.clock,
        account_breaker("a"),
        BreakerPolicy(1, 0.1, 0.1),
        AccountError("too many", code="Throttled"),
    )
    zipped.lab.start()
    _arrives(zipped)
    wait_until("it works again", lambda: not zipped.lab.db.value(_BACKS_OFF))


@pytest.mark.parametrize("one_only", [True, False])
def test_the_zipper_fails_for_one_product_only_if_it_still_answers_for_another(zipped, one_only):
    """Five failures are entered in the state, because they take a minute."""
    lab = zipped.lab
    product_id = products.get(lab.db, zipped.number).product_id
    lab.db.rows("UPDATE product SET transient_failures = 5")
    narrowed = {"key": f"*{product_id}*"} if one_only else {}
    lab.sandbox.fault(kind="page", status=502, operation="zip", **narrowed)
    lab.start()
    wait_until("it waits", lambda: lab.state(zipped.number) is State.RETRY_WAIT)
    assert products.get(lab.db, zipped.number).attempts == int(one_only)
    assert breakers.last_failure(lab.db, breakers.SERVICE) is None
    assert (breakers.last_failure(lab.db, breakers.ZIPPER) is None) is one_only
