"""The server: one port on loopback, one thread per connection."""

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from cdsed.clock import SYSTEM_CLOCK, Clock
from cdsed.errors import UsageError
from cdsed.sandbox.accounts import SandboxAccount
from cdsed.sandbox.bucket import Bucket
from cdsed.sandbox.catalogue import SandboxCatalogue
from cdsed.sandbox.connection import ClientConnection
from cdsed.sandbox.conversation import Conversation
from cdsed.sandbox.counters import Counters
from cdsed.sandbox.faults import FaultBook
from cdsed.sandbox.identity import Identity
from cdsed.sandbox.keysmanager import SandboxKeysManager
from cdsed.sandbox.quotas import SandboxQuotas
from cdsed.sandbox.rules import Rules
from cdsed.sandbox.waf import Waf


class Sandbox:
    """A CDSE on loopback, running from `start` (or ``with``) to `stop`.

    Parameters
    ----------
    accounts
        The accounts that may send requests.
    seed
        Decides the content of every object.
    host, port
        Where to listen; port 0 takes a free one. Only loopback is accepted.
    clock
        Times delays, rates and quotas.

    Raises
    ------
    UsageError
        `host` is not loopback, or the port is in use.
    """

    def __init__(
        self,
        accounts: Sequence[SandboxAccount],
        *,
        seed: int = 1,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if not ipaddress.ip_address(host).is_loopback:
            raise UsageError(f"the sandbox listens on loopback only, not on {host}; use 127.0.0.1")
        self.accounts = list(accounts)
        self.seed = seed
        self.clock = clock
        self.catalogue = SandboxCatalogue(seed)
        self.waf = Waf(clock)
        self.bucket = Bucket(seed, self.catalogue.add_product)
        self.quotas = SandboxQuotas(self.accounts, clock)
        self.faults = FaultBook(clock)
        self.counters = Counters(clock)
        self.rules = Rules()
        self._lock = threading.Lock()
        self._connections: dict[ClientConnection, threading.Thread] = {}
        self._acceptor = threading.Thread(target=self._accept, name="accept", daemon=True)
        self._stopping = threading.Event()
        try:
            self._listener = socket.create_server((host, port), backlog=256)
        except OSError as error:
            raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}; choose another port") from error
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://{host}:{self.port}"
        self.identity = Identity(self.accounts, self.rules, clock, self.url)
        self.keys_manager = SandboxKeysManager(self.identity, self.quotas, self.rules, clock)

    def start(self) -> Self:
        """Start the server; return itself."""
        self._acceptor.start()
        return self

    def stop(self) -> None:
        """Close the port and every connection, and wait for the threads."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # ends the accept of its thread
        if self._acceptor.is_alive():
            self._acceptor.join()
        self._listener.close()
        with self._lock:
            connections = dict(self._connections)
        for connection in connections:
            connection.interrupt()
        for thread in connections.values():
            thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                accepted, _address = self._listener.accept()
            except OSError:
                if self._stopping.is_set():
                    return
                raise
            connection = ClientConnection(accepted)
            thread = threading.Thread(target=self._serve, args=(connection,), name="serve", daemon=True)
            with self._lock:
                self._connections[connection] = thread
            thread.start()

    def _serve(self, connection: ClientConnection) -> None:
        try:
            Conversation(self, connection).run()
        finally:
            with self._lock:
                self._connections.pop(connection, None)
