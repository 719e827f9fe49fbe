"""Which proxy leads where, and that nothing shows its password."""

import os
from pathlib import Path

import pytest

from cdsed import log
from cdsed.config.load import load_settings
from cdsed.config.proxies import ProxyRules, parse_proxy
from cdsed.config.secrets import Secret
from cdsed.config.settings import ServiceSettings
from cdsed.errors import ConfigError
from tests.support.proxies import LOGIN, PASSWORD, SECRETS

S3 = "https://eodata.dataspace.copernicus.eu"
SANDBOX = "http://127.0.0.1:8333/odata/v1"


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests(monkeypatch):
    monkeypatch.setattr(log, "_secrets", {})


def leads(url: str, setting: str | None = None, **environ: str) -> str | None:
    proxy = ProxyRules(None if setting is None else Secret(setting), environ).proxy_for(url)
    return None if proxy is None else str(proxy)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"https_proxy": "http://a:1"}, "a:1"),
        ({"HTTPS_PROXY": "http://a:1"}, "a:1"),
        ({"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:2"}, "a:1"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://b:2"}, None),
        ({"http_proxy": "http://a:1"}, None),
        ({"all_proxy": "http://a:1"}, "a:1"),
        ({"ALL_PROXY": "http://a:1", "https_proxy": "http://b:2"}, "b:2"),
        ({"https_proxy": "a:1"}, "a:1"),
        ({"https_proxy": "http://a"}, "a:80"),
        ({"https_proxy": "http://a:1/"}, "a:1"),
        ({"https_proxy": "http://[2001:db8::1]:3128"}, "[2001:db8::1]:3128"),
    ],
)
def test_the_environment_names_the_proxy_of_a_scheme(environ, expected):
    assert leads(S3, **environ) == expected


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("*", True),
        ("dataspace.copernicus.eu", True),
        (".copernicus.eu", True),
        ("*.copernicus.eu", True),
        ("EODATA.dataspace.copernicus.eu", True),
        ("localhost, copernicus.eu", True),
        ("copernicus.eu:443", True),
        ("copernicus.eu:80", False),
        ("pernicus.eu", False),
        ("eodata", False),
        ("10.0.0.0/8,192.168.1.1", False),
        (" , ", False),
    ],
)
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
@pytest.mark.parametrize("setting", [None, "http://a:1"])
def test_no_proxy_names_hosts_that_are_reached_directly(no_proxy, direct, name, setting):
    assert (leads(S3, setting, https_proxy="http://a:1", **{name: no_proxy}) is None) == direct


@pytest.mark.parametrize(("host", "direct"), [("10.1.2.3", True), ("11.1.2.3", False), ("[2001:db8::5]", True)])
def test_no_proxy_names_networks(host, direct):
    found = leads(f"https://{host}:8080", https_proxy="http://a:1", no_proxy="10.0.0.0/8,2001:db8::/32")
    assert (found is None) == direct


@pytest.mark.parametrize("url", [SANDBOX, "http://localhost:8333", "https://[::1]:8443", "https://127.1.2.3"])
def test_this_machine_is_reached_through_a_proxy_only_if_the_settings_say_so(url):
    everything = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://a:1")

    assert leads(url, **everything) is None
    assert leads(url, "http://b:2", **everything) == "b:2"
    assert leads(url, "http://b:2", **everything, no_proxy="127.0.0.0/8,localhost,::1") is None


def test_the_setting_wins_over_the_environment_and_can_refuse_every_proxy():
    assert leads(S3, "http://b:2", https_proxy="http://a:1") == "b:2"
    assert leads(S3, "direct", https_proxy="http://a:1") is None


@pytest.mark.parametrize(
    "text",
    [
        *("socks5://canary:canary@a:1", "https://canary@a:1", "ftp://a", "http://", "canary@", "http://a:canary"),
        *("http://a:99999", "http://a/canary", "http://a?canary", "a b://x", "http://[canary"),
    ],
)
def test_what_is_no_address_of_an_http_proxy_is_refused_without_its_text(text, tmp_path):
    with pytest.raises(ValueError, match="such as http://proxy") as refused:
        parse_proxy(text)
    assert "canary" not in str(refused.value)
    file = tmp_path / "cdsed.yml"
    file.write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^\$https_proxy: should be") as refused_environment:
        load_settings(file, {"https_proxy": text})
    assert "canary" not in str(refused_environment.value)
    file.write_text(f"services: {{proxy_url: '{text}'}}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"cdsed.yml:1: services.proxy_url: should be") as refused_setting:
        load_settings(file, {})
    assert "canary" not in str(refused_setting.value)


@pytest.mark.parametrize("value", ["1", "true", "[http://a:1]", "{host: a}"])
def test_a_setting_that_is_no_text_is_refused(value, tmp_path):
    file = tmp_path / "cdsed.yml"
    file.write_text(f"services: {{proxy_url: {value}}}\n", encoding="utf-8")

    with pytest.raises(ConfigError, match=r"services.proxy_url: should be an address"):
        load_settings(file, {})


def test_an_environment_that_the_settings_overrule_is_not_judged(tmp_path):
    file = tmp_path / "cdsed.yml"
    file.write_text("services: {proxy_url: direct}\n", encoding="utf-8")

    load_settings(file, {"https_proxy": "socks5://a:1"})


def test_the_login_goes_into_one_header_and_nowhere_else(tmp_path: Path):
    address = f"http://{LOGIN[0]}:{LOGIN[1]}@proxy:3128"
    file = tmp_path / "cdsed.yml"
    file.write_text(f"services: {{proxy_url: '{address}'}}\n", encoding="utf-8")

    services = load_settings(file, dict(os.environ)).services
    proxy = ProxyRules(services.proxy_url, {}).proxy_for(S3)

    assert proxy is not None
    assert proxy.headers() == {"Proxy-Authorization": f"Basic {SECRETS[2]}"}
    assert parse_proxy(proxy.url_with_login()) == proxy
    shown = f"{proxy} {proxy!r} {proxy.url} {services} {services!r} {services.model_dump()} {ServiceSettings()}"
    assert all(secret not in shown for secret in SECRETS)
    assert log.redact(f"{address} {PASSWORD} {proxy.headers()}").count("canary") == 0
    assert SECRETS[2] not in log.redact(str(proxy.headers()["Proxy-Authorization"]))


def test_a_password_in_any_letters_is_sent_as_utf_8():
    proxy = parse_proxy("http://us%C3%A9r:%E2%82%AC@proxy")

    assert proxy.url_with_login() == "http://us%C3%A9r:%E2%82%AC@proxy:80"
    assert proxy.headers()["Proxy-Authorization"] == "Basic dXPDqXI64oKs"
