import os
import pty
import signal
import threading
import time

import pytest

from cdsed.view.screen import Screen


@pytest.fixture
def terminal():
    """Give the writing end of a terminal, and the descriptor that shows what came of it; signals are as before."""
    before = signal.getsignal(signal.SIGTERM)
    screen, descriptor = pty.openpty()
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        yield stream, screen
    os.close(screen)
    signal.signal(signal.SIGTERM, before)


def read(screen: int, ends: bytes) -> bytes:
    """Return what came on the terminal, until it ends so."""
    shown = b""
    while not shown.endswith(ends):
        shown += os.read(screen, 100)
    return shown


def test_lines_are_written_over_and_the_rest_is_cleared(terminal) -> None:
    stream, screen = terminal
    with Screen(stream) as live:
        assert read(screen, b"\x1b[?25l") == b"\x1b[?1049h\x1b[?25l"
        live.draw(["one", "two"])
        assert read(screen, b"\x1b[J") == b"\x1b[Hone\x1b[K\r\r\ntwo\x1b[K\x1b[J"
    assert read(screen, b"\x1b[?1049l") == b"\x1b[?25h\x1b[?1049l"


def test_the_screen_is_given_back_when_the_program_is_stopped(terminal) -> None:
    stream, screen = terminal
    with pytest.raises(SystemExit) as left, Screen(stream):
        os.kill(os.getpid(), signal.SIGTERM)
    assert left.value.code == 143
    assert read(screen, b"\x1b[?1049l").endswith(b"\x1b[?25h\x1b[?1049l")


def test_another_size_of_the_terminal_ends_the_waiting(terminal) -> None:
    with Screen(terminal[0]) as live:
        begun_s = time.monotonic()
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGWINCH)).start()
        live.wait(30)
        assert time.monotonic() - begun_s < 10
        live.wait(0.01)
