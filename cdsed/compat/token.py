"""The access token of a login, by the rules of the core: all processes share one session."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cdsed.catalogue.http_client import HttpClient
from cdsed.clock import SYSTEM_CLOCK
from cdsed.compat.private_settings import alias, own_directory
from cdsed.compat.wording import in_their_words
from cdsed.config.accounts import Account
from cdsed.config.secrets import Secret
from cdsed.config.settings import Settings
from cdsed.credentials.tokens import Tokens
from cdsed.errors import TransferError


@contextmanager
def bearer(
    settings: Settings, email: str | None, password: str | None, stop: threading.Event
) -> Iterator[Callable[[], str] | None]:
    """Return a function that returns the token of a login; None (anonymous) unless login and password are given."""
    if not (email and password):
        yield None
        return
    account = Account(
        name=alias(email),
        group="",
        login=email,
        password=Secret(password),
        s3_keys=None,
        s3_key_expires=None,
        sessions=1,
        bandwidth_bytes_per_s=None,
        requests_per_minute=1,
        volume_bytes=1,
    )
    with HttpClient.from_settings(settings, clock=SYSTEM_CLOCK, stop=stop) as http_client:
        tokens = Tokens(settings.services.identity_url, account, own_directory("tokens"), http_client)
        yield _of_a_call(tokens.access_token)


def _of_a_call(access_token: Callable[[], str]) -> Callable[[], str]:
    """Return the function with errors that speak of the call, not of cdsed's accounts file."""

    def token() -> str:
        try:
            return access_token()
        except TransferError as error:
            text = in_their_words(str(error), "this call")
            raise type(error)(text, code=error.code, retry_after_s=error.retry_after_s) from error

    return token
