"""Faults on demand: which request gets which error, and how often."""

import itertools
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatchcase
from typing import Any

from cdsed.clock import Clock

_UNKNOWN_KEY = "The AWS Access Key Id you provided does not exist in our records."
# Kind of fault -> its response: HTTP status, S3 code, message.
REFUSALS = {
    "forbidden": (403, "AccessDenied", "Access Denied"),
    "not_found": (404, "NoSuchKey", "The specified key does not exist."),
    "throttle": (429, "TooManyRequests", "Too Many Requests"),
    "internal_error": (500, "InternalError", "We encountered an internal error. Please try again."),
    "slow_down": (503, "SlowDown", "Please reduce your request rate."),
    "key_expired": (403, "InvalidAccessKeyId", _UNKNOWN_KEY),
    "key_not_yet_valid": (403, "InvalidAccessKeyId", _UNKNOWN_KEY),
    "key_revoked": (403, "InvalidAccessKeyId", _UNKNOWN_KEY),
    "wrong_secret": (403, "SignatureDoesNotMatch", "The request signature we calculated does not match."),
}
DELIVERY_FAULTS = ("reset", "stall", "trickle", "short_body")
#: Faults that replace the response of any service.
FOREIGN = ("page", "empty_body", "truncated_body", "foreign_answer", "redirect")
KINDS = (*REFUSALS, *DELIVERY_FAULTS, *FOREIGN, "wrong_bytes", "xml_body", "changed_etag", "range_as_200")
FORBIDDEN_CODES = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken")


@dataclass(frozen=True)
class FaultRequest:
    """A request, for matching; `key` is the prefix of a list request, and the filter or body of an OData query."""

    operation: str
    method: str
    key: str
    account: str


@dataclass(frozen=True)
class Fault:
    """One error and the requests that get it; an empty field matches everything.

    Parameters
    ----------
    kind
        One of `KINDS`.
    key
        An object key, the beginning of one, or a pattern of `fnmatch`.
    account, method, operation
        Names; the operation is ``list``, ``get``, ``head``, ``buckets``, ``location``, ``odata``, ``stac``,
        ``identity``, ``keys`` or ``zip``.
    skip, times
        Let `skip` matching requests pass, then apply the fault to `times` requests (None: all). ``changed_etag`` is
        applied once to each object.
    every
        Apply the fault only to each n-th of the matching requests.
    from_s, to_s
        Only in this span since the start of the sandbox.
    after_bytes
        Bytes of the body after which ``reset``, ``stall``, ``trickle`` or ``short_body`` begins. None: before the
        headers (``reset``, ``stall``), at once (``trickle``), at half of the body (``short_body``).
    code
        The S3 code of ``forbidden``.
    retry_after_s
        ``Retry-After`` of ``throttle`` and ``slow_down``.
    bytes_per_s
        The rate of ``trickle``.
    same_content
        ``changed_etag`` changes the ETag only.
    status, etag
        Another status, and an ETag, for ``page``, ``empty_body``, ``foreign_answer`` and ``redirect``.
    """

    kind: str
    key: str = ""
    account: str = ""
    method: str = ""
    operation: str = ""
    skip: int = 0
    times: int | None = None
    every: int = 1
    from_s: float = 0
    to_s: float | None = None
    after_bytes: int | None = None
    code: str = ""
    retry_after_s: int | None = None
    bytes_per_s: int = 100
    same_content: bool = False
    status: int | None = None
    etag: str = ""

    def matches(self, asked: FaultRequest) -> bool:
        """Return whether the request matches, without regard to `skip`, `times`, `every` and the time span."""
        words = (
            (self.account, asked.account),
            (self.method, asked.method),
            (self.operation, asked.operation),
        )
        if any(wanted and wanted != actual for wanted, actual in words):
            return False
        return asked.key.startswith(self.key) or fnmatchcase(asked.key, self.key)


def fault_from_json(item: Mapping[str, Any]) -> Fault:
    """Return the fault that a JSON object describes; ValueError when it does not describe one."""
    unknown = sorted(set(item) - {field.name for field in fields(Fault)})
    if unknown or item.get("kind") not in KINDS:
        raise ValueError(f"a fault has a kind ({', '.join(KINDS)}); wrong: {unknown or item.get('kind')}")
    fault = Fault(**item)
    if fault.kind == "forbidden" and fault.code not in ("", *FORBIDDEN_CODES):
        raise ValueError(f"code of forbidden is one of {', '.join(FORBIDDEN_CODES)}, not {fault.code!r}")
    if fault.bytes_per_s < 1 or fault.every < 1:
        raise ValueError("bytes_per_s and every of a fault must be at least 1")
    return fault


class FaultBook:
    """The faults that are set, and how often each kind was applied."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started_s = clock.boot_s()
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._faults: dict[int, Fault] = {}
        self._matched: Counter[int] = Counter()
        self._changed: set[tuple[int, str]] = set()
        self._applied: Counter[str] = Counter()

    def add(self, fault: Fault) -> int:
        """Set a fault; return its id."""
        with self._lock:
            number = next(self._ids)
            self._faults[number] = fault
            return number

    def remove(self, number: int | None = None) -> None:
        """Remove one fault, or all."""
        with self._lock:
            if number is None:
                self._faults.clear()
            else:
                self._faults.pop(number, None)

    def pick(self, asked: FaultRequest) -> Fault | None:
        """Return the first matching fault that is due, and count it."""
        since_s = self._clock.boot_s() - self._started_s
        with self._lock:
            for number, fault in self._faults.items():
                in_time = fault.from_s <= since_s < (fault.to_s if fault.to_s is not None else since_s + 1)
                if in_time and fault.matches(asked) and self._is_due(number, fault, asked):
                    self._applied[fault.kind] += 1
                    return fault
        return None

    def listing(self) -> list[dict[str, Any]]:
        """Return all faults, with their ids and how many requests they matched."""
        with self._lock:
            return [
                {"id": number, "matched": self._matched[number], **asdict(fault)}
                for number, fault in self._faults.items()
            ]

    def applied(self) -> dict[str, int]:
        """Return how often each kind was applied."""
        with self._lock:
            return dict(self._applied)

    def reset(self) -> None:
        """Set the counts of applied faults to zero."""
        with self._lock:
            self._applied.clear()

    def _is_due(self, number: int, fault: Fault, asked: FaultRequest) -> bool:
        if (number, asked.key) in self._changed:
            return False
        self._matched[number] += 1
        due = self._matched[number] - fault.skip
        if due < 1 or due % fault.every or (fault.times is not None and due > fault.times * fault.every):
            return False
        if fault.kind == "changed_etag":
            self._changed.add((number, asked.key))
        return True
