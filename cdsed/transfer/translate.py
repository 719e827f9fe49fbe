"""What S3, the network and the disk report, as errors of ours that carry the blame; nowhere else.

Codes of eodata as seen by others' clients; bodies of 403 and 429 may be empty. Sources: the CDSE documentation on
S3 and quotas, CloudFerro's eosdk, developmentseed/lazycogs#80.
"""

import errno
import http.client
import re
import socket
import ssl
from collections.abc import Mapping

from cdsed.errors import AccountError, DiskError, ProductError, ServiceError, TransferError

# The signature or the key itself is refused: whatever this account asks for, it gets the same answer.
_KEY_CODES = {
    "InvalidAccessKeyId": "the S3 key is unknown: deleted, expired, or not yet usable; check it in the accounts file",
    "SignatureDoesNotMatch": "the S3 secret key does not fit its access key; correct the accounts file",
    "ExpiredToken": "the temporary S3 key has expired",
    "InvalidToken": "the S3 session token is not valid",
    "RequestTimeTooSkewed": "this machine's clock differs from the service's; set it (timedatectl)",
}

_FULL = {errno.ENOSPC, errno.EDQUOT}


def s3_error(account: str, what: str, status: int, headers: Mapping[str, str], body: bytes) -> TransferError:
    """Return the error for an S3 answer that is not a success.

    Parameters
    ----------
    account
        Our name of the account that asked.
    what
        What was asked for, e.g. a key, for the message.
    """
    code = _code(body)
    after_s = retry_after_s(headers.get("Retry-After"))
    if status == 429:
        return AccountError(
            f"account {account}: too many requests or connections (429)",
            code="Throttled",
            retry_after_s=after_s,
        )
    if status in (401, 403):
        if code in _KEY_CODES:
            return AccountError(f"account {account}: {_KEY_CODES[code]}", code=code)
        return AccountError(
            f"account {account} may not read {what} ({status} {code or 'without a code'})",
            code="AccessDenied",
        )
    if status == 404:
        return ProductError(f"{what} is not there (404 {code or 'without a code'})", code="NoSuchKey")
    if status in (412, 416):
        return ProductError(f"{what} has changed since it was listed ({status})", code="Changed")
    return ServiceError(
        f"S3 answered {status} {code or ''} for {what}".replace("  ", " "),
        code=code or str(status),
        retry_after_s=after_s,
    )


def network_error(host: str, error: BaseException) -> ServiceError:
    """Return the error for a connection that could not be made or broke."""
    match error:
        case socket.gaierror():
            return ServiceError(f"{host}: the name cannot be resolved ({error.strerror})", code="NoAddress")
        case ssl.SSLCertVerificationError():
            return ServiceError(f"{host}: its certificate is not trusted ({error.verify_message})", code="Certificate")
        case ssl.SSLError():
            return ServiceError(f"{host}: TLS failed ({error.reason})", code="TLS")
        case TimeoutError():
            return ServiceError(f"{host}: no answer in time", code="Timeout")
        case http.client.IncompleteRead():
            return ServiceError(f"{host}: the answer ended early", code="CutBody")
        case http.client.HTTPException():
            return ServiceError(f"{host}: not a valid HTTP answer ({type(error).__name__})", code="BadAnswer")
        case OSError():
            return ServiceError(f"{host}: the connection broke ({error.strerror or error})", code="ConnectionLost")
    return ServiceError(f"{host}: the connection was closed", code="ConnectionLost")


def disk_error(where: str, error: OSError) -> DiskError:
    """Return the error for a local file operation that failed."""
    name = errno.errorcode.get(error.errno or 0, "EIO")
    if error.errno in _FULL:
        return DiskError(f"{where}: no space left ({name}); free some, transfers go on by themselves", code=name)
    return DiskError(f"{where}: {error.strerror or error} ({name})", code=name)


def retry_after_s(value: str | None) -> float | None:
    """Read a ``Retry-After`` header in its form of seconds, an hour at most; None for dates and nonsense."""
    return min(float(value), 3600.0) if value and re.fullmatch(r"\d{1,9}", value.strip()) else None


def _code(body: bytes) -> str:
    """Return the ``<Code>`` of an S3 error body, '' when there is none."""
    found = re.search(rb"<Code>([A-Za-z0-9.]{1,80})</Code>", body)
    return found[1].decode("ascii") if found else ""
