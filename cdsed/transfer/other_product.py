"""Ask S3 for bytes of another product, to find out whether a failure is the service's or one product's own.

A probe asks again for what arrived before. Else it lists the objects that follow a product in the bucket, and fetches
the beginning of one. Most often that is a product of the same kind and day. So what an account may read, and what a
slow network still carries, is alike.
"""

import threading
from collections.abc import Iterator
from itertools import chain

from cdsed.errors import AccountError, ProductError, ServiceError, TransferError
from cdsed.model.eodata import S3Location
from cdsed.model.objects import ListedObject, Piece
from cdsed.transfer.connection import read_into
from cdsed.transfer.fetch import FetchContext, request_piece
from cdsed.transfer.product import Watch
from cdsed.transfer.s3_list import list_some

# So many of the next products are tried, because some may share the fault. Where each takes a time-out, two are enough.
_NEXT_MAX, _SLOW_MAX = 4, 2
_SLOW = {"Timeout", "TooSlow"}
#: What S3 says of one product, in its own words: it answers as it should.
_OF_ONE_PRODUCT = {"AccessDenied", "NoSuchKey", "Changed", "NotOnline"}
#: Small responses pass where large ones are dropped, e.g. with a wrong MTU.
_PROBE_BYTES = 2**20
_AFTER_SLASH = "0"  # sorts right behind `/`: a list that starts after it has nothing of the product
_REMEMBERED_MAX = 32


class Arrivals:
    """Objects that arrived, one of each of the last products of this process."""

    def __init__(self) -> None:
        self._pieces: dict[str, Piece] = {}
        self._lock = threading.Lock()

    def note(self, location: S3Location, piece: Piece) -> None:
        """Remember that a piece of the product at a location arrived."""
        with self._lock:
            self._pieces.pop(location.key, None)
            self._pieces[location.key] = _beginning(piece.key, piece.etag, piece.object_bytes)
            if len(self._pieces) > _REMEMBERED_MAX:
                del self._pieces[next(iter(self._pieces))]

    def beside(self, location: S3Location) -> Piece | None:
        """Return the newest of another product in the same top folder."""
        top = location.key.partition("/")[0] + "/"
        with self._lock:
            newest_first = reversed(self._pieces.items())
            return next((piece for key, piece in newest_first if key.startswith(top) and key != location.key), None)


def other_folder_works(context: FetchContext, location: S3Location, watch: Watch) -> bool:
    """Tell whether a product of another top folder arrives, such as one of another mission.

    Parameters are those of `other_product_fails`.
    """
    top = location.key.partition("/")[0]
    try:
        for after in (top + _AFTER_SLASH, ""):
            with watch(context.connection):
                listed = list_some(context.connection, context.account, S3Location(location.bucket, top), after)
            for item in listed:
                if item.size_bytes and not item.key.startswith(f"{top}/"):
                    return _failure(context, _beginning(item.key, item.etag, item.size_bytes), watch) is None
    except TransferError:
        context.connection.close()
    return False


def other_product_fails(
    context: FetchContext, location: S3Location, watch: Watch, known: Piece | None = None
) -> TransferError | None:
    """Fetch a little of another product than the one at `location`.

    Parameters
    ----------
    context
        The connection, account, bucket and buffer of the session.
    watch
        Surrounds the requests, e.g. with the stall detector's minimum rate.
    known
        What arrived before, of another product; it is asked for first.

    Returns
    -------
    TransferError or None
        None: S3 answers as it should. That is also so if it lists, and has no other product that this account may
        read. Else what fails, too: the service, the account, or this machine; or the process must leave.
    """
    failures: list[TransferError] = []
    try:
        for piece in chain([known] if known else [], _others(context, location, watch)):
            error = _failure(context, piece, watch)
            if error is None:
                return None
            if error.code not in _OF_ONE_PRODUCT:
                failures.append(error)
            if sum(each.code in _SLOW for each in failures) == _SLOW_MAX:
                break
    except TransferError as error:
        context.connection.close()
        return error
    return failures[-1] if failures else None


def _beginning(key: str, etag: str, object_bytes: int) -> Piece:
    return Piece(0, 0, key, key, etag, object_bytes, 0, min(object_bytes, _PROBE_BYTES), 0, 0)


def _failure(context: FetchContext, piece: Piece, watch: Watch) -> TransferError | None:
    """Return what went wrong with one other product; raise what is not about the service, such as `Stopped`."""
    try:
        with watch(context.connection):
            _read(context, piece)
    except (ServiceError, ProductError, AccountError) as error:
        context.connection.close()
        return error
    return None


def _read(context: FetchContext, piece: Piece) -> None:
    response = request_piece(context, piece)
    left_bytes = piece.size_bytes
    while left_bytes:
        count = read_into(context.connection, response, context.buffer[:left_bytes])
        if not count:
            raise ServiceError(f"{piece.key} ends early", code="TruncatedBody")
        left_bytes -= count


def _others(context: FetchContext, location: S3Location, watch: Watch) -> Iterator[Piece]:
    """Yield the beginning of an object of each of the next products in the bucket, then of the first one."""
    seen = {location.key}
    depth = location.key.count("/") + 1
    after = location.key
    for number in range(_NEXT_MAX + 1):
        if number == _NEXT_MAX:
            after = ""
        found = _first(context, location, after, watch, seen)
        if found is None and after:
            after = ""
            found = _first(context, location, after, watch, seen)
        if found is None:
            return
        after = "/".join(found.key.split("/")[:depth])
        seen.add(after)
        yield _beginning(found.key, found.etag, found.size_bytes)


def _first(
    context: FetchContext, location: S3Location, after: str, watch: Watch, seen: set[str]
) -> ListedObject | None:
    """Return the first object with bytes behind a product ('': of all) that is of a product not seen yet."""
    with watch(context.connection):
        listed = list_some(context.connection, context.account, location, after and after + _AFTER_SLASH)
    return next(
        (item for item in listed if item.size_bytes and not any(f"{item.key}/".startswith(f"{key}/") for key in seen)),
        None,
    )
