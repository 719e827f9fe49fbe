"""What the head orders of a holder, and what comes of it; `cdsed.engine.wire` has the messages around them."""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field

from cdsed.model.eodata import S3Location
from cdsed.model.objects import Digests, ListedObject, Piece


class Strict:
    """A message, or a part of one, that is read without any conversion."""

    __slots__ = ()
    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True)
class ListTask(Strict):
    """List the objects of a product."""

    location: S3Location
    what: Literal["list"] = "list"


@dataclass(frozen=True, slots=True)
class FetchTask(Strict):
    """Fetch pieces, one after the other, into the staging directory of a product, which this state must own.

    Each piece is one request. What is said of a piece is said when it is synced, every `mark_every_s` and at the end.
    """

    bucket: str
    staging: str
    safename: str
    state_id: str
    pieces: tuple[Piece, ...]
    mark_every_s: float
    what: Literal["fetch"] = "fetch"


@dataclass(frozen=True, slots=True)
class KeyWorksTask(Strict):
    """Tell whether the account may list anything."""

    location: S3Location
    what: Literal["key_works"] = "key_works"


@dataclass(frozen=True, slots=True)
class OtherProductTask(Strict):
    """Fetch a little of another product."""

    location: S3Location
    known: Piece | None
    what: Literal["other_product"] = "other_product"


@dataclass(frozen=True, slots=True)
class OtherFolderTask(Strict):
    """Tell whether a product of another top folder arrives."""

    location: S3Location
    what: Literal["other_folder"] = "other_folder"


@dataclass(frozen=True, slots=True)
class CloseTask(Strict):
    """Close the connection."""

    what: Literal["close"] = "close"


TaskOrder: TypeAlias = Annotated[
    ListTask | FetchTask | KeyWorksTask | OtherProductTask | OtherFolderTask | CloseTask,
    Field(discriminator="what"),
]


@dataclass(frozen=True, slots=True)
class CarriedError(Strict):
    """A `cdsed.errors.TransferError`, by the name of its class."""

    error: str
    message: str
    code: str
    retry_after_s: float | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class Answer(Strict):
    """What came of a task: one of the values, or none; `failed` says that the task raised `failure`.

    `digests` are those of the first pieces, as many as have arrived.
    """

    listed: tuple[ListedObject, ...] | None = None
    digests: tuple[Digests, ...] = ()
    yes: bool | None = None
    failure: CarriedError | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Sent(Strict):
    """What has gone over a connection in this lease so far."""

    requests: int = 0
    delivered_bytes: int = 0
