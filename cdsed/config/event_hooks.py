"""The settings of hooks: programs, addresses and people that are given events."""

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from cdsed.config.proxies import is_loopback
from cdsed.config.section import Section
from cdsed.config.values import AbsolutePath, NamePattern, Seconds, ShortName

HookEvent = Literal["product_published", "listing_finished", "person_needed"]
_ADDRESS = re.compile(r"[^@\s<>,;\"\\-][^@\s<>,;\"\\]*@[A-Za-z0-9.-]+")


def _command(argv: tuple[str, ...]) -> tuple[str, ...]:
    if not argv or not Path(argv[0]).is_absolute():
        raise ValueError("should begin with the absolute path of a program")
    if any("\0" in word for word in argv):
        raise ValueError("should be a list of words")
    return argv


def _webhook_url(url: str) -> str:
    parts = urlsplit(url)
    try:
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        raise ValueError("should have a port from 0 to 65535") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password:
        raise ValueError("should be an address such as https://host/path, without user and password")
    try:
        parts.hostname.encode("idna")
    except UnicodeError:
        raise ValueError("should have a host of labels of 1 to 63 characters") from None
    if not url.isprintable() or " " in url:
        raise ValueError("should have neither spaces nor control characters")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("should begin with https://; http:// is for this machine only")
    return url


def _mail_address(address: str) -> str:
    if not _ADDRESS.fullmatch(address):
        raise ValueError("should be a mail address such as lab@example.org")
    return address


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("should be one line of text")
    return text


MailAddress = Annotated[str, AfterValidator(_mail_address)]


class WebhookTarget(Section):
    """An address that gets events by POST."""

    url: Annotated[str, AfterValidator(_webhook_url)] = Field(description="address that is sent the events")
    secret_file: AbsolutePath = Field(
        description="file of mode 0600 with the secret that signs each request; the same name in "
        "$CREDENTIALS_DIRECTORY wins"
    )


class MailTarget(Section):
    """People who get events by mail."""

    to: tuple[MailAddress, ...] = Field(min_length=1, description="addresses of those who get the mail")
    from_address: MailAddress = Field(description="address that the mail comes from")
    subject: Annotated[str, Field(max_length=200), AfterValidator(_one_line)] = Field(
        default="cdsed", description="beginning of the subject"
    )
    every_s: Seconds = Field(
        default=600, description="seconds from one mail to the next at least; the rest is one mail"
    )
    sendmail: AbsolutePath = Field(default=Path("/usr/sbin/sendmail"), description="program that sends mail")


class EventHook(Section):
    """What is given events: a command, a webhook or mail."""

    name: ShortName = Field(description="name of the hook")
    events: tuple[HookEvent, ...] = Field(
        default=("product_published", "listing_finished", "person_needed"),
        min_length=1,
        description="events that it gets: product_published, listing_finished, person_needed",
    )
    command: Annotated[tuple[str, ...], AfterValidator(_command)] | None = Field(
        default=None, description="program and its arguments, which gets the events as JSON on stdin"
    )
    webhook: WebhookTarget | None = Field(default=None, description="address that gets the events by POST")
    mail: MailTarget | None = Field(default=None, description="people who get the events by mail")
    groups: tuple[ShortName, ...] = Field(default=(), description="account groups whose events it gets; empty: all")
    listings: tuple[NamePattern, ...] = Field(
        default=(), description="patterns of names of listings whose events it gets; empty: all"
    )
    batch_s: float = Field(
        default=5, strict=True, ge=0, le=86_400, description="seconds that events are collected for one call"
    )
    batch_max: int = Field(default=100, strict=True, ge=1, le=1000, description="number of events in one call at most")
    time_limit_s: Seconds = Field(default=60, le=3600, description="seconds until a call that does not end is ended")
    alarm_after_s: float = Field(
        default=60, strict=True, ge=0, le=86_400, description="seconds that an alarm must last until it is sent"
    )
    give_up_after_s: Seconds = Field(
        default=7 * 86_400, description="seconds for which an event is tried until it is given up"
    )
    attempts_max: int = Field(
        default=1000, strict=True, ge=1, le=1_000_000, description="number of attempts until an event is given up"
    )
    pending_max: int = Field(
        default=100_000,
        strict=True,
        ge=1,
        le=10_000_000,
        description="number of events that wait; older ones are given up",
    )

    @model_validator(mode="after")
    def _has_one_target(self) -> "EventHook":
        if sum(target is not None for target in (self.command, self.webhook, self.mail)) != 1:
            raise ValueError("should have one of command, webhook and mail")
        return self
