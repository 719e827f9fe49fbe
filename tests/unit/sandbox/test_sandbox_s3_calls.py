"""The calls of S3 that other clients make: the first version of the list, buckets, presigned URLs."""

import http.client
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from cdsed.clock import Clock

_WRONG_QUERY = b"AuthorizationQueryParametersError"


def _keys(product):
    return list(product.objects)


def _get(url, **headers):
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)) as connection:
        connection.request("GET", f"{parts.path}?{parts.query}", headers=headers)
        response = connection.getresponse()
        return response.status, response.read()


@pytest.mark.parametrize("page", [1, 2, 7, 1000])
def test_the_first_version_lists_what_the_second_does(site, page):
    product = site.add()
    client = site.boto3()
    pages = client.get_paginator("list_objects").paginate(Bucket="eodata", PaginationConfig={"PageSize": page})
    assert [each["Key"] for part in pages for each in part.get("Contents", ())] == _keys(product)


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_folders_are_each_listed_once_over_all_pages_of_the_first_version(site, page):
    product = site.add()
    client = site.boto3()
    options = {"Bucket": "eodata", "Prefix": product.sort_key, "Delimiter": "/", "MaxKeys": page}
    files, folders, marker = [], [], ""
    while True:
        part = client.list_objects(**options, Marker=marker)
        files += [each["Key"] for each in part.get("Contents", ())]
        folders += [each["Prefix"] for each in part.get("CommonPrefixes", ())]
        if not part["IsTruncated"]:
            break
        marker = part["NextMarker"]
    inner = [key for key in _keys(product) if "/" in key.removeprefix(product.sort_key)]
    heads = {product.sort_key + key.removeprefix(product.sort_key).partition("/")[0] + "/" for key in inner}
    assert (files, folders) == ([key for key in _keys(product) if key not in inner], sorted(heads))


def test_a_marker_in_a_folder_is_behind_all_of_it(site):
    product = site.add()
    inner = next(key for key in _keys(product) if "/" in key.removeprefix(product.sort_key))
    folder = inner[: inner.index("/", len(product.sort_key)) + 1]
    part = site.boto3().list_objects(Bucket="eodata", Prefix=product.sort_key, Delimiter="/", Marker=inner)
    assert folder not in [each["Prefix"] for each in part.get("CommonPrefixes", ())]


@pytest.mark.parametrize("query", ["max-keys=x", "max-keys=-1", "encoding-type=base64"])
def test_a_list_with_a_wrong_parameter_is_refused(site, query):
    response = site.connect().ask("", query=f"?{query}")
    assert (response.status, b"InvalidArgument" in response.read()) == (400, True)


def test_buckets_and_their_region_are_those_of_cdse(site):
    client = site.boto3()
    assert [each["Name"] for each in client.list_buckets()["Buckets"]] == ["eodata"]
    assert client.get_bucket_location(Bucket="eodata")["LocationConstraint"] == "default"


@pytest.mark.parametrize("query", ["versioning", "acl", "uploads", "policy"])
def test_what_is_not_offered_is_not_answered_with_a_list(site, query):
    response = site.connect().ask("", query=f"?{query}")
    assert (response.status, b"NotImplemented" in response.read()) == (501, True)


def _presigned(site, expires_s=60, **options):
    product = site.add()
    key = _keys(product)[0]
    params = {"Bucket": "eodata", "Key": key}
    return product.objects[key], site.boto3().generate_presigned_url("get_object", params, expires_s, **options)


def test_a_presigned_url_gives_the_object(site):
    stored, url = _presigned(site)
    assert _get(url) == (200, b"".join(stored.body.pieces(0, stored.body.size_bytes)))
    assert _get(url, Range="bytes=0-9")[0] == 206


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (lambda url: url.replace("manifest", "manifesT") + "0", 403, b"SignatureDoesNotMatch"),
        (lambda url: url.replace("X-Amz-Expires=60", "X-Amz-Expires=61"), 403, b"SignatureDoesNotMatch"),
        (
            lambda url: url.replace("X-Amz-Expires=60", "X-Amz-Expires=604801"),
            400,
            b"AuthorizationQueryParametersError",
        ),
        (lambda url: url.replace("X-Amz-Expires=60", "X-Amz-Expires=0"), 400, _WRONG_QUERY),
        (lambda url: url.replace("X-Amz-Signature=", "Signature="), 400, _WRONG_QUERY),
        (lambda url: url.replace("SANDBOX", "NOBODY"), 403, b"InvalidAccessKeyId"),
        (lambda url: url.partition("?")[0] + "?", 403, b"AccessDenied"),
    ],
    ids=["signature", "changed", "too-long", "none", "unsigned", "key", "bare"],
)
def test_a_changed_presigned_url_is_refused(site, change, status, code):
    _stored, url = _presigned(site)
    answered, body = _get(change(url))
    assert (answered, code in body) == (status, True), body


@pytest.mark.parametrize(("ahead_s", "words"), [(61, b"Request has expired"), (-1000, b"RequestTimeTooSkewed")])
def test_a_presigned_url_has_its_time(start_site, ahead_s, words):
    class Turned(Clock):
        def utc_s(self):
            return super().utc_s() + ahead_s

    _stored, url = _presigned(start_site(Turned()))
    assert words in _get(url)[1]


def test_the_error_of_a_bucket_that_does_not_exist_stays(site):
    with pytest.raises(ClientError, match="NoSuchBucket"):
        site.boto3().list_objects(Bucket="another")
