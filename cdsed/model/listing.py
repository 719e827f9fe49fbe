"""Listings: what their lines say, what became of each line, and what their owner is told."""

from dataclasses import dataclass, fields
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class ListingOptions:
    """What the first line ``# cdsed: …`` of a listing asks for.

    Attributes
    ----------
    priority
        Higher comes first.
    group
        The account group to use; None leaves it to the inbox directory and the configuration.
    outputdir
        An absolute directory for the products of this listing; None for the spool.
    """

    priority: int = 0
    group: str | None = None
    outputdir: str | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """A line that names a product; `s3_path`, where given, is ``/bucket/key``."""

    line: int
    safename: str
    product_id: str | None = None
    s3_path: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that should name a product and does not.

    Attributes
    ----------
    text
        What may be quoted of it: the beginning of a product's name, as far as it has the form of one; mostly empty.
    reason
        What the line does; it quotes nothing.
    characters
        How long the line, or the name in an answer, is; 0 where that says nothing.
    """

    line: int
    text: str
    reason: str
    characters: int = 0

    @property
    def message(self) -> str:
        """What a person is told of it."""
        if self.text:
            return f"'{self.text}…' {self.reason} ({self.characters} characters)"
        return f"{self.reason} ({self.characters} characters, not shown)" if self.characters else self.reason


@dataclass(frozen=True, slots=True)
class Ignored:
    """A blank line, a comment, or the header."""

    line: int


ListingLine = Named | Rejected | Ignored


class LineVerdict(StrEnum):
    """What became of a line; every line has exactly one."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    KNOWN = "known"
    ALREADY_PRESENT = "already_present"
    REJECTED = "rejected"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Counts:
    """Lines by verdict."""

    accepted: int = 0
    duplicate: int = 0
    known: int = 0
    already_present: int = 0
    rejected: int = 0
    ignored: int = 0

    @property
    def lines(self) -> int:
        """All lines of the listing."""
        return sum(getattr(self, each.name) for each in fields(self))


@dataclass(frozen=True, slots=True)
class Remark:
    """What a receipt says about one line that was not simply accepted, e.g. why not, or where it lies."""

    line: int
    verdict: LineVerdict
    safename: str | None
    text: str


@dataclass(frozen=True, slots=True)
class ListingHead:
    """A listing as its receipt and report name it; `taken_at` in seconds UTC, `user` owned the file."""

    id: int
    name: str
    sha256: str
    group: str
    priority: int
    outputdir: str | None
    taken_at: float
    user: str | None


@dataclass(frozen=True, slots=True)
class ReportRow:
    """What became of one product of a listing.

    Attributes
    ----------
    line
        Where the listing names it first.
    state
        The product's final state.
    whereabouts
        Its path on disk, or None.
    attempts
        Tries charged to the product.
    cause
        Why it is not done, or None.
    """

    line: int
    safename: str
    state: str
    path: str | None
    size_bytes: int | None
    attempts: int
    cause: str | None
