"""A sandbox in this process, and clients that sign with botocore over a bare connection."""

import contextlib
import http.client
from typing import Any
from urllib.parse import quote

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from cdsed.sandbox.accounts import SandboxAccount
from cdsed.sandbox.names import realistic_safenames
from cdsed.sandbox.products import ProductSpec, SandboxProduct
from cdsed.sandbox.server import Sandbox


class SignedConnection:
    """One HTTP connection whose requests are signed for one account."""

    def __init__(self, site: Sandbox, account: SandboxAccount) -> None:
        self._site = site
        self._account = account
        self.connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)

    def ask(self, key: str, method: str = "GET", query: str = "", **headers: str) -> http.client.HTTPResponse:
        """Send a request and return the answer with its body unread."""
        path = f"/eodata/{quote(key)}{query}"
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        request = AWSRequest(method, f"{self._site.url}{path}", headers=headers)
        credentials = Credentials(self._account.access_key, self._account.secret_key)
        S3SigV4Auth(credentials, "s3", "default").add_auth(request)
        self.connection.request(method, path, headers=dict(request.headers))
        return self.connection.getresponse()

    def get(self, key: str, **headers: str) -> tuple[int, bytes]:
        """Send a GET; return status and whole body."""
        response = self.ask(key, **headers)
        return response.status, response.read()


class Site:
    """A running sandbox with what tests ask of it."""

    def __init__(self, sandbox: Sandbox, stack: contextlib.ExitStack) -> None:
        self.sandbox = sandbox
        self._stack = stack

    def add(self, kind: str = "S1_GRD", size_bytes: int = 300_000, index: int = 0, **options: Any) -> SandboxProduct:
        safename = realistic_safenames(kind, index + 1)[index]
        return self.sandbox.bucket.add(ProductSpec(safename, size_bytes, **options))

    def connect(self, account: int | SandboxAccount = 0) -> SignedConnection:
        known = self.sandbox.accounts[account] if isinstance(account, int) else account
        client = SignedConnection(self.sandbox, known)
        self._stack.callback(client.connection.close)
        return client

    def boto3(self, account: int | SandboxAccount = 0) -> Any:
        known = self.sandbox.accounts[account] if isinstance(account, int) else account
        client = boto3.client(
            "s3",
            endpoint_url=self.sandbox.url,
            region_name="default",
            aws_access_key_id=known.access_key,
            aws_secret_access_key=known.secret_key,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )
        self._stack.callback(client.close)
        return client

    def account(self, index: int = 0) -> dict[str, Any]:
        return self.sandbox.quotas.counters()[self.sandbox.accounts[index].name]
