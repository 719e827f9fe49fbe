"""One HTTP conversation with the catalogue for a whole process: paced, retried, its failures translated."""

import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlencode

import requests
import tenacity
from requests.adapters import HTTPAdapter

from cdsed._version import __version__
from cdsed.catalogue.pace import Pace
from cdsed.catalogue.translate import PASSING, from_exception, from_status
from cdsed.clock import Clock
from cdsed.errors import ServiceError

_TRIES = 4
_LONGEST_WAIT_S = 30.0  # whoever asks for more gets it from the schedule, which keeps no process waiting
_CONNECT_S = 10.0
_CONNECTIONS = 4  # an observer of the catalogue's firewall keeps to as many lanes

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer: the bytes as they came, and the JSON object they hold."""

    body: bytes
    content: dict[str, Any]


class Service:
    """Asks the catalogue; may be used by several threads.

    Parameters
    ----------
    url
        Address of the service, e.g. ``https://catalogue.dataspace.copernicus.eu/odata/v1``.
    pace
        How often it is asked. The service counts all clients of one address together, so let all who ask
        on a machine share one.
    timeout_s
        Seconds without a byte after which a request is given up.
    clock
        What time it is, and how to wait.
    stop
        Ends every wait at once.
    ca_file
        PEM file of certificate authorities, instead of the usual ones. TLS is always verified.
    token
        Gives the access token to ask with; None asks anonymously, which suffices for public products.
    """

    def __init__(  # noqa: PLR0913 - these are the service's own settings
        self,
        url: str,
        *,
        pace: Pace,
        timeout_s: float,
        clock: Clock,
        stop: threading.Event,
        ca_file: Path | None = None,
        token: Callable[[], str] | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._pace = pace
        self._timeouts_s = (min(_CONNECT_S, timeout_s), timeout_s)
        self._clock = clock
        self._stop = stop
        self._token = token
        self._tries = _TRIES
        # Given with each request: only so does it go before $REQUESTS_CA_BUNDLE.
        self._verify = True if ca_file is None else str(ca_file)
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"cdsed/{__version__}"
        self._session.auth = self._authorize  # without one, requests looks for a password in ~/.netrc
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=_CONNECTIONS, pool_block=True))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def get(self, url: str, options: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Ask for something; return the JSON object answered.

        Parameters
        ----------
        url
            Path below the service's address, e.g. ``Products``, or an absolute URL of this very service,
            such as the ``@odata.nextLink`` of an answer.
        options
            Query options, unquoted, e.g. ``{"$filter": "Name eq 'X'"}``.

        Raises
        ------
        ServiceError
            It could not be asked, in spite of several tries where that made sense; or it refused.
        Stopped
            `stop` was set meanwhile.
        """
        return self.fetch(url, options).content

    def fetch(self, url: str, options: Mapping[str, str] | None = None) -> Reply:
        """Ask as `get` does; return the bytes of the answer, too."""
        return self._persist("GET", self.address(url, options), None)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask by a POST of JSON, otherwise as `get` does."""
        return self._persist("POST", self.address(path), body).content

    def address(self, url: str, options: Mapping[str, str] | None = None) -> str:
        """Return the absolute URL of a path or URL with its options.

        Raises
        ------
        ServiceError
            ``NotTheCatalogue``: an absolute URL of another host, which must never see our token.
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

    def _persist(self, method: str, url: str, body: Mapping[str, Any] | None) -> Reply:
        """Ask, several times where that may help; once if that did not help the last time."""
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._tries),
            retry=tenacity.retry_if_exception(_may_pass),
            wait=_pause_s,
            sleep=self._wait,
            before_sleep=_say_why,
            reraise=True,
        )
        try:
            reply = retrying(self._ask, method, url, body)
        except ServiceError as error:
            self._tries = 1 if error.code in PASSING else _TRIES
            raise
        self._tries = _TRIES
        return reply

    def _wait(self, seconds: float) -> None:
        self._clock.wait(self._stop, seconds)  # the turn that follows raises Stopped

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token()}"
        return request

    def _ask(self, method: str, url: str, body: Mapping[str, Any] | None) -> Reply:
        self._pace.wait_for_turn(self._stop)
        try:
            with self._session.request(
                method, url, json=body, timeout=self._timeouts_s, verify=self._verify, allow_redirects=False
            ) as response:
                content = response.content
        except requests.RequestException as error:
            raise from_exception(error, self.url) from error
        if response.status_code != 200:
            refusal = from_status(response.status_code, response.headers, content, self.url, self._clock.utc_s())
            if _may_pass(refusal) and refusal.retry_after_s is not None:
                self._pace.rest(refusal.retry_after_s)
            raise refusal
        return Reply(content, _parse(content, self.url))


def _parse(body: bytes, url: str) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is one, too
        raise _invalid_response(url, str(error)) from error
    if not isinstance(content, dict):
        raise _invalid_response(url, f"a {type(content).__name__} instead of an object")
    return content


def _invalid_response(url: str, why: str) -> ServiceError:
    return ServiceError(f"{url}: an answer that is not as documented: {why:.100}", code="InvalidResponse")


def _may_pass(error: BaseException) -> bool:
    return (
        isinstance(error, ServiceError)
        and error.code in PASSING
        and (error.retry_after_s is None or error.retry_after_s <= _LONGEST_WAIT_S)
    )


def _pause_s(state: tenacity.RetryCallState) -> float:
    if _failure(state).retry_after_s is not None:
        return 0.0  # the pace rests, for every thread and process that shares it
    return tenacity.wait_exponential_jitter(initial=1, max=_LONGEST_WAIT_S)(state)


def _say_why(state: tenacity.RetryCallState) -> None:
    error = _failure(state)
    pause_s = error.retry_after_s or (state.next_action.sleep if state.next_action else 0)
    _log.warning("%s; asking again in %.1f s", error, pause_s)


def _failure(state: tenacity.RetryCallState) -> ServiceError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, ServiceError)
    return error
