"""What a worker is asked to verify, and what it answers: JSON, read strictly; names, paths, counts, no secret."""

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from cdsed.engine.orders import Strict
from cdsed.errors import MachineError

_T = TypeVar("_T")


class VerdictKind(StrEnum):
    """What a product is, if not right."""

    WRONG = "wrong"
    ABSENT = "absent"
    UNREADABLE = "unreadable"  # it could not be verified: an error of a disk, a network or a worker


@dataclass(frozen=True, slots=True)
class Subject(Strict):
    """A product to verify.

    Attributes
    ----------
    position
        Its number in the state.
    partial
        Whether it was fetched in part.
    size_bytes
        As the state knows it; None: unknown.
    stamp
        It changes when the state notes something new of the product; never 0.
    """

    position: int
    safename: str
    path: str
    partial: bool
    size_bytes: int | None
    stamp: int


@dataclass(frozen=True, slots=True)
class RootMark(Strict):
    """A directory that a worker must see: with this marker or, where that is '', with something in it."""

    root: str
    marker: str


@dataclass(frozen=True, slots=True)
class BatchOrder(Strict):
    """Verify these products, if your cdsed has this version and you see all of these directories."""

    version: str
    roots: tuple[RootMark, ...]
    products: tuple[Subject, ...]


@dataclass(frozen=True, slots=True)
class FoundProblem(Strict):
    """A product that is not right, and why, found by a worker on the machine `node`."""

    position: int
    safename: str
    path: str
    finding: VerdictKind
    problems: tuple[str, ...]
    node: str


@dataclass(frozen=True, slots=True)
class BatchAnswer(Strict):
    """What came of a batch.

    Attributes
    ----------
    node
        The machine.
    refused
        Why nothing was verified there; '' if it was.
    parts
        How many products are right as the parts that were fetched.
    size_bytes
        Of all files of the products.
    """

    node: str
    refused: str = ""
    parts: int = 0
    size_bytes: int = 0
    seconds: float = 0.0
    problems: tuple[FoundProblem, ...] = ()


def share_of(answer: BatchAnswer, kept: frozenset[int], of: int) -> BatchAnswer:
    """Return an answer about fewer of its products, with their share of its sums; `of`: how many it was about."""
    share = len(kept) / of
    return replace(
        answer,
        parts=round(answer.parts * share),
        size_bytes=round(answer.size_bytes * share),
        seconds=answer.seconds * share,
        problems=tuple(each for each in answer.problems if each.position in kept),
    )


@dataclass(frozen=True, slots=True)
class BatchRecord(Strict):
    """A line of the progress file: products that were verified, as pairs of position and stamp, and what came of it.

    Attributes
    ----------
    ran_s
        For how long the run had worked until then, over all commands that continued it.
    """

    done: tuple[tuple[int, int], ...]
    answer: BatchAnswer
    ran_s: float


@dataclass(frozen=True, slots=True)
class RunHead(Strict):
    """The first line of the progress file: what the run verifies, and by which version."""

    schema: int
    version: str
    names: tuple[str, ...]
    begun_at: float


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def as_text(message: BatchOrder | BatchAnswer | BatchRecord | RunHead) -> str:
    """Return a message as one line of text."""
    kind: Any = type(message)
    return _adapter(kind).dump_json(message).decode()


def read_as(kind: type[_T], text: str | bytes) -> _T:
    """Read a message.

    Raises
    ------
    MachineError
        It is not one: the sender may be of another version.
    """
    try:
        its: Any = kind
        read: _T = _adapter(its).validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise MachineError(f"a message cannot be read: {first['loc']}: {first['msg']}", code="Message") from None
    return read
