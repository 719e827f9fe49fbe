"""The messages between the head, pilots and holders: JSON, read strictly.

Neither keys nor other secrets are in them: a holder reads the accounts file on its own machine. A *nonce* names one
holder, and a *number* one task of a lease.
"""

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from cdsed.engine.orders import Answer, Sent, Strict, TaskOrder
from cdsed.errors import MachineError
from cdsed.model.objects import Digests


@dataclass(frozen=True, slots=True)
class OfTask(Strict):
    """Part of a message about one task of a lease."""

    nonce: str
    fence: int
    number: int


# From a pilot.


@dataclass(frozen=True, slots=True)
class PilotHere(Strict):
    """A pilot runs, on the machine `node`, with this version of cdsed; sent again and again."""

    pilot: str
    node: str
    version: str
    kind: Literal["pilot_here"] = "pilot_here"


@dataclass(frozen=True, slots=True)
class MarkerSeen(Strict):
    """After how many seconds a pilot saw a marker (None: not in time), and why it could not write one ('': it did)."""

    after_s: float | None
    problem: str


@dataclass(frozen=True, slots=True)
class Probed(Strict):
    """The pilot has looked for the markers of a probe, and this came of each."""

    pilot: str
    name: str
    seen: tuple[MarkerSeen, ...]
    kind: Literal["probed"] = "probed"


@dataclass(frozen=True, slots=True)
class Dead(Strict):
    """The pilot has reaped a holder."""

    nonce: str
    status: int
    kind: Literal["dead"] = "dead"


# From a holder.


@dataclass(frozen=True, slots=True)
class Want(Strict):
    """It holds nothing, and has given up all leases up to the fence `ended`."""

    nonce: str
    seq: int
    ended: int
    kind: Literal["want"] = "want"


@dataclass(frozen=True, slots=True)
class Renew(Strict):
    """It asks for more time; `number` is the last task it was given, `busy` whether it works on it."""

    nonce: str
    seq: int
    fence: int
    number: int
    busy: bool
    kind: Literal["renew"] = "renew"


@dataclass(frozen=True, slots=True)
class Bye(Strict):
    """Its connection is closed, and it has given up all leases up to this fence."""

    nonce: str
    fence: int
    kind: Literal["bye"] = "bye"


@dataclass(frozen=True, slots=True)
class Ask(OfTask):
    """It asks for a further request, for the time number `ask` in this task; said again until it is answered."""

    ask: int
    kind: Literal["ask"] = "ask"


@dataclass(frozen=True, slots=True)
class Mark(OfTask):
    """Of the pieces of a task, those from number `first` on have these digests, and `done_bytes` of the next one came.

    All of it is safe on the disk. The result of the task has all digests again.
    """

    first: int
    digests: tuple[Digests, ...]
    done_bytes: int
    sent: Sent
    kind: Literal["mark"] = "mark"


@dataclass(frozen=True, slots=True)
class Result(OfTask):
    """A task has ended."""

    answer: Answer
    sent: Sent
    kind: Literal["result"] = "result"


# From the head.


@dataclass(frozen=True, slots=True)
class Welcome(Strict):
    """To a pilot: continue."""

    pilot: str
    kind: Literal["welcome"] = "welcome"


@dataclass(frozen=True, slots=True)
class Leave(Strict):
    """To a pilot: end all holders, and yourself."""

    pilot: str
    why: str
    kind: Literal["leave"] = "leave"


@dataclass(frozen=True, slots=True)
class LookFor(Strict):
    """To a pilot: look for these markers until they are seen, for `within_s` at most, and write others beside them."""

    pilot: str
    name: str
    markers: tuple[str, ...]
    within_s: float
    kind: Literal["look_for"] = "look_for"


@dataclass(frozen=True, slots=True)
class Kill(Strict):
    """To a pilot: kill a holder."""

    nonce: str
    kind: Literal["kill"] = "kill"


@dataclass(frozen=True, slots=True)
class Granted(Strict):
    """The request `seq` got a session of an account for `grant_s`, with a limit of bandwidth (None: no limit)."""

    nonce: str
    seq: int
    fence: int
    account: str
    grant_s: float
    bytes_per_s: int | None
    kind: Literal["granted"] = "granted"


@dataclass(frozen=True, slots=True)
class Renewed(Strict):
    """The request `seq` got more time: `grant_s` from when it was sent."""

    nonce: str
    seq: int
    fence: int
    grant_s: float
    bytes_per_s: int | None
    kind: Literal["renewed"] = "renewed"


@dataclass(frozen=True, slots=True)
class GiveUp(Strict):
    """Close the connection, and give up all leases up to this fence."""

    nonce: str
    fence: int
    kind: Literal["give_up"] = "give_up"


@dataclass(frozen=True, slots=True)
class Task(OfTask):
    """Something to do over the connection; it may send so many requests without asking."""

    requests: int
    order: TaskOrder
    kind: Literal["task"] = "task"


@dataclass(frozen=True, slots=True)
class MayAsk(OfTask):
    """Send the further request number `ask`; with `wait`, close the connection, and wait for another such message."""

    ask: int
    wait: bool
    kind: Literal["may_ask"] = "may_ask"


@dataclass(frozen=True, slots=True)
class Stop(OfTask):
    """Stop a task."""

    kind: Literal["stop"] = "stop"


UpMessage: TypeAlias = PilotHere | Probed | Dead | Want | Renew | Bye | Ask | Mark | Result
DownMessage: TypeAlias = Welcome | Leave | LookFor | Kill | Granted | Renewed | GiveUp | Task | MayAsk | Stop


@cache
def _adapter() -> TypeAdapter[Any]:
    return TypeAdapter(Annotated[UpMessage | DownMessage, Field(discriminator="kind")])


def encode(message: UpMessage | DownMessage) -> str:
    """Return a message as one line of text."""
    return _adapter().dump_json(message).decode()


def decode(line: str) -> Any:
    """Read a message; the caller matches its class.

    Raises
    ------
    MachineError
        It is not one, or has other fields: the sender may be of another version.
    """
    try:
        return _adapter().validate_json(line, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise MachineError(f"a message cannot be read: {first['loc']}: {first['msg']}", code="Message") from None
