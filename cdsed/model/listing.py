"""Listings: their options and lines, the verdict on each line, and the content of receipts and reports."""

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, NamedTuple, Self

from cdsed.model.choice import Choice
from cdsed.model.layout import ProductLayout
from cdsed.model.safename import parse


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
    layout
        The directories below it; None leaves it to the settings of the group.
    include, exclude
        Patterns of the files to fetch; both empty leave it to the settings of the group.
    """

    priority: int = 0
    group: str | None = None
    outputdir: str | None = None
    layout: ProductLayout | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def replaced(self, **values: Any) -> Self:
        """Return the options with other values."""
        return replace(self, **values)


class Named(NamedTuple):
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
class ProductRequest:
    """A product as a line of a listing requests it."""

    safename: str
    account_group: str
    priority: int
    outputdir: str | None
    product_id: str | None = None
    s3_path: str | None = None
    layout: str | None = None
    choice: Choice | None = None


@dataclass(frozen=True, slots=True)
class ListingHead:
    """A listing as its receipt and report name it; `taken_at` in seconds UTC, `user` is the owner of the file.

    `layout`, `include` and `exclude` are those of its first line, or of its group.
    """

    id: int
    name: str
    sha256: str
    group: str
    priority: int
    outputdir: str | None
    taken_at: float
    user: str | None
    layout: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def asking(self, options: ListingOptions, group: str, sha256: str) -> Self:
        """Return the head of a listing that was read, with what it asks for."""
        layout = None if options.layout is None or options.layout.is_flat else str(options.layout)
        asked = {name: getattr(options, name) for name in ("priority", "outputdir", "include", "exclude")}
        return replace(self, group=group, sha256=sha256, layout=layout, **asked)

    @property
    def choice(self) -> Choice | None:
        """The files that it wants of each product; None: all."""
        return Choice.of(self.include, self.exclude)

    def request(self, line: Named) -> ProductRequest:
        """Return what it wants of the product that one of its lines names."""
        return ProductRequest(
            line.safename,
            self.group,
            self.priority,
            self.outputdir,
            line.product_id,
            line.s3_path,
            self.layout,
            self.choice,
        )

    def below(self, safename: str) -> str:
        """Return the directory of one of its products below the spool; ValueError if its name lacks a field."""
        return "" if self.layout is None else ProductLayout.parse(self.layout).below(parse(safename))


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
    partial
        Whether only the files of a choice were fetched.
    """

    line: int
    safename: str
    state: str
    path: str | None
    size_bytes: int | None
    attempts: int
    cause: str | None
    partial: bool = False
