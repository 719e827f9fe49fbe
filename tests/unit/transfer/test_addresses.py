"""Of several addresses of a host, one that leads nowhere costs its time-out once, not at each connection."""

import socket
from collections.abc import Iterator

import pytest

from cdsed.config.secrets import Secret
from cdsed.errors import ServiceError
from cdsed.transfer.addresses import connect_to
from cdsed.transfer.connection import Connection, Credentials, Endpoint
from tests.support.deaf_server import deaf_server, hear

_DEAF, _GOOD = "127.0.0.2", "127.0.0.1"


@pytest.fixture
def deaf() -> Iterator[socket.socket]:
    with deaf_server(_DEAF) as listening:
        yield listening


def both(port: int) -> list[tuple[int, int, int, str, tuple[str, int]]]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, port)) for host in (_DEAF, _GOOD)]


def test_an_address_that_was_silent_is_tried_last_from_then_on(deaf):
    port = deaf.getsockname()[1]
    with socket.create_server((_GOOD, port)):
        with connect_to(both(port), 0.3) as first:
            assert first.getpeername()[0] == _GOOD
        hear(deaf)
        with connect_to(both(port), 5) as second:
            assert second.getpeername()[0] == _GOOD
    with connect_to(both(port), 5) as third:
        assert third.getpeername()[0] == _DEAF, "the other one refuses"
    hear(deaf)
    with socket.create_server((_GOOD, port)), connect_to(both(port), 5) as fourth:
        assert fourth.getpeername()[0] == _DEAF, "it has answered since"


def test_a_session_says_that_no_address_answers(deaf):
    with pytest.raises(ServiceError, match="no connection in time") as raised:
        _ask(_DEAF, deaf.getsockname()[1])
    assert raised.value.code == "Timeout"


def test_a_session_says_what_may_be_wrong_if_a_connection_brings_nothing():
    with (
        socket.create_server((_GOOD, 0)) as silent,
        pytest.raises(ServiceError, match="no response in time; if it stays, the network may lose large packets"),
    ):
        _ask(_GOOD, silent.getsockname()[1])


def _ask(host: str, port: int) -> None:
    endpoint = Endpoint(f"http://{host}:{port}", "default", 0.3, 0.3)
    Connection(endpoint, Credentials(Secret("key"), Secret("secret"))).request("GET", "eodata", "x", {})
