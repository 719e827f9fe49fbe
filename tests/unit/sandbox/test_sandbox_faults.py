"""Faults: each kind does what its name says, to the requests that are meant and no others."""

import hashlib
import http.client
import itertools
import time

import pytest

from cdsed.sandbox.faults import KINDS, Fault, fault_from_json


def set_fault(site, kind: str, **options) -> int:
    return site.sandbox.faults.add(Fault(kind, **options))


@pytest.mark.parametrize(
    ("kind", "options", "status", "code"),
    [
        ("forbidden", {}, 403, "AccessDenied"),
        ("forbidden", {"code": "ExpiredToken"}, 403, "ExpiredToken"),
        ("not_found", {}, 404, "NoSuchKey"),
        ("internal_error", {}, 500, "InternalError"),
        ("slow_down", {}, 503, "SlowDown"),
        ("key_expired", {}, 403, "InvalidAccessKeyId"),
        ("key_not_yet_valid", {}, 403, "InvalidAccessKeyId"),
    ],
)
def test_a_refusal_has_its_status_and_code_once_and_then_all_is_well(site, kind, options, status, code):
    product = site.add("S5P")
    set_fault(site, kind, times=1, **options)
    connection = site.connect()
    answered, body = connection.get(product.key)
    assert answered == status
    assert f"<Code>{code}</Code>".encode() in body
    assert connection.get(product.key)[0] == 200
    assert site.sandbox.faults.applied() == {kind: 1}


def test_a_throttle_is_an_empty_429_with_retry_after_if_asked(site):
    product = site.add("S5P")
    set_fault(site, "throttle", retry_after_s=7)
    response = site.connect().ask(product.key)
    assert (response.status, response.headers["Retry-After"], response.read()) == (429, "7", b"")


def test_a_reset_comes_after_so_many_bytes(site):
    product = site.add("S5P")
    set_fault(site, "reset", after_bytes=100_000)
    response = site.connect().ask(product.key)
    got = bytearray()
    with pytest.raises(ConnectionResetError):
        got.extend(itertools.chain.from_iterable(iter(lambda: response.read(1000), b"")))
    response.close()
    assert len(got) <= 100_000


def test_a_reset_without_bytes_comes_before_the_headers(site):
    product = site.add("S5P")
    set_fault(site, "reset")
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        site.connect().ask(product.key)


def test_a_stall_sends_no_more_and_ends_when_the_client_goes(site, until):
    product = site.add("S5P")
    set_fault(site, "stall", after_bytes=50_000)
    connection = site.connect()
    connection.connection.timeout = 0.3
    response = connection.ask(product.key)
    assert len(response.read(50_000)) == 50_000
    with pytest.raises(TimeoutError):
        response.read(1)
    assert site.account()["open_now"] == 1
    response.close()
    connection.connection.close()
    until(lambda: not site.sandbox._connections)


def test_a_trickle_comes_at_its_rate(site):
    product = site.add("S5P", size_bytes=10_000)
    set_fault(site, "trickle", after_bytes=9_900, bytes_per_s=200)
    begun = time.monotonic()
    assert len(site.connect().get(product.key)[1]) == 10_000
    assert time.monotonic() - begun > 0.3


def test_a_short_body_ends_before_its_announced_length(site):
    product = site.add("S5P")
    set_fault(site, "short_body", after_bytes=1234)
    response = site.connect().ask(product.key)
    assert response.headers["Content-Length"] == "300000"
    with pytest.raises(http.client.IncompleteRead) as error:
        response.read()
    assert len(error.value.partial) == 1234


@pytest.mark.parametrize("kind", ["S5P", "S1_GRD"])
def test_wrong_bytes_have_the_right_length_and_headers(site, kind):
    product = site.add(kind)
    key = next(iter(product.objects)) if kind == "S5P" else product.key + "/manifest.safe"
    right = site.connect().ask(key)
    right_body = right.read()
    set_fault(site, "wrong_bytes")
    wrong = site.connect().ask(key)
    wrong_body = wrong.read()
    assert (wrong.status, wrong.headers["ETag"]) == (200, right.headers["ETag"])
    assert len(wrong_body) == len(right_body)
    assert wrong_body != right_body


def test_an_xml_body_comes_with_status_200(site):
    product = site.add("S5P")
    set_fault(site, "xml_body")
    status, body = site.connect().get(product.key)
    assert status == 200
    assert b"<Error><Code>InternalError</Code>" in body


@pytest.mark.parametrize("same_content", [False, True])
def test_a_changed_etag_stays_changed_and_fails_the_old_if_match(site, same_content):
    product = site.add("S5P")
    old_etag = product.objects[product.key].etag
    old_body = site.connect().get(product.key)[1]
    set_fault(site, "changed_etag", same_content=same_content)
    assert site.connect().get(product.key, If_Match=f'"{old_etag}"')[0] == 412
    first, second = site.connect().ask(product.key), site.connect().ask(product.key)
    assert first.headers["ETag"] == second.headers["ETag"] != f'"{old_etag}"'
    body = first.read()
    second.read()
    assert (body == old_body) is same_content
    truth = site.sandbox.bucket.named(product.spec.safename)[0].truth()[product.spec.safename]
    assert hashlib.md5(body).hexdigest() == truth.md5


def test_the_manifest_is_truthful_again_after_an_object_changed(site):
    product = site.add("S1_GRD")
    key = next(key for key in product.objects if key.endswith(".tiff"))
    set_fault(site, "changed_etag", key=key)
    body = site.connect().get(key)[1]
    manifest = site.connect().get(product.key + "/manifest.safe")[1]
    assert hashlib.md5(body).hexdigest().encode() in manifest


def test_only_requests_that_match_get_the_fault(site):
    one, other = site.add("S5P"), site.add("S5P", index=1)
    set_fault(site, "not_found", key=one.key, account="sandbox-1", operation="get")
    assert site.connect().get(one.key)[0] == 404
    assert site.connect().get(other.key)[0] == 200
    assert site.connect(1).get(one.key)[0] == 200
    assert site.connect().ask(one.key, "HEAD").status == 200


def test_a_key_matches_as_a_beginning_and_as_a_pattern(site):
    product = site.add("S1_GRD")
    manifest = product.key + "/manifest.safe"
    number = set_fault(site, "not_found", key=product.key)
    assert site.connect().get(manifest)[0] == 404
    site.sandbox.faults.remove(number)
    set_fault(site, "not_found", key="*.tiff")
    assert site.connect().get(manifest)[0] == 200
    assert site.connect().get(next(key for key in product.objects if key.endswith(".tiff")))[0] == 404


def test_skip_and_times_count_matching_requests(site):
    product = site.add("S5P")
    set_fault(site, "internal_error", skip=1, times=2)
    connection = site.connect()
    assert [connection.get(product.key)[0] for _ in range(4)] == [200, 500, 500, 200]


def test_a_fault_outside_of_its_moment_does_nothing(site):
    product = site.add("S5P")
    set_fault(site, "internal_error", from_s=3600)
    set_fault(site, "not_found", to_s=0)
    assert site.connect().get(product.key)[0] == 200


@pytest.mark.parametrize(
    "item", [{}, {"kind": "nonsense"}, {"kind": "reset", "when": 3}, {"kind": "forbidden", "code": "No"}]
)
def test_a_fault_that_makes_no_sense_is_refused(item):
    with pytest.raises(ValueError, match=r"fault has a kind|forbidden"):
        fault_from_json(item)


def test_every_kind_can_be_set():
    assert [fault_from_json({"kind": kind}).kind for kind in KINDS] == list(KINDS)
