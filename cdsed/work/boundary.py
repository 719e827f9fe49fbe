"""The one place that catches unexpected errors of the work on a product."""

from collections.abc import Callable

from cdsed.errors import StateError, TransferError
from cdsed.logevent import within
from cdsed.model.product_state import Product
from cdsed.work.outcome import Outcome


def bounded(outcome: Outcome, product: Product, step: Callable[[], bool]) -> bool:
    """Do one step of a product's work.

    An unexpected error is logged with its traceback and charged to the product, so that it does not repeat
    indefinitely. The state keeps what was done before.

    Returns
    -------
    bool
        What the step returned: whether to continue. False after an unexpected error.

    Raises
    ------
    TransferError, StateError
        Expected errors of the step. They are passed on, and not charged to the product here.
    """
    with within(product=product.safename):
        try:
            return step()
        except (TransferError, StateError):
            raise
        except Exception as error:  # noqa: BLE001 - `bug` logs it
            outcome.bug(error, product)
            return False
