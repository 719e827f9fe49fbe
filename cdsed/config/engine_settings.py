"""The settings of the engine: which machines hold the connections."""

import importlib.util
import ipaddress
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from cdsed.config.job_queue import JobQueueSettings
from cdsed.config.section import Section
from cdsed.config.values import AbsolutePath

LOCAL_CLUSTER = "local"
#: What `cdsed engine init` makes in `EngineSettings.tls_dir`.
CERTIFICATE_NAME, KEY_NAME = "cert.pem", "key.pem"
_FORM = "should be local, tls://HOST:8786, or an address of this machine such as tcp://127.0.0.1:8786"


def _scheduler(text: str) -> str:
    if text == LOCAL_CLUSTER:
        return text
    try:
        parts = urlsplit(text)
        found = parts.scheme in ("tcp", "tls") and parts.hostname and parts.port and not parts.path and not parts.query
    except ValueError:
        raise ValueError(_FORM) from None
    if not found:
        raise ValueError(_FORM)
    if parts.scheme == "tcp" and not _is_here(parts.hostname or ""):
        raise ValueError(f"{_FORM}: all who can connect to another one without TLS could run programs as this user")
    return text


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class EngineSettings(Section):
    """Where the connections of sessions are: in the daemon, or in processes that Dask starts."""

    kind: Literal["local", "dask"] = Field(
        default="local", description="local: the daemon's own processes have the connections; dask: workers of Dask do"
    )
    scheduler: Annotated[str, AfterValidator(_scheduler)] = Field(
        default=LOCAL_CLUSTER,
        description="address of Dask's scheduler; local: the daemon starts a scheduler and workers on this machine",
    )
    tls_dir: AbsolutePath | None = Field(
        default=None, description="directory that `cdsed engine init` has made, for a scheduler with tls://"
    )
    jobqueue: JobQueueSettings | None = Field(
        default=None, description="jobs of a batch system, in which the daemon starts its workers"
    )
    grant_s: float = Field(
        default=30, ge=3, le=600, description="seconds after which a connection is closed without word from the daemon"
    )
    renew_every_s: float = Field(default=10, ge=0.5, le=200, description="seconds between two words of a connection")
    lost_rest_s: float = Field(
        default=300,
        ge=0,
        le=86400,
        description="further seconds without its connection for a session whose process or machine was lost",
    )
    holders_per_worker: int = Field(
        default=4, strict=True, ge=1, le=100, description="number of connections on one worker of Dask"
    )

    @property
    def uses_other_machines(self) -> bool:
        """Whether connections may be on other machines, whose files this one sees over a network file system."""
        return self.kind == "dask" and (self.scheduler != LOCAL_CLUSTER or self.jobqueue is not None)

    def download_workers(self, processes: int) -> list[str]:
        """Return the names of the processes that download: with Dask one has all sessions, the others publish."""
        numbers = range(1, processes + 1)
        if self.kind == "local":
            return [f"download-{number}" for number in numbers]
        return ["download-1", *(f"publish-{number}" for number in numbers)]

    @model_validator(mode="after")
    def _it_can_work(self) -> Self:
        if 3 * self.renew_every_s > self.grant_s:
            raise ValueError(f"renew_every_s: should be at most a third of grant_s ({self.grant_s:g})")
        if self.scheduler.startswith("tls:") and self.tls_dir is None:
            raise ValueError("tls_dir: a scheduler with tls:// needs it; make it with `cdsed engine init`")
        if self.jobqueue is not None:
            if self.scheduler != LOCAL_CLUSTER:
                raise ValueError("scheduler: leave it out; with a jobqueue the daemon has its own")
            if self.tls_dir is None:
                raise ValueError("tls_dir: a jobqueue needs it; make it with `cdsed engine init`")
            if any(sign.isspace() or sign in "'\"\\$;&|<>()`" for sign in str(self.tls_dir)):
                raise ValueError("tls_dir: should have no blanks, quotes or other signs of a shell, with a jobqueue")
        if self.kind == "dask" and importlib.util.find_spec("distributed") is None:
            raise ValueError("kind: dask needs more libraries; install cdsed[dask], or leave it at local")
        return self
