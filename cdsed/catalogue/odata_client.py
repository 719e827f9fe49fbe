"""The client of the catalogue's OData service, with rate limit and retries; one for each process."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlencode

import tenacity

from cdsed.catalogue.http_client import HttpClient
from cdsed.catalogue.http_errors import PASSING, from_status
from cdsed.catalogue.http_retries import RetryPolicy, failure_of
from cdsed.catalogue.rate_limiter import RateLimiter
from cdsed.clock import Clock
from cdsed.config.proxies import ProxyRules
from cdsed.errors import ServiceError

# For a longer wait, the request fails and the schedule repeats it later, so that no process is blocked.
_RETRY = RetryPolicy(tries=4, longest_wait_s=30.0)
_CONNECT_S = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete response: its bytes, the JSON object in them, and its ``Date`` header."""

    body: bytes
    content: dict[str, Any]
    date: str | None = None


class ODataClient:
    """Sends requests to the catalogue. Several threads may use it.

    Parameters
    ----------
    url
        Address of the service, e.g. ``https://catalogue.dataspace.copernicus.eu/odata/v1``.
    rate_limiter
        How often requests are sent. The service counts all clients of one address together, so let all processes of a
        machine share one.
    timeout_s
        Seconds without a byte after which a request fails.
    clock
        What time it is, and how to wait.
    stop
        Ends every wait at once.
    ca_file, proxies
        As for `HttpClient`.
    token
        Returns the access token to send; None: anonymous, which suffices for public products.
    tries
        Requests in all where a retry may help; None: those of a search.
    """

    def __init__(  # noqa: PLR0913 - these are the settings of the service
        self,
        url: str,
        *,
        rate_limiter: RateLimiter,
        timeout_s: float,
        clock: Clock,
        stop: threading.Event,
        ca_file: Path | None = None,
        proxies: ProxyRules | None = None,
        token: Callable[[], str] | None = None,
        tries: int | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._rate_limiter = rate_limiter
        self._clock = clock
        self._stop = stop
        self._token = token
        self._tries_max = _RETRY.tries if tries is None else tries
        self._tries = self._tries_max
        self._http_client = HttpClient(
            timeout_s=timeout_s,
            connect_timeout_s=min(_CONNECT_S, timeout_s),
            clock=clock,
            stop=stop,
            ca_file=ca_file,
            proxies=proxies,
            service_url=self.url,
            refuses_in_json=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http_client.close()

    def get(self, url: str, options: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Send a GET; return the JSON object of the response.

        Parameters
        ----------
        url
            Path below the service's address, e.g. ``Products``, or an absolute URL of the same service,
            such as the ``@odata.nextLink`` of a response.
        options
            Query options, unquoted, e.g. ``{"$filter": "Name eq 'X'"}``.

        Raises
        ------
        ServiceError
            It could not be asked, even after retries where they may help; or it refused.
        Stopped
            `stop` was set meanwhile.
        """
        return self.fetch(url, options).content

    def fetch(self, url: str, options: Mapping[str, str] | None = None) -> Reply:
        """Send a GET as `get` does; return the bytes of the response, too."""
        return self._send_with_retry("GET", self.address(url, options), None)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send a POST of JSON, otherwise as `get` does."""
        return self._send_with_retry("POST", self.address(path), body).content

    def address(self, url: str, options: Mapping[str, str] | None = None) -> str:
        """Return the absolute URL of a path or URL with its options.

        Raises
        ------
        ServiceError
            ``NotTheCatalogue``: an absolute URL of another host, which must never get the token.
        """
        absolute = url if "://" in url else f"{self.url}/{url}"
        if not absolute.startswith(f"{self.url}/"):
            raise ServiceError(
                f"{self.url}: points to another service, {absolute[:100]!r}; look at services.catalogue_url",
                code="NotTheCatalogue",
            )
        if not options:
            return absolute
        query = urlencode(options, quote_via=quote, safe="$'")
        return f"{absolute}?{query}"

    def _send_with_retry(self, method: str, url: str, body: Mapping[str, Any] | None) -> Reply:
        """Send with retries where they may help; without retries if they did not help the last time."""
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._tries),
            retry=tenacity.retry_if_exception(_RETRY.may_help),
            wait=_wait_s,
            sleep=self._wait,
            before_sleep=_log_retry,
            reraise=True,
        )
        try:
            reply = retrying(self._send, method, url, body)
        except ServiceError as error:
            self._tries = 1 if error.code in PASSING else self._tries_max
            raise
        self._tries = self._tries_max
        return reply

    def _wait(self, seconds: float) -> None:
        self._clock.wait(self._stop, seconds)  # the wait for a slot that follows raises Stopped

    def _send(self, method: str, url: str, body: Mapping[str, Any] | None) -> Reply:
        self._rate_limiter.wait_for_slot(self._stop)
        token = self._token() if self._token else ""
        try:
            response = self._http_client.send(method, url, token=token, json_body=body)
            if response.status != 200:
                utc_s = self._clock.utc_s()
                raise from_status(response.status, response.headers, response.body, self.url, utc_s)
        except ServiceError as error:
            if error.retry_after_s is not None and _RETRY.may_help(error):
                self._rate_limiter.pause(error.retry_after_s)
            raise
        return Reply(response.body, response.json_object(), response.headers.get("Date"))


def _wait_s(state: tenacity.RetryCallState) -> float:
    if failure_of(state).retry_after_s is not None:
        return 0.0  # the rate limiter pauses, for every thread and process that shares it
    return _RETRY.back_off_s(state)


def _log_retry(state: tenacity.RetryCallState) -> None:
    error = failure_of(state)
    pause_s = error.retry_after_s or (state.next_action.sleep if state.next_action else 0)
    _log.warning("%s; retry in %.1f s", error, pause_s)
