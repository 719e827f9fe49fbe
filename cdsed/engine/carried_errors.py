"""Failures of a holder, carried to the head, which raises them as if they had happened there."""

from cdsed.engine.orders import CarriedError
from cdsed.errors import (
    AccountError,
    DiskError,
    LeaseLost,
    MachineError,
    OwnedElsewhere,
    ProductError,
    ServiceError,
    Stopped,
    TransferError,
)

_OF_A_CODE = {cls.__name__: cls for cls in (ProductError, AccountError, ServiceError, MachineError, TransferError)}
_OF_A_TEXT = {cls.__name__: cls for cls in (OwnedElsewhere, Stopped, LeaseLost)}


def carried(error: TransferError) -> CarriedError:
    """Return a failure as a message has it."""
    known = {*_OF_A_CODE, *_OF_A_TEXT, DiskError.__name__}
    name = next(cls.__name__ for cls in type(error).__mro__ if cls.__name__ in known)
    where = error.where if isinstance(error, DiskError) else ""
    return CarriedError(name, str(error), error.code, error.retry_after_s, where)


def raised(carried: CarriedError) -> TransferError:
    """Return the error that a message carries; one with an unknown name is the machine's."""
    if carried.error == DiskError.__name__:
        return DiskError(carried.message, code=carried.code, retry_after_s=carried.retry_after_s, where=carried.where)
    if carried.error in _OF_A_TEXT:
        return _OF_A_TEXT[carried.error](carried.message)
    made = _OF_A_CODE.get(carried.error, MachineError)
    return made(carried.message, code=carried.code, retry_after_s=carried.retry_after_s)
