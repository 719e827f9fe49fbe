"""cdsodatacli's ``s3_temporary_access_token``: temporary S3 keys and a boto3 resource that uses them.

cdsed itself makes, awaits, renews and deletes such keys (`cdsed.credentials.key_rotation`). Here the caller has to
delete them, otherwise the account soon has as many as the service allows.
"""

import os
import threading
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config

from cdsed.catalogue.http_client import HttpClient
from cdsed.clock import SYSTEM_CLOCK, iso
from cdsed.config.load import settings_or_defaults
from cdsed.config.proxies import ProxyRules
from cdsed.credentials.keys_manager import KeysManager
from cdsed.credentials.token_file import check_token
from cdsed.credentials.tokens import Tokens


class _Given(Tokens):
    """The caller's token, which cannot be renewed."""

    def __init__(self, token: str) -> None:
        check_token(token)
        self._token = token

    def access_token(self) -> str:
        return self._token

    def reject(self, token: str) -> None: ...


def _get_fresh_s3_client(conf: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[dict[str, Any], Any]:
    """Make temporary S3 keys, and a client with them.

    Parameters
    ----------
    conf
        ``s3_endpoint`` and ``s3_region`` where they differ from CDSE's.
    headers
        With ``Authorization: Bearer …``, the access token.

    Returns
    -------
    dict
        ``access_id``, ``secret`` and, where the service states it, ``expiration_date``. S3 accepts the keys some
        seconds later.
    boto3 resource
        Of the service ``s3``.

    Raises
    ------
    AccountError
        The token is refused, or the account has as many keys as it may have.
    ServiceError
        The keys manager could not be asked.
    ValueError
        The header does not have a valid token.
    """
    settings = settings_or_defaults(None, os.environ)
    services = settings.services
    bearer = next((value for name, value in headers.items() if name.lower() == "authorization"), "")
    with HttpClient.from_settings(settings, clock=SYSTEM_CLOCK, stop=threading.Event()) as http_client:
        tokens = _Given(bearer.partition(" ")[2].strip())
        made = KeysManager(services.keys_manager_url, "of these headers", tokens, http_client).create()
    keys = {"access_id": made.keys.access_key.reveal(), "secret": made.keys.secret_key.reveal()}
    url = conf.get("s3_endpoint", services.s3_url)
    proxy = ProxyRules(services.proxy_url).proxy_for(url)
    resource = boto3.resource(
        "s3",
        endpoint_url=url,
        region_name=conf.get("s3_region", services.s3_region),
        aws_access_key_id=keys["access_id"],
        aws_secret_access_key=keys["secret"],
        config=Config(proxies=dict.fromkeys(("http", "https"), proxy.url_with_login()) if proxy else {}),
        verify=None if services.ca_file is None else str(services.ca_file),
    )
    return keys | ({"expiration_date": iso(made.expires.timestamp())} if made.expires else {}), resource
