"""The bar of downloads: the words of cdsodatacli, on streams of each kind."""

import io
import sys
import types

import pytest

from cdsed.view import transfer_bar as bars
from cdsed.view.progress import DownloadProgress
from cdsed.view.transfer_bar import described, is_interactive, transfer_bar

HALF = DownloadProgress(3, 1, 4, 34_100_000, 65.0, {"first": "●●○·", "second": "✕✕"})


def test_the_text_has_counts_sessions_rate_and_time() -> None:
    assert described(HALF) == ("OK=3 | ERR=1 | todo=4 | //=2 | first:[●●○·] second:[✕✕] | 34.1 MB/s | ETA≈1m05s")
    assert described(DownloadProgress(0, 0, 4, 0, None, {})) == "OK=0 | ERR=0 | todo=4 | //=0"
    assert described(DownloadProgress(0, 0, 4, 1, 7_380, {})).endswith("ETA≈2h03m")


def test_a_pipe_gets_the_bar_at_times_and_the_last_one_always(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, now_s = io.StringIO(), [100.0]
    monkeypatch.setattr(bars.time, "monotonic", lambda: now_s[0])
    with transfer_bar(stream) as show:
        for to_do in (4, 3, 2):
            show(DownloadProgress(4 - to_do, 0, to_do, 0, None, {}))
            now_s[0] += 1
        assert "OK=0" in stream.getvalue()
        assert "OK=2" not in stream.getvalue()
        show(DownloadProgress(4, 0, 0, 0, None, {}))
    assert "OK=4 | ERR=0 | todo=0" in stream.getvalue()
    assert "4/4" in stream.getvalue()


def test_an_ascii_stream_gets_ascii_marks() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    with transfer_bar(stream) as show:
        show(HALF)
    assert b"first:[##o.]" in raw.getvalue()
    assert b"ETA~1m05s" in raw.getvalue()


def test_a_notebook_is_interactive_and_a_pipe_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_interactive(io.StringIO())
    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert is_interactive(io.StringIO())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    assert not is_interactive(io.StringIO())
