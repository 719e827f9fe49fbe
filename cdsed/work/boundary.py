"""The one boundary for errors that no part of cdsed expects while it works on a product."""

from collections.abc import Callable

from cdsed.errors import StateError, TransferError
from cdsed.model.product_state import Product
from cdsed.work.outcome import Outcome


def bounded(outcome: Outcome, product: Product, step: Callable[[], bool]) -> bool:
    """Do one step of a product's work.

    An unexpected error is logged with its traceback and charged to the product, so that it does not repeat
    indefinitely. The state keeps what was done before.

    Returns
    -------
    bool
        Whether to continue, as the step says; False after an unexpected error.

    Raises
    ------
    TransferError, StateError
        What the step itself raises of these: expected, and no reason to charge the product.
    """
    try:
        return step()
    except (TransferError, StateError):
        raise
    except Exception as error:  # noqa: BLE001 - `bug` logs it
        outcome.bug(error, product)
        return False
