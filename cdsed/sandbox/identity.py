"""The identity service: Keycloak's token endpoint with password and refresh grants, with the responses of CDSE."""

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from cdsed.clock import Clock
from cdsed.sandbox import tokens
from cdsed.sandbox.accounts import SandboxAccount
from cdsed.sandbox.http import Request, Response, json_response
from cdsed.sandbox.rules import Rules

PATH = f"{tokens.REALM}/protocol/openid-connect/token"


@dataclass
class _LoginSession:
    account: SandboxAccount
    session_id: str
    refresh_token: str
    ends_s: float


@dataclass(frozen=True)
class _Token:
    account: SandboxAccount
    ends_s: float


@dataclass(frozen=True)
class LoginRefusal:
    """Why a token is refused: ``expired``, ``missing`` or ``unknown``."""

    reason: str


class Identity:
    """All sessions and tokens of a sandbox.

    Parameters
    ----------
    accounts
        Those that can log in.
    rules, clock
        The limits, and the time.
    url
        The address of the sandbox.
    """

    def __init__(self, accounts: Iterable[SandboxAccount], rules: Rules, clock: Clock, url: str) -> None:
        self._accounts = {account.user_name: account for account in accounts}
        self._rules = rules
        self._clock = clock
        self._issuer = f"{url}{tokens.REALM}"
        self._lock = threading.Lock()
        self._sessions: dict[str, _LoginSession] = {}  # by refresh token
        self._tokens: dict[str, _Token] = {}
        self._failures: Counter[str] = Counter()
        self._locked_until_s: dict[str, float] = {}
        self._grants: Counter[str] = Counter()

    def respond(self, request: Request) -> Response:
        """Answer a request below the realm: of the token endpoint, or for what clients discover."""
        discovered = _DISCOVERED.get(request.path)
        if discovered is not None and request.method == "GET":
            return json_response(200, discovered(self._issuer))
        if request.path != PATH:
            return json_response(404, {"error": "HTTP 404 Not Found"})
        if request.method != "POST":
            return json_response(405, {"error": "HTTP 405 Method Not Allowed"})
        form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        if form.get("client_id") != tokens.CLIENT_ID:
            return _refusal(401, "invalid_client", "Invalid client or Invalid client credentials")
        with self._lock:
            self._forget_ended()
            self._grants[form.get("grant_type", "")] += 1
            match form.get("grant_type"):
                case "password":
                    return self._log_in(form)
                case "refresh_token":
                    return self._refresh(form.get("refresh_token", ""))
        return _refusal(400, "unsupported_grant_type", "Unsupported grant_type")

    def bearer(self, request: Request, *, in_query: bool = False) -> SandboxAccount | LoginRefusal:
        """Return the account whose access token a request has, or why the token is refused.

        Parameters
        ----------
        request
            As received.
        in_query
            Whether the token may also be the parameter ``token``, as the zipper takes it.
        """
        kind, _space, value = request.headers.get("authorization", "").partition(" ")
        if in_query and not value:
            kind, value = "bearer", request.parameters().get("token", "")
        if kind.lower() != "bearer" or not value:
            return LoginRefusal("missing")
        with self._lock:
            token = self._tokens.get(value.strip())
        if token is None:
            return LoginRefusal("unknown")
        return token.account if token.ends_s > self._clock.boot_s() else LoginRefusal("expired")

    def counters(self) -> dict[str, Any]:
        """Return how often each grant was requested, and the open sessions of each account."""
        with self._lock:
            self._forget_ended()
            sessions = Counter(session.account.name for session in self._sessions.values())
            return {"grants": dict(self._grants), "sessions": dict(sessions)}

    def end_sessions(self) -> None:
        """End every session and token at once, as an administrator may."""
        with self._lock:
            self._sessions.clear()
            self._tokens.clear()

    def _log_in(self, form: Mapping[str, str]) -> Response:
        account = self._accounts.get(form.get("username", ""))
        name = form.get("username", "")
        locked = self._locked_until_s.get(name, 0.0) > self._clock.boot_s()
        wrong = account is None or not account.password or form.get("password") != account.password
        if account is None or locked or wrong or form.get("totp", "") != account.totp:
            self._failures[name] += 1
            if self._failures[name] >= self._rules.failures_max:
                self._locked_until_s[name] = self._clock.boot_s() + self._rules.lockout_s
            # Keycloak answers the same for a locked account, so that an attacker does not learn the right password.
            return _refusal(401, "invalid_grant", "Invalid user credentials")
        self._failures.pop(name, None)
        if sum(session.account is account for session in self._sessions.values()) >= self._rules.sessions_max:
            return _refusal(400, "invalid_grant", "Session limit")
        session_id, lifetime_s = str(uuid.uuid4()), self._rules.refresh_s
        refresh_token = tokens.refresh_token(account, self._issuer, session_id, self._clock.utc_s(), lifetime_s)
        session = _LoginSession(account, session_id, refresh_token, self._clock.boot_s() + lifetime_s)
        self._sessions[refresh_token] = session
        return self._granted(session)

    def _refresh(self, refresh_token: str) -> Response:
        session = self._sessions.get(refresh_token)
        if session is None:
            return _refusal(400, "invalid_grant", "Session not active")
        return self._granted(session)

    def _granted(self, session: _LoginSession) -> Response:
        now_s = self._clock.boot_s()
        token_s = self._rules.token_s
        access_token = tokens.access_token(
            session.account, self._issuer, session.session_id, self._clock.utc_s(), token_s
        )
        self._tokens[access_token] = _Token(session.account, now_s + token_s)
        return json_response(
            200,
            {
                "access_token": access_token,
                "expires_in": token_s,
                "refresh_expires_in": max(0, session.ends_s - now_s),
                "refresh_token": session.refresh_token,
                "token_type": "Bearer",
                "not-before-policy": 0,
                "session_state": session.session_id,
                "scope": tokens.SCOPE,
            },
        )

    def _forget_ended(self) -> None:
        now_s = self._clock.boot_s()
        self._sessions = {key: session for key, session in self._sessions.items() if session.ends_s > now_s}


def _refusal(status: int, error: str, description: str) -> Response:
    return json_response(status, {"error": error, "error_description": description})


_DISCOVERED: dict[str, Callable[[str], Mapping[str, Any]]] = {
    f"{tokens.REALM}/.well-known/openid-configuration": tokens.openid_configuration,
    f"{tokens.REALM}/protocol/openid-connect/certs": lambda _issuer: tokens.public_keys(),
}
