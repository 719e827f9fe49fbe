"""The actions that can follow from a failure; `cdsed.work.failure_rules` has the action of each failure."""

from enum import Enum

from cdsed.frozen import frozen
from cdsed.model.product_state import State


@frozen
class Terms:
    """What an action means.

    Attributes
    ----------
    product
        What becomes of the product, as text for the page of errors.
    state
        The next state of a product whose planning fails for the first time.
    delay
        When the product is retried, as text.
    charged_to
        Who is charged, as text.
    attempt
        Whether an attempt is charged to the product.
    breaker
        The kind of breaker that counts the failure: ``account``, ``service``, ``disk``, or ''.
    """

    product: str
    state: State
    delay: str
    charged_to: str
    attempt: bool = False
    breaker: str = ""


_DOUBLED = "30 s, doubled each time, 6 h at most (`retry.first_delay_s`, `longest_delay_s`)"
_SOON = "2 s, doubled each time, 5 min at most. A longer `Retry-After` wins"


class FailureAction(Enum):
    """What follows from a failure."""

    ATTEMPT = Terms(
        "waits, then is listed again. *failed* when its attempts are used up, *unavailable* if it is gone",
        State.RETRY_WAIT,
        _DOUBLED,
        "the product: an attempt",
        attempt=True,
    )
    GIVE_UP = Terms("*failed* at once", State.FAILED, "none", "the product")
    ASK_CATALOGUE = Terms(
        "the catalogue is asked. If the path is its own, it is asked again after a pause, and its rows of that name "
        "are tried in turn. After each of them, at least twice, *unavailable*, but a new product is waited for until a "
        "day after its publication (`retry.refused_for_s`)",
        State.QUEUED,
        "none. For a path of the catalogue 30 s (`retry.first_delay_s`), doubled each time, 3 h at most",
        "not charged",
    )
    OTHER_ACCOUNT = Terms(
        "fetched as a zip (`transfer.zip_fallback`), else by other accounts of the group, all of them again and again. "
        "*unavailable* if that lasts for a day (`retry.refused_for_s`), they read other products, and the "
        "catalogue still offers it",
        State.READY,
        "none. For all accounts 30 s (`retry.first_delay_s`), doubled each time, 3 h at most",
        "not charged. An account that never delivered backs off at the third in a row",
        breaker="account",
    )
    BACK_OFF_ACCOUNT = Terms(
        "untouched: other accounts continue with it. If the same account is refused it again, it waits until the "
        "account has tried another one. The sixth in a row is an attempt, if another product arrives",
        State.READY,
        "30 s, doubled each time, 1 h at most (`retry.account_…`). A longer `Retry-After` wins",
        "the account: it backs off, and its session is released. Not if it delivered others since the last refusal "
        "of this product",
        breaker="account",
    )
    RETRY = Terms(
        "untouched, the piece or the list of objects is fetched again. The sixth in a row is an attempt, if another "
        "product that is asked for after it arrives. If that comes from another top folder only, it is the sixtieth",
        State.RETRY_WAIT,
        _SOON,
        "the service: the eighth in a row opens its breaker for 5 s, doubled each time, 5 min at most, unless another "
        "product arrives. For a zip: the zipper, likewise",
        breaker="service",
    )
    PAUSE_DISK = Terms(
        "waits and keeps what has arrived. Others use the next spool that works",
        State.RETRY_WAIT,
        "30 s, doubled each time, 10 min at most (`retry.first_delay_s`)",
        "the destination: only it pauses",
        breaker="disk",
    )
    REPLAN = Terms(
        "is listed again. What is lost is fetched again, the rest is kept. The sixth in a row is an attempt, and so is "
        "losing the same object again. Where the destination itself is gone, that pauses",
        State.RETRY_WAIT,
        _SOON,
        "not charged",
    )
    REFETCH = Terms(
        "what is damaged is fetched again. From the sixth damaged copy of an object on: an attempt",
        State.RETRY_WAIT,
        _SOON,
        "not charged",
    )
    BACKOFF = Terms(
        "waits and keeps what has arrived. The session is released",
        State.RETRY_WAIT,
        "5 s, doubled each time, 5 min at most",
        "not charged",
    )
    WAIT_FOR_OTHER = Terms(
        "waits until the other cdsed has finished: then it is *already_present*, or is taken over from one "
        "that has died",
        State.RETRY_WAIT,
        "2 s, doubled each time, 2 min at most",
        "not charged",
    )
    RELEASE = Terms("untouched: released as it was", State.READY, "none", "not charged")
