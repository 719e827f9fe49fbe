"""Checking AWS signature version 4, in the Authorization header or in the query of a presigned URL.

Source: "Signature Version 4 signing process" of the S3 API reference. It shares no code with `cdsed.transfer`, which is
tested with it: one mistake in both would hide itself.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import quote, unquote

from cdsed.sandbox.accounts import SandboxAccount
from cdsed.sandbox.http import Request

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<credential>[^,]+),"
    r"\s*SignedHeaders=(?P<signed>[a-z0-9;-]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)
_CREDENTIAL = re.compile(r"(?P<access_key>[^/,]+)/(?P<scope>(?P<day>\d{8})/(?P<region>[^/,]+)/s3/aws4_request)")
_UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
_PAYLOADS = {_UNSIGNED_PAYLOAD, hashlib.sha256(b"").hexdigest()}
_SKEW_MAX = timedelta(minutes=15)
_PRESIGNED_S_MAX = 7 * 24 * 3600
_QUERY_SIGNATURE = "X-Amz-Signature"


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


@dataclass(frozen=True)
class _Claim:
    """What a request says of its signature.

    Parameters
    ----------
    credential
        Access key, day and region.
    signed
        The names of the signed headers, with ``;`` between them.
    signature
        The signature, in hexadecimal digits.
    stamp
        When it was signed, as written in the request.
    payload
        The digest of the body, or ``UNSIGNED-PAYLOAD``.
    expires_s
        How long a presigned URL is valid; None for a signature in the header.
    """

    credential: re.Match[str]
    signed: str
    signature: str
    stamp: str
    payload: str
    expires_s: int | None = None


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
    claim = _claim(request)
    access_key = claim.credential["access_key"]
    account = account_of(access_key)
    outside = account is not None and (
        (account.key_expires is not None and now >= account.key_expires)
        or (account.key_valid_from is not None and now < account.key_valid_from)
    )
    if account is None or outside:
        message = "The AWS Access Key Id you provided does not exist in our records."
        raise Refused(403, "InvalidAccessKeyId", message, account.name if account else None)
    _check_time(claim, now, account)
    if claim.payload not in _PAYLOADS:
        message = "The provided 'x-amz-content-sha256' header does not match what was computed."
        raise Refused(400, "XAmzContentSHA256Mismatch", message, account.name)
    canonical = _canonical_request(request, claim.signed, claim.payload)
    expected = _signature(account.secret_key, claim.credential, claim.stamp, canonical)
    if not hmac.compare_digest(expected, claim.signature):
        message = "The request signature we calculated does not match the signature you provided."
        raise Refused(403, "SignatureDoesNotMatch", message, account.name)
    return account


def _claim(request: Request) -> _Claim:
    match = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    if match is not None and (credential := _CREDENTIAL.fullmatch(match["credential"])):
        stamp = request.headers.get("x-amz-date", "")
        payload = request.headers.get("x-amz-content-sha256", "")
        return _Claim(credential, match["signed"], match["signature"], stamp, payload)
    parameters = request.parameters()
    if parameters.get("X-Amz-Algorithm") == "AWS4-HMAC-SHA256" and "authorization" not in request.headers:
        return _presigned(parameters)
    raise Refused(403, "AccessDenied", "Anonymous access is forbidden for this operation")


def _presigned(parameters: dict[str, str]) -> _Claim:
    credential = _CREDENTIAL.fullmatch(parameters.get("X-Amz-Credential", ""))
    expires = parameters.get("X-Amz-Expires", "")
    signed, signature = parameters.get("X-Amz-SignedHeaders", ""), parameters.get(_QUERY_SIGNATURE, "")
    is_duration = re.fullmatch(r"\d{1,6}", expires) is not None and 0 < int(expires) <= _PRESIGNED_S_MAX
    if credential is None or not (signed and signature and is_duration):
        message = "Query-string authentication version 4 needs its X-Amz- parameters, with X-Amz-Expires below a week"
        raise Refused(400, "AuthorizationQueryParametersError", message)
    return _Claim(credential, signed, signature, parameters.get("X-Amz-Date", ""), _UNSIGNED_PAYLOAD, int(expires))


def _check_time(claim: _Claim, now: datetime, account: SandboxAccount) -> None:
    try:
        signed_at = datetime.strptime(claim.stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        message = "AWS authentication requires a valid x-amz-date header"
        raise Refused(403, "AccessDenied", message, account.name) from error
    if claim.expires_s is not None and now > signed_at + timedelta(seconds=claim.expires_s):
        raise Refused(403, "AccessDenied", "Request has expired", account.name)
    too_late = claim.expires_s is None and now - signed_at > _SKEW_MAX
    if too_late or signed_at - now > _SKEW_MAX:
        message = "The difference between the request time and the current time is too large."
        raise Refused(403, "RequestTimeTooSkewed", message, account.name)
    if not claim.stamp.startswith(claim.credential["day"]):
        message = "The credential scope is of another day than x-amz-date"
        raise Refused(403, "SignatureDoesNotMatch", message, account.name)


def _canonical_request(request: Request, signed: str, payload: str) -> str:
    pairs = [pair.partition("=") for pair in request.query.split("&") if pair]
    query = "&".join(
        f"{name}={value}"
        for name, value in sorted((_encoded(name), _encoded(value)) for name, _equals, value in pairs)
        if name != _QUERY_SIGNATURE
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
