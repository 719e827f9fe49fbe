"""Checking AWS signature version 4 in the Authorization header.

Source: "Signature Version 4 signing process" of the S3 API reference. botocore is not used here, because the client
under test signs with it.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import quote, unquote

from cdsed.sandbox.accounts import SandboxAccount
from cdsed.sandbox.http import Request

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<access_key>[^/,]+)/"
    r"(?P<scope>(?P<day>\d{8})/(?P<region>[^/,]+)/s3/aws4_request),"
    r"\s*SignedHeaders=(?P<signed>[a-z0-9;-]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)
_PAYLOADS = {"UNSIGNED-PAYLOAD", hashlib.sha256(b"").hexdigest()}
_SKEW_MAX = timedelta(minutes=15)


class Refused(Exception):
    """The request is answered with an S3 error.

    Parameters
    ----------
    status
        The HTTP status.
    code
        The ``<Code>`` of the response.
    message
        The ``<Message>`` of the response.
    account
        The account, where it is known.
    """

    def __init__(self, status: int, code: str, message: str, account: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.account = account


def authenticate(request: Request, account_of: Callable[[str], SandboxAccount | None], now: datetime) -> SandboxAccount:
    """Return the account that signed `request`.

    Parameters
    ----------
    request
        As received.
    account_of
        Returns the account of an access key.
    now
        The current time, UTC, to which the time of the request is compared.

    Raises
    ------
    Refused
        It is not signed, or the key, its validity, the time or the signature is wrong.
    """
    match = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    if match is None:
        raise Refused(403, "AccessDenied", "Anonymous access is forbidden for this operation")
    account = account_of(match["access_key"])
    outside = account is not None and (
        (account.key_expires is not None and now >= account.key_expires)
        or (account.key_valid_from is not None and now < account.key_valid_from)
    )
    if account is None or outside:
        message = "The AWS Access Key Id you provided does not exist in our records."
        raise Refused(403, "InvalidAccessKeyId", message, account.name if account else None)
    _check_time(request, match["day"], now, account)
    payload = request.headers.get("x-amz-content-sha256", "")
    if payload not in _PAYLOADS:
        message = "The provided 'x-amz-content-sha256' header does not match what was computed."
        raise Refused(400, "XAmzContentSHA256Mismatch", message, account.name)
    canonical = _canonical_request(request, match["signed"], payload)
    expected = _signature(account.secret_key, match, request.headers["x-amz-date"], canonical)
    if not hmac.compare_digest(expected, match["signature"]):
        message = "The request signature we calculated does not match the signature you provided."
        raise Refused(403, "SignatureDoesNotMatch", message, account.name)
    return account


def _check_time(request: Request, day: str, now: datetime, account: SandboxAccount) -> None:
    try:
        stamp = request.headers.get("x-amz-date", "")
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        message = "AWS authentication requires a valid x-amz-date header"
        raise Refused(403, "AccessDenied", message, account.name) from error
    if abs(now - signed_at) > _SKEW_MAX:
        message = "The difference between the request time and the current time is too large."
        raise Refused(403, "RequestTimeTooSkewed", message, account.name)
    if not stamp.startswith(day):
        message = "The credential scope is of another day than x-amz-date"
        raise Refused(403, "SignatureDoesNotMatch", message, account.name)


def _canonical_request(request: Request, signed: str, payload: str) -> str:
    pairs = [pair.partition("=") for pair in request.query.split("&") if pair]
    query = "&".join(
        f"{name}={value}" for name, value in sorted((_encoded(name), _encoded(value)) for name, _equals, value in pairs)
    )
    headers = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in signed.split(";"))
    path = quote(unquote(request.path), safe="/-_.~")
    return f"{request.method}\n{path}\n{query}\n{headers}\n{signed}\n{payload}"


def _encoded(text: str) -> str:
    return quote(unquote(text), safe="-_.~")


def _signature(secret_key: str, match: re.Match[str], stamp: str, canonical: str) -> str:
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{match['scope']}\n{digest}"
    return hmac.new(_signing_key(secret_key, match["day"], match["region"]), text.encode(), "sha256").hexdigest()


@lru_cache(maxsize=256)
def _signing_key(secret_key: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
