"""A client of CDSE's S3 keys manager: listing, making and deleting the S3 keys of an account.

Source: CloudFerro's eosdk (``auth/s3_keys.py``) and the CDSE documentation on S3.
"""

import json
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from cdsed.catalogue.http_client import HttpClient, HttpResponse
from cdsed.config.accounts import S3Keys
from cdsed.config.secrets import Secret
from cdsed.credentials.tokens import Tokens
from cdsed.errors import AccountError, ServiceError
from cdsed.frozen import frozen

_LISTED_AT_ONCE = 100
_PAGES_MAX = 50


@frozen
class ListedKey:
    """One S3 key as the keys manager lists it; `expires`: None for a key that does not expire."""

    access_key: str
    user_name: str
    expires: datetime | None


@frozen
class NewKey:
    """An S3 key just made. Its secret cannot be read again."""

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
    http_client
        Sends the requests.
    """

    def __init__(self, url: str, account: str, tokens: Tokens, http_client: HttpClient) -> None:
        self._url = f"{url.rstrip('/')}/credentials"
        self._account = account
        self._tokens = tokens
        self._http_client = http_client

    def listed(self) -> list[ListedKey]:
        """Return every S3 key of the account.

        Raises
        ------
        AccountError, ServiceError
            From the identity service, or from the keys manager.
        """
        keys: list[ListedKey] = []
        for _ in range(_PAGES_MAX):
            response = self._send("GET", self._url, params={"offset": len(keys), "limit": _LISTED_AT_ONCE})
            if response.status != 200:
                raise self._refusal(response, "list its keys")
            page, count = _listed(response)
            keys += page
            if len(keys) >= count:
                return keys
            if not page:
                raise _invalid_response(self._url)
        raise ServiceError(f"{self._url}: its list of keys does not end", code="InvalidResponse")

    def create(self, expires: datetime | None = None) -> NewKey:
        """Make a key; S3 accepts it some seconds later.

        Parameters
        ----------
        expires
            When it is to end, with a zone, to the second; None: the service's default.

        Raises
        ------
        AccountError
            ``KeyCapReached``: the account has as many keys as it may have. Or the request for the token failed.
        ServiceError
            The keys manager could not be asked. It is then not known whether a key was made.
        """
        values = {"expiration_date": f"{expires.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"} if expires else {}
        response = self._send("POST", self._url, json_body=values)
        if response.status not in (200, 201):
            raise self._refusal(response, "make a key")
        content = response.json_object()
        try:
            keys = S3Keys(_secret(content["access_id"]), _secret(content["secret"]))
            return NewKey(keys, _timestamp(content.get("expiration_date")))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise _invalid_response(self._url) from None

    def delete(self, access_key: str) -> bool:
        """Delete a key; return whether it existed.

        Raises
        ------
        AccountError, ServiceError
            From the identity service, or from the keys manager.
        """
        response = self._send("DELETE", f"{self._url}/access_id/{quote(access_key, safe='')}")
        if response.status == 404 and "detail" in response.json_object():
            return False
        if response.status not in (200, 204):
            raise self._refusal(response, f"delete the key {access_key}")
        if response.status == 200 and not _is_json(response.body):
            raise response.proxy_error()  # a page: the key is still there, and must not be forgotten
        return True

    def _send(
        self, method: str, url: str, *, params: dict[str, int] | None = None, json_body: dict[str, str] | None = None
    ) -> HttpResponse:
        """Send a request with a token; if the token is refused, send it once more with a new one."""
        # A POST that is sent twice would make two keys.
        send = self._http_client.send if method == "POST" else self._http_client.send_with_retry
        token = self._tokens.access_token()
        response = send(method, url, token=token, params=params, json_body=json_body)
        if response.status != 401 or "detail" not in response.json_object():
            return response
        self._tokens.reject(token)
        return send(method, url, token=self._tokens.access_token(), params=params, json_body=json_body)

    def _refusal(self, response: HttpResponse, what: str) -> AccountError | ServiceError:
        reason = response.reason()
        if 400 <= response.status < 500 and "detail" not in response.json_object():
            return response.proxy_error()
        if response.status == 403 and re.search(r"max\w* number", reason, re.IGNORECASE):
            return AccountError(
                f"account {self._account} has as many S3 keys as CDSE allows ({reason}); delete some: "
                f"cdsed keys list --account {self._account}, then cdsed keys delete --account {self._account} KEY",
                code="KeyCapReached",
            )
        if response.status in (401, 403):
            message = f"account {self._account} may not {what} at the S3 keys manager ({reason})"
            return AccountError(f"{message}; try it at {self._url.rpartition('/')[0]}/docs", code="KeysRefused")
        return ServiceError(f"{self._url}: could not {what}: answered {reason}", code="KeysManager")


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _listed(response: HttpResponse) -> tuple[list[ListedKey], int]:
    """Return the keys of a page, and the total number of keys."""
    content = response.json_object()
    try:
        return [_key(item) for item in _list(content["credentials"])], int(content.get("count", 0))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise _invalid_response(response.url) from None


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _key(item: Any) -> ListedKey:
    access_key = _secret(item["access_id"]).reveal()
    return ListedKey(access_key, str(item.get("user_name") or ""), _timestamp(item.get("expiration_date")))


def _timestamp(value: Any) -> datetime | None:
    """Read a time of the service; without a zone it is UTC."""
    if value is None or value == "":
        return None
    timestamp = datetime.fromisoformat(value)
    return timestamp.astimezone(UTC) if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)


def _secret(value: Any) -> Secret:
    if not isinstance(value, str) or not value:
        raise TypeError
    return Secret(value)


def _invalid_response(url: str) -> ServiceError:
    return ServiceError(f"{url}: a response that is not as documented", code="InvalidResponse")
