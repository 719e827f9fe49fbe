"""Every failure cdsed names, whose fault it was, and the exit code of a command that dies of it.

::

    CdsedError
    ├── ConfigError            nobody's transfer: the settings or the accounts file are wrong   78
    ├── UsageError             the command line is wrong                                        64
    ├── StateError             the SQLite state cannot be used just now                         75
    │   ├── StateRefused       nor ever so: a newer schema, a network file system               78
    │   ├── StateDamaged       it is damaged or gone; the next start of the daemon recovers it  72
    │   └── StateDiskError     its disk is full, read-only or failing                           74
    ├── InboxError             a listing cannot be taken                                        65
    ├── AlreadyRunning         another daemon holds this state                                  75
    └── TransferError          carries a blame; ``cdsed.work.outcome`` alone turns it into a decision
        ├── ProductError       blame PRODUCT
        ├── AccountError       blame ACCOUNT
        ├── ServiceError       blame SERVICE; Incomplete when an answer has not all of its rows
        ├── DiskError          blame DISK
        ├── MachineError       blame MACHINE
        ├── OwnedElsewhere     blame NOBODY: another state downloads the product to the same place
        └── Stopped, LeaseLost blame NOBODY: the work is dropped quietly

A class carries the blame; its message says what happened, to which thing, and what to do.
"""

from enum import IntEnum, StrEnum
from typing import Self


class FaultDomain(StrEnum):
    """Whose fault a failure was; only failures blamed on the product spend its attempts."""

    PRODUCT = "product"
    ACCOUNT = "account"
    SERVICE = "service"
    DISK = "disk"
    MACHINE = "machine"
    BUG = "bug"
    NOBODY = "nobody"


class ExitCode(IntEnum):
    """Exit codes of every command, after sysexits(3) where it has one; `words` say in the log what one means."""

    words: str

    def __new__(cls, code: int, words: str) -> Self:
        """Make a number that knows its words."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.words = words
        return member

    OK = 0, "in order"
    UNFINISHED = 1, "it ran, and something it was asked for did not come out"
    NOT_RUNNING = 3, "no daemon runs"  # as in LSB init scripts
    USAGE = 64, "its command line is wrong"
    BAD_INPUT = 65, "a listing cannot be taken"
    BUG = 70, "an error in cdsed itself"
    DAMAGED = 72, "the state is damaged or gone"
    STATE_DISK = 74, "the disk of the state is full, read-only or failing"
    TEMPORARY = 75, "another daemon runs, or the state is locked"
    PERMISSION = 77, "it may not read or write what it needs"
    CONFIG = 78, "settings or accounts are wrong"


class CdsedError(Exception):
    """A failure that cdsed understands; its text is all a user needs to see."""

    exit_code = ExitCode.UNFINISHED


class ConfigError(CdsedError):
    """Settings or accounts are wrong; ``problems`` holds one line each, with key and remedy."""

    exit_code = ExitCode.CONFIG

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class UsageError(CdsedError):
    """The command line asks for something that does not exist."""

    exit_code = ExitCode.USAGE


class StateError(CdsedError):
    """The SQLite state cannot be used just now: somebody else has locked it."""

    exit_code = ExitCode.TEMPORARY


class StateRefused(StateError):
    """The state must not be used by this cdsed, or at this place; trying again changes nothing."""

    exit_code = ExitCode.CONFIG


class StateDamaged(StateError):
    """The state is damaged, deleted or replaced; the next start of the daemon recovers it."""

    exit_code = ExitCode.DAMAGED


class StateDiskError(StateError):
    """The disk of the state is full, read-only or failing; nothing can be noted until that ends."""

    exit_code = ExitCode.STATE_DISK


class AlreadyRunning(CdsedError):
    """Another daemon holds the lock of this state directory."""

    exit_code = ExitCode.TEMPORARY


class InboxError(CdsedError):
    """A listing as a whole cannot be taken; the text says why."""

    exit_code = ExitCode.BAD_INPUT


class TransferError(CdsedError):
    """A product could not be brought one step further.

    Parameters
    ----------
    message
        What happened, to what, and what to do.
    code
        A short stable word for counting and documents, e.g. ``InvalidAccessKeyId``.
    retry_after_s
        What the service itself asked for, if it did.
    """

    fault_domain = FaultDomain.BUG

    def __init__(self, message: str, *, code: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_s = retry_after_s


class ProductError(TransferError):
    """The product itself is the trouble: gone, changed, or bad at its source."""

    fault_domain = FaultDomain.PRODUCT


class AccountError(TransferError):
    """The account or its keys are the trouble: expired, refused, throttled."""

    fault_domain = FaultDomain.ACCOUNT


class ServiceError(TransferError):
    """CDSE or the way to it is the trouble: 5xx, resets, stalls, cut bodies."""

    fault_domain = FaultDomain.SERVICE


class Incomplete(ServiceError):
    """The catalogue gave other rows than it counted: an answer that must not be taken for whole."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="Incomplete")


class DiskError(TransferError):
    """Our own disk is the trouble: full, read-only, gone."""

    fault_domain = FaultDomain.DISK


class MachineError(TransferError):
    """The machine we run on, or our share of it, is the trouble: no file descriptor, memory or port is left."""

    fault_domain = FaultDomain.MACHINE


class OwnedElsewhere(TransferError):
    """Another cdsed, with a state of its own, owns the place of a product; the text says which."""

    fault_domain = FaultDomain.NOBODY

    def __init__(self, message: str) -> None:
        super().__init__(message, code="OtherState")


class Stopped(TransferError):
    """Work was interrupted because the process was told to stop."""

    fault_domain = FaultDomain.NOBODY

    def __init__(self, message: str = "told to stop") -> None:
        super().__init__(message, code="Stopped")


class LeaseLost(TransferError):
    """The fence moved on: someone else owns the work now."""

    fault_domain = FaultDomain.NOBODY

    def __init__(self, message: str) -> None:
        super().__init__(message, code="LeaseLost")
