"""What needs a person: one list for the status, monitoring, the page, metrics and hooks."""

from dataclasses import dataclass
from enum import StrEnum

from cdsed.model.status_report import StatusReport


class Severity(StrEnum):
    """How urgent an alarm is: a warning lets transfers continue."""

    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One condition that needs a person, and exists as long as its cause.

    Attributes
    ----------
    name
        The kind, e.g. ``disk`` or ``key_expires``: the section of docs/alarms.md with this title says what to do.
    subject
        What it is about, e.g. an account or a directory; empty for the daemon.
    text, remedy
        What is wrong, and what you do, each in one sentence.
    """

    name: str
    subject: str
    severity: Severity
    text: str
    remedy: str


def alarms(report: StatusReport) -> tuple[Alarm, ...]:
    """Return what needs a person, the most urgent first; a wait for a quota is not among it."""
    return tuple(
        Alarm(
            "account",
            account.name,
            Severity.WARNING,
            f"account {account.name} cannot be used: {account.error}",
            "run `cdsed keys`, and mend its entry in the accounts file",
        )
        for account in report.accounts
        if account.error is not None
    )
