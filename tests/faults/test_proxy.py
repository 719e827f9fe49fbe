"""Every service is reached through the proxy of the settings or of the environment, and nothing shows its password."""

import contextlib
import gc
import logging
import shutil
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdsed import log
from cdsed.config.proxies import ProxyRules
from cdsed.config.secrets import Secret
from cdsed.errors import ServiceError, TransferError
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.ports import free_port
from tests.support.proxies import PASSWORD, SECRETS, ConnectProxy, Tinyproxy
from tests.support.sandbox import SandboxProcess
from tests.support.tls_site import CLIENTS, Certificates, TlsServer, make_certificates

HOST = "eodata.dataspace.copernicus.eu"
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


@pytest.fixture(autouse=True)
def sockets_of_refused_tunnels() -> Iterator[None]:
    """Collect what the clients leave of a connection that a proxy closed, before it is reported in another test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls") / "made", f"DNS:{HOST},IP:127.0.0.1")


@pytest.fixture
def behind(certificates: Certificates) -> Iterator[tuple[ConnectProxy, TlsServer]]:
    """A proxy for CONNECT, and the one server that it leads to."""
    with contextlib.closing(TlsServer(certificates)) as server, contextlib.closing(ConnectProxy(server.port)) as proxy:
        yield proxy, server


@pytest.fixture
def tinyproxy(tmp_path: Path) -> Iterator[Tinyproxy]:
    (tmp_path / "proxy").mkdir()
    proxy = Tinyproxy(tmp_path / "proxy")
    with proxy.running():
        yield proxy


def canaries_below(root: Path) -> list[str]:
    """Return the files that show the login of the proxy."""
    secrets = [secret.encode() for secret in SECRETS]
    files = [path for path in root.rglob("*") if path.is_file()]
    return [str(path) for path in files if any(secret in path.read_bytes() for secret in secrets)]


def test_the_whole_job_takes_the_proxy_of_the_settings_for_every_service(tmp_path: Path, tinyproxy: Tinyproxy) -> None:
    names = realistic_safenames("S1_GRD", 2, seed=3)
    (tmp_path / "names.txt").write_text("\n".join(names), encoding="utf-8")
    commands = ["status", "--json"], ["config", "check"], ["resolve", str(tmp_path / "names.txt")]
    with SandboxProcess(accounts=1) as sandbox:
        lab = Installation(tmp_path / "lab", sandbox, services={"proxy_url": tinyproxy.url})
        lab.write_accounts({"default": sandbox.accounts}, keys=False)  # so that they get keys, with tokens
        sandbox.add_products(*({"safename": name, "size_bytes": 1_000_000} for name in names))
        lab.drop("all.txt", names)
        with DaemonProcess(lab) as daemon:
            wait_until("the report", lambda: lab.report("all.txt"), daemon=daemon)
            shown = "".join(lab.command(*words).stdout for words in commands)
        assert lab.states("all.txt") == dict.fromkeys(names, "done")
        assert lab.differences(names) == []
        asked = tinyproxy.requests()
        for service in ("eodata", "odata/v1/Products", "auth/realms/CDSE", "api/user/credentials"):
            assert any(f" {sandbox.url}/{service}" in line for line in asked), f"not through the proxy: {service}"
        assert len(sandbox.requests()) == len(asked)
    assert f"proxy: 127.0.0.1:{tinyproxy.port}, with a login (services.proxy_url)\n" in shown
    assert [path for path in canaries_below(lab.root) if not path.endswith("/cdsed.yml")] == []
    assert all(secret not in shown for secret in SECRETS)


def test_the_sandbox_is_reached_without_the_proxy_of_the_environment(tmp_path: Path, sandbox: SandboxProcess) -> None:
    [name] = realistic_safenames("S1_GRD", 1, seed=7)
    sandbox.add_products({"safename": name, "size_bytes": 500_000})
    lab = Installation(tmp_path, sandbox)
    lab.drop("one.txt", [name])
    dead = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    with DaemonProcess(lab, "--once", environ=dead) as daemon:
        assert daemon.wait(60) == 0, daemon.log()
    assert lab.differences([name]) == []


@needs_openssl
@pytest.mark.parametrize("ask", CLIENTS)
def test_https_goes_through_a_tunnel_with_the_hosts_own_certificate(ask, behind, certificates, tmp_path, monkeypatch):
    proxy, server = behind
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    with contextlib.suppress(TransferError):
        ask(f"https://{HOST}", certificates.authority, tmp_path)
    assert set(proxy.asked) == {f"{HOST}:443"}
    assert set(proxy.logins) == {f"Proxy-Authorization: Basic {SECRETS[2]}"}
    assert len(server.seen) >= 1


@needs_openssl
@pytest.mark.parametrize("ask", CLIENTS)
def test_a_proxy_that_reads_along_gets_no_request(ask, behind, certificates, tmp_path, monkeypatch):
    proxy, server = behind
    monkeypatch.setenv("https_proxy", proxy.url)
    with pytest.raises(ServiceError, match=r"(?i)certificate"):
        ask("https://catalogue.dataspace.copernicus.eu", certificates.authority, tmp_path)
    assert proxy.asked != []
    assert server.seen == []


@needs_openssl
@pytest.mark.parametrize("ask", CLIENTS)
def test_tinyproxy_makes_the_tunnel_too(ask, certificates, tinyproxy, tmp_path):
    with contextlib.closing(TlsServer(certificates)) as server:
        with contextlib.suppress(TransferError):
            ask(server.url, certificates.authority, tmp_path, ProxyRules(Secret(tinyproxy.url), {}))
        assert len(server.seen) >= 1
        assert any(f"CONNECT 127.0.0.1:{server.port} " in line for line in tinyproxy.requests())


@pytest.mark.parametrize("ask", [CLIENTS[0], CLIENTS[2]])
@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (407, "ProxyResponse", "407"),
        (403, "ProxyResponse", "refuses to connect"),
        (502, ("Unreachable", "ConnectionFailed"), "502"),
    ],
)
def test_a_proxy_that_refuses_a_tunnel_is_the_services_fault(ask, status, code, said, tmp_path, caplog):
    with contextlib.closing(ConnectProxy(0)) as proxy:
        proxy.status = status
        rules = ProxyRules(Secret(proxy.url), {})
        with caplog.at_level(logging.DEBUG), pytest.raises(ServiceError, match=said) as error:
            ask(f"https://{HOST}", None, tmp_path, rules)
    assert error.value.code in code
    assert shows_no_secret(error.value, caplog.text)


@pytest.mark.parametrize("ask", [CLIENTS[0], CLIENTS[2]])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_does_not_listen_is_named(ask, scheme, tmp_path, caplog):
    port = free_port()
    rules = ProxyRules(Secret(f"http://u:{PASSWORD.replace('@', '%40')}@127.0.0.1:{port}"), {})
    with caplog.at_level(logging.DEBUG), pytest.raises(ServiceError, match="proxy") as error:
        ask(f"{scheme}://{HOST}", None, tmp_path, rules)
    assert error.value.code in ("ConnectionLost", "ConnectionFailed")
    assert shows_no_secret(error.value, caplog.text)


@pytest.mark.parametrize("ask", CLIENTS[1:])
def test_a_login_that_tinyproxy_refuses_is_the_services_fault(ask, tinyproxy, tmp_path, shared_sandbox):
    rules = ProxyRules(Secret(f"http://other:not-this-one@127.0.0.1:{tinyproxy.port}"), {})
    with pytest.raises(ServiceError) as error:
        ask(shared_sandbox.url, None, tmp_path, rules)
    assert error.value.code in ("ProxyResponse", "Refused", "TruncatedBody")  # it closes before it has read a form
    assert "not-this-one" not in str(error.value)


def shows_no_secret(error: BaseException, logged: str) -> bool:
    text = "".join(traceback.format_exception(error)) + log.redact(logged)
    return all(secret not in text for secret in SECRETS)
