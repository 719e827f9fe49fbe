"""Whatever a manifest holds, it is read or refused, and names nothing outside its product."""

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cdsed.model.eodata import safe_segments
from cdsed.model.manifest import ManifestError, parse_manifest
from tests.fuzz.campaign import examples
from tests.fuzz.mutations import mutated

_SIBLING = Path(__file__).parents[3] / "shared" / "data"
_DATA = Path(os.environ.get("CDSED_SHARED_DATA", _SIBLING))

MANIFEST = b"""<?xml version="1.0" encoding="UTF-8"?>
<xfdu:XFDU xmlns:xfdu="urn:ccsds:schema:xfdu:1"><dataObjectSection><dataObject ID="a">
<byteStream mimeType="text/xml" size="300"><fileLocation locatorType="URL" href="./annotation/a.xml"/>
<checksum checksumName="MD5">d41d8cd98f00b204e9800998ecf8427e</checksum></byteStream></dataObject>
</dataObjectSection></xfdu:XFDU>"""
LAUGHS = b"".join(b'<!ENTITY l%d "%b">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))


def _check(data: bytes) -> None:
    try:
        manifest = parse_manifest(data)
    except ManifestError as refusal:
        said = str(refusal)
    else:
        for entry in manifest.entries:
            assert safe_segments(entry.path)
            assert entry.size_bytes is None or 0 <= entry.size_bytes < 2**63
        return
    assert 0 < len(said) < 1000


@examples(300)
@given(st.one_of(mutated(MANIFEST), st.binary(max_size=300)))
@example(MANIFEST.replace(b"UTF-8", b"UTF-7"))
@example(MANIFEST.replace(b"UTF-8", b"punycode"))
@example(MANIFEST.replace(b"UTF-8", b"idna"))
@example(MANIFEST.replace(b"UTF-8", b"utf-16"))
@example(MANIFEST.replace(b"UTF-8", b"rot13"))
@example(MANIFEST.replace(b"./annotation", b"../annotation"))
@example(MANIFEST.replace(b"./annotation", b"/etc"))
@example(b'<!DOCTYPE x [<!ENTITY l0 "ha">' + LAUGHS + b"]><x>&l9;</x>")
@example(b"<a>" * 100_000)
@example(b"<a " + b"b" * 100_000)
@example(b"")
def test_any_manifest_is_read_or_refused(data: bytes) -> None:
    _check(data)


@examples(60)
@given(st.data())
def test_real_manifests_may_be_spoilt_in_any_way(data: st.DataObject) -> None:
    manifests = sorted(_DATA.glob("manifests/*/*"))
    if not manifests:
        pytest.skip("no real manifests here: set CDSED_SHARED_DATA")
    _check(data.draw(mutated(data.draw(st.sampled_from(manifests)).read_bytes())))
