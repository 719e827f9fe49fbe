"""A thread that looks again and again while a test does something else."""

import threading
from typing import Self


class WatchThread(threading.Thread):
    """Calls `look` every `every_s` seconds in ``with``, and once more at the end."""

    def __init__(self, every_s: float) -> None:
        super().__init__(daemon=True)
        self._every_s = every_s
        self._done = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._done.set()
        self.join()
        self.look()

    def run(self) -> None:
        while not self._done.wait(self._every_s):
            self.look()

    def look(self) -> object:
        """Look once."""
        raise NotImplementedError
