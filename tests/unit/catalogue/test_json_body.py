import gc
import json

import pytest

from cdsed.catalogue.json_body import parse_json


@pytest.mark.parametrize("body", [b'{"value": [1, "\xc3\xa4"]}', b"\xef\xbb\xbf[]", "[1.5]".encode("utf-16")])
def test_a_document_is_read_as_the_standard_library_reads_it(body: bytes) -> None:
    assert parse_json(body) == json.loads(body)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_the_garbage_collector_runs_again_after_a_document_that_cannot_be_read(body: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        parse_json(body)
    assert gc.isenabled()


def test_a_garbage_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        parse_json(b"{}")
        assert not gc.isenabled()
    finally:
        gc.enable()
