"""One bare HTTP connection to S3, for which an account needs a session.

The first request opens it, and it is kept alive between requests. Another thread can abort it when it stalls, or when
the process must leave. Nothing here retries.
"""

import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import field
from typing import Self
from urllib.parse import quote, urlsplit

from cdsed._version import __version__
from cdsed.config.proxies import Proxy, ProxyRules
from cdsed.config.secrets import Secret
from cdsed.config.settings import Settings
from cdsed.errors import MachineError, ServiceError, Stopped
from cdsed.frozen import frozen
from cdsed.transfer.addresses import connect
from cdsed.transfer.http_response import PlainResponse
from cdsed.transfer.request_signature import RequestSigner, canonical_query
from cdsed.transfer.s3_errors import network_error

_USER_AGENT = f"cdsed/{__version__}"


@frozen
class Endpoint:
    """Where S3 is, and its time-outs.

    Attributes
    ----------
    connect_timeout_s, read_timeout_s
        Seconds until a connection is made, and until the next byte of a response.
    tls
        Verifying context; None for one of the system's authorities. It is made only if the URL is https, and once for
        all connections of a process.
    proxies
        Which proxy leads to it: https through a tunnel (CONNECT), http by asking the proxy for the whole address.
    """

    url: str
    region: str
    connect_timeout_s: float
    read_timeout_s: float
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    proxies: ProxyRules = field(default_factory=ProxyRules, repr=False)

    def __post_init__(self) -> None:
        if self.tls is None and _is_https(self.url):
            object.__setattr__(self, "tls", ssl.create_default_context())

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the S3 endpoint of the settings."""
        ca_file, url = settings.services.ca_file, settings.services.s3_url
        return cls(
            url=url,
            region=settings.services.s3_region,
            connect_timeout_s=settings.transfer.connect_timeout_s,
            read_timeout_s=settings.transfer.read_timeout_s,
            tls=ssl.create_default_context(cafile=str(ca_file)) if ca_file and _is_https(url) else None,
            proxies=ProxyRules(settings.services.proxy_url),
        )


@frozen
class Credentials:
    """The key pair that signs requests."""

    access_key: Secret
    secret_key: Secret


class Connection:
    """One connection, and the signature of the account it belongs to.

    Parameters
    ----------
    claim
        Called before each request is sent, also before a repeated one. It may wait, or raise so that nothing is sent.

    Attributes
    ----------
    waits
        Whether it is closed until the rate limit of its account allows a request. No bytes are due meanwhile.
    """

    def __init__(
        self, endpoint: Endpoint, credentials: Credentials, claim: "Callable[[Connection], None]" = lambda _: None
    ) -> None:
        self.endpoint = endpoint
        self.credentials = credentials
        self.bytes_received = 0  # read by the stall detector, from another thread
        self.delivered_bytes = 0  # of objects: lists and errors do not prove that an account works
        self.requests = 0
        self.waits = False  # read by the stall detector
        self._held_s, self._held_since_s = 0.0, 0.0
        self._claim = claim
        parts = urlsplit(endpoint.url)
        proxy = endpoint.proxies.proxy_for(endpoint.url)
        self._http = _open_later(endpoint, proxy)
        self._asked_proxy = proxy if parts.scheme == "http" else None
        self._base_path = parts.path.rstrip("/")
        self._host = parts.netloc
        self._named = f"{parts.netloc} through the proxy {proxy}" if proxy else parts.netloc
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._signer = RequestSigner(credentials.access_key, credentials.secret_key, endpoint.region, self._host)
        self._socket: socket.socket | None = None  # http.client forgets its own at "Connection: close"
        self._abort_reason: str | None = None
        self._lock = threading.Lock()

    def request(self, method: str, bucket: str, key: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """Ask for an object (GET or HEAD), signed; return the response with its body unread.

        Raises
        ------
        ServiceError
            The connection could not be made, or broke.
        Stopped
            It was aborted because the process must leave.
        """
        path = f"{self._base_path}/{bucket}/{quote(key, safe='/~')}"
        return self.send(method, path, {"User-Agent": _USER_AGENT, **self._signer.signed(method, path, "", headers)})

    def request_list(self, bucket: str, query: Mapping[str, str]) -> http.client.HTTPResponse:
        """Ask for a list of objects, signed; raises as `request` does."""
        path, asked = f"{self._base_path}/{bucket}", canonical_query(query)
        headers = {"User-Agent": _USER_AGENT, **self._signer.signed("GET", path, asked, {})}
        return self.send("GET", f"{path}?{asked}", headers)

    def send(self, method: str, target: str, headers: Mapping[str, str | bytes]) -> http.client.HTTPResponse:
        """Send a request as it is; open a kept connection again, once, if the server has closed it meanwhile."""
        self._count_one()
        kept = self._http.sock is not None
        try:
            try:
                return self._exchange(method, target, headers)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                if not kept or self._abort_reason is not None:
                    raise
                self._http.close()
                self._count_one()  # the server may have taken the first one before it closed
                return self._exchange(method, target, headers)
        except (OSError, http.client.HTTPException) as error:
            raise self.broken(error) from error

    def _count_one(self) -> None:
        self._claim(self)
        self.requests += 1

    @contextmanager
    def held(self) -> Iterator[None]:
        """Read nothing for the duration of the block, because of a limit of bandwidth."""
        self._held_since_s = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._held_s, self._held_since_s = self._held_s + time.monotonic() - self._held_since_s, 0.0

    def held_s(self) -> float:
        """Return for how many seconds it was held back so far; the stall detector does not count these."""
        with self._lock:
            since_s = self._held_since_s
            return self._held_s + (time.monotonic() - since_s if since_s else 0.0)

    def broken(self, error: BaseException) -> ServiceError | MachineError | Stopped:
        """Close the connection after a failure, and return what to raise for it."""
        with self._lock:
            reason, self._abort_reason = self._abort_reason, None
            connected = self._socket is not None
            self._hang_up()
        if reason == "stop":
            return Stopped()
        if reason is not None:
            return ServiceError(f"{self._named}: {reason}", code="TooSlow")
        return network_error(self._named, error, connected=connected)

    def abort(self, reason: str) -> None:
        """Break the connection from another thread; its reader then raises what `reason` says."""
        with self._lock:
            if self._socket is None:
                return
            self._abort_reason = reason
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; only then may its session be given back."""
        with self._lock:
            self._hang_up()

    def _hang_up(self) -> None:
        self._http.close()
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket = None

    def _exchange(self, method: str, target: str, headers: Mapping[str, str | bytes]) -> http.client.HTTPResponse:
        if self._http.sock is None:
            self._http.timeout = self.endpoint.connect_timeout_s
            self._http.connect()
            self._keep(self._http.sock)
        if self._asked_proxy:
            target, headers = self._origin + target, {**headers, **self._asked_proxy.headers()}
        self._http.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        self._http.putheader("Host", self._host)
        for name, value in headers.items():
            self._http.putheader(name, value)
        self._http.endheaders()
        return self._http.getresponse()

    def _keep(self, sock: socket.socket | None) -> None:
        assert sock is not None, "connect() leaves a socket"
        sock.settimeout(self.endpoint.read_timeout_s)
        with self._lock:
            self._socket = sock


def _is_https(url: str) -> bool:
    return urlsplit(url).scheme == "https"


def _open_later(endpoint: Endpoint, proxy: Proxy | None) -> http.client.HTTPConnection:
    """Make the connection, which its first request opens: to the server, or to the proxy that leads to it."""
    parts = urlsplit(endpoint.url)
    assert parts.hostname, f"{endpoint.url} has no host"
    host, port = (proxy.host, proxy.port) if proxy else (parts.hostname, parts.port)
    connection: http.client.HTTPConnection
    if endpoint.tls is None:
        connection = http.client.HTTPConnection(host, port, timeout=endpoint.connect_timeout_s)
    else:
        connection = http.client.HTTPSConnection(host, port, timeout=endpoint.connect_timeout_s, context=endpoint.tls)
        if proxy:
            connection.set_tunnel(parts.hostname, parts.port, proxy.headers())
    connection.response_class = PlainResponse
    # http.client's own waits for an address that leads nowhere at each connection; it has no public way to replace it.
    connection._create_connection = connect  # type: ignore[attr-defined] # noqa: SLF001
    return connection


def read_into(connection: Connection, response: http.client.HTTPResponse, buffer: memoryview) -> int:
    """Read the next bytes of a body into `buffer`; return how many, 0 at the end.

    Raises
    ------
    ServiceError, Stopped
        The connection broke, or was aborted.
    """
    try:
        count = response.readinto(buffer)
    except (OSError, http.client.HTTPException, ValueError, io.UnsupportedOperation) as error:
        raise connection.broken(error) from error
    connection.bytes_received += count
    connection.delivered_bytes += count
    return count


def read_small(connection: Connection, response: http.client.HTTPResponse, most: int = 2**24) -> bytes:
    """Read a whole short body (a list of objects, an error), never more than `most` bytes."""
    try:
        body = response.read(most)
        if not response.isclosed():
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        raise connection.broken(error) from error
    connection.bytes_received += len(body)
    if response.length and len(body) < most:  # http.client does not report a cut when it reads with a maximum
        raise connection.broken(http.client.IncompleteRead(body, response.length))
    return body
