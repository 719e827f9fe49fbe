"""Translating what S3, the network and the disk report into errors of cdsed with their fault domain; done only here.

What follows from each error is in `cdsed.work.failure_rules`. The codes of eodata are those that other clients have
seen; bodies of 403 and 429 may be empty. Sources: the CDSE documentation on S3 and quotas, CloudFerro's eosdk,
developmentseed/lazycogs#80, and the error codes of Ceph's gateway.
"""

import errno
import http.client
import os
import re
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path

from cdsed.dir_handle import has_no_inodes
from cdsed.errors import AccountError, DiskError, MachineError, ProductError, ServiceError, TransferError
from cdsed.transfer.genuine import error_code

# The signature, the key or its owner is refused: every request of this account gets the same response.
_KEY_CODES = {
    "InvalidAccessKeyId": "the S3 key is unknown: deleted, expired, or not yet usable; check it in the accounts file",
    "SignatureDoesNotMatch": "the S3 secret key does not fit its access key; correct the accounts file",
    "ExpiredToken": "the temporary S3 key has expired",
    "InvalidToken": "the S3 session token is not valid",
    "RequestTimeTooSkewed": "this machine's clock differs from the service's; set it (timedatectl)",
    "UserSuspended": "CDSE has suspended it; log in at https://dataspace.copernicus.eu and see why",
    "AccountProblem": "CDSE has locked it; log in at https://dataspace.copernicus.eu and see why",
}
_PASSING_CODES = {"InternalError", "SlowDown", "ServiceUnavailable"}

# Codes of S3 about an object, by status. They are charged to a product, so the response has to be one of S3. Other
# services answer in XML of the same form, with codes of their own.
_OF_THE_OBJECT = {
    404: {"NoSuchKey", "NoSuchBucket"},
    410: {"NoSuchKey"},
    412: {"PreconditionFailed"},
    416: {"InvalidRange"},
}
# Codes of S3 for a refusal to read.
_REFUSALS = {
    "AccessDenied",
    "InvalidObjectState",
    "AllAccessDisabled",
    "InvalidPayer",
    "InvalidSecurity",
    "NotSignedUp",
}

_FULL = {errno.ENOSPC, errno.EDQUOT}
# The process or the machine is short of a resource: the fault is neither the disk's nor the service's.
_MACHINE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL}
# This file system cannot hold such a name or such a file; another one may.
_UNSTORABLE = {errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EFBIG, errno.EOVERFLOW}
_MOUNT_AGAIN = "; mount it again (umount -l, mount)"
_DISK_ADVICE = {
    "EIO": "; the disk fails, or what it is attached to: see dmesg and smartctl, and copy away what you need",
    "ESTALE": f"; its file server has forgotten it{_MOUNT_AGAIN}",
    "ENOTCONN": f"; what provides it has ended{_MOUNT_AGAIN}",
    "ENODEV": f"; its device is gone{_MOUNT_AGAIN}",
    "ENXIO": f"; its device is gone{_MOUNT_AGAIN}",
    "ETIMEDOUT": "; its file server does not answer: look at the server, and at the network",
    "EROFS": "; mount it for writing, or name it in ReadWritePaths= of the unit; if you did not change it, see dmesg",
    "EACCES": "; let this user (uid {uid}) write there, see chown(1) and chmod(1)",
    "EPERM": "; let this user (uid {uid}) write there; perhaps it is marked as immutable, see lsattr(1)",
}
_NO_WAY = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EACCES, errno.EPERM}

# Of a connection that was made and brings nothing, although the request was sent: packets of full size may be lost.
SILENT = "if it stays, the network may lose large packets (MTU)"
# By the code of X509_verify_cert(3); the words of OpenSSL stand before it.
_CLOCK = "CDSE has to renew it, or this machine's clock is wrong (timedatectl)"
_WRONG_HOST = "something on the way answers in its place, or the address in `services` is wrong"
_UNKNOWN_ISSUER = "something on the way opens TLS, or an authority is missing here: name its file in services.ca_file"
_CERTIFICATE = {
    9: _CLOCK,
    10: _CLOCK,
    **dict.fromkeys((18, 19, 20, 21), _UNKNOWN_ISSUER),
    62: _WRONG_HOST,
    64: _WRONG_HOST,
}

_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")  # of http.client: what a proxy answers to CONNECT


def foreign(status: int, what: str, retry_after_s: float | None = None) -> ServiceError:
    """Return the error for a response of something on the way to S3, such as a proxy."""
    message = f"something on the way to S3 answered {status} for {what}, not S3 itself"
    return ServiceError(f"{message}; look at proxies and firewalls", code="ProxyResponse", retry_after_s=retry_after_s)


def s3_error(account: str, what: str, status: int, headers: Mapping[str, str], body: bytes | None) -> TransferError:
    """Return the error for a response of S3 that is not a success.

    Parameters
    ----------
    account
        Our name of the account that sent the request.
    what
        What was requested, e.g. an object key, for the message.
    body
        None: it was a HEAD, whose responses have no body.
    """
    code = error_code(body or b"")
    after_s = retry_after_s(headers.get("Retry-After"))
    text = f"({status} {code or 'without a code'})"
    if status in (429, 509):
        own = bool(code) or not (body or b"").strip()
        return AccountError(
            f"account {account}: too many requests or connections ({status}{'' if own else ', from a proxy, not S3'})",
            code="Throttled" if own else "ThrottledElsewhere",
            retry_after_s=after_s,
        )
    if code in _KEY_CODES and 400 <= status < 500:
        return AccountError(f"account {account}: {_KEY_CODES[code]}", code=code)
    if _is_foreign(status, code, body):
        return foreign(status, what, after_s)
    if status in (401, 403):
        if code == "InvalidObjectState":
            return ProductError(f"{what} is in an archive and is not online {text}", code="NotOnline")
        return AccountError(f"account {account} may not read {what} {text}", code="AccessDenied")
    if status in (404, 410) and code != "NoSuchBucket":  # of a HEAD, the caller makes sure
        return ProductError(f"{what} is not there {text}", code="NoSuchKey")
    if status in (412, 416):
        return ProductError(f"{what} has changed since it was listed ({status})", code="Changed")
    return ServiceError(
        f"S3 answered {status} {code} for {what}{_advice(status)}".replace("  ", " "),
        code=_service_code(status, code),
        retry_after_s=after_s,
    )


def _is_foreign(status: int, code: str, body: bytes | None) -> bool:
    """Tell whether a refusal is not one of S3; a 401 and 403 of S3 may have an empty body."""
    if status in _OF_THE_OBJECT:
        return body is not None and code not in _OF_THE_OBJECT[status]
    return status in (401, 403, 407, 451) and code not in _REFUSALS and bool((body or b"").strip())


def _service_code(status: int, code: str) -> str:
    """Return our code for an error of the service; the code of the response is used only where it is known."""
    if status >= 500:
        return code if code in _PASSING_CODES else str(status)
    if 300 <= status < 400:
        return "Redirected"
    if status == 408 or code == "RequestTimeout":
        return "Timeout"
    return "BadRequest" if status >= 400 else "InvalidResponse"


def _advice(status: int) -> str:
    return "; look at services.s3_url and s3_region" if 300 <= status < 500 and status != 408 else ""


def network_error(host: str, error: BaseException, *, connected: bool = False) -> ServiceError | MachineError:
    """Return the error for a connection that could not be made, or broke after it was `connected`."""
    match error:
        case OSError() if error.errno in _MACHINE and not isinstance(error, socket.gaierror | ssl.SSLError):
            return _short_of(host, error)
        case socket.gaierror():
            code, text = (
                "NoAddress",
                f"the name cannot be resolved ({error.strerror}); look at the network and DNS of this machine",
            )
        case ssl.SSLCertVerificationError():
            code, advice = "Certificate", _CERTIFICATE.get(error.verify_code, "")
            text = f"its certificate is not trusted ({error.verify_message}){advice and f'; {advice}'}"
        case ssl.SSLError():
            code, text = "TLS", f"TLS failed ({error.reason})"
        case TimeoutError():
            silent = connected or "handshake" in str(error)
            code, text = "Timeout", f"no response in time; {SILENT}" if silent else "no connection in time"
        case http.client.IncompleteRead():
            code, text = "TruncatedBody", "the response ended early"
        case http.client.HTTPException() if not isinstance(error, OSError):
            code, text = "InvalidResponse", f"not a valid HTTP response ({type(error).__name__})"
        case OSError() if error.errno in _NO_WAY:
            code, text = (
                "Unreachable",
                f"there is no route to it ({error.strerror}); look at the network of this machine",
            )
        case OSError():
            code, text = _broken(error)
        case _:
            code, text = "ConnectionLost", "the connection was closed"
    return ServiceError(f"{host}: {text}", code=code)


def _broken(error: OSError) -> tuple[str, str]:
    refused = _TUNNEL.match(str(error))
    if not refused:
        return "ConnectionLost", f"the connection broke ({error.strerror or error})"
    if int(refused[1]) >= 500:
        return "Unreachable", f"the proxy cannot connect to it ({refused[1]})"
    advice = "give its login in services.proxy_url" if refused[1] in ("401", "407") else "let it pass the hosts of CDSE"
    return "ProxyResponse", f"the proxy refuses to connect ({refused[1]}); {advice}"


def disk_error(where: str, error: OSError) -> DiskError | MachineError | ProductError:
    """Return the error for a local file operation that failed: mostly, but not always, the disk's fault."""
    name = errno.errorcode.get(error.errno or 0, "EIO")
    if error.errno in _MACHINE:
        return _short_of(where, error)
    if error.errno in _UNSTORABLE:
        return ProductError(f"{where}: this file system cannot hold it: {error.strerror} ({name})", code=name)
    if error.errno == errno.ENOSPC and where.startswith("/") and has_no_inodes(Path(where)):
        text = f"{where}: its disk has no inodes left ({name}): it cannot hold more files, however small; remove some"
        return DiskError(text, code=name)
    if error.errno in _FULL:
        return DiskError(f"{where}: no space left ({name}); free some; transfers continue then", code=name)
    advice = _DISK_ADVICE.get(name, "").format(uid=os.geteuid())
    return DiskError(f"{where}: {error.strerror or error} ({name}){advice}", code=name, where=where)


class _AtPath:
    """What `on_disk` returns; a class, because a session enters one at every buffer."""

    __slots__ = ("_where",)

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, OSError):
            raise disk_error(self._where, error) from error


def on_disk(where: str) -> _AtPath:
    """Raise an OSError of a ``with`` block as the error that `disk_error` returns; `where` is for the message."""
    return _AtPath(where)


def local_error(where: str, error: BaseException) -> TransferError | None:
    """Return the error for an exception about this machine or its disks; None for any other exception."""
    match error:
        case MemoryError():
            return _short_of(where, OSError(errno.ENOMEM, "out of memory"))
        case OSError():
            return disk_error(str(error.filename or where), error)
    return None


def retry_after_s(value: str | None) -> float | None:
    """Read a ``Retry-After`` header in seconds, an hour at most; None for dates and invalid values."""
    return min(float(value), 3600.0) if value and re.fullmatch(r"\d{1,9}", value.strip()) else None


def _short_of(where: str, error: OSError) -> MachineError:
    name = errno.errorcode[error.errno or errno.ENOMEM]
    advice = "; raise LimitNOFILE" if error.errno == errno.EMFILE else ""
    return MachineError(f"{where}: this machine is short of something: {error.strerror} ({name}){advice}", code=name)
