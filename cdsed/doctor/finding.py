"""What `cdsed doctor` finds."""

from dataclasses import dataclass
from enum import StrEnum


class DoctorVerdict(StrEnum):
    """How a finding is to be taken: a remark lets everything work, a problem does not."""

    OK = "ok"
    REMARK = "remark"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    check
        Its kind, a stable word, such as ``space``.
    subject
        What was looked at: a directory, an account, a service; empty for the machine.
    text
        What was found, in one sentence.
    means
        What follows from it; empty if it is as it should be.
    remedy
        What you do; empty if you need do nothing.
    """

    check: str
    subject: str
    verdict: DoctorVerdict
    text: str
    means: str = ""
    remedy: str = ""


def fine(check: str, subject: str, text: str) -> Finding:
    """Return a finding that is as it should be."""
    return Finding(check, subject, DoctorVerdict.OK, text)


def remark(check: str, subject: str, text: str, means: str, remedy: str) -> Finding:
    """Return a finding with which everything works, but slower or less safely."""
    return Finding(check, subject, DoctorVerdict.REMARK, text, means, remedy)


def problem(check: str, subject: str, text: str, means: str, remedy: str) -> Finding:
    """Return a finding with which something does not work."""
    return Finding(check, subject, DoctorVerdict.PROBLEM, text, means, remedy)
