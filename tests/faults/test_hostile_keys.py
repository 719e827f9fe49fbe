"""Names and keys that lead elsewhere, or that share one file: refused, never repaired."""

import contextlib
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdsed.config.secrets import Secret
from cdsed.dir_handle import DirHandle
from cdsed.errors import ProductError, ServiceError
from cdsed.model.eodata import is_place_of, safe_segments, split_s3_path
from cdsed.model.manifest import ManifestError, parse_manifest
from cdsed.model.safename import normalise
from cdsed.sandbox.names import realistic_safenames
from cdsed.transfer.connection import Connection, Credentials, Endpoint
from cdsed.transfer.s3_list import list_product, refuse_conflicts
from cdsed.transfer.staging import prepare, staged_sizes
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

_SEGMENTS = [
    "",
    ".",
    "..",
    "...\x00",
    "a\x00b",
    "a\nb",
    "a\rb",
    "a\tb",
    "\x1b[2J",
    "a\x7f",
    "a\x85b",
    "a\u2028b",
    "a\u202eb",
    "a\\b",
    "..\\..\\evil",
    "C:evil",
    "-rf",
    "--",
    "a b",
    " a",
    "a ",
    "~",
    "$HOME",
    "a;b",
    "a|b",
    "a*b",
    "a?b",
    "%2e%2e",
    "a%2fb",
    "é",  # NFC
    "e\u0301",  # NFD of the same
    "\ufeffa",
    "ａ",
    "\udcff",
    "x" * 256,
]
_PATHS = [
    "/a",
    "/etc/passwd",
    "a//b",
    "a/",
    "//a",
    "../a",
    "a/..",
    "a/../b",
    "./a",
    "a/./b",
    "a/../../../../etc/cron.d/x",
]


@pytest.mark.parametrize("path", [*_SEGMENTS, *_PATHS, *(f"a/{segment}/b" for segment in _SEGMENTS)])
def test_no_such_key_becomes_a_path(path):
    with pytest.raises(ValueError, match="segment"):
        safe_segments(path)


@pytest.mark.parametrize("path", ["a", "manifest.safe", ".hidden", "a/b/c+d_e-f.1.xml", "x" * 255, "..."])
def test_what_products_are_made_of_passes(path):
    assert "/".join(safe_segments(path)) == path


@given(st.text() | st.text("./-\\ab\x00\n~A\u0301é", max_size=12) | st.binary(max_size=12).map(os.fsdecode))
def test_whatever_passes_stays_below_the_product_on_a_real_disk(tmp_path_factory, text):
    try:
        segments = safe_segments(text)
    except ValueError:
        return
    top = tmp_path_factory.getbasetemp() / "below"
    (top / "product").mkdir(parents=True, exist_ok=True)
    with DirHandle.at(top / "product") as folder:
        os.close(folder.open(text, os.O_WRONLY | os.O_CREAT | os.O_EXCL, make=True))
        assert folder.sizes() == {text: 0}
        folder.remove(segments[0])
    assert [path.name for path in top.iterdir()] == ["product"]


@pytest.mark.parametrize(
    "name",
    [
        "../S1A_IW_x",
        "S1A_IW_../../x",
        "S1A_IW_..x",
        "S1A_IW_\x00",
        "S1A_IW_\u0301",
        "S1A_IW_é",
        "-S1A_IW_x",
        "S1A_IW_x\\..\\",
        "S1A_IW_" + "x" * 300,
        ".cdsed",
        "..",
        "/",
    ],
)
def test_no_such_safename_leads_out_of_the_spool(name):
    try:
        safename = normalise(name)
    except ValueError:
        return
    # A path in front is dropped, as documented. One plain name is left.
    assert safe_segments(safename) == (safename,)


@pytest.mark.parametrize(
    "paths",
    [
        ["a", "a/b"],
        ["a/b", "a"],
        ["a/b/c", "a/b"],
        ["a", "a"],
        ["a.xml", "A.XML"],
        ["m/a", "M/a"],
        ["A", "a/b"],
        ["a/B", "A/b/c"],
    ],
)
def test_two_files_that_would_want_one_name_are_refused(paths):
    with pytest.raises(ProductError) as error:
        refuse_conflicts(paths)
    assert error.value.code == "UnsafePath"


@given(st.lists(st.text("aAb/", min_size=1, max_size=6)))
def test_what_is_not_refused_can_be_made_side_by_side_even_where_capitals_do_not_count(paths):
    paths = [path for path in paths if all(path.split("/"))]
    try:
        refuse_conflicts(paths)
    except ProductError:
        return
    lower = [path.lower() for path in paths]
    assert len(set(lower)) == len(lower)
    assert not [(file, other) for file in lower for other in lower if other.startswith(f"{file}/")]


@pytest.mark.parametrize(
    ("s3_path", "fits"),
    [
        ("/eodata/S/X_1.SAFE", True),
        ("/eodata/S/X_1.SAFE.zip", True),
        ("/eodata/S/X_1", True),
        ("/eodata/S/X_2.SAFE", False),
        ("/eodata/S/.cdsed", False),
        ("/eodata/X_1.SAFE/manifest.safe", False),
    ],
)
def test_a_place_must_be_the_products_own(s3_path, fits):
    assert is_place_of(split_s3_path(s3_path), "X_1.SAFE") is fits


class _Service:
    """An S3 that lists what a test says: (key, size, etag), page after page."""

    def __init__(self) -> None:
        self.pages: list[list[tuple[str, str, str]]] = []
        self.endless = False
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                page = service.pages[0] if len(service.pages) == 1 or service.endless else service.pages.pop(0)
                contents = "".join(
                    f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size><ETag>{etag}</ETag></Contents>"
                    for key, size, etag in page
                )
                service.asked += 1
                token = service.token or service.asked
                more = f"<NextContinuationToken>{token}</NextContinuationToken>" if service.endless else ""
                truncated = str(service.endless).lower()
                body = f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{more}{contents}</ListBucketResult>"
                self.send_response(200)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                """Write no log."""

        self.asked, self.token = 0, ""
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def listed(self, *page: tuple[str, str, str]) -> list[str]:
        self.pages = [list(page)]
        connection = Connection(Endpoint(self.url, "default", 5, 5), Credentials(Secret("a" * 8), Secret("b" * 8)))
        with contextlib.closing(connection):
            return [item.path for item in list_product(connection, "me", split_s3_path("/eodata/S/P.SAFE"))]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture(scope="module")
def service() -> Iterator[_Service]:
    with contextlib.closing(_Service()) as service:
        yield service


_E = '"e"'


@pytest.mark.parametrize(
    "key",
    [
        "S/OTHER.SAFE/a",
        "S/P.SAFE",
        "S/P.SAFEx/a",
        "/etc/passwd",
        "a",
        "S/P.SAFE/../OTHER.SAFE/a",
        "S/P.SAFE//a",
        "S/P.SAFE/a/",
        "S/P.SAFE/-rf",
        "S/P.SAFE/é",
        "S/P.SAFE/a b",
        f"S/P.SAFE/{'x' * 256}",
    ],
)
def test_a_listing_with_a_key_that_is_not_a_plain_file_of_the_product_is_refused(service, key):
    with pytest.raises(ProductError) as error:
        service.listed(("S/P.SAFE/good", "1", _E), (key, "1", _E))
    assert error.value.code == "UnsafePath"


def test_a_listing_with_a_key_twice_or_in_two_spellings_is_refused(service):
    for twin in ("S/P.SAFE/good", "S/P.SAFE/GOOD", "S/P.SAFE/good/x"):
        with pytest.raises(ProductError):
            service.listed(("S/P.SAFE/good", "1", _E), (twin, "1", _E))


def test_folder_keys_of_no_bytes_are_left_out_and_empty_objects_are_files(service, tmp_path):
    folders = [("S/P.SAFE/", "0", _E), ("S/P.SAFE/m/", "0", _E), ("S/P.SAFE/../", "0", _E)]
    assert service.listed(*folders, ("S/P.SAFE/m/a", "0", _E)) == ["m/a"]
    service.pages = [[("S/P.SAFE/m/a", "0", _E)]]
    connection = Connection(Endpoint(service.url, "default", 5, 5), Credentials(Secret("a" * 8), Secret("b" * 8)))
    with contextlib.closing(connection):
        listed = list_product(connection, "me", split_s3_path("/eodata/S/P.SAFE"))
    staging = tmp_path / ".cdsed" / "P.SAFE"
    prepare(staging, listed, (), ())
    assert staged_sizes(staging) == {"m/a": 0}


@pytest.mark.parametrize(
    ("size", "etag"),
    [
        ("-1", _E),
        ("much", _E),
        ("", _E),
        ("1", ""),
        ("1", '"a&#13;&#10;X-Evil: 1"'),
        ("1", '"é"'),
        ("1", f'"{"e" * 200}"'),
        ("1", '"a" or "b"'),
    ],
)
def test_invalid_sizes_and_etags_are_the_services_fault(service, size, etag):
    with pytest.raises(ServiceError) as error:
        service.listed(("S/P.SAFE/a", size, etag))
    assert error.value.code == "InvalidResponse"
    assert str(error.value).isprintable()


def test_a_listing_without_an_end_ends(service, monkeypatch):
    monkeypatch.setattr("cdsed.transfer.s3_list._OBJECTS_MAX", 500)
    service.endless = True
    try:
        with pytest.raises(ServiceError, match="has no end"):
            service.listed(*((f"S/P.SAFE/{number}", "1", _E) for number in range(100)))
    finally:
        service.endless = False


def test_a_listing_that_continues_where_it_was_or_with_empty_pages_ends(service, monkeypatch):
    service.endless = True
    try:
        monkeypatch.setattr("cdsed.transfer.s3_list._PAGES_MAX", 20)
        with pytest.raises(ServiceError, match="has no end"):
            service.listed(("S/P.SAFE/", "0", _E))
        monkeypatch.setattr(service, "token", "always this")
        with pytest.raises(ServiceError, match="continues where it has continued before"):
            service.listed(("S/P.SAFE/a", "1", _E))
    finally:
        service.endless = False


@pytest.mark.parametrize("href", [path for path in (*_PATHS, "..", "a\\b", "-a", "./../a") if path != "./a"])
def test_a_manifest_that_names_a_file_elsewhere_is_none(href):
    checksum = f'<checksum checksumName="MD5">{"0" * 32}</checksum>'
    xml = f'<x><byteStream size="1"><fileLocation href="{href}"/>{checksum}</byteStream></x>'
    with pytest.raises(ManifestError):
        parse_manifest(xml.encode())


def test_a_daemon_parks_a_listing_that_leads_elsewhere_and_continues_with_the_rest(tmp_path: Path):
    good, other = realistic_safenames("S1_GRD", 2, seed=91)
    with SandboxProcess(1) as sandbox:
        paths = sandbox.add_products(*({"safename": name, "size_bytes": 300_000} for name in (good, other)))
        lab = Installation(tmp_path / "lab", sandbox)
        lab.drop(
            "list.csv",
            [
                "Name,S3Path",
                f"{good},{paths[good]}",
                f"{other},{paths[good]}",
                f"{other},/eodata/../../etc/{other}",
                f"../../{other}\x1b[2J,",
            ],
        )
        with DaemonProcess(lab) as daemon:
            wait_until("all is finished", lambda: lab.report("list.csv"), daemon=daemon)
        assert lab.states("list.csv") == {good: "done"}
        receipt = lab.receipt("list.csv")
        assert receipt is not None
        assert receipt["counts"]["rejected"] == 3
        assert lab.differences([good]) == []
        assert {path.name for path in lab.spool.iterdir()} == {good, ".cdsed"}
