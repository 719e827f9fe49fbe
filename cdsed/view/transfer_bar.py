"""The bar of a download in terminals and notebooks, in the form of cdsodatacli: drawn by tqdm, loaded when shown."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from cdsed.view.progress import DownloadProgress
from cdsed.view.terminal import Canvas
from cdsed.view.wording import rate

_EVERY_PIPED_S = 5.0

Show = Callable[[DownloadProgress], None]


def is_interactive(stream: TextIO) -> bool:
    """Tell whether somewhere a person watches: a terminal, or the kernel of a notebook."""
    return stream.isatty() or _in_notebook()


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")  # not imported: without it this is not a notebook
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


@contextmanager
def transfer_bar(stream: TextIO) -> Iterator[Show]:
    """Yield a function that draws the progress; the bar stays when the block ends.

    In a notebook it is a widget, elsewhere a line on `stream`. To a file or a pipe it is written every five seconds.
    """
    bar = _TransferBar(stream)
    try:
        yield bar.show
    finally:
        bar.close()


def described(progress: DownloadProgress) -> str:
    """Return the text beside the bar."""
    sessions = " ".join(f"{name}:[{marks}]" for name, marks in progress.sessions.items())
    busy = sum(marks.count("●") for marks in progress.sessions.values())
    parts = [f"OK={progress.succeeded}", f"ERR={progress.failed}", f"todo={progress.to_do}", f"//={busy}", sessions]
    if progress.rate_bytes_per_s:
        parts.append(rate(progress.rate_bytes_per_s))
    if progress.eta_s is not None:
        parts.append(f"ETA≈{_duration(progress.eta_s)}")
    return " | ".join(filter(None, parts))


def _duration(seconds: float) -> str:
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes // 60}h{minutes % 60:02d}m" if minutes >= 60 else f"{minutes}m{left:02d}s"


class _TransferBar:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._every_s = 0.0 if is_interactive(stream) else _EVERY_PIPED_S
        self._drawn_s = -_EVERY_PIPED_S
        self._bar: Any = None

    def show(self, progress: DownloadProgress) -> None:
        """Draw the progress, unless the last time was just now."""
        now_s = time.monotonic()
        if progress.to_do and now_s - self._drawn_s < self._every_s:
            return
        self._drawn_s = now_s
        if self._bar is None:
            from tqdm.auto import tqdm

            ascii_only = Canvas.of(self._stream).ascii_only
            self._bar = tqdm(total=progress.total, file=self._stream, unit="product", ascii=ascii_only or None)
        self._bar.total, self._bar.n = progress.total, progress.finished
        self._bar.set_description_str(self._marks(described(progress)), refresh=False)
        self._bar.refresh()

    def _marks(self, text: str) -> str:
        return Canvas.of(self._stream).marks(text.replace("≈", "~") if Canvas.of(self._stream).ascii_only else text)

    def close(self) -> None:
        """Leave the bar as it was drawn last."""
        if self._bar is not None:
            self._bar.close()
