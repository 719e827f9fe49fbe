"""Networks that fail: what `cdsed status` says of each, and that all work continues without loss when they work again.

The daemon is in a network namespace, with a DNS server and a link of the test's own (`rig`).
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.soak.network.rig import ELSEWHERE, FAR, FAR_6, NAME, PORT, Network
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.front import server_context
from tests.support.invariants import Eye
from tests.support.namespaces import why_not
from tests.support.sandbox import SandboxProcess
from tests.support.tls_site import make_certificates

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(bool(why_not()), reason=f"no network of the test's own: {why_not()}"),
    pytest.mark.timeout(600),
]

# Time-outs that a test can wait for.
_IMPATIENT = {"connect_timeout_s": 5, "read_timeout_s": 8, "rate_window_s": 8}
_RATE_BYTES_PER_S = 400_000
_SOON_S = 90


class NetworkLab:
    """An installation whose daemon reaches the sandbox only over a network of the test.

    Attributes
    ----------
    names
        The products of its one listing.
    total_bytes
        Their size.
    """

    def __init__(
        self,
        root: Path,
        sandbox: SandboxProcess,
        network: Network,
        names: Sequence[str] = (),
        size_bytes: int = 4_000_000,
        **transfer: Any,
    ) -> None:
        self.sandbox, self.network = sandbox, network
        self.names = list(names) or realistic_safenames("S1_GRD", 3, seed=403)
        self.total_bytes = len(self.names) * size_bytes
        sandbox.add_products(*({"safename": name, "size_bytes": size_bytes} for name in self.names))
        self.installation = Installation(root / "lab", sandbox)
        self.installation.configure(services=network.services, transfer={**_IMPATIENT, **transfer})
        self.daemon = network.daemon(self.installation)

    @contextlib.contextmanager
    def at_work(self) -> Iterator[DaemonProcess]:
        """Run the daemon; in the block it has begun to download."""
        self.installation.drop("listing.txt", self.names)
        with self.daemon as daemon:
            begun = self.installation.spool.glob
            wait_until("it begins", lambda: any(each.is_file() for each in begun(".cdsed/S*/**/*")), daemon=daemon)
            yield daemon

    def says(self, *words: str, timeout_s: float = 90) -> dict[str, Any]:
        """Wait until an alarm of the status has all these words; return it."""

        def said() -> dict[str, Any] | None:
            alarms: list[dict[str, Any]] = self.installation.status()["alarms"]
            return next((each for each in alarms if all(word in each["text"] for word in words)), None)

        alarm: dict[str, Any] = wait_until(f"status says {words}", said, timeout_s, daemon=self.daemon)
        return alarm

    def goes_on(self, timeout_s: float = _SOON_S) -> None:
        """Wait until all has arrived; nothing is lost, charged, doubled or said of others, and no alarm is left."""
        wait_until("the report", lambda: self.installation.report("listing.txt"), timeout_s, daemon=self.daemon)
        assert self.installation.endings("listing.txt") == [("done", 0)] * len(self.names)
        assert self.installation.differences(self.names) == []
        assert Eye(self.installation.state).broken() == []
        assert self.installation.status()["alarms"] == []
        assert "something else seems to use it" not in self.daemon.log()
        assert self.sandbox.bytes_sent() < 2 * self.total_bytes, "what had arrived was fetched again"


@contextlib.contextmanager
def _network(root: Path, rate_bytes_per_s: int) -> Iterator[tuple[SandboxProcess, Network]]:
    # A login of its own: daemons of one user on one machine share the sessions of a login, and say so.
    account = replace(make_accounts(1, 1, rate_bytes_per_s)[0], name=f"network-{os.getpid()}")
    with (
        SandboxProcess([account]) as sandbox,
        Network(root / "network", sandbox) as network,
    ):
        yield sandbox, network


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[NetworkLab]:
    """Give the lab, with a network that works."""
    with _network(tmp_path, _RATE_BYTES_PER_S) as (sandbox, network):
        yield NetworkLab(tmp_path, sandbox, network)


def test_an_interface_that_goes_away_and_comes_back(lab: NetworkLab) -> None:
    with lab.at_work():
        lab.network.go_away()
        alarm = lab.says("the name cannot be resolved", "look at the network and DNS of this machine")
        assert alarm["name"] in ("service", "stalled")
        lab.network.come_back()
        lab.goes_on()


def test_an_interface_that_is_away_for_a_moment_breaks_no_connection(lab: NetworkLab) -> None:
    with lab.at_work():
        lab.network.go_away()
        time.sleep(2)  # how long it is away; less than any time-out
        lab.network.come_back()
        lab.goes_on()
    assert "tried again" not in lab.daemon.log(), "its connections have broken"


@pytest.mark.parametrize("way", ["fails", "silent"])
def test_a_dns_server_that_fails_or_says_nothing(lab: NetworkLab, way: Literal["fails", "silent"]) -> None:
    with lab.at_work():
        lab.network.names.way = way
        lab.network.front.hang_up()
        lab.says("the name cannot be resolved", "look at the network and DNS of this machine")
        lab.network.names.way = "answers"
        lab.goes_on()


def test_a_dns_server_that_answers_late_only_delays(lab: NetworkLab) -> None:
    lab.network.names.late_s = 3
    with lab.at_work():
        lab.network.front.hang_up()
        lab.goes_on()
    assert lab.network.names.asked >= 2
    assert "cannot be resolved" not in lab.daemon.log()


def test_a_service_that_moves_to_another_address_is_followed(lab: NetworkLab) -> None:
    with lab.at_work():
        lab.network.names.addresses[NAME] = [ELSEWHERE]
        lab.network.front.hang_up()
        lab.goes_on()
    assert lab.network.front.accepted[ELSEWHERE] >= 1


def test_ipv6_that_leads_nowhere_is_waited_for_once_by_each_process(lab: NetworkLab) -> None:
    long_s = 20
    lab.installation.configure(transfer={"connect_timeout_s": long_s})
    lab.network.names.addresses[NAME] = [FAR, FAR_6]
    lab.network.trouble(ipv6_lost=True)
    with lab.at_work() as daemon:
        lab.goes_on()
        before = lab.network.front.accepted[FAR]
        more = realistic_safenames("S1_OCN", 4, seed=404)
        lab.sandbox.add_products(*({"safename": name, "size_bytes": 100_000} for name in more))
        lab.network.front.hang_up()
        since = time.monotonic()
        lab.installation.drop("more.txt", more)
        wait_until("the report", lambda: lab.installation.report("more.txt"), daemon=daemon)
        took_s = time.monotonic() - since
    assert lab.network.front.accepted[FAR] > before, "they needed new connections"
    assert FAR_6 not in lab.network.front.accepted
    assert took_s < long_s, f"{took_s:.1f} s: a new connection has waited for IPv6"


def test_a_network_that_loses_large_packets_is_suspected(lab: NetworkLab) -> None:
    with lab.at_work():
        lab.network.trouble(packet_max_bytes=1000)
        alarm = lab.says("the network may lose large packets (MTU)")
        assert alarm["name"] in ("service", "stalled")
        lab.network.trouble()
        lab.goes_on()


def test_a_certificate_of_an_unknown_authority_in_the_middle(lab: NetworkLab, tmp_path: Path) -> None:
    good = lab.network.front.tls
    other = make_certificates(tmp_path / "other", f"DNS:{NAME}")
    with lab.at_work():
        lab.network.front.tls = server_context(other.chain, other.key)
        lab.network.front.hang_up()
        lab.says("its certificate is not trusted", "name its file in services.ca_file")
        lab.network.front.tls = good
        lab.goes_on()


def test_with_loss_and_delay_nothing_is_lost_and_it_is_half_as_fast_as_quota_and_tcp_allow(tmp_path: Path) -> None:
    """One per cent of the packets is lost in each direction, and a round trip takes 300 ms."""
    sessions, rate = 4, 500_000
    # One object each, because every object costs a round trip.
    names = realistic_safenames("S5P", 16, seed=405)
    with _network(tmp_path, rate) as (sandbox, network):
        lab = NetworkLab(tmp_path, sandbox, network, names, read_timeout_s=60, rate_window_s=60)
        network.trouble(delay_s=0.15, lost=0.01)
        bare = min(_bare_rate(network, sessions), sessions * rate)
        with lab.at_work():
            began = time.monotonic()
            lab.goes_on(4 * lab.total_bytes / bare + 60)
            own = lab.total_bytes / (time.monotonic() - began)
    print(f"\nat 1 % loss and 300 ms: {own / 1e6:.2f} MB/s; TCP within the quota: {bare / 1e6:.2f} MB/s")
    assert own > bare / 2


def _bare_rate(network: Network, connections: int) -> float:
    """Return the bytes per second of so many plain TCP connections together, over ten seconds."""
    counted: list[int] = []
    until = time.monotonic() + 10

    def send(listening: socket.socket) -> None:
        with contextlib.suppress(OSError), listening.accept()[0] as sending:
            while time.monotonic() < until:
                sending.sendall(bytes(65_536))

    def receive(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(1)
            received = b"-"
            while received and time.monotonic() < until:
                with contextlib.suppress(TimeoutError):
                    received = connection.recv(65_536)
                    counted.append(len(received))

    with network.listen(FAR, PORT + 1) as listening:
        threads = [threading.Thread(target=send, args=(listening,)) for _ in range(connections)]
        threads += [
            threading.Thread(target=receive, args=(network.connected(FAR, PORT + 1),)) for _ in range(connections)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    return sum(counted) / 10
