"""A holder: the process that has the one connection of a session, and does over it what the head says.

``python -m cdsed.engine.holder CONFIG NONCE``: a pilot starts it. Messages are lines of its stdin and stdout. It reads
settings and accounts on its own machine. While it holds a grant, a timer of the kernel will kill it.
"""

import logging
import os
import select
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from cdsed import log
from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.accounts import load_accounts
from cdsed.config.load import load_settings
from cdsed.config.secrets import forbid_core_dumps
from cdsed.config.settings import Settings
from cdsed.credentials.key_ledger import LEDGER_NAME, Keyring
from cdsed.engine.grant_rules import CUT_BEFORE_S, HolderState, asks, ends, is_granted, is_renewed
from cdsed.engine.held_connection import HeldConnection
from cdsed.engine.wire import Bye, GiveUp, Granted, MayAsk, Renew, Renewed, Stop, Task, UpMessage, Want, decode, encode
from cdsed.errors import CdsedError, ExitCode
from cdsed.process.deadman import Deadman
from cdsed.process.threadwatch import ThreadWatch

_log = logging.getLogger(__name__)

_LOOK_EVERY_S, _LOOK_AGAIN_S = 0.5, 0.05
_READ_BYTES = 2**16
_LEAVE_WITHIN_S, _LEAVE_EVERY_S = 3.0, 0.05


class HolderProcess:
    """The messages of one holder: it asks for a session, renews its grant, and hands tasks to another thread."""

    def __init__(self, settings: Settings, nonce: str) -> None:
        self._settings = settings
        self._nonce = nonce
        self._clock = SYSTEM_CLOCK
        self._deadman = Deadman()
        self._state = HolderState()
        self._ending = 0  # the fence of a lease that shall be given up
        self._next_s = 0.0
        self._stuck = False
        self._watch = ThreadWatch()
        self._say_lock = threading.Lock()
        self._connection: HeldConnection | None = None
        transfer = settings.transfer
        self._idle_timeout_s = max(settings.process.hung_after_s, 2 * transfer.read_timeout_s)

    def run(self) -> None:
        """Work until the pilot closes our stdin."""
        unread = b""
        while True:
            if select.select([0], [], [], self._look_in_s())[0]:
                got = os.read(0, _READ_BYTES)
                if not got:
                    return
                *lines, unread = (unread + got).split(b"\n")
                for line in lines:
                    self._take(line.decode("utf-8"))
            self._look()

    def leave(self) -> None:
        """Close the connection, and say so if its task has ended and the pilot still listens."""
        connection = self._connection
        if connection is None:
            return
        connection.stop()
        until_s = self._clock.boot_s() + _LEAVE_WITHIN_S
        while not connection.idle and self._clock.boot_s() < until_s:  # it says how far it came
            connection.check()
            time.sleep(_LEAVE_EVERY_S)
        ended = connection.idle
        connection.close()
        if ended:  # else bytes of its task may still be in the memory of this machine
            with suppress(OSError):
                self._say(Bye(self._nonce, self._state.fence))

    def _look_in_s(self) -> float:
        """Return how long to wait for messages."""
        if self._connection is None:
            return _LOOK_EVERY_S
        return min(_LOOK_EVERY_S, max(_LOOK_AGAIN_S, self._cut_at_s() - self._clock.boot_s()))

    def _cut_at_s(self) -> float:
        return self._state.dies_at_s - CUT_BEFORE_S

    def _look(self) -> None:
        """Ask when it is time, and end what shall end."""
        now_s = self._clock.boot_s()
        connection = self._connection
        if connection is not None:
            connection.check()
            if now_s >= self._cut_at_s():
                connection.cut()
            stuck = bool(self._watch.look(self._idle_timeout_s))
            if stuck and not self._stuck:
                _log.error("a call to a disk has not returned for %.0f s", self._idle_timeout_s)
            self._stuck = stuck
        if self._ending and (connection is None or connection.idle):
            self._give_up()
        if now_s >= self._next_s and not self._ending and not self._stuck:
            self._ask(now_s)

    def _ask(self, now_s: float) -> None:
        self._next_s = now_s + self._settings.engine.renew_every_s
        self._state = state = asks(self._state, now_s)
        connection = self._connection
        if connection is None:
            self._say(Want(self._nonce, state.seq, state.ended))
        else:
            self._say(Renew(self._nonce, state.seq, state.fence, connection.number, busy=not connection.idle))

    def _take(self, line: str) -> None:
        match decode(line):
            case Granted() as granted:
                self._begin(granted)
            case Renewed() as renewed:
                self._renew(renewed)
            case GiveUp(fence=fence):
                self._end(fence)
            case Task() | MayAsk() | Stop() as message:
                connection = self._connection
                if connection is not None and message.fence == self._state.fence:
                    connection.take(message)

    def _renew(self, renewed: Renewed) -> None:
        before, self._state = self._state, is_renewed(self._state, renewed.seq, renewed.fence, renewed.grant_s)
        if self._state is not before:
            self._deadman.kill_at(self._state.dies_at_s)
            if self._connection is not None:
                self._connection.limit(renewed.bytes_per_s)

    def _end(self, fence: int) -> None:
        if fence < self._state.fence:  # an old message
            self._state = ends(self._state, fence)
            return
        self._ending = max(self._ending, fence)
        if self._connection is not None:
            self._connection.stop()

    def _begin(self, granted: Granted) -> None:
        """Take a session: the timer runs before there is anything that could connect."""
        now_s = self._clock.boot_s()
        before = self._state
        self._state = is_granted(before, granted.seq, granted.fence, granted.grant_s, now_s)
        if self._state is before:
            return
        self._deadman.kill_at(self._state.dies_at_s)
        try:
            accounts = load_accounts(self._settings, os.environ)
            account = next((each for each in accounts if each.name == granted.account), None)
            keyring = Keyring(self._settings.state_dir / LEDGER_NAME, self._clock)
            keys = keyring.keys_of(account) if account is not None else None
        except CdsedError as error:
            _log.error("the accounts cannot be read here: %s", error)
            keys = None
        if keys is None:
            _log.warning("account %s has no keys here", granted.account)
            self._ending = granted.fence
            return
        self._connection = HeldConnection(self._settings, granted, keys, self._say, self._watch)
        self._next_s = now_s + self._settings.engine.renew_every_s

    def _give_up(self) -> None:
        """Close the connection, and only then say so."""
        fence, self._ending = self._ending, 0
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._state = ends(self._state, fence)
        self._deadman.disarm()
        self._say(Bye(self._nonce, fence))
        self._ask(self._clock.boot_s())  # for the next session

    def _say(self, message: UpMessage) -> None:
        line = f"{encode(message)}\n".encode()
        with self._say_lock:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()


def main(config: str, nonce: str) -> ExitCode:
    """Run a holder until its pilot ends."""
    forbid_core_dumps()
    log.setup("holder")
    try:
        settings = load_settings(Path(config), os.environ)
    except CdsedError as error:
        log.print_error(str(error))
        return error.exit_code
    log.setup("holder", settings.log_level, settings.log_format)
    holder = HolderProcess(settings, nonce)
    try:
        holder.run()
    except ConnectionError:
        _log.info("the pilot is gone")
    finally:
        holder.leave()
    return ExitCode.OK


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    os._exit(code)  # a thread that hangs in a disk must not keep the process
