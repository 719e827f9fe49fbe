"""Listings: their options and lines, the verdict on each line, and the content of receipts and reports."""

from dataclasses import dataclass, fields
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class ListingOptions:
    """What the first line ``# cdsed: …`` of a listing asks for.

    Attributes
    ----------
    priority
        Products of a higher one are fetched first.
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
    """A line that names a product; a line with several products becomes several of these.

    Attributes
    ----------
    safename
        The canonical name; if the line has only an id, that id: the catalogue knows the name.
    s3_path
        ``/bucket/key``, where given.
    remark
        What the receipt says although the line is good, e.g. that its path was not used; mostly empty.
    """

    line: int
    safename: str
    product_id: str | None = None
    s3_path: str | None = None
    remark: str = ""

    @property
    def known_name(self) -> str | None:
        """The name; None if the line has only an id."""
        return None if self.safename == self.product_id else self.safename


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that should name a product and does not.

    Attributes
    ----------
    text
        What may be quoted of it: the beginning that has the form of a product's name; mostly empty.
    reason
        Why, as the predicate of a sentence about the line; it quotes nothing.
    characters
        Length of the line, or of the name in a response; 0 if it does not matter.
    """

    line: int
    text: str
    reason: str
    characters: int = 0

    @property
    def message(self) -> str:
        """The text for people."""
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
    """What a receipt says about a line or one of its products: why it was not accepted, or what was not used."""

    line: int
    verdict: LineVerdict
    safename: str | None
    text: str


@dataclass(frozen=True, slots=True)
class ListingHead:
    """A listing as its receipt and report name it; `taken_at` in seconds UTC, `user` is the owner of the file."""

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
        The line that names it first.
    state
        The state in which the product is finished.
    path
        Where it is on disk, or None.
    attempts
        Failures charged to the product.
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
