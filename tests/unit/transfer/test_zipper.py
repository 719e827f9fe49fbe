import contextlib
import hashlib
import io
import random
import threading
import zipfile

import pytest

from cdsed.errors import AccountError, ProductError, ServiceError, Stopped
from cdsed.transfer.zipper import ARCHIVE_NAME, fetch_zip, origin
from tests.support.zip_host import NAME, TOKEN, Host, archive, context, download, get


def test_a_zip_becomes_the_files_of_the_product(zip_host, zip_staging):
    listed = get(zip_host, zip_staging, archive(**{"manifest.safe": b"<x/>", "measurement/a.tiff": b"A" * 10_000}))

    assert [(item.path, item.size_bytes) for item in listed] == [("manifest.safe", 4), ("measurement/a.tiff", 10_000)]
    assert listed[1].etag == hashlib.md5(b"A" * 10_000).hexdigest()
    files = {path.relative_to(zip_staging).as_posix() for path in zip_staging.rglob("*") if path.is_file()}
    assert files == {"manifest.safe", "measurement/a.tiff"}, "the archive is gone"
    assert zip_host.seen == [("/v", f"Bearer {TOKEN}")]


def test_a_single_object_keeps_its_name(zip_host, tmp_path):
    name = "S5P_OFFL_L2__NO2____20240604T110100_20240604T124230_34400_03_020600_20240606T030000.nc"
    (tmp_path / name).mkdir()
    body = b"not a zip at all" * 1000
    zip_host.answers["/v"] = (200, {}, body)
    (item,) = fetch_zip(download(zip_host, body, safename=name), context(), tmp_path / name)
    assert (item.path, item.size_bytes) == (name, len(body))
    assert (tmp_path / name / name).read_bytes() == body


def test_a_redirect_to_an_allowed_host_takes_the_token_along(zip_host, zip_staging):
    body = archive(a=b"1")
    with contextlib.closing(Host()) as catalogue:
        catalogue.answers["/v"] = (301, {"Location": f"{zip_host.url}/v"}, b"")
        zip_host.answers["/v"] = (200, {}, body)
        origins = frozenset({origin(catalogue.url), origin(zip_host.url)})
        fetch_zip(download(catalogue, body, origins=origins), context(), zip_staging)
    assert zip_host.seen == [("/v", f"Bearer {TOKEN}")]


def test_a_redirect_to_an_unknown_host_is_refused_before_the_token(zip_host, zip_staging):
    with contextlib.closing(Host()) as stranger:
        stranger.answers["/v"] = (200, {}, b"x")
        with pytest.raises(ServiceError) as refused:
            get(zip_host, zip_staging, b"", {"Location": f"{stranger.url}/v"}, 301)
        assert refused.value.code == "UntrustedRedirect"
        assert stranger.seen == []
    assert TOKEN not in str(refused.value)


def test_a_redirect_to_itself_ends(zip_host, zip_staging):
    with pytest.raises(ServiceError) as refused:
        get(zip_host, zip_staging, b"", {"Location": "/v"}, 302)
    assert refused.value.code == "Redirects"
    assert len(zip_host.seen) == 4


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (401, b'{"code":"DAT-ZIP-109","message":"Token expired"}', ServiceError, "DAT-ZIP-109"),
        (401, b'{"code":"DAT-ZIP-604","message":"Token not found"}', ServiceError, "DAT-ZIP-604"),
        (401, b'{"code":"DAT-ZIP-609","message":"Token audience not allowed"}', AccountError, "AccessDenied"),
        (403, b"", AccountError, "AccessDenied"),
        (429, b'{"code":"DAT-ZIP-100","message":"Max session number 4 exceeded."}', AccountError, "Throttled"),
        (400, b'{"code":"DAT-ZIP-104","message":"Malformed OData request path"}', ProductError, "ZipRefused"),
        (422, b'{"code":"DAT-ZIP-111","message":"no"}', ProductError, "ZipRefused"),
        (404, b"<html>", ServiceError, "ProxyResponse"),
        (404, b"", ServiceError, "ProxyResponse"),
        (403, b"<html>", ServiceError, "ProxyResponse"),
        (404, b'{"access_token": "x"}', ServiceError, "ProxyResponse"),
        (404, b'{"detail": "Not found"}', ServiceError, "BadRequest"),
        (404, b'{"message": "no Route matched with those values"}', ServiceError, "BadRequest"),
        (429, b"<html>", AccountError, "ThrottledElsewhere"),
        (503, b"", ServiceError, "503"),
    ],
)
def test_a_refusal_of_the_zipper_has_its_domain_and_code(zip_host, zip_staging, status, body, kind, code):
    with pytest.raises(kind) as refused:
        get(zip_host, zip_staging, body, status=status)
    assert refused.value.code == code
    assert NAME in str(refused.value)


def test_an_early_end_is_not_taken_for_the_whole(zip_host, zip_staging):
    body = archive(a=b"1" * 10_000)
    with pytest.raises(ServiceError) as refused:
        get(zip_host, zip_staging, body, {"Content-Length": str(len(body) + 1)})
    assert refused.value.code == "TruncatedBody"


def test_another_md5_than_the_catalogues_is_no_fault_of_the_product(zip_host, zip_staging):
    with pytest.raises(ServiceError) as refused:
        get(zip_host, zip_staging, archive(a=b"1"), md5="0" * 32)
    assert refused.value.code == "DamagedZip"
    assert [path.name for path in zip_staging.iterdir()] == [ARCHIVE_NAME], "nothing of it is unpacked"


@pytest.mark.parametrize("kind", ["text/plain", "text/html; charset=utf-8", "application/json"])
def test_a_body_that_calls_itself_a_text_is_no_product(zip_host, zip_staging, kind):
    with pytest.raises(ServiceError) as refused:
        get(zip_host, zip_staging, b"upstream connect error", {"Content-Type": kind})
    assert refused.value.code == "ProxyResponse"


def test_stop_ends_it(zip_host, zip_staging):
    body = archive(a=b"1" * 100_000)
    zip_host.answers["/v"] = (200, {}, body)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        fetch_zip(download(zip_host, body), context(stop), zip_staging)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_member_is_a_bad_copy_and_not_a_disk_error(zip_host, zip_staging, method):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as opened:
        opened.writestr(f"{NAME}/a", random.Random(1).randbytes(5000))
    damaged = bytearray(data.getvalue())
    first = 30 + len(NAME) + 2  # after the local header
    damaged[first + 3 : first + 40] = b"\xff" * 37

    with pytest.raises(ProductError) as caught:
        get(zip_host, zip_staging, bytes(damaged))

    assert caught.value.code == "VerificationFailed"


def test_a_member_whose_name_is_no_text_is_a_bad_copy(zip_host, zip_staging):
    body = archive(**{"manifest\u00e4.safe": b"x"}).replace("\u00e4".encode(), b"\xff\xfe")

    with pytest.raises(ProductError) as caught:
        get(zip_host, zip_staging, body)

    assert caught.value.code == "VerificationFailed"


def test_a_refusal_nested_without_end_is_a_refusal_all_the_same(zip_host, zip_staging):
    with pytest.raises(ServiceError) as caught:
        get(zip_host, zip_staging, b"[" * 60_000, status=500)

    assert caught.value.code == "500"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"<!DOCTYPE html><html><body>Sign in</body></html>", "ProxyResponse", id="a page"),
        pytest.param(b"", "ProxyResponse", id="nothing"),
        pytest.param(b'{"@odata.context": "$metadata#Products", "value": []}', "ProxyResponse", id="JSON"),
        pytest.param(b"<Error><Code>NoSuchKey</Code></Error>", "ProxyResponse", id="an answer of S3"),
        pytest.param(b"any other bytes", "ProxyResponse", id="no zip"),
        pytest.param(b"PK\x03\x04" + bytes(500), "TruncatedBody", id="half a zip"),
    ],
)
def test_what_is_no_zip_costs_no_product_an_attempt_whatever_its_length_says(zip_host, zip_staging, body, code):
    zip_host.answers["/v"] = (200, {}, body)
    with pytest.raises(ServiceError) as refused:
        fetch_zip(download(zip_host, b"the true one"), context(), zip_staging)
    assert refused.value.code == code
