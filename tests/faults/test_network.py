"""A network outage: refused connections, names that do not resolve, TLS that fails. Then all continues."""

import signal
import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import ServiceError
from cdsed.sandbox.names import realistic_safenames
from cdsed.store import breakers
from cdsed.store.breakers import BreakerPolicy
from cdsed.store.database import join_state
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess


class _Babble(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"this is not a TLS\r\n")


@pytest.fixture
def babbler() -> Iterator[int]:
    """Give the port of a server that speaks something else."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Babble) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def reload(daemon: DaemonProcess) -> None:
    daemon.send(signal.SIGHUP)


def restart(daemon: DaemonProcess) -> None:
    daemon.terminate()
    daemon.wait(30)
    daemon.start()


@pytest.mark.parametrize(
    ("url", "words", "corrected"),
    [
        pytest.param("https://cdse.invalid", "the name cannot be resolved", reload, id="dns"),
        pytest.param("https://127.0.0.1:{babbler}", "TLS failed", restart, id="tls"),
        pytest.param("http://127.0.0.1:9", "Connection refused", reload, id="refused"),
    ],
)
def test_a_service_that_cannot_be_reached_costs_no_product_anything(
    tmp_path: Path, babbler: int, url: str, words: str, corrected: Callable[[DaemonProcess], None]
) -> None:
    names = realistic_safenames("S1_OCN", 3, seed=401)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 200_000} for name in names))
        lab.configure(services={"s3_url": url.format(babbler=babbler)})
        lab.drop("three.txt", names)
        with DaemonProcess(lab) as daemon:
            wait_until("error", lambda: words in daemon.log(), daemon=daemon)
            leave_alone(lab)
            lab.configure(services={"s3_url": sandbox.url})
            corrected(daemon)
            wait_until("the report", lambda: lab.report("three.txt"), 90, daemon=daemon)
        assert lab.endings("three.txt") == [("done", 0)] * 3
        assert lab.differences(names) == []


def leave_alone(lab: Installation) -> None:
    """Let the service back off for an hour, for which no test could wait."""
    db = join_state(lab.state)
    error = ServiceError("busy", code="SlowDown", retry_after_s=3600.0)
    assert breakers.fail(db, SYSTEM_CLOCK, breakers.SERVICE, BreakerPolicy(1, 1.0, 1.0), error) > 3000
    db.close()


def test_a_service_that_goes_away_and_comes_back_is_taken_up_again_without_a_reload(tmp_path: Path) -> None:
    names = realistic_safenames("S1_GRD", 3, seed=403)
    products = [{"safename": name, "size_bytes": 2_000_000} for name in names]
    with SandboxProcess(bandwidth_bytes_per_s=500_000) as sandbox:
        lab = Installation(tmp_path, sandbox)
        sandbox.add_products(*products)
        lab.drop("three.txt", names)
        with DaemonProcess(lab) as daemon:
            wait_until("it has begun", lambda: list(lab.spool.glob(".cdsed/S1*/measurement/*")), daemon=daemon)
            sandbox.stop()
            wait_until("it is missed", lambda: "the service fails" in daemon.log(), daemon=daemon)
            sandbox.start()
            sandbox.add_products(*products)
            wait_until("the report", lambda: lab.report("three.txt"), 90, daemon=daemon)
        assert lab.endings("three.txt") == [("done", 0)] * 3
        assert lab.differences(names) == []
