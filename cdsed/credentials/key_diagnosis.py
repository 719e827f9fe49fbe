"""Diagnosing refused S3 keys: S3 gives the same response for keys that are wrong, too new, expired or revoked.

CDSE answers ``InvalidAccessKeyId`` for all of them, and sometimes ``AccessDenied`` for an expired one (CloudFerro's
eosdk). The history of the key shows which case it is.
"""

import hashlib

from cdsed.clock import Clock, iso
from cdsed.config.accounts import S3Keys
from cdsed.errors import AccountError, TransferError
from cdsed.store import key_history
from cdsed.store.database import Database
from cdsed.store.key_history import KeyHistory

#: Clients wait 10 to 60 s until a new key is usable; this allows for more.
YOUNG_S = 600.0

_NEW_KEY = "make a new one (`cdsed keys create`), put it into the accounts file and restart the daemon"


def note_use(db: Database, clock: Clock, account: str, pair: S3Keys) -> None:
    """Record which key an account uses from now on."""
    fingerprint = hashlib.sha256(f"{pair.access_key.reveal()}\0{pair.secret_key.reveal()}".encode()).hexdigest()[:4]
    key_history.enter(db, clock, account, fingerprint)


def diagnose_refusal(error: TransferError, account: str, history: KeyHistory | None, now: float) -> TransferError:
    """Return the refusal of a key with the reason that its history suggests; return any other error unchanged.

    Parameters
    ----------
    history
        None where the key was not used before.
    now
        Seconds UTC.

    Returns
    -------
    TransferError
        With one of the codes ``KeyExpired``, ``KeyRevoked``, ``KeyNotYetValid``, ``KeyUnknown``, ``WrongSecret`` and
        ``NoReadPermission``.
    """
    diagnosis = _diagnosis(error.code, history, now) if history is not None else None
    if diagnosis is None:
        return error
    code, text = diagnosis
    return AccountError(f"account {account}: {text}", code=code, retry_after_s=error.retry_after_s)


def _diagnosis(refusal: str, history: KeyHistory, now: float) -> tuple[str, str] | None:
    since = iso(history.since_at)
    worked = f"still worked at {iso(history.worked_at)}" if history.worked_at is not None else ""
    code = text = ""
    match refusal:
        case "ExpiredToken":
            code, text = "KeyExpired", f"its S3 key has expired; {_NEW_KEY}"
        case "InvalidAccessKeyId" | "AccessDenied" if history.expires_at is not None and history.expires_at <= now:
            code, text = "KeyExpired", f"its S3 key expired at {iso(history.expires_at)}; {_NEW_KEY}"
        case "InvalidAccessKeyId" if worked:
            code = "KeyRevoked"
            text = f"its S3 key {worked} and is unknown now: revoked, deleted or expired; {_NEW_KEY}"
        case "InvalidAccessKeyId" if now - history.since_at < YOUNG_S:
            code = "KeyNotYetValid"
            text = f"its S3 key, in use since {since}, is unknown so far; a new one takes a minute to become valid. "
            text += "If it stays so, check s3_access_key in the accounts file"
        case "InvalidAccessKeyId":
            code = "KeyUnknown"
            text = f"its S3 key never worked since {since}: mistyped, deleted or expired; check s3_access_key in the "
            text += f"accounts file, or {_NEW_KEY}"
        case "SignatureDoesNotMatch":
            code = "WrongSecret"
            text = f"its S3 secret key {worked} and does not fit any more: renewed at CDSE, or this machine's clock is "
            text += "wrong; correct the accounts file and restart the daemon"
            if not worked:
                text = "its S3 secret key does not fit its access key; correct the accounts file and restart the daemon"
        case "AccessDenied" if worked:
            code = "KeyRevoked"
            text = f"its S3 key {worked} and is refused everything now: revoked or expired; {_NEW_KEY}"
        case "AccessDenied":
            code = "NoReadPermission"
            text = "its S3 key is known, but may read nothing; log in at https://dataspace.copernicus.eu and see why"
    return (code, text) if code else None
