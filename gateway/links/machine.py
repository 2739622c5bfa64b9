"""Whether the link of one node is up, and why not.

**A link is up when the node is heard, not when a broker says that it is connected.** A retained presence may be older
than both ends; only a heartbeat proves life.

::

    state    event                                       next    reason
    never    heartbeat                                   up
    up       no heartbeat for SILENCE_S                  down    no_heartbeat, or timeout while our own broker is away
    up       offline presence of the present session     down    as the node or its last will says
    up       a second session took a living one's place  down    takeover
    down     heartbeat                                   up      at once after agent_stopped, else the STEADY-th in time

The last is the hysteresis: a line that comes and goes is shown as down until it holds. An offline presence of an
earlier session is late news and changes nothing.
"""

from dataclasses import dataclass

from protocols.health import HEARTBEAT_S, SILENCE_S, LinkReason, LinkStatus

STEADY = 2
"""Heartbeats in a row that bring a broken link up again."""
STEADY_WITHIN_S = 2.5 * HEARTBEAT_S


@dataclass(frozen=True, slots=True)
class Changed:
    """The link went up (reason None) or down."""

    status: LinkStatus
    reason: LinkReason | None


class LinkMachine:
    """One per node. Times are monotonic seconds; `deadline` says when `tick` is due."""

    def __init__(self, status: LinkStatus = LinkStatus.NEVER, reason: LinkReason | None = None) -> None:
        self.status = status
        self.reason = reason
        self.session: str | None = None
        self._heard_at: float | None = None
        self._steady = 0

    @classmethod
    def restored(cls, status: LinkStatus, reason: LinkReason | None, now: float) -> "LinkMachine":
        """Return the machine of a node known from before a restart: an up link has the usual time to be heard."""
        machine = cls(status, reason)
        if status is LinkStatus.UP:
            machine._heard_at = now
        return machine

    @property
    def deadline(self) -> float | None:
        """Return the moment of the next `tick`, None while nothing can time out."""
        if self.status is not LinkStatus.UP or self._heard_at is None:
            return None
        return self._heard_at + SILENCE_S

    def heartbeat(self, now: float) -> Changed | None:
        """Take a heartbeat."""
        before, self._heard_at = self._heard_at, now
        if self.status is LinkStatus.UP:
            return None
        in_time = before is not None and now - before <= STEADY_WITHIN_S
        self._steady = self._steady + 1 if in_time and self._steady else 1
        broken = self.status is LinkStatus.DOWN and self.reason is not LinkReason.AGENT_STOPPED
        if broken and self._steady < STEADY:
            return None
        return self._set(LinkStatus.UP, None)

    def online(self, session: str) -> None:
        """Take a presence that says online: from now on this session counts."""
        self.session = session

    def offline(self, session: str, reason: LinkReason | None) -> Changed | None:
        """Take a presence that says offline, spoken by the node itself or by its last will."""
        if self.session is not None and session != self.session:
            return None
        return self._down(reason or LinkReason.PEER_CLOSED)

    def taken_over(self) -> Changed | None:
        """Take that a second session replaced a living one: two nodes bear the same identity."""
        return self._down(LinkReason.TAKEOVER)

    def tick(self, now: float, *, broker_up: bool) -> Changed | None:
        """Let time pass."""
        if self.deadline is None or now < self.deadline:
            return None
        return self._down(LinkReason.NO_HEARTBEAT if broker_up else LinkReason.TIMEOUT)

    def _down(self, reason: LinkReason) -> Changed | None:
        self._steady = 0
        if self.status is not LinkStatus.UP:
            return None
        return self._set(LinkStatus.DOWN, reason)

    def _set(self, status: LinkStatus, reason: LinkReason | None) -> Changed:
        self.status, self.reason = status, reason
        self._steady = 0
        return Changed(status, reason)
