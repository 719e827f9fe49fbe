"""A certificate that is expired, another host's or an unknown authority's, and a renewed one, while products arrive."""

import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.front import Front, server_context
from tests.support.sandbox import SandboxProcess
from tests.support.tls_site import Certificates, make_certificates, sign_another

_NAMES = "IP:127.0.0.1"


class HttpsLab:
    """An installation whose sandbox is behind a server that speaks TLS.

    Attributes
    ----------
    good
        What its settings trust.
    """

    def __init__(self, root: Path, sandbox: SandboxProcess, front: Front, url: str, good: Certificates) -> None:
        self.front, self.good = front, good
        self.names = realistic_safenames("S1_GRD", 2, seed=405)
        sandbox.add_products(*({"safename": name, "size_bytes": 1_000_000} for name in self.names))
        self.installation = Installation(root / "lab", sandbox)
        services = {key: value.replace(sandbox.url, url) for key, value in sandbox.services.items()}
        self.installation.configure(services={**services, "ca_file": str(good.authority)})
        self.daemon = DaemonProcess(self.installation)

    def shows(self, certificates: Certificates) -> None:
        """Let the server show another certificate from now on, and break all connections."""
        self.front.tls = server_context(certificates.chain, certificates.key)
        self.front.hang_up()

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Run the daemon; in the block it has begun to download."""
        self.installation.drop("two.txt", self.names)
        with self.daemon:
            begun = self.installation.spool.glob
            wait_until("it has begun", lambda: list(begun(".cdsed/S1*/measurement/*")), daemon=self.daemon)
            yield

    def alarm(self) -> str | None:
        """Return what `cdsed status` says of S3."""
        alarms = self.installation.status()["alarms"]
        return next((each["text"] for each in alarms if each["name"] == "service"), None)

    def arrives(self) -> None:
        """Wait until all has arrived, without a charge, and nothing is said any longer."""
        wait_until("the report", lambda: self.installation.report("two.txt"), 90, daemon=self.daemon)
        assert self.installation.endings("two.txt") == [("done", 0)] * 2
        assert self.installation.differences(self.names) == []
        assert self.alarm() is None


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[HttpsLab]:
    """Give the lab, with a good certificate."""
    good = make_certificates(tmp_path / "tls", _NAMES)
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"https://127.0.0.1:{listening.getsockname()[1]}"
    with SandboxProcess(bandwidth_bytes_per_s=200_000) as sandbox:
        front = Front(listening, port=sandbox.port, tls=server_context(good.chain, good.key))
        with contextlib.closing(front):
            yield HttpsLab(tmp_path, sandbox, front, url, good)


def expired(lab: HttpsLab) -> Certificates:
    return sign_another(lab.good.authority, "expired", _NAMES, days=0)


def of_another_host(lab: HttpsLab) -> Certificates:
    return sign_another(lab.good.authority, "other", "DNS:login.example.org")


def of_an_unknown_authority(lab: HttpsLab) -> Certificates:
    return make_certificates(lab.good.authority.parent / "unknown", _NAMES)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (expired, "(certificate has expired); CDSE has to renew it, or this machine's clock is wrong"),
        (of_another_host, "something on the way answers in its place, or the address in `services` is wrong"),
        (of_an_unknown_authority, "an authority is missing here: name its file in services.ca_file"),
    ],
)
def test_the_status_says_what_is_wrong_with_a_certificate_and_all_goes_on_with_a_renewed_one(
    lab: HttpsLab, bad: Callable[[HttpsLab], Certificates], words: str
) -> None:
    with lab.at_work():
        lab.shows(bad(lab))
        wait_until(words, lambda: words in (lab.alarm() or ""), daemon=lab.daemon)
        lab.shows(sign_another(lab.good.authority, "renewed", _NAMES))
        lab.arrives()


def test_a_certificate_that_is_renewed_in_the_middle_is_trusted(lab: HttpsLab) -> None:
    with lab.at_work():
        lab.shows(sign_another(lab.good.authority, "renewed", _NAMES))
        lab.arrives()
    assert "is not trusted" not in lab.daemon.log()


def test_an_authority_that_is_exchanged_is_trusted_after_a_reload(lab: HttpsLab) -> None:
    other = of_an_unknown_authority(lab)
    with lab.at_work():
        lab.shows(other)
        wait_until("it is not trusted", lambda: "name its file" in (lab.alarm() or ""), daemon=lab.daemon)
        other.authority.replace(lab.good.authority)
        lab.daemon.send(signal.SIGHUP)
        lab.arrives()
