"""One dispatch call, at the centre that calls and at the centre that is called.

**Every ending has a name.** Times are monotonic seconds given as arguments; methods return effects that the shell
performs; `deadline` says when `tick` is due.

========== ======================================= ========== ============================================
state      event                                   next       effect
========== ======================================= ========== ============================================
ringing    answered (we called)                    connected  Connect
ringing    accept (we are called)                  connected  Connect
ringing    refused (busy, declined, link, ...)     ended      Close
ringing    no answer in time                       ended      Close, TellPeer (no_answer)
ringing    hang up (we called)                     ended      Close, TellPeer (hangup)
ringing    hang up (we are called)                 ended      Close (declined: the ring's reply says it)
connected  hang up                                 ended      Close, TellPeer (hangup)
any        the peer ended it                       ended      Close
connected  a side never sent within DARK_S         ended      Close, TellPeer (timeout)
connected  the far side went dark for DARK_S       ended      Close, TellPeer (link)
connected  the own side went dark for DARK_S       ended      Close, TellPeer (timeout)
========== ======================================= ========== ============================================
"""

from dataclasses import dataclass
from enum import StrEnum

from protocols.errors import WrongMomentError

RING_S = 60.0
"""A call that nobody takes ends after this time."""
DARK_S = 30.0
"""A connected call whose side sends nothing for this long is over; the time of a lost ICE consent (RFC 7675)."""


class Direction(StrEnum):
    """Whether this centre called or is called."""

    OUT = "out"
    IN = "in"


class CallState(StrEnum):
    """State of a call."""

    RINGING = "ringing"
    CONNECTED = "connected"
    ENDED = "ended"


class EndReason(StrEnum):
    """Why a call ended; API value, log field and metric label."""

    HANGUP = "hangup"
    NO_ANSWER = "no_answer"
    DECLINED = "declined"
    BUSY = "busy"
    LINK = "link"  # no way to the county, or its side went dark
    TIMEOUT = "timeout"  # a side never came, or the own side stayed away
    RESTART = "restart"  # this gateway was restarted in the middle of the call


@dataclass(frozen=True, slots=True)
class Connect:
    """Fetch the far side's stream and let both be seen."""


@dataclass(frozen=True, slots=True)
class TellPeer:
    """Tell the other centre that the call is over."""

    reason: EndReason


@dataclass(frozen=True, slots=True)
class Close:
    """Let go of all streams of the call."""


Effect = Connect | TellPeer | Close


class Call:
    """One call. `reason` is set once it has ended."""

    def __init__(self, direction: Direction, *, now: float, ring_s: float = RING_S) -> None:
        self.direction = direction
        self.state = CallState.RINGING
        self.reason: EndReason | None = None
        self._ring_ends = now + ring_s
        self._far = _Side()
        self._own = _Side()

    @property
    def deadline(self) -> float | None:
        """Monotonic time of the next `tick`, or None."""
        match self.state:
            case CallState.RINGING:
                return self._ring_ends
            case CallState.CONNECTED:
                return min(self._far.dark_since, self._own.dark_since) + DARK_S
            case CallState.ENDED:
                return None

    def connected(self, now: float) -> list[Effect]:
        """Take the answer: the county's (we called), or our own console's (we are called).

        Raises WrongMomentError when the call no longer rings.
        """
        if self.state is not CallState.RINGING:
            raise WrongMomentError(f"the call is {self.state.value}, it cannot be answered")
        self.state = CallState.CONNECTED
        self._far, self._own = _Side(now), _Side(now)
        return [Connect()]

    def refused(self, reason: EndReason) -> list[Effect]:
        """Take that the ring failed."""
        return self._end(reason, tell=False) if self.state is CallState.RINGING else []

    def hang_up(self) -> list[Effect]:
        """Take the own side's wish to end; raises WrongMomentError when the call has ended."""
        if self.state is CallState.ENDED:
            raise WrongMomentError("the call has ended already")
        if self.state is CallState.RINGING and self.direction is Direction.IN:
            return self._end(EndReason.DECLINED, tell=False)
        return self._end(EndReason.HANGUP, tell=True)

    def peer_ended(self, reason: EndReason) -> list[Effect]:
        """Take that the other centre ended the call."""
        return self._end(reason, tell=False) if self.state is not CallState.ENDED else []

    def sides(self, *, far: bool, own: bool, now: float) -> list[Effect]:
        """Take whether packets of either side arrive."""
        if self.state is not CallState.CONNECTED:
            return []
        self._far.look(live=far, now=now)
        self._own.look(live=own, now=now)
        return self.tick(now)

    def tick(self, now: float) -> list[Effect]:
        """Let time pass."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return []
        if self.state is CallState.RINGING:
            return self._end(EndReason.NO_ANSWER, tell=self.direction is Direction.OUT)
        far_was_here = self._far.seen and now >= self._far.dark_since + DARK_S
        return self._end(EndReason.LINK if far_was_here else EndReason.TIMEOUT, tell=True)

    def _end(self, reason: EndReason, *, tell: bool) -> list[Effect]:
        self.state, self.reason = CallState.ENDED, reason
        return [Close(), TellPeer(reason)] if tell else [Close()]


class _Side:
    """When one side was last heard."""

    def __init__(self, now: float = 0.0) -> None:
        self.dark_since = now
        self.seen = False

    def look(self, *, live: bool, now: float) -> None:
        if live:
            self.dark_since, self.seen = now, True


def reason_of(text: str | None, default: EndReason) -> EndReason:
    """Read a reason that another node wrote."""
    return EndReason(text) if text in set(EndReason) else default
