"""What the accounts file may say: its keys, their types, and limits that a group shares."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, time
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo, field_validator

from cdsed.config.document import Document
from cdsed.config.secrets import Secret
from cdsed.config.section import Section
from cdsed.config.values import INTEGER_MAX, ShortName, Size
from cdsed.model.quota import SHAREABLE, Limit

#: The keys of quotas that an account may not have for itself when its group shares them. It may have `sessions`.
_KEYS_OF_POOLS = {Limit.VOLUME: "volume_bytes", Limit.REQUESTS: "requests_per_minute"}


def _secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str) or not value:
        # YAML reads 0123 as a number and 2027-01-31 as a date, so the text as written is lost
        raise ValueError("should be text; put it in quotes")
    if value != value.strip() or not value.isprintable():
        raise ValueError("begins or ends with a space, or holds a line break or control character; write it again")
    return Secret(value)


def _timestamp(value: object) -> object:
    with suppress(ValueError, OverflowError):
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        if isinstance(value, date):
            return datetime.combine(value, time(), UTC)
    raise ValueError("should be a date such as 2027-01-31, or 2027-01-31T12:00:00Z")


def _shareable(value: object) -> Limit:
    if value not in SHAREABLE:
        raise ValueError(f"should be one of {', '.join(SHAREABLE)}")
    return Limit(str(value))


_SecretText = Annotated[Secret, PlainValidator(_secret)]


class Quotas(Section):
    """What an account may use; at a group, the default of its accounts, or what they share."""

    sessions: int = Field(default=4, strict=True, ge=1, le=100, description="number of connections at once")
    bandwidth_bytes_per_s: Size | None = Field(
        default=None,
        ge=1,
        description="bytes per second and connection at most; null: what the service gives",
    )
    requests_per_minute: int = Field(
        default=2000, strict=True, ge=1, le=INTEGER_MAX, description="S3 requests per minute"
    )
    volume_bytes: Size = Field(default=12 * 10**12, ge=1, description="bytes in any 30 days")


class AccountEntry(Quotas):
    """One account as the file has it."""

    login: str = Field(min_length=1, description="CDSE user name, in quotes if it is a number")
    password: _SecretText | None = Field(default=None, description="CDSE password")
    totp: _SecretText | None = Field(
        default=None, description="base32 seed of the second factor, or one code of six digits"
    )
    s3_access_key: _SecretText | None = Field(default=None, description="S3 access key")
    s3_secret_key: _SecretText | None = Field(default=None, description="S3 secret key")
    s3_key_expires: Annotated[datetime, BeforeValidator(_timestamp)] | None = Field(
        default=None,
        description="date on which the S3 keys expire (at 00:00 UTC), or the date and time",
    )

    @field_validator("s3_access_key", "s3_secret_key")
    @classmethod
    def _keys_are_filled_in(cls, value: Secret | None) -> Secret | None:
        if value is not None and any(character.isspace() for character in value.reveal()):
            raise ValueError("should have no space in it: put in the key that CDSE gave you")
        return value

    @field_validator("s3_secret_key")
    @classmethod
    def _keys_come_in_pairs(cls, value: Secret | None, info: ValidationInfo) -> Secret | None:
        if "s3_access_key" in info.data and (value is None) != (info.data["s3_access_key"] is None):
            raise ValueError("should be given together with s3_access_key: both or neither")
        return value


class GroupEntry(Quotas):
    """One group as the file has it."""

    shared: list[Annotated[Limit, BeforeValidator(_shareable)]] = Field(
        default=[], description="list of the quotas that CDSE counts for all accounts of the group together"
    )
    accounts: dict[ShortName, AccountEntry] = Field(min_length=1, description="accounts, by name")


class AccountsFile(Section):
    """The content of the accounts file."""

    groups: dict[ShortName, GroupEntry] = Field(min_length=1, description="groups of accounts, by name")


def own_limits(document: Document, file: AccountsFile) -> Iterator[str]:
    """Yield what is wrong with shared quotas: an account has a limit of its own, or a quota is named twice."""
    for group_name, group in file.groups.items():
        if len(set(group.shared)) < len(group.shared):
            yield document.problem(("groups", group_name, "shared"), "should name each quota once")
        for name, entry in group.accounts.items():
            at = ("groups", group_name, "accounts", name)
            for limit, key in _KEYS_OF_POOLS.items():
                if limit in group.shared and key in entry.model_fields_set:
                    yield document.problem(
                        (*at, key), f"is for one account, but its group shares {limit}: put it there"
                    )
            own = entry.sessions if "sessions" in entry.model_fields_set else 0
            if Limit.CONNECTIONS in group.shared and own > group.sessions:
                yield document.problem(
                    (*at, "sessions"), f"should be at most {group.sessions}, the connections that its group shares"
                )
