"""An https server with certificates of its own, and each way in which cdsed asks one."""

import contextlib
import http.server
import ssl
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from cdsed.catalogue.http_client import HttpClient
from cdsed.catalogue.odata_client import ODataClient
from cdsed.catalogue.rate_limiter import RateLimiter
from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.proxies import ProxyRules
from cdsed.config.secrets import Secret
from cdsed.model.eodata import split_s3_path
from cdsed.transfer.connection import Connection, Credentials, Endpoint
from cdsed.transfer.s3_list import list_product
from cdsed.transfer.staging import prepare
from cdsed.transfer.zipper import ZipContext, ZipDownload, fetch_zip, origin

_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_NAME = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"


@dataclass(frozen=True)
class Certificates:
    """Files of a certificate authority of our own, and of a server's certificate that it has signed."""

    authority: Path
    chain: Path
    key: Path


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_certificates(folder: Path, names: str) -> Certificates:
    """Make an authority, and a certificate for these names that it has signed."""
    folder.mkdir()
    authority, curve = folder / "ca.pem", (*_CURVE, "-keyout", folder / "ca.key")
    use = ("-addext", "keyUsage=critical,keyCertSign", "-days", "2")
    _openssl("req", "-x509", *curve, "-out", authority, "-subj", "/CN=ca", *use)
    return sign_another(authority, "server", names)


def sign_another(authority: Path, name: str, names: str, *, days: int = 2) -> Certificates:
    """Make another certificate that the authority has signed, with a key of its own; 0 days: it has expired."""
    folder = authority.parent
    made = Certificates(authority, folder / f"{name}.pem", folder / f"{name}.key")
    _openssl("req", *_CURVE, "-keyout", made.key, "-out", folder / "csr", "-subj", "/CN=server")
    (folder / "extensions").write_text(f"subjectAltName={names}\nauthorityKeyIdentifier=keyid\n", encoding="ascii")
    signed_by = ("-CA", authority, "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", str(days))
    _openssl("x509", "-req", "-in", folder / "csr", *signed_by, "-extfile", folder / "extensions", "-out", made.chain)
    return made


class TlsServer:
    """An https server that notes every request, and answers all of them alike.

    Attributes
    ----------
    seen
        Path and ``Authorization`` of each request.
    response
        Status and headers of its answers.
    """

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
        self.port = self._server.server_address[1]
        self.url = f"https://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _connection(url: str, authority: Path | None, proxies: ProxyRules | None) -> Connection:
    context = ssl.create_default_context(cafile=authority)
    endpoint = Endpoint(url, "default", 5, 5, context, proxies or ProxyRules())
    return Connection(endpoint, Credentials(Secret("canary-access"), Secret("canary-secret")))


def ask_s3(url: str, authority: Path | None, _folder: Path, proxies: ProxyRules | None = None) -> None:
    """Request an object of S3."""
    with contextlib.closing(_connection(url, authority, proxies)) as connection:
        connection.request("GET", "eodata", "x", {}).read()


def ask_for_listing(url: str, authority: Path | None, _folder: Path, proxies: ProxyRules | None = None) -> None:
    """Request a list of objects of S3."""
    with contextlib.closing(_connection(url, authority, proxies)) as connection:
        list_product(connection, "me", split_s3_path("/eodata/x"))


def ask_identity(url: str, authority: Path | None, _folder: Path, proxies: ProxyRules | None = None) -> None:
    """Send a password and a token."""
    stop = threading.Event()
    with HttpClient(timeout_s=5, clock=SYSTEM_CLOCK, stop=stop, ca_file=authority, proxies=proxies) as http_client:
        http_client.send("POST", url, token="canary-token", form={"password": "canary-password"})


def ask_catalogue(url: str, authority: Path | None, _folder: Path, proxies: ProxyRules | None = None) -> None:
    """Send a token to the catalogue."""
    stop = threading.Event()
    service = ODataClient(
        url,
        rate_limiter=RateLimiter(100, SYSTEM_CLOCK),
        timeout_s=5,
        clock=SYSTEM_CLOCK,
        stop=stop,
        ca_file=authority,
        proxies=proxies,
        token=lambda: "canary-token",
    )
    with service:
        service.get("Products")


def ask_for_zip(url: str, authority: Path | None, folder: Path, proxies: ProxyRules | None = None) -> None:
    """Download a zip."""
    endpoint = Endpoint(url, "default", 5, 5, ssl.create_default_context(cafile=authority), proxies or ProxyRules())
    context = ZipContext(
        endpoint, lambda _: contextlib.nullcontext(lambda: None), memoryview(bytearray(4096)), threading.Event()
    )
    download = ZipDownload(f"{url}/v", frozenset({origin(url)}), Secret("canary-token"), "me", _NAME, "0" * 32)
    prepare(folder / ".cdsed" / _NAME)
    fetch_zip(download, context, folder / ".cdsed" / _NAME)


CLIENTS = [ask_s3, ask_for_listing, ask_identity, ask_catalogue, ask_for_zip]
