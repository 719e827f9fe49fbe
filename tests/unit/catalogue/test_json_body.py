import gc
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdsed.catalogue.json_body import CollectorPause, parse_json


@pytest.mark.parametrize(
    "body",
    [
        b'{"value": [1, "\xc3\xa4"]}',
        b"\xef\xbb\xbf[]",
        "[1.5]".encode("utf-16"),
        b'["\\ud800"]',
        b'{"a": 1, "a": 2}',
        b"[1e999, -0.0, 0.1, 123456789012345678901234567890, 1.7976931348623157e308, 5e-324]",
        b'"\\u00e4\\ud83d\\ude00\\u0000"',
    ],
)
def test_a_document_is_read_as_the_standard_library_reads_it(body: bytes) -> None:
    assert repr(parse_json(body)) == repr(json.loads(body))


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(_VALUES, st.booleans())
def test_any_document_is_read_as_the_standard_library_reads_it(value: object, is_ascii: bool) -> None:
    body = json.dumps(value, ensure_ascii=is_ascii).encode()
    assert repr(parse_json(body)) == repr(json.loads(body))


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


def test_of_several_threads_that_read_the_last_one_starts_it_again() -> None:
    pause = CollectorPause()
    first, second = pause.held(), pause.held()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not gc.isenabled()
    second.__exit__(None, None, None)
    assert gc.isenabled()
