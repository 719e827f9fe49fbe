"""CDSE's S3 keys manager: listing, making and deleting the S3 keys of an account.

Source: CloudFerro's eosdk (``auth/s3_keys.py``) and the CDSE documentation on S3.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from cdsed.catalogue.identity import Tokens
from cdsed.catalogue.wire import Exchanged, Wire
from cdsed.config.accounts import S3Keys
from cdsed.config.secrets import Secret
from cdsed.errors import AccountError, ServiceError

_LISTED_AT_ONCE = 100
_PAGES_MAX = 50


@dataclass(frozen=True, slots=True)
class ListedKey:
    """One S3 key as the keys manager lists it; `expires` is None for a key that never does."""

    access_key: str
    user_name: str
    expires: datetime | None


@dataclass(frozen=True, slots=True)
class NewKey:
    """An S3 key just made; nobody will ever see its secret again."""

    keys: S3Keys
    expires: datetime | None


class KeysManager:
    """The keys of one account.

    Parameters
    ----------
    url
        Address of the service, e.g. ``https://s3-keys-manager.cloudferro.com/api/user``.
    account
        Our name of the account, for messages.
    tokens
        Gives its access token.
    wire
        What carries the requests.
    """

    def __init__(self, url: str, account: str, tokens: Tokens, wire: Wire) -> None:
        self._url = f"{url.rstrip('/')}/credentials"
        self._account = account
        self._tokens = tokens
        self._wire = wire

    def listed(self) -> list[ListedKey]:
        """Return every S3 key of the account.

        Raises
        ------
        AccountError, ServiceError
            As the token, or the keys manager, has it.
        """
        keys: list[ListedKey] = []
        for _ in range(_PAGES_MAX):
            answer = self._asked("GET", self._url, {"offset": len(keys), "limit": _LISTED_AT_ONCE})
            if answer.status != 200:
                raise self._refused(answer, "list its keys")
            page, count = _listed(answer)
            keys += page
            if len(keys) >= count:
                return keys
            if not page:
                raise _invalid_response(self._url)
        raise ServiceError(f"{self._url}: its list of keys does not end", code="InvalidResponse")

    def create(self, expires: datetime | None = None) -> NewKey:
        """Make a key; it takes the service some seconds until S3 knows it.

        Parameters
        ----------
        expires
            When it shall end, with a zone, to the second; None leaves it to the service.

        Raises
        ------
        AccountError
            ``KeyCapReached``: the account has as many keys as it may have; or as the token has it.
        ServiceError
            The keys manager could not be asked. Whether a key was made is not known then.
        """
        values = {"expiration_date": f"{expires.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"} if expires else {}
        answer = self._asked("POST", self._url, values)
        if answer.status not in (200, 201):
            raise self._refused(answer, "make a key")
        content = answer.content()
        try:
            keys = S3Keys(_secret(content["access_id"]), _secret(content["secret"]))
            return NewKey(keys, _moment(content.get("expiration_date")))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise _invalid_response(self._url) from None

    def delete(self, access_key: str) -> bool:
        """Delete a key; return whether there was one.

        Raises
        ------
        AccountError, ServiceError
            As the token, or the keys manager, has it.
        """
        answer = self._asked("DELETE", f"{self._url}/access_id/{quote(access_key, safe='')}", None)
        if answer.status == 404 and "detail" in answer.content():
            return False
        if answer.status not in (200, 204):
            raise self._refused(answer, f"delete the key {access_key}")
        if answer.status == 200 and not _is_json(answer.body):
            raise answer.foreign()  # a page: the key is still there, and must not be forgotten
        return True

    def _asked(self, method: str, url: str, values: dict[str, Any] | None) -> Exchanged:
        """Ask with a token, and once more with another one when that token is refused."""
        # A POST that is asked twice would make two keys.
        ask = self._wire.once if method == "POST" else self._wire.ask
        token = self._tokens.access_token()
        answer = ask(method, url, token=token, values=values)
        if answer.status != 401 or "detail" not in answer.content():
            return answer
        self._tokens.reject(token)
        return ask(method, url, token=self._tokens.access_token(), values=values)

    def _refused(self, answer: Exchanged, what: str) -> AccountError | ServiceError:
        said = answer.said()
        if 400 <= answer.status < 500 and "detail" not in answer.content():
            return answer.foreign()
        if answer.status == 403 and re.search(r"max\w* number", said, re.IGNORECASE):
            return AccountError(
                f"account {self._account} has as many S3 keys as CDSE allows ({said}); delete some: "
                f"cdsed keys list --account {self._account}, then cdsed keys delete --account {self._account} KEY",
                code="KeyCapReached",
            )
        if answer.status in (401, 403):
            message = f"account {self._account} may not {what} at the S3 keys manager ({said})"
            return AccountError(f"{message}; try it at {self._url.rpartition('/')[0]}/docs", code="KeysRefused")
        return ServiceError(f"{self._url}: could not {what}: answered {said}", code="KeysManager")


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _listed(answer: Exchanged) -> tuple[list[ListedKey], int]:
    """Return the keys of a page, and how many there are in all."""
    content = answer.content()
    try:
        return [_key(item) for item in _list(content["credentials"])], int(content.get("count", 0))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise _invalid_response(answer.url) from None


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _key(item: Any) -> ListedKey:
    access_key = _secret(item["access_id"]).reveal()
    return ListedKey(access_key, str(item.get("user_name") or ""), _moment(item.get("expiration_date")))


def _moment(value: Any) -> datetime | None:
    """Read a time of the service; UTC where it names no zone."""
    if value is None or value == "":
        return None
    moment = datetime.fromisoformat(value)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _secret(value: Any) -> Secret:
    if not isinstance(value, str) or not value:
        raise TypeError
    return Secret(value)


def _invalid_response(url: str) -> ServiceError:
    return ServiceError(f"{url}: an answer that is not as documented", code="InvalidResponse")
