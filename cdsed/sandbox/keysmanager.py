"""The S3 keys manager: list, create and delete, with expiry, a maximum, and a delay until S3 accepts a key."""

import json
import secrets
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

from cdsed.clock import Clock
from cdsed.sandbox.accounts import SandboxAccount
from cdsed.sandbox.connection import PeerGone
from cdsed.sandbox.http import Request, Response, json_response
from cdsed.sandbox.identity import Identity, LoginRefusal
from cdsed.sandbox.quotas import SandboxQuotas
from cdsed.sandbox.rules import Rules

PATH = "/api/user"
_CREDENTIALS = f"{PATH}/credentials"
_LIMIT_DEFAULT = 20
_UNLIMITED = "2099-12-31T23:59:59Z"


@dataclass(frozen=True)
class _Key:
    account: str
    access_key: str
    expires: str


class SandboxKeysManager:
    """The keys that accounts of a sandbox have made."""

    def __init__(self, identity: Identity, quotas: SandboxQuotas, rules: Rules, clock: Clock) -> None:
        self._identity = identity
        self._quotas = quotas
        self._rules = rules
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: list[_Key] = []

    def respond(self, request: Request) -> Response:
        """Answer a call; raises PeerGone where a rule drops the response."""
        account = self._identity.bearer(request)
        if isinstance(account, LoginRefusal):
            return json_response(401, {"detail": "Could not validate credentials"})
        path = unquote(request.path)
        with self._lock:
            if path == _CREDENTIALS and request.method == "GET":
                return self._list(account, request)
            if path == _CREDENTIALS and request.method == "POST":
                return self._create(account, request)
            if path.startswith(f"{_CREDENTIALS}/access_id/") and request.method == "DELETE":
                return self._delete(account, path.rpartition("/")[2])
        return json_response(404, {"detail": "Not Found"})

    def _list(self, account: SandboxAccount, request: Request) -> Response:
        parameters = request.parameters()
        offset, limit = int(parameters.get("offset", "0")), int(parameters.get("limit", str(_LIMIT_DEFAULT)))
        keys = [key for key in self._keys if key.account == account.name]
        page = [
            {
                "access_id": key.access_key,
                "user_name": account.user_name,
                "organization": "sandbox",
                "expiration_date": key.expires,
            }
            for key in keys[offset : offset + limit]
        ]
        return json_response(200, {"credentials": page, "count": len(keys), "offset": offset, "limit": limit})

    def _create(self, account: SandboxAccount, request: Request) -> Response:
        if sum(key.account == account.name for key in self._keys) >= self._rules.keys_max:
            return json_response(403, {"detail": "Max number of credentials reached."})
        now = datetime.fromtimestamp(self._clock.utc_s(), UTC)
        try:
            asked = json.loads(request.body or b"{}").get("expiration_date") or _UNLIMITED
            expires = datetime.fromisoformat(asked)
        except (ValueError, AttributeError):
            return json_response(
                422, {"detail": [{"loc": ["body", "expiration_date"], "msg": "Input should be a date"}]}
            )
        if expires.tzinfo is None or expires <= now:
            return json_response(400, {"detail": "Expiration date must be in the future."})
        access_key, secret_key = secrets.token_hex(10).upper(), secrets.token_hex(20)
        valid_from = now + timedelta(seconds=self._rules.key_delay_s)
        made = replace(
            account, access_key=access_key, secret_key=secret_key, key_valid_from=valid_from, key_expires=expires
        )
        self._quotas.add_key(made)
        self._keys.append(_Key(account.name, access_key, asked))
        if self._rules.drop_key_answers > 0:
            self._rules.drop_key_answers -= 1
            raise PeerGone
        return json_response(200, {"access_id": access_key, "secret": secret_key, "expiration_date": asked})

    def _delete(self, account: SandboxAccount, access_key: str) -> Response:
        for key in self._keys:
            if key.access_key == access_key and key.account == account.name:
                self._keys.remove(key)
                self._quotas.remove_key(access_key)
                return Response(204)
        return json_response(404, {"detail": "Credentials not found."})
