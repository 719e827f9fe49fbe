"""The settings of the web page, and its token."""

import importlib.util
import ipaddress
import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from cdsed import log
from cdsed.config.private import read_private
from cdsed.config.secrets import Secret
from cdsed.config.section import Section
from cdsed.config.values import AbsolutePath
from cdsed.errors import ConfigError
from cdsed.frozen import frozen

DEFAULT_LISTEN = "127.0.0.1:8340"

_FORM = "should be HOST:PORT such as 127.0.0.1:8340, or the absolute path of a Unix socket"
_TOKEN_CHARACTERS_MIN = 16
_TOKEN_CHARACTERS_MAX = 1024


@frozen
class Listen:
    """Where the page is served: a host and port, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    path: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``127.0.0.1:8340``, ``[::1]:8340``, ``localhost:8340`` or ``/var/lib/cdsed/web.sock``.

        Raises
        ------
        ValueError
            It has another form.
        """
        if text.startswith("/"):
            if ".." in Path(text).parts or len(os.fsencode(text)) > 107:  # unix(7): sun_path has 108 bytes
                raise ValueError(_FORM)
            return cls(path=Path(text))
        host, separator, port = text.rpartition(":")
        if not separator or not port.isdecimal() or not 0 <= int(port) <= 65535:
            raise ValueError(_FORM)
        host = host.removeprefix("[").removesuffix("]")
        if host != "localhost":
            try:
                host = str(ipaddress.ip_address(host))
            except ValueError:
                raise ValueError(_FORM) from None
        return cls(host=host, port=int(port))

    @property
    def is_local(self) -> bool:
        """Whether only programs of this machine can connect."""
        return self.path is not None or self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        if self.path:
            return str(self.path)
        return f"http://[{self.host}]:{self.port}/" if ":" in self.host else f"http://{self.host}:{self.port}/"


def _listen(text: str) -> str:
    Listen.parse(text)
    return text


def _host_name(text: str) -> str:
    if not text or any(character in text for character in "/: \t@"):
        raise ValueError("should be the name of a host, such as cdsed.example.org, without a port")
    return text.lower()


class WebSettings(Section):
    """The web page, its API and the metrics."""

    listen: Annotated[str, AfterValidator(_listen)] | None = Field(
        default=None,
        description="address at which the daemon serves the page, or the absolute path of a Unix socket; null: no page",
    )
    allow_remote: bool = Field(
        default=False,
        strict=True,
        description="true or false: whether `web.listen` may be an address that other machines can reach",
    )
    hosts: tuple[Annotated[str, AfterValidator(_host_name)], ...] = Field(
        default=(),
        description="names by which browsers may ask for the page, besides localhost and the address itself",
    )
    token_file: AbsolutePath | None = Field(
        default=None,
        description="file with the token that pausing and resuming needs, mode 0600; null: the page only reads",
    )

    @model_validator(mode="after")
    def _it_can_be_served(self) -> Self:
        if self.listen is None:
            return self
        if not self.allow_remote and not Listen.parse(self.listen).is_local:
            raise ValueError(
                f"listen: {self.listen} can be reached by other machines, and the page has neither TLS nor a login; "
                "use 127.0.0.1 with a proxy in front of it, or set allow_remote: true"
            )
        if importlib.util.find_spec("uvicorn") is None or importlib.util.find_spec("starlette") is None:
            raise ValueError("listen: the page needs more libraries; install cdsed[web], or leave listen out")
        return self


def read_token(path: Path) -> Secret:
    """Return the token in a file, and hide it from the log of this process.

    Raises
    ------
    ConfigError
        The file cannot be read, others may read it, or it has no token of at least 16 characters.
    """
    try:
        text = read_private(path, _TOKEN_CHARACTERS_MAX + 1).decode("ascii").strip()
    except UnicodeDecodeError:
        raise ConfigError([f"web.token_file: {path} should have ASCII characters only"]) from None
    except OSError as error:
        raise ConfigError([f"web.token_file: {path}: {error.strerror}"]) from error
    if not _TOKEN_CHARACTERS_MIN <= len(text) <= _TOKEN_CHARACTERS_MAX or text.split() != [text]:
        raise ConfigError(
            [f"web.token_file: {path} should have one line of at least {_TOKEN_CHARACTERS_MIN} characters, no spaces"]
        )
    log.hide(text)
    return Secret(text)
