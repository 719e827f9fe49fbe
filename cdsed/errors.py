"""Every failure that cdsed names, its fault domain, and the exit code of a command that fails with it.

::

    CdsedError
    ├── ConfigError            the settings or the accounts file are wrong                      78
    ├── UsageError             the command line is wrong                                        64
    ├── StateError             the SQLite state cannot be used now; try again                   75
    │   ├── StateRefused       a newer schema or a network file system; do not try again        78
    │   ├── StateDamaged       it is damaged or gone; the next start of the daemon recovers it  72
    │   └── StateDiskError     its disk is full, read-only or failing                           74
    ├── InboxError             a listing cannot be taken                                        65
    ├── HookError              a hook did not accept its events; they are given again           1
    ├── AlreadyRunning         another daemon holds this state                                  75
    └── TransferError          has a fault domain; only ``cdsed.work.outcome`` decides what follows
        ├── ProductError       fault domain PRODUCT
        ├── AccountError       fault domain ACCOUNT
        ├── ServiceError       fault domain SERVICE; Incomplete when a response lacks some of its rows
        ├── DiskError          fault domain DISK
        ├── MachineError       fault domain MACHINE
        ├── OwnedElsewhere     no fault: another state downloads the product to the same place
        └── Stopped, LeaseLost no fault: the work is dropped

The class has the fault domain. The message says what happened, to which thing, and what to do.
"""

from enum import IntEnum, StrEnum
from typing import Self


class FaultDomain(StrEnum):
    """Whose fault a failure was; only a failure of the domain PRODUCT is charged to the product."""

    PRODUCT = "product"
    ACCOUNT = "account"
    SERVICE = "service"
    DISK = "disk"
    MACHINE = "machine"
    BUG = "bug"
    NONE = "none"


class ExitCode(IntEnum):
    """Exit codes of every command, after sysexits(3) where it has one; the log explains a code with its `words`."""

    words: str

    def __new__(cls, code: int, words: str) -> Self:
        """Make a member with its explanation."""
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
    """Settings or accounts are wrong; ``problems`` has one line for each error, with key and remedy."""

    exit_code = ExitCode.CONFIG

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class UsageError(CdsedError):
    """The command line asks for something that does not exist."""

    exit_code = ExitCode.USAGE


class StateError(CdsedError):
    """The SQLite state cannot be used now: another process has locked it."""

    exit_code = ExitCode.TEMPORARY


class StateRefused(StateError):
    """The state must not be used by this version of cdsed, or at this place; a retry does not help."""

    exit_code = ExitCode.CONFIG


class StateDamaged(StateError):
    """The state is damaged, deleted or replaced; the next start of the daemon recovers it."""

    exit_code = ExitCode.DAMAGED


class StateDiskError(StateError):
    """The disk of the state is full, read-only or failing; nothing can be noted until that ends."""

    exit_code = ExitCode.STATE_DISK


class HookError(CdsedError):
    """A hook did not accept its events; the text says why, without secrets."""


class AlreadyRunning(CdsedError):
    """Another daemon holds the lock of this state directory."""

    exit_code = ExitCode.TEMPORARY


class InboxError(CdsedError):
    """A listing as a whole cannot be taken; the text says why."""

    exit_code = ExitCode.BAD_INPUT


class TransferError(CdsedError):
    """One step of the work on a product failed.

    Parameters
    ----------
    message
        What happened, to which thing, and what to do.
    code
        A short stable word for counting and documents, e.g. ``InvalidAccessKeyId``.
    retry_after_s
        The pause that the service asked for, if it did.
    """

    fault_domain = FaultDomain.BUG

    def __init__(self, message: str, *, code: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_s = retry_after_s


class ProductError(TransferError):
    """The fault is the product's: it is gone, changed, or corrupt at its source."""

    fault_domain = FaultDomain.PRODUCT


class AccountError(TransferError):
    """The fault is the account's, or its keys': expired, refused, throttled."""

    fault_domain = FaultDomain.ACCOUNT


class ServiceError(TransferError):
    """The fault is CDSE's, or the network's: 5xx, resets, stalls, truncated bodies."""

    fault_domain = FaultDomain.SERVICE


class Incomplete(ServiceError):
    """The catalogue gave other rows than it counted: the response is incomplete."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="Incomplete")


class DiskError(TransferError):
    """The fault is our own disk's: full, read-only, gone; ``where`` is the path of the failed call, '' if unknown."""

    fault_domain = FaultDomain.DISK

    def __init__(self, message: str, *, code: str, retry_after_s: float | None = None, where: str = "") -> None:
        super().__init__(message, code=code, retry_after_s=retry_after_s)
        self.where = where


class MachineError(TransferError):
    """The machine, or our share of it, is exhausted: no file descriptor, memory or port is left."""

    fault_domain = FaultDomain.MACHINE


class OwnedElsewhere(TransferError):
    """Another cdsed, with its own state, owns the place of a product; the text says which."""

    fault_domain = FaultDomain.NONE

    def __init__(self, message: str) -> None:
        super().__init__(message, code="OtherState")


class Stopped(TransferError):
    """Work was interrupted because the process has to stop."""

    fault_domain = FaultDomain.NONE

    def __init__(self, message: str = "the process has to stop") -> None:
        super().__init__(message, code="Stopped")


class LeaseLost(TransferError):
    """The fence has grown since: another worker owns the work now."""

    fault_domain = FaultDomain.NONE

    def __init__(self, message: str) -> None:
        super().__init__(message, code="LeaseLost")
