"""The identity service: Keycloak's token endpoint with password and refresh grants, with the responses of CDSE."""

import secrets
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from cdsed.clock import Clock
from cdsed.sandbox.accounts import SandboxAccount
from cdsed.sandbox.http import Request, Response, json_response
from cdsed.sandbox.rules import Rules

PATH = "/auth/realms/CDSE/protocol/openid-connect/token"
_CLIENT_ID = "cdse-public"


@dataclass
class _LoginSession:
    account: SandboxAccount
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
    """All sessions and tokens of a sandbox."""

    def __init__(self, accounts: Iterable[SandboxAccount], rules: Rules, clock: Clock) -> None:
        self._accounts = {account.user_name: account for account in accounts}
        self._rules = rules
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[str, _LoginSession] = {}  # by refresh token
        self._tokens: dict[str, _Token] = {}
        self._failures: Counter[str] = Counter()
        self._locked_until_s: dict[str, float] = {}
        self._grants: Counter[str] = Counter()

    def respond(self, request: Request) -> Response:
        """Answer a request of the token endpoint."""
        if request.method != "POST":
            return json_response(405, {"error": "HTTP 405 Method Not Allowed"})
        form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        if form.get("client_id") != _CLIENT_ID:
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

    def bearer(self, request: Request) -> SandboxAccount | LoginRefusal:
        """Return the account whose access token a request has, or why the token is refused."""
        kind, _space, value = request.headers.get("authorization", "").partition(" ")
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
        refresh_token = secrets.token_urlsafe(24)
        session = _LoginSession(account, refresh_token, self._clock.boot_s() + self._rules.refresh_s)
        self._sessions[refresh_token] = session
        return self._granted(session)

    def _refresh(self, refresh_token: str) -> Response:
        session = self._sessions.get(refresh_token)
        if session is None:
            return _refusal(400, "invalid_grant", "Session not active")
        return self._granted(session)

    def _granted(self, session: _LoginSession) -> Response:
        now_s = self._clock.boot_s()
        access_token = secrets.token_urlsafe(48)
        self._tokens[access_token] = _Token(session.account, now_s + self._rules.token_s)
        return json_response(
            200,
            {
                "access_token": access_token,
                "expires_in": self._rules.token_s,
                "refresh_expires_in": max(0, session.ends_s - now_s),
                "refresh_token": session.refresh_token,
                "token_type": "Bearer",
                "not-before-policy": 0,
                "scope": "AUDIENCE_PUBLIC openid email profile",
            },
        )

    def _forget_ended(self) -> None:
        now_s = self._clock.boot_s()
        self._sessions = {key: session for key, session in self._sessions.items() if session.ends_s > now_s}


def _refusal(status: int, error: str, description: str) -> Response:
    return json_response(status, {"error": error, "error_description": description})
