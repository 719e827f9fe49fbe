"""A pilot: on one machine, it keeps holders running, passes messages on, and says when a holder is dead.

It knows nothing of grants. A holder that loses its pilot closes its connection, and one that cannot run is killed by
the kernel (`cdsed.process.deadman`).
"""

import math
import os
import queue
import random
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cdsed._version import __version__
from cdsed.clock import SYSTEM_CLOCK
from cdsed.engine import holder_template
from cdsed.engine.holder_template import HOLDER
from cdsed.engine.link import PilotLink
from cdsed.engine.probes import answer
from cdsed.engine.wire import Dead, Kill, Leave, LookFor, PilotHere, decode, encode
from cdsed.frozen import frozen
from cdsed.process.interpreter import module_command
from cdsed.process.template import Forked, Template

_POLL_S = 0.5
_RESPAWN_S = 1.0
_CLOSE_WITHIN_S, _LOOK_S = 5.0, 0.02
_SHORTEST = 0.9  # of a life
_STARTED_AT = 19  # the field of /proc/PID/stat behind the name of the program: ticks after the boot


@frozen
class PilotOrder:
    """What the head asks of a pilot.

    Attributes
    ----------
    config
        The settings file, on this machine too.
    holders
        How many it keeps running.
    here_every_s
        Seconds between two signs of life to the head.
    silent_s
        Without a message of the head for so long it ends.
    lives_s
        It ends so long after its process has begun, or a little earlier: the batch system will end that. None: never.
    """

    config: str
    holders: int
    here_every_s: float
    silent_s: float
    lives_s: float | None = None


class _Running:
    """A holder process; `say` gets each of its lines."""

    def __init__(self, nonce: str, config: str, say: Callable[[str], None], template: Template) -> None:
        self.nonce = nonce
        command = module_command(HOLDER, config, nonce)
        self._end, theirs = socket.socketpair()
        with theirs:
            self.process: subprocess.Popen[bytes] | Forked = template.start(command, theirs.fileno()) or (
                subprocess.Popen(command, stdin=theirs.fileno(), stdout=theirs.fileno(), cwd=Path("/"))  # noqa: S603 - our own module
            )
        self.down: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, args=(say,), name=f"reader {nonce}", daemon=True)
        self._reader.start()
        self._writer = threading.Thread(target=self._write, name=f"writer {nonce}", daemon=True)
        self._writer.start()

    def bury(self, say: Callable[[str], None]) -> None:
        """Say that it is dead, after all that it said itself."""
        status = self.process.wait()
        self._reader.join()
        self.down.put(None)
        self._writer.join()
        self._end.close()
        say(encode(Dead(self.nonce, status)))

    def _read(self, say: Callable[[str], None]) -> None:
        with suppress(ConnectionError), self._end.makefile("rb") as said:  # it died, and left messages unread
            for line in said:
                say(line.decode("utf-8", errors="replace").rstrip("\n"))

    def _write(self) -> None:
        """Write from a thread of its own: a stopped holder reads nothing, and must not stop the others."""
        with suppress(OSError):  # it is dead, or has closed its end
            while (line := self.down.get()) is not None:
                self._end.sendall(f"{line}\n".encode())
            self._end.shutdown(socket.SHUT_WR)


class Pilot:
    """Keeps the holders of one machine running until the head says no more, or is silent for too long.

    Parameters
    ----------
    name
        Of no other pilot; the nonces of its holders begin with it.
    """

    def __init__(self, link: PilotLink, order: PilotOrder, name: str) -> None:
        self._link = link
        self._order = order
        self._name = name
        self._holders: dict[str, _Running] = {}
        self._probed: tuple[str, str | None] = ("", None)  # the newest probe, and the answer to it
        self._prober: threading.Thread | None = None
        self._made = 0
        self._made_s = 0.0
        self._heard_s = time.monotonic()
        self._ends_s = math.inf if order.lives_s is None else _ends_s(order.lives_s)
        self._template: Template | None = None

    def run(self) -> str:
        """Work until the head says no more; return why it ended."""
        why, here_s = "", 0.0
        try:
            while not why:
                now_s = time.monotonic()
                if now_s - here_s >= self._order.here_every_s:
                    here_s = now_s
                    self._link.send(encode(PilotHere(self._name, socket.gethostname(), __version__)))
                self._tend()
                for line in self._link.receive(_POLL_S):
                    self._heard_s = time.monotonic()
                    why = self._take(line) or why
                if time.monotonic() - self._heard_s > self._order.silent_s:
                    why = f"the head has been silent for {self._order.silent_s:g} s"
                if time.monotonic() > self._ends_s:
                    why = "its job ends soon"
        finally:
            self._end()
        return why

    def _take(self, line: str) -> str:
        """Handle one message; return why the pilot shall end, '' if it shall not."""
        match decode(line):
            case Leave(pilot=self._name, why=why):
                return why
            case LookFor(pilot=self._name) as probe:
                self._look(probe)
            case Kill(nonce=nonce):
                if (holder := self._holders.get(nonce)) is not None:
                    holder.process.kill()
            case message:
                holder = self._holders.get(getattr(message, "nonce", ""))
                if holder is not None:
                    holder.down.put(line)
        return ""

    def _look(self, probe: LookFor) -> None:
        """Look for the markers of the head, in a thread: their directory may hang."""
        name, probed = self._probed
        if probe.name != name:
            if self._prober is not None and self._prober.is_alive():
                return  # a directory hangs
            self._probed = probe.name, None
            self._prober = threading.Thread(target=self._answer, args=(probe,), name="probe", daemon=True)
            self._prober.start()
        elif probed is not None:  # it was lost on its way
            self._link.send(probed)

    def _answer(self, probe: LookFor) -> None:
        self._probed = probe.name, encode(answer(probe))
        self._link.send(self._probed[1])

    def _tend(self) -> None:
        """Reap dead holders, and start those that are missing."""
        for nonce, holder in list(self._holders.items()):
            if holder.process.poll() is not None:
                del self._holders[nonce]
                holder.bury(self._link.send)
        missing = self._order.holders - len(self._holders)
        if missing and time.monotonic() - self._made_s >= _RESPAWN_S and self._can_start():
            self._made_s = time.monotonic()
            for _ in range(missing):
                self._made += 1
                nonce = f"{self._name}.{self._made}"
                self._holders[nonce] = self._start(nonce)

    def _can_start(self) -> bool:
        """Tell whether holders can be started; their template is begun first."""
        if self._template is None:
            self._template = holder_template.start()
        return self._template.is_ready()

    def _start(self, nonce: str) -> _Running:
        assert self._template is not None, "`_can_start` has been asked"
        return _Running(nonce, self._order.config, self._link.send, self._template)

    def _end(self) -> None:
        """Let all holders close their connections and say so; kill those that do not."""
        for holder in self._holders.values():
            holder.down.put(None)
        until_s = time.monotonic() + _CLOSE_WITHIN_S
        while time.monotonic() < until_s and any(each.process.poll() is None for each in self._holders.values()):
            time.sleep(_LOOK_S)
        for holder in self._holders.values():
            if holder.process.poll() is None:
                holder.process.kill()
            holder.bury(self._link.send)
        if self._template is not None:
            self._template.close()


def _ends_s(lives_s: float) -> float:
    """Return when to end, as `time.monotonic`. Jobs that began together end apart, so that some always work."""
    ticks = int(Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[_STARTED_AT])
    lived_s = SYSTEM_CLOCK.boot_s() - ticks / os.sysconf("SC_CLK_TCK")
    return time.monotonic() + lives_s * random.uniform(_SHORTEST, 1.0) - lived_s
