"""A screen that is drawn repeatedly without flicker: ``cdsed status --watch`` on a terminal."""

import signal
import sys
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Self, TextIO

_ENTER = "\x1b[?1049h\x1b[?25l"  # the alternate screen, without a cursor
_LEAVE = "\x1b[?25h\x1b[?1049l"
_HOME = "\x1b[H"
_TO_END_OF_LINE = "\x1b[K"
_BELOW = "\x1b[J"
_TERMINATED = 128 + signal.SIGTERM


class Screen:
    """The alternate screen of a terminal, while the block runs; what was there before appears again at its end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __enter__(self) -> Self:
        # A change of the size ends the waiting: see `wait`. Without a handler SIGTERM would leave the screen as it is.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})
        signal.signal(signal.SIGTERM, _leave)
        self._write(_ENTER)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._write(_LEAVE)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGWINCH})

    def draw(self, lines: Sequence[str]) -> None:
        """Show `lines`: each is written over the one that was there, so that nothing is ever blank."""
        self._write(_HOME + "\r\n".join(f"{line}{_TO_END_OF_LINE}" for line in lines) + _BELOW)

    def wait(self, seconds: float) -> None:
        """Wait until it is time to draw again, or the size of the terminal changes."""
        signal.sigtimedwait({signal.SIGWINCH}, seconds)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(_TERMINATED)
