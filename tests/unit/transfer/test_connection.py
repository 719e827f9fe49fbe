"""An endpoint verifies TLS where it is https, with one context for all connections, and makes none for http."""

import ssl
from types import SimpleNamespace

import pytest

from cdsed.config.secrets import Secret
from cdsed.transfer import connection
from cdsed.transfer.connection import Connection, Credentials, Endpoint


def _settings(url, ca_file=None):
    services = SimpleNamespace(s3_url=url, s3_region="default", ca_file=ca_file, proxy_url=None)
    transfer = SimpleNamespace(connect_timeout_s=1.0, read_timeout_s=1.0)
    return SimpleNamespace(services=services, transfer=transfer)


@pytest.fixture
def made(monkeypatch):
    made = []
    real = ssl.create_default_context
    monkeypatch.setattr(connection.ssl, "create_default_context", lambda **how: made.append(how) or real())
    return made


def test_http_needs_no_tls_context(made):
    for endpoint in (Endpoint("http://h:80", "r", 1, 1), Endpoint.from_settings(_settings("http://h", "/ca.pem"))):
        assert endpoint.tls is None
    assert made == []


def test_https_has_one_verifying_context_for_all_connections(made):
    for endpoint in (Endpoint("https://h", "r", 1, 1), Endpoint.from_settings(_settings("https://h"))):
        assert (endpoint.tls.verify_mode, endpoint.tls.check_hostname) == (ssl.CERT_REQUIRED, True)
        made.clear()
        for _ in range(3):
            Connection(endpoint, Credentials(Secret("a"), Secret("b")))
        assert made == []
    Endpoint.from_settings(_settings("https://h", "/ca.pem"))
    assert made == [{"cafile": "/ca.pem"}]
