"""From what can go wrong with an HTTP request to the catalogue to our own errors; the one place that does."""

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from cdsed.errors import ServiceError

# Codes of failures that may be gone in a moment; all others would only be repeated.
PASSING = frozenset(
    {"Timeout", "ConnectionFailed", "TruncatedBody", "InvalidResponse", "ServerError", "TooManyRequests"}
)
_QUOTED_CHARACTERS = 200
_RETRY_AFTER_MAX_S = 3600.0  # whoever says more has its clock wrong: nothing waits for years


def from_exception(error: requests.RequestException, url: str) -> ServiceError:
    """Return the error for a request that got no whole answer; `url` is the catalogue's address."""
    root: BaseException = error
    while root.__context__ is not None:  # the outer texts repeat the whole query
        root = root.__context__
    why = _short(str(root) or type(root).__name__)
    match error:
        case requests.exceptions.SSLError():
            return ServiceError(f"{url}: TLS failed: {why}; look at services.ca_file", code="TlsFailed")
        case requests.exceptions.Timeout():
            return ServiceError(f"{url}: no answer in time: {why}", code="Timeout")
        case requests.exceptions.ChunkedEncodingError():
            return ServiceError(f"{url}: the answer broke off: {why}", code="TruncatedBody")
    return ServiceError(f"{url}: no connection: {why}", code="ConnectionFailed")


def from_status(status: int, headers: Mapping[str, str], body: bytes, url: str, utc_s: float) -> ServiceError:
    """Return the error for an answer other than 200.

    Parameters
    ----------
    status, headers, body
        The answer.
    url
        The catalogue's address.
    utc_s
        The present, in seconds since the epoch, to measure a ``Retry-After`` date by.
    """
    message = f"{url}: answered {status}: {_reason(body)}"
    if status == 429 or status >= 500:
        code = "TooManyRequests" if status == 429 else "ServerError"
        return ServiceError(message, code=code, retry_after_s=_retry_after_s(headers.get("Retry-After"), utc_s))
    if status in {401, 403}:
        return ServiceError(f"{message}; it should answer anonymous queries", code="Refused")
    if 400 <= status < 500:
        return ServiceError(f"{message}; the catalogue does not take this question", code="BadQuery")
    return ServiceError(f"{message}; look at services.catalogue_url", code="NotTheCatalogue")


def _retry_after_s(value: str | None, utc_s: float) -> float | None:
    """Seconds or a date, as RFC 9110 section 10.2.3 allows, an hour at most; nonsense counts as absent."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return min(float(value), _RETRY_AFTER_MAX_S)
    try:
        return min(max(0.0, parsedate_to_datetime(value).timestamp() - utc_s), _RETRY_AFTER_MAX_S)
    except (ValueError, OverflowError):
        return None


def _reason(body: bytes) -> str:
    """Quote the service: its ``detail`` is a list, a mapping or text; its firewall says ``message``."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):  # UnicodeDecodeError is one, too
        return _short(body.decode("utf-8", "replace")) or "nothing"
    return _short(" ".join(_words(answer))) or "nothing"


def _words(answer: Any) -> list[str]:
    match answer:
        case str():
            return [answer]
        case list():
            return [word for item in answer for word in _words(item)]
        case dict():
            # `loc` and `msg` are FastAPI's, `ErrorMessage` the old OpenSearch's
            keys = ("error", "detail", "loc", "message", "msg", "ErrorMessage")
            return [word for key in keys for word in _words(answer.get(key))]
    return []


def _short(text: str) -> str:
    """One printable line: the text comes from outside and goes into logs and terminals."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 2 * _QUOTED_CHARACTERS]).split())
    return line if len(line) <= _QUOTED_CHARACTERS else line[:_QUOTED_CHARACTERS] + "…"
