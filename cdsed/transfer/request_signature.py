"""Signing requests to S3 with AWS signature version 4, in the Authorization header.

Only what cdsed sends: requests without a body, to one host and region. A test compares each signature with the one
that botocore makes. See docs/decisions/0022-own-signature-and-listing.md.
"""

import hashlib
import hmac
import time
from collections.abc import Mapping
from urllib.parse import quote

from cdsed.config.secrets import Secret

_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
_SERVICE_SCOPE = "s3/aws4_request"
_UNRESERVED = "-_.~"


def canonical_query(values: Mapping[str, str]) -> str:
    """Return the query of a URL, encoded and sorted as the signature demands it."""
    encoded = sorted((quote(name, safe=_UNRESERVED), quote(value, safe=_UNRESERVED)) for name, value in values.items())
    return "&".join(f"{name}={value}" for name, value in encoded)


class RequestSigner:
    """Signs the requests of one account to one host.

    Parameters
    ----------
    host
        As it is sent in the ``Host`` header.
    """

    def __init__(self, access_key: Secret, secret_key: Secret, region: str, host: str) -> None:
        self._access_key = access_key
        self._secret_key = secret_key
        self._region = region
        self._host = host
        self._key_of_day: tuple[str, bytes] = ("", b"")

    def signed(
        self, method: str, path: str, query: str, headers: Mapping[str, str], at_s: float | None = None
    ) -> dict[str, str]:
        """Return the headers to send: those that are given, and those of the signature.

        Parameters
        ----------
        path, query
            As they are sent, encoded; `query` as `canonical_query` makes it.
        headers
            All of them are signed. ``Host`` is added to what is signed, and is not returned.
        at_s
            Seconds since 1970; None: now.
        """
        timestamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at_s))
        sent = {**headers, "X-Amz-Date": timestamp, "X-Amz-Content-SHA256": _EMPTY_SHA256}
        lines = sorted((name.lower(), " ".join(value.split())) for name, value in (("host", self._host), *sent.items()))
        names = ";".join(name for name, _ in lines)
        canonical = "\n".join(
            (method, path, query, *(f"{name}:{value}" for name, value in lines), "", names, _EMPTY_SHA256)
        )
        scope = f"{timestamp[:8]}/{self._region}/{_SERVICE_SCOPE}"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{digest}"
        signature = hmac.digest(self._key(timestamp[:8]), text.encode(), "sha256").hex()
        sent["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self._access_key.reveal()}/{scope}, SignedHeaders={names}, "
            f"Signature={signature}"
        )
        return sent

    def _key(self, day: str) -> bytes:
        """Return the key of a day, which is derived from the secret key."""
        known, key = self._key_of_day
        if known != day:
            key = f"AWS4{self._secret_key.reveal()}".encode()
            for part in (day, self._region, *_SERVICE_SCOPE.split("/")):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key_of_day = (day, key)
        return key
