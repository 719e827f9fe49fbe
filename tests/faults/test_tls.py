"""TLS is always verified: a server without a valid certificate gets no request, and no setting changes that."""

import contextlib
import http.server
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cdsed.catalogue.http_client import HttpClient
from cdsed.catalogue.odata_client import ODataClient
from cdsed.catalogue.rate_limiter import RateLimiter
from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.secrets import Secret
from cdsed.errors import ServiceError, TransferError
from cdsed.model.eodata import split_s3_path
from cdsed.transfer.connection import Connection, Credentials, Endpoint
from cdsed.transfer.s3_list import list_product
from cdsed.transfer.staging import prepare
from cdsed.transfer.zipper import ZipContext, ZipDownload, fetch_zip, origin

_NAME = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"


@dataclass(frozen=True)
class Certificates:
    """Files of a certificate authority of our own, and of a server's certificate that it has signed."""

    authority: Path
    chain: Path
    key: Path


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def _certificates(folder: Path, names: str) -> Certificates:
    folder.mkdir()
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    use = ("-addext", "keyUsage=critical,keyCertSign", "-days", "2")
    _openssl("req", "-x509", *curve, "-keyout", folder / "ca.key", "-out", made.authority, "-subj", "/CN=ca", *use)
    _openssl("req", *curve, "-keyout", made.key, "-out", folder / "csr", "-subj", "/CN=server")
    (folder / "extensions").write_text(f"subjectAltName={names}\nauthorityKeyIdentifier=keyid\n", encoding="ascii")
    signed_by = ("-CA", made.authority, "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", "2")
    _openssl("x509", "-req", "-in", folder / "csr", *signed_by, "-extfile", folder / "extensions", "-out", made.chain)
    return made


class _Server:
    """An https server that notes every request, and answers all of them alike."""

    def __init__(self, certificates: Certificates) -> None:
        self.seen: list[str] = []
        self.response: tuple[int, dict[str, str]] = (200, {})
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.seen.append(f"{self.path} {self.headers.get('Authorization')}")
                status, headers = server.response
                self.send_response(status)
                for name, value in {**headers, "Content-Length": "2"}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"{}")

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                """Write no log."""

        class Quiet(http.server.ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """Log no handshake that the client ends."""

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.chain, certificates.key)
        self._server = Quiet(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True
        )
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return _certificates(tmp_path_factory.mktemp("tls") / "good", "IP:127.0.0.1")


@pytest.fixture(scope="module")
def misnamed(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return _certificates(tmp_path_factory.mktemp("tls") / "other", "DNS:eodata.dataspace.copernicus.eu")


@pytest.fixture
def serve() -> Iterator[Callable[[Certificates], _Server]]:
    with contextlib.ExitStack() as stack:
        yield lambda certificates: stack.enter_context(contextlib.closing(_Server(certificates)))


def _s3(url: str, authority: Path | None, _folder: Path) -> None:
    context = ssl.create_default_context(cafile=str(authority) if authority else None)
    pair = Credentials(Secret("canary-access"), Secret("canary-secret"))
    with contextlib.closing(Connection(Endpoint(url, "default", 5, 5, tls=context), pair)) as connection:
        connection.request("GET", "eodata", "x", {}).read()


def _listing(url: str, authority: Path | None, _folder: Path) -> None:
    context = ssl.create_default_context(cafile=str(authority) if authority else None)
    pair = Credentials(Secret("canary-access"), Secret("canary-secret"))
    with contextlib.closing(Connection(Endpoint(url, "default", 5, 5, tls=context), pair)) as connection:
        list_product(connection, "me", split_s3_path("/eodata/x"))


def _identity(url: str, authority: Path | None, _folder: Path) -> None:
    with HttpClient(timeout_s=5, clock=SYSTEM_CLOCK, stop=threading.Event(), ca_file=authority) as http_client:
        http_client.send("POST", url, token="canary-token", form={"password": "canary-password"})


def _catalogue(url: str, authority: Path | None, _folder: Path) -> None:
    stop = threading.Event()
    service = ODataClient(
        url,
        rate_limiter=RateLimiter(100, SYSTEM_CLOCK),
        timeout_s=5,
        clock=SYSTEM_CLOCK,
        stop=stop,
        ca_file=authority,
        token=lambda: "canary-token",
    )
    with service:
        service.get("Products")


def _zip(url: str, authority: Path | None, folder: Path) -> None:
    endpoint = Endpoint(url, "default", 5, 5, tls=ssl.create_default_context(cafile=authority))
    context = ZipContext(
        endpoint, lambda _: contextlib.nullcontext(lambda: None), memoryview(bytearray(4096)), threading.Event()
    )
    download = ZipDownload(f"{url}/v", frozenset({origin(url)}), Secret("canary-token"), "me", _NAME, "0" * 32)
    prepare(folder / ".cdsed" / _NAME)
    fetch_zip(download, context, folder / ".cdsed" / _NAME)


_CLIENTS = [_s3, _listing, _identity, _catalogue, _zip]


@pytest.mark.parametrize("ask", _CLIENTS)
def test_a_server_without_a_trusted_certificate_gets_no_request(ask, trusted, serve, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONHTTPSVERIFY", "0")  # the switch of older Pythons and of much advice on the web
    server = serve(trusted)
    with pytest.raises(ServiceError) as error:
        ask(server.url, None, tmp_path)
    assert server.seen == []
    assert "canary" not in str(error.value)


@pytest.mark.parametrize("ask", _CLIENTS)
def test_a_server_with_another_hosts_certificate_gets_no_request(ask, misnamed, serve, tmp_path):
    server = serve(misnamed)
    with pytest.raises(ServiceError):
        ask(server.url, misnamed.authority, tmp_path)
    assert server.seen == []


@pytest.mark.parametrize("ask", _CLIENTS)
def test_a_server_that_the_settings_vouch_for_is_asked(ask, trusted, serve, tmp_path):
    server = serve(trusted)
    with contextlib.suppress(TransferError):
        ask(server.url, trusted.authority, tmp_path)
    assert len(server.seen) >= 1, "or the tests above show nothing"


@pytest.mark.parametrize("ask", [_s3, _listing, _identity, _catalogue])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_followed_nowhere(ask, status, trusted, serve, tmp_path):
    server, stranger = serve(trusted), serve(trusted)
    server.response = (status, {"Location": f"{stranger.url}/elsewhere"})
    with contextlib.suppress(ServiceError):
        ask(server.url, trusted.authority, tmp_path)
    assert len(server.seen) >= 1
    assert stranger.seen == []
