"""A webhook has a limit for the whole call, although each byte begins the time-out of the socket again."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from cdsed.catalogue.http_client import HttpClient
from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import ServiceError

_HEADERS = b"HTTP/1.1 200 OK\r\n" + b"X-Slow: 1\r\n" * 100
_TLS_RECORD = b"\x16\x03\x03\x3f\xff" + bytes(2000)


@pytest.fixture
def dripping(request: pytest.FixtureRequest) -> Iterator[int]:
    """A server that answers byte by byte."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    for byte in request.param:
                        connection.sendall(bytes([byte]))
                        time.sleep(0.01)
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)
        assert not thread.is_alive(), "the connection is still open"


@pytest.mark.parametrize(
    ("scheme", "dripping"),
    [("http", _HEADERS), ("https", _TLS_RECORD)],
    indirect=["dripping"],
    ids=["headers", "handshake"],
)
def test_an_answer_that_comes_byte_by_byte_is_ended_at_the_limit(scheme: str, dripping: int) -> None:
    begun_s = time.monotonic()
    with (
        HttpClient(timeout_s=0.3, clock=SYSTEM_CLOCK, stop=threading.Event(), service_url="the hook") as client,
        pytest.raises(ServiceError, match=r"^the hook: no response within 0\.3 s$"),
    ):
        client.post(f"{scheme}://127.0.0.1:{dripping}/secret", b"{}", {}, 0.3)
    assert time.monotonic() - begun_s < 3


def test_a_host_that_cannot_exist_is_an_error_of_the_service() -> None:
    with (
        HttpClient(timeout_s=1, clock=SYSTEM_CLOCK, stop=threading.Event(), service_url="the hook") as client,
        pytest.raises(ServiceError, match="no connection"),
    ):
        client.post(f"https://{'a' * 70}.example/", b"{}", {}, 1)
