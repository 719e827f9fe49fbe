"""A link that is made again when its carrier is gone: the daemon stays, publishes what has arrived, and says why."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from cdsed.engine.link import Link
from cdsed.errors import MachineError

_log = logging.getLogger(__name__)

_Carrier = TypeVar("_Carrier", bound=Link)

_AGAIN_EVERY_S = 5.0


class LastingLink(Generic[_Carrier]):
    """The head's end of one carrier after the other; see `cdsed.engine.link.Link`. Its methods never raise.

    Between two carriers messages are lost, as any may be. Holders then lose their grants, and pilots end.

    Parameters
    ----------
    make
        Connects; raises MachineError.
    again_every_s
        Seconds between two tries.

    Attributes
    ----------
    problem
        What a user should know: why it has no carrier now.
    current
        The carrier; None: it has been lost.
    """

    def __init__(self, make: Callable[[], _Carrier], again_every_s: float = _AGAIN_EVERY_S) -> None:
        self.problem: str | None = None
        self._make = make
        self._again_every_s = again_every_s
        self._lock = threading.Lock()
        self.current: _Carrier | None = None
        self._again_s = 0.0
        self._closed = False

    def tend(self) -> None:
        """Make a carrier if none is left, which takes as long as it takes to connect; then as `Link`."""
        link = self.current
        try:
            if link is None:
                if time.monotonic() < self._again_s:
                    return
                link = self._made()
            link.tend()
        except MachineError as error:
            self._lose(link, error)

    def receive(self, timeout_s: float) -> Sequence[str]:
        """As `Link`; nothing comes while a carrier is missing."""
        link = self.current
        if link is None:
            time.sleep(timeout_s)
            return ()
        try:
            return link.receive(timeout_s)
        except MachineError as error:
            self._lose(link, error)
            return ()

    def send(self, pilot: str, lines: Sequence[str]) -> None:
        """As `Link`; the messages are lost while a carrier is missing."""
        link = self.current
        if link is None:
            return
        try:
            link.send(pilot, lines)
        except MachineError as error:
            self._lose(link, error)

    def close(self) -> None:
        """As `Link`."""
        with self._lock:
            link, self.current, self._closed = self.current, None, True
        if link is not None:
            link.close()

    def _made(self) -> _Carrier:
        link = self._make()
        with self._lock:
            if self._closed:
                link.close()
                raise MachineError("the daemon ends", code="Engine")
            self.current, problem, self.problem = link, self.problem, None
        if problem is not None:
            _log.info("the workers of Dask can be reached again")
        return link

    def _lose(self, link: _Carrier | None, error: MachineError) -> None:
        """Forget a carrier, which may take long to close; only the first word about it is logged."""
        with self._lock:
            if link is not self.current:
                return
            known, self.current = self.problem, None
            self.problem = f"{error}; it is tried again, and nothing is fetched meanwhile"
            self._again_s = time.monotonic() + self._again_every_s
        if link is not None:
            threading.Thread(target=link.close, name="closing link", daemon=True).start()
        if known is None:
            _log.error("%s", self.problem)
