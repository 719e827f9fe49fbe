"""Where the page may be served, and which token is accepted."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from cdsed.config.web_page import Listen, WebSettings, read_token
from cdsed.errors import ConfigError
from cdsed.log import redact


@pytest.mark.parametrize(
    "address", ["127.0.0.1:8340", "[::1]:8340", "localhost:80", "127.8.8.8:1", "/run/cdsed/web.sock"]
)
def test_the_page_may_be_served_on_this_machine(address: str) -> None:
    assert WebSettings(listen=address).listen == address


@pytest.mark.parametrize("address", ["0.0.0.0:8340", "[::]:8340", "192.0.2.1:8340", "[2001:db8::1]:80"])
def test_an_address_for_other_machines_must_be_allowed(address: str) -> None:
    with pytest.raises(ValidationError, match="allow_remote"):
        WebSettings(listen=address)
    assert WebSettings(listen=address, allow_remote=True).listen == address


@pytest.mark.parametrize(
    "address",
    ["", "8340", "127.0.0.1", "example.org:80", "127.0.0.1:99999", "127.0.0.1:-1", ":80", "/a/../b", "/" + "a" * 120],
)
def test_what_is_not_an_address_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match="HOST:PORT"):
        WebSettings(listen=address)


@pytest.mark.parametrize("host", ["a/b", "host:80", "", "http://a", "a b", "u@h"])
def test_a_host_is_a_name_without_a_port(host: str) -> None:
    with pytest.raises(ValidationError, match="name of a host"):
        WebSettings(hosts=(host,))


def test_without_its_libraries_the_page_is_refused_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdsed.config.web_page.importlib.util.find_spec", lambda _: None)
    assert WebSettings().listen is None
    with pytest.raises(ValidationError, match=r"cdsed\[web\]"):
        WebSettings(listen="127.0.0.1:8340")


def test_addresses_are_shown_as_a_browser_takes_them() -> None:
    assert str(Listen.parse("[::1]:8340")) == "http://[::1]:8340/"
    assert str(Listen.parse("/run/x.sock")) == "/run/x.sock"


def test_a_token_is_read_from_a_private_file_and_never_logged(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("0123456789abcdef-secret\n", encoding="utf-8")
    file.chmod(0o600)
    assert read_token(file).reveal() == "0123456789abcdef-secret"
    assert redact("it is 0123456789abcdef-secret") == "it is ***"


@pytest.mark.parametrize(
    ("text", "mode", "reason"),
    [
        ("0123456789abcdef", 0o640, "chmod 600"),
        ("0123456789abcdef", 0o604, "chmod 600"),
        ("short", 0o600, "at least 16"),
        ("", 0o600, "at least 16"),
        ("two words of some length", 0o600, "no spaces"),
        ("a" * 2000, 0o600, "at least 16"),
        ("töken-with-an-umlaut", 0o600, "ASCII"),
    ],
)
def test_a_loose_or_weak_token_is_refused(tmp_path: Path, text: str, mode: int, reason: str) -> None:
    file = tmp_path / "token"
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    with pytest.raises(ConfigError, match=reason) as refused:
        read_token(file)
    assert text not in str(refused.value) or not text


def test_a_missing_token_file_is_an_error_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_token(tmp_path / "absent")
