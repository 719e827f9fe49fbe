"""The requests of holders that wait for the head's answer: for a grant, or for more time."""

from itertools import islice

from cdsed.engine.wire import Renew, Want

_AT_ONCE = 8


class WaitingRequests:
    """Each answer is a commit, and hundreds come together; so some are answered, then other messages are heard.

    A head that fell behind answers only the newest request of a holder.
    """

    def __init__(self) -> None:
        self._newest: dict[str, Want | Renew] = {}

    def __bool__(self) -> bool:
        return bool(self._newest)

    def add(self, request: Want | Renew) -> None:
        """Let a request wait, instead of earlier ones of its holder."""
        known = self._newest.get(request.nonce)
        if known is None or request.seq >= known.seq:
            self._newest[request.nonce] = request

    def forget(self, nonce: str) -> None:
        """Forget the request of a holder that is dead."""
        self._newest.pop(nonce, None)

    def some(self) -> list[Want | Renew]:
        """Return those to answer next; they wait no more."""
        return [self._newest.pop(nonce) for nonce in list(islice(self._newest, _AT_ONCE))]
