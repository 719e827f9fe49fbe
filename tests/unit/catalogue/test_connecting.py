"""A service that does not answer a connection costs the time-out of connections, not the longer one of responses."""

import threading
import time

import pytest

from cdsed.catalogue.http_client import HttpClient
from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.settings import Settings
from cdsed.errors import ServiceError
from tests.support.deaf_server import deaf_server


def test_an_address_that_leads_nowhere_costs_the_time_out_of_connections() -> None:
    settings = Settings.model_validate({"transfer": {"connect_timeout_s": 0.3}})
    begun_s = time.monotonic()
    with (
        deaf_server("127.0.0.2") as listening,
        HttpClient.from_settings(settings, clock=SYSTEM_CLOCK, stop=threading.Event()) as client,
        pytest.raises(ServiceError, match="no response in time"),
    ):
        client.send("GET", f"http://127.0.0.2:{listening.getsockname()[1]}/")
    assert time.monotonic() - begun_s < settings.catalogue.timeout_s / 2
