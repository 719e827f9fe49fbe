"""Failures that other modules decide on, for docs/errors.md."""

from dataclasses import dataclass

from cdsed.errors import FaultDomain
from cdsed.work.failure_action import FailureAction


@dataclass(frozen=True, slots=True)
class OtherFailure:
    """A failure that another module than `cdsed.work.outcome` decides on."""

    fault_domain: FaultDomain
    codes: tuple[str, ...]
    signals: str
    product: str
    delay: str
    charged_to: str


_LOGIN = "5 min, doubled each time, 6 h at most"

OTHER_FAILURES = (
    OtherFailure(
        FaultDomain.PRODUCT,
        ("Corrupt",),
        "verification: the same object, bad in the same way, twice",
        "*corrupt*: the copy goes to quarantine",
        "none",
        "the product: an attempt",
    ),
    OtherFailure(
        FaultDomain.PRODUCT,
        ("KilledWorker",),
        "workers crashed while they worked on it: see below",
        "after the first crash it is worked on alone, after the second when no worker has crashed for 5 s. *failed* "
        "after the third, unless it advanced in between",
        "none",
        "the product",
    ),
    OtherFailure(
        FaultDomain.PRODUCT,
        ("NotInCatalogue", "NoPath", "Deleted", "Offline"),
        "the catalogue says that it is absent, deleted, offline or without a path",
        "*unavailable* at once",
        "none",
        "the product",
    ),
    OtherFailure(
        FaultDomain.SERVICE,
        ("ConnectionFailed", "TlsFailed", "ServerError", "TooManyRequests", "BadQuery", "NotTheCatalogue"),
        "the catalogue: 3xx, 4xx, 5xx, timeouts, broken responses, responses with too few rows",
        "stays *queued*. If the listing or the name says where it is, it is downloaded. If only the look-up of "
        "its own name fails, only this product waits. The sixth time in a row is an attempt, and "
        "*unavailable* when they are used up",
        "5 s, doubled each time, 5 min at most. A longer `Retry-After` wins",
        "the catalogue: it backs off, if the look-up of other names fails, too",
    ),
    OtherFailure(
        FaultDomain.ACCOUNT,
        ("WrongPassword", "LoginRefused", "BadTotp", "NoPassword"),
        "the identity service: 401, 400, 403, in its words",
        "untouched",
        _LOGIN,
        "the account: it backs off",
    ),
    OtherFailure(
        FaultDomain.ACCOUNT,
        ("TooManySessions",),
        "the identity service: 400, in its words, most often 100 open sessions",
        "untouched",
        "1 min, doubled each time, 1 h at most",
        "the account: it backs off",
    ),
    OtherFailure(
        FaultDomain.ACCOUNT,
        ("KeyCapReached", "KeysRefused"),
        "the keys manager: 403, 401, in its words",
        "untouched",
        FailureAction.BACK_OFF_ACCOUNT.value.delay,
        "the account: it backs off",
    ),
    OtherFailure(
        FaultDomain.SERVICE,
        ("KeysManager",),
        "the identity service or the keys manager: 5xx, timeouts, redirects, responses that are not theirs",
        "untouched",
        FailureAction.BACK_OFF_ACCOUNT.value.delay,
        "the account: it backs off",
    ),
)
