"""Serves the page with uvicorn in a thread, on a socket that is bound before."""

import asyncio
import contextlib
import errno
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from cdsed.clock import Clock
from cdsed.config.settings import Settings
from cdsed.config.web_page import Listen, read_token
from cdsed.errors import UsageError
from cdsed.web.app import create_app
from cdsed.web.state_reader import StateReader

_REQUEST_WITHIN_S = 10
_KEEP_ALIVE_S = 20
_CONNECTIONS_MAX = 100
_HEADER_BYTES_MAX = 16 * 1024
_STOP_WITHIN_S = 2
_PROBE_S = 1.0


class _Protocol(H11Protocol):
    """Closes a connection that sends a request, or reads a response, too slowly; uvicorn limits only the pauses."""

    _slow_at: object = None  # the request that was not complete at the last look; None: the first one

    def connection_made(self, transport: Any) -> None:
        """Begin to look at it."""
        super().connection_made(transport)
        self._next_look = self.loop.call_later(_REQUEST_WITHIN_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop looking at it."""
        self._next_look.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        """Close the connection if the request that was not complete at the last look still is not."""
        cycle: RequestResponseCycle | None = self.cycle
        begun = cycle is None or cycle.more_body or (cycle.response_complete and self.conn.trailing_data[0])
        if begun or self.transport.is_closing():
            if self._slow_at is cycle:
                self.transport.abort()  # close() would wait until all is sent
                return
            self._slow_at = cycle
        else:
            self._slow_at = self
        self._next_look = self.loop.call_later(_REQUEST_WITHIN_S, self._look)


def bind(listen: Listen) -> socket.socket:
    """Return a socket that listens; a socket file that a killed process has left is replaced.

    Raises
    ------
    UsageError
        It cannot listen there; the text says why.
    """
    try:
        if listen.path is not None:
            return _bind_path(listen.path)
        family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((listen.host, listen.port))
            listener.listen()
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        raise UsageError(f"the page cannot be served at {listen}: {error.strerror or error}") from error
    return listener


def _bind_path(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
                probe.settimeout(_PROBE_S)  # the queue of a process that hangs may be full
                stale = probe.connect_ex(str(path)) == errno.ECONNREFUSED
            if stale:
                path.unlink()  # else bind fails, and says so
        listener.bind(str(path))
        path.chmod(0o660)
        listener.listen()
    except BaseException:
        listener.close()
        raise
    return listener


@contextmanager
def serving(settings: Settings, listener: socket.socket, clock: Clock) -> Iterator[threading.Thread]:
    """Serve the page inside the block; yield the thread, which ends early only after an error.

    Raises
    ------
    ConfigError
        The token file is wrong.
    """
    token = read_token(settings.web.token_file) if settings.web.token_file else None
    app = create_app(settings, StateReader(settings.state_dir, clock), token)
    with served(app, listener) as thread:
        yield thread


@contextmanager
def served(app: Any, listener: socket.socket) -> Iterator[threading.Thread]:
    """Serve an ASGI application inside the block; close the socket, and remove its file, at the end."""
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            loop="asyncio",
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_STOP_WITHIN_S,
            limit_concurrency=_CONNECTIONS_MAX,
            h11_max_incomplete_event_size=_HEADER_BYTES_MAX,
        )
    )
    path = listener.getsockname() if listener.family == socket.AF_UNIX else None
    thread = threading.Thread(
        target=lambda: asyncio.run(server.serve(sockets=[listener])), name="web server", daemon=True
    )
    thread.start()
    try:
        yield thread
    finally:
        if path:
            Path(path).unlink(missing_ok=True)
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # a request that is ended now is not an error
        server.should_exit = True
        thread.join(2 * _STOP_WITHIN_S)
        listener.close()
