"""An endpoint verifies TLS where it is https, with one context for all connections, and makes none for http."""

import ssl
from pathlib import Path

import pytest

from cdsed.config.secrets import Secret
from cdsed.config.settings import Settings
from cdsed.transfer import connection
from cdsed.transfer.connection import Connection, Credentials, Endpoint


def _settings(url, ca_file=None):
    return Settings(state_dir=Path("/nowhere"), services={"s3_url": url, "ca_file": ca_file})


@pytest.fixture
def made(monkeypatch):
    made = []
    real = ssl.create_default_context
    monkeypatch.setattr(connection.ssl, "create_default_context", lambda **how: made.append(how) or real())
    return made


def test_http_needs_no_tls_context(made):
    for endpoint in (Endpoint("http://h:80", "r", 1, 1), Endpoint.from_settings(_settings("http://127.0.0.1:80"))):
        assert endpoint.tls is None
    assert made == []


def test_https_has_one_verifying_context_for_all_connections(made):
    for endpoint in (Endpoint("https://h", "r", 1, 1), Endpoint.from_settings(_settings("https://h"))):
        assert (endpoint.tls.verify_mode, endpoint.tls.check_hostname) == (ssl.CERT_REQUIRED, True)
        made.clear()
        for _ in range(3):
            Connection(endpoint, Credentials(Secret("a"), Secret("b")))
        assert made == []
    settings = _settings("https://h", "/ca.pem")
    made.clear()
    Endpoint.from_settings(settings)
    assert made == [{"cafile": "/ca.pem"}]
