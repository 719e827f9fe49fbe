"""TLS is always verified: a server without a valid certificate gets no request, and no setting changes that."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from cdsed.errors import ServiceError, TransferError
from tests.support.tls_site import (
    CLIENTS,
    Certificates,
    TlsServer,
    ask_catalogue,
    ask_for_listing,
    ask_identity,
    ask_s3,
    make_certificates,
)


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls") / "good", "IP:127.0.0.1")


@pytest.fixture(scope="module")
def misnamed(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls") / "other", "DNS:eodata.dataspace.copernicus.eu")


@pytest.fixture
def serve() -> Iterator[Callable[[Certificates], TlsServer]]:
    with contextlib.ExitStack() as stack:
        yield lambda certificates: stack.enter_context(contextlib.closing(TlsServer(certificates)))


@pytest.mark.parametrize("ask", CLIENTS)
def test_a_server_without_a_trusted_certificate_gets_no_request(ask, trusted, serve, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONHTTPSVERIFY", "0")  # the switch of older Pythons and of much advice on the web
    server = serve(trusted)
    with pytest.raises(ServiceError) as error:
        ask(server.url, None, tmp_path)
    assert server.seen == []
    assert "canary" not in str(error.value)


@pytest.mark.parametrize("ask", CLIENTS)
def test_a_server_with_another_hosts_certificate_gets_no_request(ask, misnamed, serve, tmp_path):
    server = serve(misnamed)
    with pytest.raises(ServiceError):
        ask(server.url, misnamed.authority, tmp_path)
    assert server.seen == []


@pytest.mark.parametrize("ask", CLIENTS)
def test_a_server_that_the_settings_vouch_for_is_asked(ask, trusted, serve, tmp_path):
    server = serve(trusted)
    with contextlib.suppress(TransferError):
        ask(server.url, trusted.authority, tmp_path)
    assert len(server.seen) >= 1, "or the tests above show nothing"


@pytest.mark.parametrize("ask", [ask_s3, ask_for_listing, ask_identity, ask_catalogue])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_followed_nowhere(ask, status, trusted, serve, tmp_path):
    server, stranger = serve(trusted), serve(trusted)
    server.response = (status, {"Location": f"{stranger.url}/elsewhere"})
    with contextlib.suppress(ServiceError):
        ask(server.url, trusted.authority, tmp_path)
    assert len(server.seen) >= 1
    assert stranger.seen == []
