"""Connecting to a host that has several addresses, of which one may lead nowhere, such as IPv6 in many networks.

An address that does not answer costs its whole time-out. So it is tried last for a while, and a connection after the
first one does not wait for it. Each process remembers that for itself.
"""

import socket
import time
from collections.abc import Iterable
from typing import Any

#: What ``socket.getaddrinfo`` gives.
Found = tuple[int, int, int, str, tuple[Any, ...]]

_LAST_FOR_S = 600.0
_silent_until_s: dict[str, float] = {}


def connect(
    address: tuple[str, int], timeout_s: float | None = None, source: tuple[str, int] | None = None
) -> socket.socket:
    """Connect as `socket.create_connection` does, to the addresses that were silent of late only after the others.

    Raises
    ------
    OSError
        What the last address that was tried has raised; ``socket.gaierror`` if the name has no address.
    """
    return connect_to(socket.getaddrinfo(*address, type=socket.SOCK_STREAM), timeout_s, source)


def connect_to(
    found: Iterable[Found], timeout_s: float | None = None, source: tuple[str, int] | None = None
) -> socket.socket:
    """Connect to one of the addresses that ``socket.getaddrinfo`` found, as `connect` does."""
    now_s = time.monotonic()
    failure: OSError | None = None
    for family, kind, protocol, _, where in sorted(found, key=lambda each: _until_s(each[4]) > now_s):
        try:
            return _connected(socket.socket(family, kind, protocol), where, timeout_s, source)
        except OSError as error:
            failure = error
    raise failure or OSError("the name has no address")


def _until_s(where: tuple[Any, ...]) -> float:
    return _silent_until_s.get(where[0], 0.0)


def _connected(
    made: socket.socket, where: tuple[Any, ...], timeout_s: float | None, source: tuple[str, int] | None
) -> socket.socket:
    try:
        made.settimeout(timeout_s)
        if source:
            made.bind(source)
        made.connect(where)
    except TimeoutError:
        made.close()
        _silent_until_s[where[0]] = time.monotonic() + _LAST_FOR_S
        raise
    except OSError:
        made.close()
        raise
    _silent_until_s.pop(where[0], None)
    return made
