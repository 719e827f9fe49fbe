"""The connections of the HTTP client: how they log in at a proxy, and a limit for a whole call."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import LocationParseError

_CONNECTIONS = 4  # the same number as another client uses, to stay within the limits of the catalogue's firewall
_AGAIN_S = 0.2

#: What a request without a complete response raises: requests lets that of a host with a label that is too long pass.
NO_RESPONSE = (requests.RequestException, LocationParseError)
PoolClasses = dict[str, type[HTTPConnectionPool]]


class Adapter(HTTPAdapter):
    """Sends the login of a proxy itself: requests would have it in addresses, and fails if it is not Latin-1.

    Parameters
    ----------
    logins
        Headers, by the address of a proxy.
    pool_classes
        Pools, by scheme, instead of the usual ones.
    """

    def __init__(self, logins: Mapping[str, dict[str, str]], pool_classes: PoolClasses | None = None) -> None:
        self._pool_classes = pool_classes
        super().__init__(pool_maxsize=_CONNECTIONS, pool_block=True)
        self._logins = logins

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **options)
        self._change(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Make the pools of connections through a proxy."""
        return self._change(super().proxy_manager_for(proxy, **options))

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """Return the login at a proxy."""
        return dict(self._logins[proxy])

    def _change(self, manager: Any) -> Any:
        if self._pool_classes:
            manager.pool_classes_by_scheme = self._pool_classes
        return manager


class OpenSockets:
    """The sockets of a client's connections: each a duplicate, because TLS takes the first one over.

    They make a limit for a whole call possible: the time-outs of sockets begin again with each byte that arrives.
    """

    def __init__(self) -> None:
        self._opened: list[socket.socket] = []

    def note(self, opened: socket.socket) -> socket.socket:
        """Remember a socket, and return it."""
        self._opened.append(opened.dup())
        return opened

    def pool_classes(self) -> PoolClasses:
        """Return the pools, by scheme, whose connections note their sockets here."""
        note = self.note

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return note(super()._new_conn())

        class Encrypted(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return note(super()._new_conn())

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class EncryptedPool(HTTPSConnectionPool):
            ConnectionCls = Encrypted

        return {"http": PlainPool, "https": EncryptedPool}

    @contextmanager
    def broken_after(self, limit_s: float) -> Iterator[threading.Event]:
        """Break the connections if the block takes longer; yield an event that says so. At the end forget them."""
        done, late = threading.Event(), threading.Event()

        def watch() -> None:
            wait_s = limit_s
            while not done.wait(wait_s):
                late.set()
                for each in list(self._opened):
                    with suppress(OSError):  # it is closed already
                        each.shutdown(socket.SHUT_RDWR)
                wait_s = _AGAIN_S  # it may only now be made

        thread = threading.Thread(target=watch, name="deadline", daemon=True)
        thread.start()
        try:
            yield late
        finally:
            done.set()
            thread.join()
            while self._opened:
                self._opened.pop().close()
