import io
import os
import pty
from collections.abc import Iterator
from typing import TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdsed.view.terminal import Canvas, Colour, Live, columns, cut, printable


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[TextIO, int]]:
    """Give a real terminal of 60 x 5: its writing end, and the descriptor that shows what came of it."""
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "5")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    screen, descriptor = pty.openpty()
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        yield stream, screen
    os.close(screen)


def test_a_terminal_has_colours_and_a_width(terminal: tuple[TextIO, int]) -> None:
    assert Canvas.of(terminal[0]) == Canvas(60, 5, colour=True, ascii_only=False)


def test_no_color_is_respected(terminal: tuple[TextIO, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    canvas = Canvas.of(terminal[0])
    assert canvas.paint("text", Colour.BAD) == "text"
    assert canvas.width == 60


def test_what_is_no_terminal_is_never_cut_nor_coloured() -> None:
    canvas = Canvas.of(io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    assert canvas == Canvas()
    assert canvas.wrap("word " * 100) == ["word " * 100]


def test_marks_become_ascii_where_the_locale_has_none() -> None:
    canvas = Canvas.of(io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))
    assert canvas.marks("●○·✕ █░ …") == "#o.x #- ~"


def test_live_lines_are_drawn_over_on_a_terminal(terminal: tuple[TextIO, int]) -> None:
    stream, screen = terminal
    live = Live(stream)
    live.draw(["one", "two"])
    assert os.read(screen, 1000).decode() == "one\r\ntwo\r\n"
    live.draw(["three"])
    assert os.read(screen, 1000).decode() == "\x1b[2F\x1b[Jthree\r\n"


def test_live_lines_never_scroll_away_what_they_have_to_draw_over(terminal: tuple[TextIO, int]) -> None:
    stream, screen = terminal
    Live(stream).draw([str(number) for number in range(20)])
    assert os.read(screen, 1000).decode() == "0\r\n1\r\n2\r\n3\r\n"


def test_live_lines_follow_each_other_in_a_file() -> None:
    stream = io.StringIO()
    live = Live(stream)
    live.draw(["one"])
    live.draw(["two"])
    assert stream.getvalue() == "one\ntwo\n"


def test_items_flow_to_the_next_line_uncut() -> None:
    assert Canvas(width=20).flow("Speed", ["12 MB/s", "13 MB/s", "a" * 30]) == [
        "Speed  12 MB/s",
        "       13 MB/s",
        f"       {'a' * 30}",
    ]


@given(st.text(max_size=80), st.integers(min_value=1, max_value=40))
def test_what_is_cut_has_at_most_the_width(text: str, width: int) -> None:
    assert columns(cut(printable(text), width)) <= width


def test_wide_characters_count_twice() -> None:
    assert columns("衛星") == 4
    assert cut("衛星衛星", 5) == "衛…星"
