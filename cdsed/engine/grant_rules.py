"""When a holder may have its connection open, and what the head answers: pure functions, without I/O.

A holder notes the time, then asks. The head commits that the session is not free for `hold_s`, then answers. The kernel
kills the holder `GUARD_S` before the time that it asked for is over, counted from the moment when it asked. So whatever
the network delays, loses, repeats or reorders, the session is granted again only after its connection is closed. Both
sides count seconds since boot, each of its own machine.
"""

import math
from dataclasses import replace
from enum import Enum, auto

from cdsed.frozen import frozen

#: The kernel kills a holder so much earlier than its grant ends.
GUARD_S = 1.0
#: A holder that runs cuts its connection so long before that: the kernel would not, while a disk does not answer.
CUT_BEFORE_S = 0.3
#: The head counts a grant as longer by so much: clocks of two machines may differ in speed.
MARGIN_S = 5.0
# An answer may come after further requests were sent, so many at most.
_REQUESTS_MAX = 64


@frozen
class HolderState:
    """What a holder knows of its grant.

    Attributes
    ----------
    seq
        The number of its newest request.
    asked_s
        When it sent that and those before, in seconds since boot; the newest last.
    fence
        Of the lease it holds; 0: none, and no connection may be open.
    ended
        Leases up to this fence are over for it: an answer about them that comes late opens nothing.
    dies_at_s
        When the kernel kills it.
    """

    seq: int = 0
    asked_s: tuple[float, ...] = ()
    fence: int = 0
    ended: int = 0
    dies_at_s: float = 0.0


def asks(state: HolderState, now_s: float) -> HolderState:
    """Begin a request, for a grant or for its renewal."""
    return replace(state, seq=state.seq + 1, asked_s=(*state.asked_s, now_s)[-_REQUESTS_MAX:])


def is_granted(state: HolderState, seq: int, fence: int, grant_s: float, now_s: float) -> HolderState:
    """Take a grant, if it answers a request of ours whose time is not over."""
    dies_at_s = _ends_at_s(state, seq, grant_s)
    if state.fence or fence <= state.ended or dies_at_s <= now_s:
        return state
    return replace(state, fence=fence, dies_at_s=dies_at_s)


def is_renewed(state: HolderState, seq: int, fence: int, grant_s: float) -> HolderState:
    """Take a longer time; an answer to an earlier request shortens none."""
    dies_at_s = _ends_at_s(state, seq, grant_s)
    if not fence or fence != state.fence or dies_at_s <= state.dies_at_s:
        return state
    return replace(state, dies_at_s=dies_at_s)


def _ends_at_s(state: HolderState, seq: int, grant_s: float) -> float:
    """Return when the time that a request got is over: counted from when that one was sent, however late it is."""
    earlier = state.seq - seq
    return state.asked_s[-1 - earlier] + grant_s - GUARD_S if 0 <= earlier < len(state.asked_s) else -math.inf


def ends(state: HolderState, fence: int) -> HolderState:
    """Give up a lease, and all earlier ones; close the connection first if it is the one that is held."""
    return replace(state, fence=state.fence if state.fence > fence else 0, ended=max(state.ended, fence))


class HeadReply(Enum):
    """What follows from a message of a holder."""

    NOTHING = auto()
    GRANT = auto()  # keep the session in the state, then grant it
    RENEW = auto()  # keep it longer, then say so
    END = auto()  # the holder shall give up what it holds
    CLOSED = auto()  # the connection of the session is closed


@frozen
class SeatState:
    """What the head knows of a holder; `fence` is that of the lease it was given, 0: none."""

    seq: int = 0
    heard_s: float = 0.0
    fence: int = 0


def hears_want(state: SeatState, seq: int, ended: int, now_s: float) -> tuple[SeatState, HeadReply]:
    """Take the request of a holder that holds nothing, and gives nothing up any more up to the fence `ended`."""
    if seq <= state.seq:
        return state, HeadReply.NOTHING
    state = replace(state, seq=seq, heard_s=now_s)
    if not state.fence:
        return state, HeadReply.NOTHING
    if ended >= state.fence:
        return replace(state, fence=0), HeadReply.CLOSED
    return state, HeadReply.GRANT  # the first answer was lost, or came too late


def hears_renew(state: SeatState, seq: int, fence: int, now_s: float) -> tuple[SeatState, HeadReply]:
    """Take the request of a holder for more time."""
    if seq <= state.seq:
        return state, HeadReply.NOTHING
    state = replace(state, seq=seq, heard_s=now_s)
    return state, HeadReply.RENEW if fence == state.fence else HeadReply.END


def hears_bye(state: SeatState, fence: int) -> tuple[SeatState, HeadReply]:
    """Learn that a holder has closed its connection, and gave up a lease."""
    if not fence or fence != state.fence:
        return state, HeadReply.NOTHING
    return replace(state, fence=0), HeadReply.CLOSED


def hold_s(grant_s: float, lost_rest_s: float) -> float:
    """Return how long the head keeps a session without further word of its holder."""
    return grant_s + MARGIN_S + lost_rest_s
