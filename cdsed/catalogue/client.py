"""The client of the OData catalogue."""

import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

import requests
import tenacity
from requests.adapters import HTTPAdapter

import cdsed
from cdsed.catalogue.answer import parse_entries
from cdsed.catalogue.pace import Pace
from cdsed.catalogue.translate import PASSING, from_exception, from_status
from cdsed.clock import Clock
from cdsed.errors import ServiceError
from cdsed.model.catalogue import CatalogueEntry

_URL_CHARACTERS_MAX = 2048
_ROWS_MAX = 1000  # the catalogue's own limit of $top; a name may have several rows
_TRIES = 4
_LONGEST_WAIT_S = 30.0  # whoever asks for more gets it from the schedule, which keeps no process waiting

_log = logging.getLogger(__name__)


class Catalogue:
    """Finds products by name; one connection, kept alive.

    Parameters
    ----------
    url
        Address of the service, e.g. ``https://catalogue.dataspace.copernicus.eu/odata/v1``.
    requests_per_s
        Requests per second at most. The service counts all clients of one address together,
        so let there be one `Catalogue` on a machine.
    names_per_request
        Names asked for at once, at most; fewer where the URL would pass 2048 characters.
    timeout_s
        Seconds without a byte after which a request is given up.
    clock
        What time it is, and how to wait.
    stop
        Ends every wait at once.
    ca_file
        PEM file of certificate authorities, instead of the usual ones. TLS is always verified.
    """

    def __init__(  # noqa: PLR0913 - these are the service's own settings
        self,
        url: str,
        *,
        requests_per_s: float,
        names_per_request: int,
        timeout_s: float,
        clock: Clock,
        stop: threading.Event,
        ca_file: Path | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._names_per_request = names_per_request
        self._timeout_s = timeout_s
        self._clock = clock
        self._stop = stop
        # Given with each request: only so does it go before $REQUESTS_CA_BUNDLE.
        self._verify = True if ca_file is None else str(ca_file)
        self._pace = Pace(requests_per_s, clock)
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"cdsed/{cdsed.__version__}"
        self._session.auth = lambda request: request  # else requests looks for a password in ~/.netrc
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=1, pool_block=True))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def find(self, names: Sequence[str]) -> dict[str, CatalogueEntry]:
        """Look products up by their exact names.

        Parameters
        ----------
        names
            Safenames with their extension, any number of them.

        Returns
        -------
        dict
            The entry of each name the catalogue knows; the newest where it has several. A name that is
            absent is absent from the catalogue: every answer was whole.

        Raises
        ------
        ServiceError
            The catalogue could not be asked, in spite of several tries where that made sense.
        Stopped
            `stop` was set meanwhile.
        """
        found: dict[str, CatalogueEntry] = {}
        for url in self._queries(list(dict.fromkeys(names))):
            for entry in self._retrying()(self._ask, url):
                if entry.name not in found or found[entry.name].modified_at < entry.modified_at:
                    found[entry.name] = entry
        return {name: found[name] for name in names if name in found}

    def _queries(self, names: list[str]) -> Iterator[str]:
        """Yield the URLs that ask for all `names`, as few as the two limits allow."""
        first, count = 0, 0
        for number in range(1, len(names) + 1):
            count += 1
            full = number == len(names) or count == self._names_per_request
            if full or len(self._query(names[first : number + 1])) > _URL_CHARACTERS_MAX:
                yield self._query(names[first:number])
                first, count = number, 0

    def _query(self, names: Sequence[str]) -> str:
        literals = (name.replace("'", "''") for name in names)
        wanted = " or ".join(f"Name eq '{literal}'" for literal in literals)
        options = urlencode({"$filter": wanted, "$top": _ROWS_MAX}, quote_via=quote, safe="$'")
        return f"{self._url}/Products?{options}"

    def _retrying(self) -> tenacity.Retrying:
        return tenacity.Retrying(
            stop=tenacity.stop_after_attempt(_TRIES),
            retry=tenacity.retry_if_exception(_may_pass),
            wait=_pause_s,
            sleep=self._wait,
            before_sleep=_say_why,
            reraise=True,
        )

    def _wait(self, seconds: float) -> None:
        self._clock.wait(self._stop, seconds)  # the turn that follows raises Stopped

    def _ask(self, url: str) -> list[CatalogueEntry]:
        self._pace.wait_for_turn(self._stop)
        try:
            with self._session.get(
                url, timeout=self._timeout_s, verify=self._verify, allow_redirects=False
            ) as response:
                body = response.content
        except requests.RequestException as error:
            raise from_exception(error, self._url) from error
        if response.status_code != 200:
            raise from_status(response.status_code, response.headers, body, self._url, self._clock.utc_s())
        return parse_entries(body, self._url)


def _may_pass(error: BaseException) -> bool:
    return (
        isinstance(error, ServiceError)
        and error.code in PASSING
        and (error.retry_after_s is None or error.retry_after_s <= _LONGEST_WAIT_S)
    )


def _pause_s(state: tenacity.RetryCallState) -> float:
    error = _failure(state)
    if error.retry_after_s is not None:
        return error.retry_after_s
    return tenacity.wait_exponential_jitter(initial=1, max=_LONGEST_WAIT_S)(state)


def _say_why(state: tenacity.RetryCallState) -> None:
    pause_s = state.next_action.sleep if state.next_action else 0
    _log.warning("%s; asking again in %.1f s", _failure(state), pause_s)


def _failure(state: tenacity.RetryCallState) -> ServiceError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, ServiceError)
    return error
