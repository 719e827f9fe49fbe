"""Access tokens of CDSE accounts, from Keycloak's password and refresh grants.

Each login opens a session at the service, and an account has 100 of them. So all processes of a machine share one token
(`token_file`), refresh it as long as possible, and do not log in for each call. After a refused login cdsed backs off,
longer each time, because the service locks out an account after too many tries.
Source: https://documentation.dataspace.copernicus.eu/APIs/Token.html; CS-SI/eodag#803 and #858 on the lock-out.
"""

import base64
import binascii
import hashlib
import hmac
import logging
import re
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from cdsed.catalogue.http_client import HttpClient, HttpResponse
from cdsed.clock import Clock
from cdsed.config.accounts import Account
from cdsed.config.secrets import Secret
from cdsed.credentials.token_file import TokenFile, TokenGrant, token_path
from cdsed.errors import AccountError, ServiceError

_CLIENT_ID = "cdse-public"
_MARGIN_S, _MARGIN_SHARE = 30.0, 0.2  # renewed this long before its end, or a fifth of its lifetime if that is shorter
# Seconds until the same login is tried again: the first and the longest wait; doubled each time.
_PAUSES_S = {
    "WrongPassword": (300.0, 21_600.0),
    "LoginRefused": (300.0, 21_600.0),
    "TooManySessions": (60.0, 3_600.0),
}
_TOTP_STEP_S, _TOTP_DIGITS = 30, 6
_CODE = re.compile(r"\d{6,8}")

_log = logging.getLogger(__name__)


class Tokens:
    """The access token of one account; may be used by several threads.

    Parameters
    ----------
    url
        The token endpoint.
    account
        Its login, password and, where it has one, second factor.
    folder
        Directory of the shared token file, private to the user; it must exist.
    http_client
        Sends the requests.
    """

    def __init__(self, url: str, account: Account, folder: Path, http_client: HttpClient) -> None:
        self._url = url
        self._account = account
        self._http_client = http_client
        self._file = TokenFile(token_path(folder, account.name), http_client.clock)
        self._lock = threading.Lock()
        self._grant = TokenGrant()

    def access_token(self) -> str:
        """Return a token that stays valid for a while: the shared one, or a new one, which is then shared.

        Raises
        ------
        AccountError
            ``NoPassword``, ``WrongPassword``, ``LoginRefused`` or ``TooManySessions``. Before its ``retry_after_s``
            the same error is raised without a login.
        ServiceError
            The identity service could not be asked.
        Stopped
            `stop` was set while another process was logging in.
        """
        with self._lock:
            if self._grant.access_until_s <= self._now_s():
                with self._file.held(self._http_client.stop):
                    self._grant = self._file.read()
                    if self._grant.access_until_s <= self._now_s():
                        self._grant = self._renew(self._grant)
            return self._grant.access_token

    def reject(self, token: str) -> None:
        """Drop a token that a service has refused; a newer one in the shared file stays."""
        with self._lock, self._file.held(self._http_client.stop):
            grant = self._file.read()
            if grant.access_token == token:
                self._file.write(replace(grant, access_token="", access_until_s=0.0))
            self._grant = TokenGrant()

    def _now_s(self) -> float:
        return self._http_client.clock.boot_s()

    def _renew(self, grant: TokenGrant) -> TokenGrant:
        """Refresh, or log in; the result is in the file when this returns or raises."""
        refreshed = self._refresh(grant) if grant.refresh_until_s > self._now_s() else None
        if refreshed is not None:
            return refreshed
        password = self._account.password
        if password is None:
            raise AccountError(
                f"account {self._account.name} has no password, which a token needs; add it to the accounts file",
                code="NoPassword",
            )
        self._look_before_login(grant, password)
        form = {"grant_type": "password", "username": self._account.login, "password": password.reveal()}
        if self._account.totp is not None:
            form["totp"] = one_time_code(self._account.totp, self._http_client.clock)
        response = self._send(form)
        if response.status != 200:
            _expect_refusal(response)
            raise self._note_refusal(grant, response, password)
        return self._keep(response)

    def _refresh(self, grant: TokenGrant) -> TokenGrant | None:
        """Return a new grant for a refresh token; None when its session is over."""
        response = self._send({"grant_type": "refresh_token", "refresh_token": grant.refresh_token})
        if response.status == 200:
            return self._keep(response)
        _expect_refusal(response)
        _log.info("account %s: its session is over (%s); logging in again", self._account.name, response.reason())
        return None

    def _send(self, form: dict[str, str]) -> HttpResponse:
        return self._http_client.send_with_retry("POST", self._url, form={"client_id": _CLIENT_ID, **form})

    def _keep(self, response: HttpResponse) -> TokenGrant:
        grant = _grant(response, self._now_s())
        self._file.write(grant)
        return grant

    def _look_before_login(self, grant: TokenGrant, password: Secret) -> None:
        """Raise the last refusal again during its back-off, unless the password has changed."""
        left_s = grant.refused_until_s - self._now_s()
        if left_s > 0 and grant.refused_for == _fingerprint(self._account, password):
            message = f"{grant.reason} (not asked again for {left_s:.0f} s, so that CDSE does not lock the account)"
            raise AccountError(message, code=grant.code, retry_after_s=left_s)

    def _note_refusal(self, grant: TokenGrant, response: HttpResponse, password: Secret) -> AccountError:
        code, advice = _code_and_advice(response)
        first_s, longest_s = _PAUSES_S[code]
        pause_s = min(longest_s, first_s * 2.0 ** min(grant.refusals, 32))
        reason = f"account {self._account.name}: the identity service refuses its login ({response.reason()}); {advice}"
        self._file.write(
            TokenGrant(
                refusals=grant.refusals + 1,
                refused_until_s=self._now_s() + pause_s,
                refused_for=_fingerprint(self._account, password),
                reason=reason,
                code=code,
            )
        )
        return AccountError(reason, code=code, retry_after_s=pause_s)


def one_time_code(totp: Secret, clock: Clock) -> str:
    """Return the second factor to send: a code as given, or the current code of a base32 seed.

    RFC 6238 with its defaults: SHA-1, 30 seconds, 6 digits.

    Raises
    ------
    AccountError
        ``BadTotp``: it is neither a code nor a seed.
    """
    text = re.sub(r"[\s-]", "", totp.reveal()).upper()
    if _CODE.fullmatch(text):
        return text
    try:
        seed = base64.b32decode(text + "=" * (-len(text) % 8))
    except binascii.Error:
        raise AccountError(
            "totp in the accounts file is neither a code of six digits nor a base32 seed; correct it", code="BadTotp"
        ) from None
    counter = int(clock.utc_s()) // _TOTP_STEP_S
    digest = hmac.digest(seed, counter.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**_TOTP_DIGITS:0{_TOTP_DIGITS}}"


def _expect_refusal(response: HttpResponse) -> None:
    """Raise ServiceError unless the refusal is from the identity service: only its refusals have an ``error``."""
    if response.status not in (400, 401, 403) or not isinstance(response.json_object().get("error"), str):
        raise response.proxy_error()


def _grant(response: HttpResponse, now_s: float) -> TokenGrant:
    """Read the service's grant; lifetimes count from now, with a margin."""
    content: dict[str, Any] = response.json_object()
    try:
        return TokenGrant(
            access_token=_filled(content["access_token"]),
            access_until_s=now_s + _short(float(content["expires_in"])),
            refresh_token=_text(content.get("refresh_token", "")),
            refresh_until_s=now_s + _short(float(content.get("refresh_expires_in", 0))),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ServiceError(f"{response.url}: a response that is not as documented", code="InvalidResponse") from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _filled(value: object) -> str:
    if not value:
        raise ValueError
    return _text(value)


def _short(life_s: float) -> float:
    return max(0.0, life_s - min(_MARGIN_S, life_s * _MARGIN_SHARE))


def _code_and_advice(response: HttpResponse) -> tuple[str, str]:
    """Return the code of a refusal, and what to do about it."""
    if response.status == 401:
        return "WrongPassword", "correct login, password or totp in the accounts file"
    if response.status == 400 and "account" not in response.reason().lower():
        # The response does not say so, but its cause is too many open sessions: cdsodatacli#152, sentineleof#56.
        advice = "most often the account has its 100 sessions open: end other programs that use it, or wait an hour"
        return "TooManySessions", f"{advice}; where its login has two factors, give its totp in the accounts file"
    return "LoginRefused", "log in at https://dataspace.copernicus.eu and see what the account lacks"


def _fingerprint(account: Account, password: Secret) -> str:
    """Return sixteen bits of a digest of the login: enough to see a change, too few to guess the password."""
    totp = account.totp.reveal() if account.totp else ""
    tried = f"{account.login}\0{password.reveal()}\0{totp}"
    return hashlib.sha256(tried.encode()).hexdigest()[:4]
