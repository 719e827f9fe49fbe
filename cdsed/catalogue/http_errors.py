"""The errors for HTTP responses that refuse, and which of them may disappear with a retry."""

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from cdsed.errors import ServiceError

# Codes of failures that a retry may cure.
PASSING = frozenset(
    {"Timeout", "ConnectionFailed", "TruncatedBody", "InvalidResponse", "ServerError", "TooManyRequests"}
)
_QUOTED_CHARACTERS = 200
_RETRY_AFTER_MAX_S = 3600.0  # a service that asks for more has a wrong clock; never wait for years


def from_status(status: int, headers: Mapping[str, str], body: bytes, url: str, utc_s: float) -> ServiceError:
    """Return the error for a response other than 200.

    Parameters
    ----------
    status, headers, body
        The response.
    url
        The name of the service in the message.
    utc_s
        The current time in seconds since the epoch, to convert a ``Retry-After`` date.
    """
    message = f"{url}: answered {status}: {_reason(body)}"
    if status == 429 or status >= 500:
        code = "TooManyRequests" if status == 429 else "ServerError"
        return ServiceError(message, code=code, retry_after_s=_retry_after_s(headers.get("Retry-After"), utc_s))
    if status in {401, 403}:
        return ServiceError(f"{message}; it should answer anonymous queries", code="Refused")
    if 400 <= status < 500:
        return ServiceError(f"{message}; the catalogue does not accept this query", code="BadQuery")
    return ServiceError(f"{message}; look at services.catalogue_url", code="NotTheCatalogue")


def _retry_after_s(value: str | None, utc_s: float) -> float | None:
    """Read seconds or a date, as RFC 9110 section 10.2.3 allows, an hour at most; None for an invalid value."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return min(float(value), _RETRY_AFTER_MAX_S)
    try:
        return min(max(0.0, parsedate_to_datetime(value).timestamp() - utc_s), _RETRY_AFTER_MAX_S)
    except (ValueError, OverflowError):
        return None


def _reason(body: bytes) -> str:
    """Quote the service: its ``detail`` is a list, a mapping or text; its firewall uses ``message``."""
    try:
        response = json.loads(body)
    except (ValueError, RecursionError):  # UnicodeDecodeError is one, too
        return one_line(body.decode("utf-8", "replace")) or "nothing"
    return one_line(" ".join(_words(response))) or "nothing"


def _words(response: Any) -> list[str]:
    match response:
        case str():
            return [response]
        case list():
            return [word for item in response for word in _words(item)]
        case dict():
            # `loc` and `msg` are FastAPI's, `ErrorMessage` the old OpenSearch's
            keys = ("error", "detail", "loc", "message", "msg", "ErrorMessage")
            return [word for key in keys for word in _words(response.get(key))]
    return []


def one_line(text: str) -> str:
    """Return text from outside as one printable line for logs and terminals."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 2 * _QUOTED_CHARACTERS]).split())
    return line if len(line) <= _QUOTED_CHARACTERS else line[:_QUOTED_CHARACTERS] + "…"
