"""S3 of the sandbox, asked by the real boto3 and by bare signed requests."""

import hashlib
import socket
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from cdsed.clock import Clock
from cdsed.errors import UsageError
from cdsed.sandbox.server import Sandbox


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


def test_boto3_lists_and_fetches_a_whole_product(site):
    product = site.add("S1_GRD")
    client = site.boto3()
    listing = client.list_objects_v2(Bucket="eodata", Prefix=product.key + "/")
    assert [entry["Key"] for entry in listing["Contents"]] == sorted(product.objects)
    truth = product.truth()
    for entry in listing["Contents"]:
        response = client.get_object(Bucket="eodata", Key=entry["Key"])
        data = response["Body"].read()
        assert response["ETag"] == entry["ETag"]
        assert len(data) == entry["Size"]
        assert hashlib.md5(data).hexdigest() == truth[entry["Key"].removeprefix(product.key + "/")].md5


@pytest.mark.parametrize("page", [1, 7, 25, 1000])
def test_paging_gives_every_key_exactly_once(site, page):
    site.add("S1_GRD")
    site.add("S1_GRD", index=1)
    site.add("S5P")
    pages = site.boto3().get_paginator("list_objects_v2").paginate(Bucket="eodata", PaginationConfig={"PageSize": page})
    keys = [entry["Key"] for response in pages for entry in response["Contents"]]
    wanted = [stored.key for stored in site.sandbox.bucket.listing("", "")]
    assert keys == wanted == sorted(set(wanted))
    assert len(keys) > 40


def test_a_delimiter_folds_keys_into_folders_also_over_pages(site):
    product = site.add("S1_GRD")
    pages = (
        site.boto3()
        .get_paginator("list_objects_v2")
        .paginate(Bucket="eodata", Prefix=product.key + "/", Delimiter="/", PaginationConfig={"PageSize": 1})
    )
    folders, keys = [], []
    for response in pages:
        folders += [entry["Prefix"] for entry in response.get("CommonPrefixes", [])]
        keys += [entry["Key"] for entry in response.get("Contents", [])]
    assert [folder.removeprefix(product.key) for folder in folders] == [
        "/annotation/",
        "/measurement/",
        "/preview/",
        "/support/",
    ]
    assert keys == [product.key + "/manifest.safe"]


def test_a_prefix_without_its_slash_does_not_hide_that_siblings_match(site):
    one = site.add("S3")
    site.add("S3", index=1, s3_path=one.s3_path + "-longer")
    client = site.boto3()
    with_slash = client.list_objects_v2(Bucket="eodata", Prefix=one.key + "/")
    without = client.list_objects_v2(Bucket="eodata", Prefix=one.key)
    assert with_slash["KeyCount"] == len(one.objects) < without["KeyCount"]


def test_odd_characters_in_keys_survive_listing_and_signature(site):
    product = site.add("S5P", s3_path="/eodata/a b/ü&<+>=~/x%41.nc")
    client = site.boto3()
    listing = client.list_objects_v2(Bucket="eodata", Prefix="a b/")
    assert [entry["Key"] for entry in listing["Contents"]] == [product.key]
    body = client.get_object(Bucket="eodata", Key=product.key)["Body"].read()
    assert hashlib.md5(body).hexdigest() == product.truth()[product.spec.safename].md5


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=1000-99999", 1000, 100_000),
        ("bytes=299990-400000", 299_990, 300_000),
        ("bytes=5-", 5, 300_000),
        ("bytes=-7", 299_993, 300_000),
    ],
)
def test_a_range_is_exactly_that_part_of_the_object(site, asked, first, end):
    product = site.add("S5P")
    whole = site.connect().get(product.key)[1]
    response = site.connect().ask(product.key, Range=asked)
    assert response.read() == whole[first:end]
    assert response.status == 206
    assert response.headers["Content-Range"] == f"bytes {first}-{end - 1}/300000"


def test_a_range_behind_the_end_is_refused(site):
    product = site.add("S5P")
    status, body = site.connect().get(product.key, Range="bytes=300000-")
    assert status == 416
    assert b"<Code>InvalidRange</Code>" in body


def test_ranges_across_the_block_join_to_the_whole(site):
    product = site.add("S5P", size_bytes=3_500_000)
    connection = site.connect()
    pieces = [
        connection.get(product.key, Range=f"bytes={start}-{min(start + 700_000, 3_500_000) - 1}")[1]
        for start in range(0, 3_500_000, 700_000)
    ]
    assert hashlib.md5(b"".join(pieces)).hexdigest() == hashlib.md5(site.connect().get(product.key)[1]).hexdigest()
    assert len(set(pieces)) == 5


def test_if_match_holds_and_fails(site):
    product = site.add("S5P")
    etag = product.objects[product.key].etag
    assert site.connect().get(product.key, If_Match=f'"{etag}"')[0] == 200
    with pytest.raises(ClientError) as error:
        site.boto3().get_object(Bucket="eodata", Key=product.key, IfMatch='"other"')
    assert code_of(error) == "PreconditionFailed"


def test_head_says_size_and_etag_and_sends_no_body(site):
    product = site.add("S5P")
    head = site.boto3().head_object(Bucket="eodata", Key=product.key)
    assert head["ContentLength"] == 300_000
    assert head["ETag"] == f'"{product.objects[product.key].etag}"'
    connection = site.connect()
    response = connection.ask(product.key, "HEAD")
    assert response.read() == b""
    assert connection.get(product.key)[0] == 200  # the connection is still in step


def test_a_small_object_has_its_md5_as_etag_and_a_large_one_has_not(site):
    small, large = site.add("S5P"), site.add("S5P", index=1, size_bytes=17 * 2**20)
    assert small.objects[small.key].etag == small.truth()[small.spec.safename].md5
    assert "-" in large.objects[large.key].etag


def test_a_missing_key_is_no_such_key(site):
    with pytest.raises(ClientError) as error:
        site.boto3().get_object(Bucket="eodata", Key="Sentinel-1/nothing")
    assert code_of(error) == "NoSuchKey"


def test_an_unknown_key_and_a_wrong_secret_differ(site):
    good = site.sandbox.accounts[0]
    with pytest.raises(ClientError) as error:
        site.boto3(replace(good, access_key="NOBODY")).list_objects_v2(Bucket="eodata")
    assert code_of(error) == "InvalidAccessKeyId"
    with pytest.raises(ClientError) as error:
        site.boto3(replace(good, secret_key="wrong")).list_objects_v2(Bucket="eodata")
    assert code_of(error) == "SignatureDoesNotMatch"
    assert site.account()["refused"] == 1


def test_a_request_that_was_changed_after_signing_is_refused(site):
    product = site.add("S5P")
    connection = site.connect()
    connection.ask(product.key).read()
    signed = {"Authorization": "AWS4-HMAC-SHA256 nonsense"}
    connection.connection.request("GET", f"/eodata/{product.key}", headers=signed)
    response = connection.connection.getresponse()
    assert response.status == 403
    assert b"<Code>AccessDenied</Code>" in response.read()


class ClockAhead(Clock):
    def utc_s(self) -> float:
        return super().utc_s() + 3600


def test_a_client_whose_clock_is_an_hour_off_is_refused(start_site):
    site = start_site(clock=ClockAhead())
    with pytest.raises(ClientError) as error:
        site.boto3().list_objects_v2(Bucket="eodata")
    assert code_of(error) == "RequestTimeTooSkewed"


def test_the_sandbox_refuses_to_leave_loopback():
    with pytest.raises(UsageError, match="loopback only"):
        Sandbox([], host="0.0.0.0")


def test_folder_markers_are_listed_as_empty_keys(site):
    product = site.add("S2_L1C", folder_markers=True)
    listing = site.boto3().list_objects_v2(Bucket="eodata", Prefix=product.key + "/")
    markers = [entry for entry in listing["Contents"] if entry["Key"].endswith("/")]
    assert {entry["Size"] for entry in markers} == {0}
    assert product.key + "/AUX_DATA/" in {entry["Key"] for entry in markers}


def test_an_unlisted_product_is_there_but_not_listed_and_an_offline_one_is_not_there(site):
    unlisted, offline = site.add("S5P", listed=False), site.add("S5P", index=1, online=False)
    assert "Contents" not in site.boto3().list_objects_v2(Bucket="eodata")
    assert site.connect().get(unlisted.key)[0] == 200
    assert site.connect().get(offline.key)[0] == 404


@pytest.mark.parametrize("wire", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"])
def test_what_is_not_http_is_answered_with_400_and_closed(site, wire):
    with socket.create_connection(("127.0.0.1", site.sandbox.port), timeout=10) as raw:
        raw.sendall(wire)
        response = b"".join(iter(lambda: raw.recv(4096), b""))
    assert response.startswith(b"HTTP/1.1 400 ")
