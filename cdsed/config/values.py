"""The types of values of settings: sizes, durations, paths, addresses, names."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf

from cdsed.config.locate import absolute
from cdsed.config.proxies import DIRECT, is_loopback, parse_proxy
from cdsed.config.secrets import Secret
from cdsed.model.eodata import BUCKET_NAME

_UNIT_BYTES = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}
# The B must be a capital: 20 Mb/s are megabits.
_SIZE = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>([kKMGT]i?)?B)?")


def parse_size_bytes(value: object) -> int:
    """Return a size in bytes.

    Parameters
    ----------
    value
        A whole number of bytes, or text such as ``32MiB`` (binary) or ``20MB`` (decimal).

    Raises
    ------
    ValueError
        It is neither.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("should be a size such as 32MiB, 20MB or a whole number of bytes")
    return round(Decimal(match["number"]) * _UNIT_BYTES[(match["unit"] or "B").upper()])


def _name_pattern(pattern: str) -> str:
    if "/" in pattern or not pattern.strip("*"):
        raise ValueError("should be a pattern of file names such as *.draft, and not match every name")
    return pattern


def _service_url(url: str) -> str:
    parts = urlsplit(url)
    try:
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        raise ValueError("should have a port from 0 to 65535") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("should be an address such as https://host/path")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("should have neither user, password, query nor fragment")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("should begin with https://; http:// is for a sandbox on this machine only")
    # The signed header has the host in lower case.
    return parts._replace(netloc=parts.netloc.lower()).geturl().rstrip("/")


def _proxy_url(value: object) -> object:
    """Keep the address of a proxy as a secret: it may have a password."""
    if value is None or isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ValueError(f"should be an address such as http://proxy.example.org:3128, or {DIRECT}")  # noqa: TRY004
    if value != DIRECT:
        parse_proxy(value)
    return Secret(value)


def _bucket_name(name: str) -> str:
    if not BUCKET_NAME.fullmatch(name):
        raise ValueError("should be the name of a bucket, such as eodata: 3 to 63 of a-z, 0-9, . and -")
    return name


INTEGER_MAX = 2**63 - 1  # of SQLite, which stores quotas
# The kernel and Python refuse longer time-outs. 1e9 s are thirty years.
Seconds = Annotated[float, Field(strict=True, gt=0, le=1e9, allow_inf_nan=False)]
Size = Annotated[int, BeforeValidator(parse_size_bytes), Field(ge=0, le=INTEGER_MAX)]
AbsolutePath = Annotated[Path, AfterValidator(absolute)]
NamePattern = Annotated[str, Field(strict=True, max_length=255), AfterValidator(_name_pattern)]
ServiceUrl = Annotated[str, AfterValidator(_service_url)]
BucketName = Annotated[str, AfterValidator(_bucket_name)]
ProxyUrl = Annotated[InstanceOf[Secret] | None, BeforeValidator(_proxy_url)]
# Names of accounts and groups: they become names of files, of directories and of metrics.
ShortName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
