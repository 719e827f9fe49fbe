"""Every setting, with its meaning, unit, default and bounds; ``etc/cdsed.yml`` documents the same.

Secrets are not settings: see `cdsed.config.accounts`.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from cdsed.config.engine_settings import EngineSettings
from cdsed.config.event_hooks import EventHook
from cdsed.config.groups import GroupSettings
from cdsed.config.instance import MAIN
from cdsed.config.section import Section, names_once, section_of_defaults
from cdsed.config.standing_queries import StandingQuery
from cdsed.config.time_windows import LimitsSettings, PausesSettings, ZoneName
from cdsed.config.values import (
    AbsolutePath,
    BucketName,
    NamePattern,
    ProxyUrl,
    Seconds,
    ServiceUrl,
    ShortName,
    Size,
)
from cdsed.config.web_page import WebSettings
from cdsed.model.eodata import BUCKET
from cdsed.model.families import Family
from cdsed.model.layout import checked_template


def _not_below(smaller_key: str, value: float, info: ValidationInfo) -> float:
    smaller = info.data.get(smaller_key)
    if smaller is not None and value < smaller:
        raise ValueError(f"should be at least {smaller_key} ({smaller:g})")
    return value


class InboxSettings(Section):
    """Where listings are dropped, and when a dropped file counts as complete."""

    path: AbsolutePath = Field(default=MAIN.inbox, description="directory for listings")
    stable_for_s: Seconds = Field(default=5, description="seconds unchanged until a file is complete")
    scan_every_s: Seconds = Field(default=5, description="seconds between two scans of the inbox")
    ignored_names: tuple[NamePattern, ...] = Field(
        default=(), description="patterns of further file names that are never taken, in capitals or not"
    )


class ArchiveSettings(Section):
    """One tree of products that is searched before a product is fetched."""

    root: AbsolutePath = Field(description="top directory of the archive")
    layouts: dict[Family, Annotated[str, AfterValidator(checked_template)]] = Field(
        default_factory=dict,
        description=f"template of the directory below the root, by family ({', '.join(Family)})",
    )


class ServiceSettings(Section):
    """The addresses of CDSE, or of a sandbox."""

    s3_url: ServiceUrl = Field(
        default="https://eodata.dataspace.copernicus.eu", description="address of the S3 service"
    )
    s3_region: str = Field(default="default", min_length=1, description="S3 region that requests are signed for")
    s3_bucket: BucketName = Field(
        default=BUCKET,
        description=f"bucket that products are fetched from; `/{BUCKET}/…` means it, too; paths of others are not used",
    )
    catalogue_url: ServiceUrl = Field(
        default="https://catalogue.dataspace.copernicus.eu/odata/v1",
        description="address of the OData catalogue",
    )
    identity_url: ServiceUrl = Field(
        default="https://identity.dataspace.copernicus.eu/auth/realms/CDSE/protocol/openid-connect/token",
        description="address that gives access tokens",
    )
    keys_manager_url: ServiceUrl = Field(
        default="https://s3-keys-manager.cloudferro.com/api/user",
        description="address of the S3 keys manager",
    )
    download_url: ServiceUrl = Field(
        default="https://download.dataspace.copernicus.eu/odata/v1",
        description="address of zip downloads, to which the catalogue redirects",
    )
    temporary_keys: bool = Field(
        default=True,
        strict=True,
        description="true or false: whether accounts with a password but no S3 keys get keys that last a day",
    )
    ca_file: AbsolutePath | None = Field(
        default=None,
        description="PEM file of certificate authorities; null: those that come with Python's requests",
    )

    proxy_url: ProxyUrl = Field(
        default=None,
        description="address of an HTTP proxy for all services, or direct for none; null: as https_proxy and no_proxy "
        "of the environment say",
    )

    @field_validator("ca_file")
    @classmethod
    def _ca_file_holds_authorities(cls, value: Path | None) -> Path | None:
        if value is not None:
            import ssl  # most commands do not need it

            try:
                ssl.create_default_context(cafile=value)
            except OSError as error:
                raise ValueError(f"cannot be read as one: {error.strerror or error}") from None
        return value

    @property
    def urls(self) -> tuple[str, ...]:
        """The addresses of all services."""
        return (self.s3_url, self.catalogue_url, self.identity_url, self.keys_manager_url, self.download_url)


class TransferSettings(Section):
    """How products are fetched."""

    processes: int = Field(
        default=2, strict=True, ge=1, le=64, description="number of processes that download and publish"
    )
    piece_bytes: Size = Field(default=64 * 2**20, ge=2**20, description="size of one ranged GET, at least 1MiB")
    connect_timeout_s: Seconds = Field(default=10, description="seconds to wait for a connection")
    read_timeout_s: Seconds = Field(default=60, description="seconds without a byte after which a connection is cut")
    rate_min_bytes_per_s: Size = Field(
        # a higher rate would cut connections of an account with spent volume, which has 1 MB/s, again and again
        default=50_000,
        le=500_000,
        description="bytes per second below which a connection is cut; 0: never",
    )
    rate_window_s: Seconds = Field(default=60, ge=1, description="seconds over which that rate is measured")
    checkpoint_every_s: Seconds = Field(default=2, description="seconds between two notes of what is safely on disk")
    session_cooldown_s: float = Field(
        default=2, strict=True, ge=0, le=1e9, allow_inf_nan=False, description="seconds a session rests after use"
    )
    zip_fallback: bool = Field(
        default=False,
        strict=True,
        description="true or false: whether what S3 refuses to an account is fetched as a zip, with its password",
    )
    manifest: Literal["fail", "warn"] = Field(
        default="fail", description="what a product whose files differ from its manifest does: fail or warn"
    )

    @property
    def silence_longest_s(self) -> float:
        """How long a connection may deliver nothing before it is cut."""
        return max(self.read_timeout_s, self.rate_window_s if self.rate_min_bytes_per_s else 0.0)


class RetrySettings(Section):
    """When a failed product, or an account that backs off, is tried again."""

    attempts: int = Field(
        default=6, strict=True, ge=1, le=1000, description="failures of a product before it is given up"
    )
    first_delay_s: Seconds = Field(default=30, description="seconds before its second attempt; doubled each time")
    longest_delay_s: Seconds = Field(default=21_600, description="seconds between two attempts at most")
    refused_for_s: Seconds = Field(
        default=86_400,
        description="seconds for which every account must be refused a product (403) until it is unavailable, and for "
        "which S3 may not list one yet that the catalogue has just published",
    )
    account_first_delay_s: Seconds = Field(default=30, description="seconds for which an account backs off first")
    account_longest_delay_s: Seconds = Field(
        default=3_600, description="seconds for which an account backs off at most"
    )

    @field_validator("longest_delay_s")
    @classmethod
    def _longest_not_below_first(cls, value: float, info: ValidationInfo) -> float:
        return _not_below("first_delay_s", value, info)

    @field_validator("account_longest_delay_s")
    @classmethod
    def _account_longest_not_below_first(cls, value: float, info: ValidationInfo) -> float:
        return _not_below("account_first_delay_s", value, info)


class DiskSettings(Section):
    """How much space stays free on the disks of the spools."""

    free_bytes_min: Size = Field(default=10 * 10**9, description="bytes that stay free on each destination")


class CatalogueSettings(Section):
    """How often the catalogue is asked; its firewall counts all clients of an address together."""

    requests_per_s: Annotated[float, Field(strict=True, gt=0, le=30)] = Field(
        default=2, description="requests per second to the catalogue, of the whole daemon"
    )
    names_per_request: int = Field(default=15, strict=True, ge=1, le=50, description="names asked for at once")
    timeout_s: Seconds = Field(default=60, description="seconds to wait for a response")
    cache_dir: AbsolutePath | None = Field(
        default=None,
        description="directory of stored responses; null: $XDG_CACHE_HOME/cdsed, or cache below state_dir",
    )
    cache_ttl_s: Seconds = Field(default=86_400, description="seconds for which a stored response is used")
    negative_ttl_s: Seconds = Field(
        default=3_600, description="seconds for which a product that was not in the catalogue is not looked up again"
    )


class ProcessSettings(Section):
    """How processes are stopped and watched."""

    stop_within_s: Seconds = Field(
        default=30, description="seconds that processes have to leave; below TimeoutStopSec= of the unit"
    )
    ready_within_s: Seconds = Field(
        default=300, description="seconds that a process has to start; on a slow or busy machine it may need them"
    )
    hung_after_s: Seconds = Field(
        default=120,
        description="seconds without a heartbeat after which a process is killed and restarted",
    )
    rss_max_bytes: Size = Field(
        default=10**9, description="memory above which a process is replaced by a new one; 0: never"
    )


class Settings(Section):
    """All settings of one daemon."""

    state_dir: AbsolutePath = Field(
        default=MAIN.state_dir,
        description="directory of the state, on a local disk ($STATE_DIRECTORY if not given)",
    )
    runtime_dir: AbsolutePath | None = Field(
        default=None, description="directory of the session lock files; null: run, below state_dir"
    )
    backup_dir: AbsolutePath | None = Field(
        default=None, description="directory of the backups of the state; null: backups, below state_dir"
    )
    inbox: InboxSettings = section_of_defaults()
    spools: tuple[AbsolutePath, ...] = Field(
        default=(MAIN.spool,),
        description="directories of finished products; new ones appear in the first, all are searched",
    )
    pre_spool: AbsolutePath | None = Field(
        default=None, description="private staging directory; null: .cdsed in the destination itself"
    )
    archives: tuple[ArchiveSettings, ...] = Field(default=(), description="trees of products that are searched too")
    accounts_file: AbsolutePath = Field(
        default=MAIN.accounts_file,
        description="file of the accounts, mode 0600 ($CREDENTIALS_DIRECTORY/accounts.yml wins)",
    )
    default_group: ShortName = Field(default="default", description="group of accounts of a listing that names none")
    groups: dict[ShortName, GroupSettings] = Field(
        default_factory=dict, description="what is fetched, and where to, by account group"
    )
    services: ServiceSettings = section_of_defaults()
    transfer: TransferSettings = section_of_defaults()
    retry: RetrySettings = section_of_defaults()
    disk: DiskSettings = section_of_defaults()
    catalogue: CatalogueSettings = section_of_defaults()
    process: ProcessSettings = section_of_defaults()
    engine: EngineSettings = section_of_defaults()
    time_zone: ZoneName | None = Field(
        default=None, description="time zone of limits and pauses, such as Europe/Paris; null: that of this machine"
    )
    limits: LimitsSettings = section_of_defaults()
    pauses: PausesSettings = section_of_defaults()
    web: WebSettings = section_of_defaults()
    queries: Annotated[tuple[StandingQuery, ...], AfterValidator(names_once)] = Field(
        default=(), description="queries of the catalogue that the daemon runs on a schedule"
    )
    hooks: Annotated[tuple[EventHook, ...], AfterValidator(names_once)] = Field(
        default=(), description="programs, addresses and people that are given events"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="least severity that is logged"
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="form of the log: text (in the journal, entries with fields), or json"
    )

    @field_validator("inbox")
    @classmethod
    def _the_state_lies_outside(cls, inbox: InboxSettings, info: ValidationInfo) -> InboxSettings:
        state_dir: Path | None = info.data.get("state_dir")
        if state_dir and state_dir.is_relative_to(inbox.path):
            raise ValueError(f"should not contain state_dir ({state_dir}): files in the inbox are taken as listings")
        return inbox

    @field_validator("spools")
    @classmethod
    def _spools_are_distinct_and_outside_the_inbox(
        cls, spools: tuple[Path, ...], info: ValidationInfo
    ) -> tuple[Path, ...]:
        inbox: InboxSettings | None = info.data.get("inbox")
        if inbox and any(spool.is_relative_to(inbox.path) for spool in spools):
            raise ValueError(f"should be outside the inbox ({inbox.path}): files in there are taken as listings")
        if not spools or len(set(spools)) < len(spools):
            raise ValueError("should name at least one directory, and each one once")
        return spools

    @field_validator("pre_spool")
    @classmethod
    def _pre_spool_is_no_spool(cls, pre_spool: Path | None, info: ValidationInfo) -> Path | None:
        if pre_spool in info.data.get("spools", ()):
            raise ValueError("should not be a spool: finished products in it would be removed; try .cdsed in it")
        return pre_spool

    @property
    def sessions_dir(self) -> Path:
        """The directory of the session lock files: `runtime_dir`, or ``run`` below `state_dir`."""
        return self.runtime_dir or self.state_dir / "run"

    def session_lock(self, account: str, slot: int) -> Path:
        """Return the lock file of a session; the process that uses the session holds its flock."""
        return self.sessions_dir / f"{account}.{slot}.lock"

    @property
    def backups_dir(self) -> Path:
        """The directory of the backups: `backup_dir`, or ``backups`` below `state_dir`."""
        return self.backup_dir or self.state_dir / "backups"

    def pre_spool_for(self, destination: Path) -> Path:
        """Return where products are staged that will appear in the directory `destination`."""
        return self.pre_spool or destination / ".cdsed"
