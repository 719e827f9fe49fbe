"""Hostile XML: a manifest with a DOCTYPE is refused, no entity is fetched or expanded, and size is limited."""

import hashlib
import http.server
import os
import threading
import time
from pathlib import Path

import pytest

from cdsed.local.intact import check_product
from cdsed.local.whole import is_whole
from cdsed.model.manifest import MANIFEST_BYTES_MAX, ManifestError, parse_manifest
from cdsed.model.objects import Digests, StoredObject
from cdsed.transfer.verify import verify

NAME = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
_HOSTILE = {
    "doctype": "<!DOCTYPE x><x/>",
    "billion laughs": f'<!DOCTYPE x [<!ENTITY l0 "ha">{_LAUGHS}]><x>&l11;</x>',
    "quadratic": f'<!DOCTYPE x [<!ENTITY a "{"a" * 100_000}">]><x>{"&a;" * 1000}</x>',
    "file": '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x>&f;</x>',
    "network": '<!DOCTYPE x [<!ENTITY f SYSTEM "{url}">]><x>&f;</x>',
    "external dtd": '<!DOCTYPE x SYSTEM "{url}"><x/>',
    "parameter": '<!DOCTYPE x [<!ENTITY % p SYSTEM "{url}"> %p;]><x/>',
    "entity unknown": "<x>&f;</x>",
    "encoding unknown": '<?xml version="1.0" encoding="klingon"?><x/>',
    "nothing": "",
    "incomplete": "<x><y>",
    "control": "<x>\x00</x>",
}


class _Listener:
    def __init__(self) -> None:
        self.asked: list[str] = []
        listener = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                listener.asked.append(self.path)
                self.send_error(404)

            def log_message(self, *_: object) -> None:
                """Write no log."""

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/x"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()


@pytest.fixture(scope="module")
def listener():
    listener = _Listener()
    yield listener
    listener.server.shutdown()
    listener.server.server_close()
    listener.thread.join()


@pytest.mark.parametrize("xml", _HOSTILE.values(), ids=_HOSTILE.keys())
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_hostile_manifest_is_none_at_once_and_nothing_is_fetched(listener, xml, encoding):
    began_s = time.monotonic()
    with pytest.raises(ManifestError):
        parse_manifest(xml.replace("{url}", listener.url).encode(encoding))
    assert time.monotonic() - began_s < 5
    assert listener.asked == []


def test_a_manifest_larger_than_any_is_refused_unread():
    with pytest.raises(ManifestError, match="has more than"):
        parse_manifest(b" " * (MANIFEST_BYTES_MAX + 1))


def test_nesting_without_end_does_not_end_the_process():
    deep = b"<a>" * 100_000
    with pytest.raises(ManifestError):
        parse_manifest(deep)
    assert parse_manifest(deep + b"</a>" * 100_000).entries == ()


@pytest.mark.parametrize("kind", ["billion laughs", "file"])
def test_a_product_with_a_hostile_manifest_is_a_bad_copy_and_never_whole(tmp_path: Path, kind: str):
    data = _HOSTILE[kind].encode()
    staging = tmp_path / ".cdsed" / NAME
    staging.mkdir(parents=True)
    (staging.parent).chmod(0o700)
    (staging / "manifest.safe").write_bytes(data)
    stored = StoredObject(1, "k", "manifest.safe", len(data), hashlib.md5(data).hexdigest(), Digests(), None)
    verdict = verify(staging, NAME, [stored], md5=None, manifest_counts=True, stop=threading.Event())
    assert set(verdict.bad) == {1}
    assert not is_whole(staging)
    assert not check_product(staging).good


def test_a_manifest_without_end_on_disk_is_read_no_further_than_any_can_be(tmp_path: Path):
    product = tmp_path / NAME
    product.mkdir()
    (product / "manifest.safe").touch()
    os.truncate(product / "manifest.safe", 2**42)  # a sparse file: reading all of it would exhaust memory
    assert not is_whole(product)
    assert not check_product(product).good
