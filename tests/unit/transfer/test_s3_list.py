"""Listing: paging, markers, single objects and keys that must not become files; all over the one connection."""

import http.server
import threading

import pytest

from cdsed.errors import AccountError, ProductError, ServiceError
from cdsed.model.eodata import split_s3_path
from cdsed.transfer.s3_list import list_product


def test_a_product_is_listed_by_path_with_sizes_and_etags(s3_lab):
    name, s3_path = s3_lab.product("S1_GRD")
    truth = s3_lab.sandbox.truth(name)
    listed = s3_lab.listed(s3_path)
    assert {item.path: (item.size_bytes, item.etag) for item in listed} == {
        path: (file.size_bytes, file.md5) for path, file in truth.items()
    }
    assert [item.path for item in listed] == sorted(item.path for item in listed)


def test_more_than_a_page_of_objects_is_listed_whole(s3_lab):
    _, s3_path = s3_lab.product("S3", objects=2300)
    s3_lab.sandbox.reset_counters()
    listed = s3_lab.listed(s3_path)
    assert len(listed) >= 2300
    assert len({item.path for item in listed}) == len(listed)
    pages = [request for request in s3_lab.sandbox.requests() if request["operation"] == "list"]
    assert len(pages) == 3


def test_folder_markers_are_no_files(s3_lab):
    _, plain = s3_lab.product("S2_L1C")
    name, marked = s3_lab.product("S2_L1C", folder_markers=True)
    assert len(s3_lab.listed(plain)) > 1
    assert {item.path for item in s3_lab.listed(marked)} == set(s3_lab.sandbox.truth(name))


def test_a_product_may_be_one_object(s3_lab):
    name, s3_path = s3_lab.product("S5P")
    [item] = s3_lab.listed(s3_path)
    assert (item.path, item.size_bytes) == (name, s3_lab.sandbox.truth(name)[name].size_bytes)
    assert item.etag


def test_a_prefix_without_objects_is_empty(s3_lab):
    assert s3_lab.listed("/eodata/Sentinel-1/SAR/nowhere/X.SAFE") == []


def test_a_list_uses_only_the_connection_of_the_session(s3_lab):
    _, s3_path = s3_lab.product("S3", objects=1500)
    s3_lab.sandbox.reset_counters()
    s3_lab.listed(s3_path)
    account = s3_lab.sandbox.counters()["accounts"][s3_lab.sandbox.accounts[0].name]
    assert account["open_max"] == 1


@pytest.mark.parametrize(
    ("kind", "fault_domain", "code"),
    [
        ("forbidden", AccountError, "AccessDenied"),
        ("key_expired", AccountError, "InvalidAccessKeyId"),
        ("throttle", AccountError, "Throttled"),
        ("internal_error", ServiceError, "InternalError"),
        ("slow_down", ServiceError, "SlowDown"),
    ],
)
def test_a_refused_list_has_its_domain(s3_lab, kind, fault_domain, code):
    _, s3_path = s3_lab.product("S1_GRD")
    s3_lab.sandbox.fault(kind=kind, operation="list", times=1)
    with pytest.raises(fault_domain) as error:
        s3_lab.listed(s3_path)
    assert error.value.code == code
    assert len(s3_lab.listed(s3_path)) > 1


@pytest.mark.parametrize("after_bytes", [0, 200])
@pytest.mark.parametrize("kind", ["short_body", "reset", "xml_body"])
def test_half_a_listing_is_not_a_small_one(s3_lab, kind, after_bytes):
    _, s3_path = s3_lab.product("S1_GRD")
    s3_lab.sandbox.fault(kind=kind, operation="list", times=1, after_bytes=after_bytes)
    with pytest.raises(ServiceError):
        s3_lab.listed(s3_path)
    assert len(s3_lab.listed(s3_path)) > 1


class _Hostile(http.server.BaseHTTPRequestHandler):
    """A service that lists whatever the test says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        contents = "".join(
            f'<Contents><Key>P.SAFE/{key}</Key><Size>1</Size><ETag>"e"</ETag></Contents>' for key in self.server.keys
        )
        body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Write no log."""


@pytest.mark.parametrize(
    "keys",
    [
        ["../evil"],
        ["a/../../evil"],
        ["a//b"],
        ["./a"],
        ["a\\b"],
        ["a&#10;b"],
        ["a", "a/b"],
        ["a/b/c", "a/b"],
        ["x" * 300],
    ],
)
def test_keys_that_cannot_become_files_are_refused(s3_lab, keys):
    server = http.server.HTTPServer(("127.0.0.1", 0), _Hostile)
    server.keys = keys
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    connection = s3_lab.connect(url=f"http://127.0.0.1:{server.server_port}")
    try:
        with pytest.raises(ProductError) as error:
            list_product(connection, "me", split_s3_path("/eodata/P.SAFE"))
    finally:
        connection.close()
        server.shutdown()
        thread.join()
        server.server_close()
    assert error.value.code == "UnsafePath"
