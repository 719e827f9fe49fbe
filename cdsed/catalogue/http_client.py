"""The one HTTP client, for the catalogue, the identity service, the keys manager and webhooks.

With `http_connections` it is the only user of `requests`. TLS is always verified, no redirect is followed, and no
password comes from ``~/.netrc``.
"""

import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import requests
import tenacity

from cdsed._version import __version__
from cdsed.catalogue.http_connections import NO_RESPONSE, Adapter, OpenSockets
from cdsed.catalogue.http_errors import from_status, one_line
from cdsed.catalogue.http_retries import RetryPolicy, failure_of
from cdsed.catalogue.json_body import parse_json
from cdsed.clock import Clock
from cdsed.config.proxies import ProxyRules
from cdsed.config.settings import Settings
from cdsed.errors import ServiceError

_QUOTED_CHARACTERS = 200
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")  # of http.client: what a proxy answers to CONNECT
_ADVICE = "look at proxies and firewalls, and at `services` in the settings"


_RETRY = RetryPolicy(tries=3, longest_wait_s=10.0)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A whole response. Headers and body may hold secrets and are not in its repr.

    Attributes
    ----------
    url
        The name of the service in messages.
    """

    url: str
    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def json_object(self) -> dict[str, Any]:
        """Return the JSON object of the body.

        Raises
        ------
        ServiceError
            ``InvalidResponse``: it is something else, which the message does not quote.
        """
        try:
            content = parse_json(self.body)
        except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
            content, found = None, f"no JSON ({type(error).__name__})"
        else:
            found = f"a {type(content).__name__} instead of an object"
        if not isinstance(content, dict):  # raised here, not above: the first error holds the body
            message = f"{self.url}: a response that is not as documented: {found}"
            raise ServiceError(message, code="InvalidResponse")
        return content

    def is_json_object(self) -> bool:
        """Tell whether the body is a JSON object that is not empty."""
        try:
            return bool(self.json_object())
        except ServiceError:
            return False

    def reason(self) -> str:
        """Return the text of a refusal, on one printable line. Do not quote successful responses: they hold secrets."""
        try:
            content = self.json_object()
        except ServiceError:
            return f"{self.status}"
        words = [content.get(key) for key in ("error_description", "detail", "message", "error")]
        text = next((word for word in words if isinstance(word, str) and word), "")
        line = " ".join("".join(c if c.isprintable() else " " for c in text[:_QUOTED_CHARACTERS]).split())
        return f"{self.status}: {line}" if line else f"{self.status}"

    def proxy_error(self) -> ServiceError:
        """Return the error for a response of something on the way to the service, such as a proxy."""
        message = f"{self.url}: something on the way to it answered {self.status}; {_ADVICE}"
        return ServiceError(message, code="ProxyResponse")


def ca_bundle(ca_file: Path | None) -> str:
    """Return the file of the certificate authorities that are trusted; None: as for every program with requests."""
    if ca_file is not None:
        return str(ca_file)
    by_environment = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    return by_environment or str(requests.utils.DEFAULT_CA_BUNDLE_PATH)


class HttpClient:
    """Sends requests over kept connections. Several threads may use it.

    Parameters
    ----------
    timeout_s
        Seconds without a byte after which a request fails.
    clock
        What time it is, and how to wait.
    stop
        Ends the waits between tries. A request that is running is finished.
    ca_file
        PEM file of certificate authorities, instead of the default ones. TLS is always verified.
    proxies
        Which proxy leads to an address; None: as the environment says.
    connect_timeout_s
        Seconds until a connection is made. None: as long as `timeout_s`.
    service_url
        The name of the service in errors. None: the URL of each request.
    refuses_in_json
        Whether the service refuses with JSON objects only, so that any other refusal, and every redirect, comes from
        something on the way to it.
    """

    def __init__(  # noqa: PLR0913 - what differs between the services
        self,
        *,
        timeout_s: float,
        clock: Clock,
        stop: threading.Event,
        ca_file: Path | None = None,
        proxies: ProxyRules | None = None,
        connect_timeout_s: float | None = None,
        service_url: str | None = None,
        refuses_in_json: bool = True,
    ) -> None:
        self.clock = clock
        self.stop = stop
        self._timeouts_s = (timeout_s if connect_timeout_s is None else connect_timeout_s, timeout_s)
        self._service_url = service_url
        self._refuses_in_json = refuses_in_json
        self._proxies = proxies or ProxyRules()
        self._logins: dict[str, dict[str, str]] = {}  # headers, by the address of a proxy
        self._verify = ca_bundle(ca_file)
        self._session = requests.Session()
        self._session.trust_env = False  # otherwise requests has rules of its own for proxies
        self._session.headers["User-Agent"] = f"cdsed/{__version__}"
        self._session.auth = lambda request: request  # otherwise requests looks for a password in ~/.netrc
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, Adapter(self._logins))

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        *,
        clock: Clock,
        stop: threading.Event,
        timeout_s: float | None = None,
        service_url: str | None = None,
        refuses_in_json: bool = True,
    ) -> Self:
        """Return a client with the authorities and the proxy of the settings; its time-out is theirs unless given."""
        longest_s = settings.catalogue.timeout_s if timeout_s is None else timeout_s
        return cls(
            timeout_s=longest_s,
            connect_timeout_s=min(settings.transfer.connect_timeout_s, longest_s),
            clock=clock,
            stop=stop,
            ca_file=settings.services.ca_file,
            proxies=ProxyRules(settings.services.proxy_url),
            service_url=service_url,
            refuses_in_json=refuses_in_json,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def send(
        self,
        method: str,
        url: str,
        *,
        token: str = "",
        params: Mapping[str, Any] | None = None,
        json_body: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        """Send a request once.

        Parameters
        ----------
        method, url
            Of the request.
        token
            Access token to send with it; empty: none.
        params
            Query options, unquoted.
        json_body, form
            The body, as JSON or as a form.

        Raises
        ------
        ServiceError
            The response was not complete, or its status is 429 or 5xx. With `refuses_in_json` also ``Redirected``,
            and ``ProxyResponse`` for a refusal that is not a JSON object. Check every other response yourself.
        """
        service_url = self._service_url or url
        try:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            with self._request(method, url, params=params, json=json_body, data=form, headers=headers) as answered:
                response = HttpResponse(service_url, answered.status_code, answered.content, answered.headers)
        except NO_RESPONSE as error:
            raise _no_response(error, service_url) from None  # the request inside it holds token and password
        if response.status == 407:
            raise response.proxy_error()
        if response.status == 429 or response.status >= 500:
            raise from_status(response.status, response.headers, response.body, service_url, self.clock.utc_s())
        if self._refuses_in_json:
            _refuse_other_services(response)
        return response

    def post(self, url: str, body: bytes, headers: Mapping[str, str], limit_s: float) -> int:
        """Send bytes by POST once; return the status. The body of the response is not read.

        Parameters
        ----------
        limit_s
            Seconds after which the connection is broken, also if bytes arrive slowly.

        Raises
        ------
        ServiceError
            No response came.
        """
        sockets, service_url = OpenSockets(), self._service_url or url
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, Adapter(self._logins, sockets.pool_classes()))
        with sockets.broken_after(limit_s) as late:
            try:
                with self._request("POST", url, data=body, headers=dict(headers), stream=True) as answered:
                    status = int(answered.status_code)
            except NO_RESPONSE as error:
                if not late.is_set():
                    raise _no_response(error, service_url) from None  # the request inside it holds the address
        if late.is_set():  # also if there is a status: the end of the connection looks like the end of the headers
            raise ServiceError(f"{service_url}: no response within {limit_s:g} s", code="Timeout")
        return status

    def _request(self, method: str, url: str, **options: Any) -> requests.Response:
        return self._session.request(
            method,
            url,
            timeout=self._timeouts_s,
            verify=self._verify,
            proxies=self._proxies_to(url),
            allow_redirects=False,
            **options,
        )

    def _proxies_to(self, url: str) -> dict[str, str]:
        proxy = self._proxies.proxy_for(url)
        if proxy is None:
            return {}
        self._logins[proxy.url] = proxy.headers()
        return dict.fromkeys(("http", "https"), proxy.url)

    def send_with_retry(
        self,
        method: str,
        url: str,
        *,
        token: str = "",
        params: Mapping[str, Any] | None = None,
        json_body: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        """Send a request as `send` does, and retry when that may help. Use it only for requests that are idempotent."""
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(_RETRY.tries) | tenacity.stop_when_event_set(self.stop),
            retry=tenacity.retry_if_exception(_RETRY.may_help),
            wait=_wait_s,
            sleep=self._sleep,
            reraise=True,
        )
        return retrying(self.send, method, url, token=token, params=params, json_body=json_body, form=form)

    def _sleep(self, seconds: float) -> None:
        self.clock.wait(self.stop, seconds)


def _wait_s(state: tenacity.RetryCallState) -> float:
    asked_s = failure_of(state).retry_after_s
    return _RETRY.back_off_s(state) if asked_s is None else asked_s


def _refuse_other_services(response: HttpResponse) -> None:
    if 300 <= response.status < 400:
        raise ServiceError(f"{response.url}: leads elsewhere ({response.status}); {_ADVICE}", code="Redirected")
    if response.status >= 400 and not response.is_json_object():
        raise response.proxy_error()


def _no_response(error: Exception, url: str) -> ServiceError:
    """Return the error for a request without a complete response."""
    root: BaseException = error
    while root.__context__ is not None:  # the outer texts repeat the whole query
        root = root.__context__
    why = one_line(str(root) or type(root).__name__)
    match error:
        case requests.exceptions.ProxyError() if (refused := _TUNNEL.search(why)) and int(refused[1]) < 500:
            message = f"{url}: its proxy refuses to connect ({refused[1]}); look at services.proxy_url"
            return ServiceError(message, code="ProxyResponse")
        case requests.exceptions.ProxyError():
            return ServiceError(f"{url}: no connection through its proxy: {why}", code="ConnectionFailed")
        case requests.exceptions.SSLError():
            return ServiceError(f"{url}: TLS failed: {why}; look at services.ca_file", code="TlsFailed")
        case requests.exceptions.Timeout():
            return ServiceError(f"{url}: no response in time: {why}", code="Timeout")
        case requests.exceptions.ChunkedEncodingError():
            return ServiceError(f"{url}: the response ended early: {why}", code="TruncatedBody")
    return ServiceError(f"{url}: no connection: {why}", code="ConnectionFailed")
