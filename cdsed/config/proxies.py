"""Which HTTP proxy leads to an address: the settings say it, else the environment, as for curl.

For https an address is reached through a tunnel (CONNECT), so the proxy sees the host only. Its password is a secret.
"""

import base64
import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

from cdsed import log
from cdsed.config.secrets import Secret
from cdsed.errors import ConfigError
from cdsed.frozen import frozen

DIRECT = "direct"
_FORM = "should be the address of an HTTP proxy, such as http://proxy.example.org:3128"


@frozen
class Proxy:
    """An HTTP proxy.

    Attributes
    ----------
    host, port
        Where it listens.
    authorization
        Value of the header ``Proxy-Authorization``; None: it asks for no login.
    """

    host: str
    port: int
    authorization: Secret | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """Its address, without the login."""
        return f"http://{self}"

    def url_with_login(self) -> str:
        """Return its address with the login, for libraries that read it there; do not log it."""
        if self.authorization is None:
            return self.url
        login = base64.b64decode(self.authorization.reveal().removeprefix("Basic ")).decode()
        user, _, password = login.partition(":")
        return f"http://{quote(user, safe='')}:{quote(password, safe='')}@{self}"

    def headers(self) -> dict[str, str]:
        """Return what a request to it needs; do not log it."""
        return {"Proxy-Authorization": self.authorization.reveal()} if self.authorization else {}


def parse_proxy(text: str) -> Proxy:
    """Read the address of a proxy, and hide its password from the log of this process.

    Parameters
    ----------
    text
        ``http://user:password@host:port``; the scheme, the login (percent-encoded) and the port (80) may be left out.

    Raises
    ------
    ValueError
        It is something else. The message does not quote it.
    """
    try:
        parts = urlsplit(text.strip() if "://" in text else f"//{text.strip()}", scheme="http")
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        raise ValueError(_FORM) from None
    if parts.scheme in ("https", "socks4", "socks4a", "socks5", "socks5h"):
        raise ValueError(f"{_FORM}; cdsed speaks no {parts.scheme} with a proxy, whose own address begins with http://")
    if parts.scheme != "http" or not host or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(_FORM)
    return Proxy(host, port, _authorization(parts.username, parts.password))


def _authorization(user: str | None, password: str | None) -> Secret | None:
    if user is None:
        return None
    login = f"{unquote(user)}:{unquote(password or '')}"
    encoded = base64.b64encode(login.encode()).decode()
    for secret in filter(None, (password, unquote(password or ""), encoded)):
        log.hide(secret)
    return Secret(f"Basic {encoded}")


class ProxyRules:
    """The proxies of this process.

    The environment counts as for other programs: ``https_proxy``, ``http_proxy``, ``all_proxy`` and ``no_proxy``, in
    small letters or else in capitals. This machine (a sandbox) is never reached through a proxy of the environment,
    only through one of the settings.

    Parameters
    ----------
    setting
        ``services.proxy_url``: the address of a proxy for everything, or `DIRECT`; None: the environment says it.
    environ
        The environment; None: that of this process.
    """

    def __init__(self, setting: Secret | None = None, environ: Mapping[str, str] | None = None) -> None:
        self._setting = setting
        environ = os.environ if environ is None else environ
        self._environ = {
            name: value
            for name in ("https_proxy", "http_proxy", "all_proxy", "no_proxy")
            if (value := environ.get(name, environ.get(name.upper(), "")).strip())
        }

    def proxy_for(self, url: str) -> Proxy | None:
        """Return the proxy that leads to an address; None: it is reached directly.

        Raises
        ------
        ConfigError
            The variable that names the proxy is not understood.
        """
        host, port, scheme = _place(url)
        if self._is_excepted(host, port):
            return None
        if self._setting is not None:
            address = self._setting.reveal()
            return None if address == DIRECT else parse_proxy(address)
        if is_loopback(host):
            return None
        for name in (f"{scheme}_proxy", "all_proxy"):
            if name in self._environ:
                try:
                    return parse_proxy(self._environ[name])
                except ValueError as error:
                    raise ConfigError([f"${name}: {error}"]) from None
        return None

    def _is_excepted(self, host: str, port: int) -> bool:
        return any(_names(word, host, port) for word in self._environ.get("no_proxy", "").replace(",", " ").split())


def is_loopback(host: str) -> bool:
    """Tell whether a host of an address is this machine itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _place(url: str) -> tuple[str, int, str]:
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), parts.port or {"https": 443}.get(parts.scheme, 80), parts.scheme


def _names(word: str, host: str, port: int) -> bool:
    """Tell whether a word of ``no_proxy`` names a host: a domain, an address or a network, perhaps with a port."""
    if word == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(word.strip("[]"), strict=False)
    except ValueError:  # one of them is a name
        pass
    name, colon, own_port = word.lower().rpartition(":")
    if colon and own_port.isdecimal():
        if int(own_port) != port:
            return False
    else:
        name = word.lower()
    name = name.strip("[]").removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))
