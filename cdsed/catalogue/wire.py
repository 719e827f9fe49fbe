"""One HTTP exchange with CDSE's identity service or keys manager: TLS verified, no redirect, no netrc, no retry."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import requests
import tenacity

from cdsed._version import __version__
from cdsed.catalogue.translate import PASSING, from_exception, from_status
from cdsed.clock import Clock
from cdsed.errors import ServiceError

_TRIES = 3
_LONGEST_WAIT_S = 10.0
_QUOTED_CHARACTERS = 200
_LOOK = "look at proxies and firewalls, and at `services` in the settings"


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A whole answer; its body may hold secrets and never shows itself."""

    url: str
    status: int
    body: bytes = field(repr=False)

    def content(self) -> dict[str, Any]:
        """Return the JSON object answered; ServiceError ``InvalidResponse`` when it is none, quoting nothing of it."""
        try:
            content = json.loads(self.body or b"{}")
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise ServiceError(
                f"{self.url}: an answer that is not as documented: no JSON object", code="InvalidResponse"
            )
        return content

    def is_object(self) -> bool:
        """Tell whether a JSON object was answered, as both services say everything."""
        try:
            return bool(self.content())
        except ServiceError:
            return False

    def foreign(self) -> ServiceError:
        """Return the error for an answer that something on the way has given in the place of the service."""
        return ServiceError(
            f"{self.url}: something on the way to it answered {self.status}; {_LOOK}", code="ProxyResponse"
        )

    def said(self) -> str:
        """Return the words of a refusal, on one printable line; answers of success must not be quoted."""
        try:
            content = self.content()
        except ServiceError:
            return f"{self.status}"
        words = [content.get(key) for key in ("error_description", "detail", "message", "error")]
        text = next((word for word in words if isinstance(word, str) and word), "")
        line = " ".join("".join(c if c.isprintable() else " " for c in text[:_QUOTED_CHARACTERS]).split())
        return f"{self.status}: {line}" if line else f"{self.status}"


class Wire:
    """Makes single requests; one connection at a time, for one thread.

    Parameters
    ----------
    timeout_s
        Seconds without a byte after which a request is given up.
    clock
        What time it is, and how to wait.
    stop
        Ends the waits between tries; the request that runs is finished.
    ca_file
        PEM file of certificate authorities, instead of the usual ones. TLS is always verified.
    """

    def __init__(self, *, timeout_s: float, clock: Clock, stop: threading.Event, ca_file: Path | None = None) -> None:
        self.clock = clock
        self.stop = stop
        self._timeout_s = timeout_s
        self._verify = True if ca_file is None else str(ca_file)
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"cdsed/{__version__}"
        self._session.auth = lambda request: request  # else requests looks for a password in ~/.netrc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def once(
        self, method: str, url: str, *, token: str = "", values: Mapping[str, Any] | None = None, form: bool = False
    ) -> Exchanged:
        """Ask once.

        Parameters
        ----------
        method, url
            Of the request.
        token
            Access token to ask with.
        values
            The body: JSON, or a form with `form`; for a GET the options.

        Raises
        ------
        ServiceError
            No whole answer, one of 429 or 5xx, or a redirect or refusal that is not the service's own, for those are
            JSON; every other answer is the caller's to judge.
        """
        where = "params" if method == "GET" else "data" if form else "json"
        try:
            with self._session.request(
                method,
                url,
                headers={"Authorization": f"Bearer {token}"} if token else {},
                timeout=self._timeout_s,
                verify=self._verify,
                allow_redirects=False,
                **{where: values},  # type: ignore[arg-type]
            ) as response:
                answer = Exchanged(url, response.status_code, response.content)
        except requests.RequestException as error:
            raise from_exception(error, url) from None  # the request it carries holds the password
        if answer.status == 429 or answer.status >= 500:
            raise from_status(answer.status, response.headers, answer.body, url, self.clock.utc_s())
        if 300 <= answer.status < 400:
            raise ServiceError(f"{url}: leads elsewhere ({answer.status}); {_LOOK}", code="Redirected")
        if answer.status >= 400 and not answer.is_object():
            raise answer.foreign()
        return answer

    def ask(
        self, method: str, url: str, *, token: str = "", values: Mapping[str, Any] | None = None, form: bool = False
    ) -> Exchanged:
        """Ask as `once` does, again when that may help; for what may be asked twice without harm."""
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(_TRIES) | tenacity.stop_when_event_set(self.stop),
            retry=tenacity.retry_if_exception(_may_pass),
            wait=_pause_s,
            sleep=self._wait,
            reraise=True,
        )
        return retrying(self.once, method, url, token=token, values=values, form=form)

    def _wait(self, seconds: float) -> None:
        self.clock.wait(self.stop, seconds)


def _may_pass(error: BaseException) -> bool:
    return (
        isinstance(error, ServiceError)
        and error.code in PASSING
        and (error.retry_after_s is None or error.retry_after_s <= _LONGEST_WAIT_S)
    )


def _pause_s(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked_s = error.retry_after_s if isinstance(error, ServiceError) else None
    return tenacity.wait_exponential_jitter(initial=1, max=_LONGEST_WAIT_S)(state) if asked_s is None else asked_s
