"""When a stream is asked for, and when it is relayed upward.

**A stream crosses a link once, and only while somebody wants it.** Times are monotonic seconds given as arguments;
methods return effects that the shell performs; `deadline` says when `tick` is due (None: nothing to wait for).

`Demand`, one per stream:

======== ============================== ======== =====================================
phase    event                          next     effect
======== ============================== ======== =====================================
idle     first `want`                   asking   Ask
asking   answered, good                 held     (renewal after RENEW_S)
asking   answered, bad                  waiting  (retry after back-off, reason kept)
held     tick, wanted                   asking   Ask; fresh where no picture came
held     `hurry`, wanted                asking   Ask
held     `hurry`, in the linger         held     (the next `want` asks)
waiting  tick or `hurry`, wanted        asking   Ask
any      last `release`                 same     (LINGER_S starts; a new `want` ends it)
held     LINGER_S after the last        idle     GiveBack; or warm, where the hop can rest
waiting  last `release`                 idle
held     other layers are due           asking   Ask
warm     tick                           same     Ask for no layer at all
warm     `want`                         asking   Ask
warm     WARM_S over, or it failed      idle     GiveBack
======== ============================== ======== =====================================

A warm stream costs no media: the gateway below keeps its session with us, which is the handshakes of the next click.
The wish of the tier above has lingered there already, so it ends here without a linger of its own.

`Relay`, one per stream that the tier above holds a lease on:

========== =============================== ========== =====================================
phase      event                           next       effect
========== =============================== ========== =====================================
off        lease                           connecting Want, Connect
any        lease with other layers         same       Want (Release for none), Carry where it is up
idle       retry is due                    connecting Connect
connecting connected                       up         Carry
connecting failed                          idle       (retry after back-off)
up         ended, lease `fresh`            idle       Disconnect where it still stands; Connect
any        lease over or given back        off        Disconnect, Release
========== =============================== ========== =====================================

A relay connects before its source is there, so that the handshakes of a chain of tiers run at the same time.
"""

from dataclasses import dataclass
from enum import StrEnum

from gateway.media.layers import MAIN_ONLY, LayerWish
from gateway.ports.media import Layer
from protocols.backoff import Backoff

LEASE_S = 60.0
"""Life of one `media.publish` command."""
RENEW_S = 20.0
"""A lease is renewed after this time: two renewals may be lost."""
LINGER_S = 15.0
"""Design section 5: a stream stops 15 s after its last viewer."""
WARM_S = 600.0
"""A stream watched lately keeps its session with the gateway below for this long, without media."""
DARK_S = 15.0
"""A held stream without packets for this long is asked for anew, with a fresh session."""
RETRY = Backoff(base=0.5, cap=10.0, floor=0.2)


class Kind(StrEnum):
    """Who wants a stream; metric label and log field."""

    VIEWER = "viewer"
    RELAY = "relay"
    ROLL_CALL = "roll_call"
    CALL = "call"
    RECORDING = "recording"
    WALL = "wall"


LEGS = frozenset({Kind.VIEWER, Kind.WALL})
"""Holders that are legs of the engine, which says what they follow."""
SILENT: frozenset[Layer] = frozenset()


class Trouble(StrEnum):
    """Why a wanted stream does not come."""

    NO_LINK = "no_link"  # no way leads to the node, or its link is down
    NO_ANSWER = "no_answer"  # the command's deadline passed
    REFUSED = "refused"  # the node will not
    FAILED = "failed"  # the node tried
    UNKNOWN = "unknown"  # nobody announced this camera
    NOT_SHARED = "not_shared"  # its owner does not show it to this tier


class Phase(StrEnum):
    """Phase of a demand."""

    IDLE = "idle"
    ASKING = "asking"
    HELD = "held"
    WAITING = "waiting"
    WARM = "warm"


@dataclass(frozen=True, slots=True)
class Ask:
    """Send `media.publish` to the next hop and report with `answered`; no layers: keep the session, send nothing."""

    fresh: bool = False
    layers: frozenset[Layer] = MAIN_ONLY


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Send `media.unpublish` to the next hop."""


DemandEffect = Ask | GiveBack


class Demand:
    """The wish for one stream. `trouble` names why it does not come, None while all is well."""

    def __init__(self) -> None:
        self.holders: dict[str, Kind] = {}
        self.phase = Phase.IDLE
        self.trouble: Trouble | None = None
        self.troubled_since: float | None = None
        self.wish = LayerWish()
        self._can_rest = False
        self._warm_until = 0.0
        self._due: float | None = None
        self._empty_at: float | None = None
        self._dark_since: float | None = None
        self._fresh = False
        self._again = False
        self._stale = False
        self._attempt = 0

    @property
    def wanted(self) -> bool:
        """Tell whether anybody holds the stream."""
        return bool(self.holders)

    @property
    def deadline(self) -> float | None:
        """Monotonic time of the next `tick`, or None."""
        if self.phase is Phase.IDLE:
            return None
        if self.phase is Phase.WARM:
            return self._due
        if self._empty_at is not None:
            return None if self.phase is Phase.ASKING else self._empty_at + LINGER_S
        if self.phase is Phase.HELD and self._due is not None and self.wish.due is not None:
            return min(self._due, self.wish.due)
        return self._due

    def want(self, holder: str, kind: Kind, now: float, layers: frozenset[Layer] = MAIN_ONLY) -> list[DemandEffect]:
        """Let `holder` want layers of the stream; repeating it is harmless."""
        self.holders[holder] = kind
        self.wish.hold(holder, layers, leg=kind in LEGS, now=now)
        self._empty_at = None
        if self.phase in {Phase.IDLE, Phase.WARM}:
            self._attempt = 0
            self._dark_since = now
            return self._ask(now)
        if (self._fresh or self._stale) and self.phase is Phase.HELD:
            return self._ask(now)
        self._again = self._again or self._stale
        return self.tick(now)

    def release(self, holder: str, now: float) -> list[DemandEffect]:
        """Let `holder` go; an unknown one is ignored."""
        kind = self.holders.pop(holder, None)
        if kind is None:
            return []
        self.wish.drop(holder, now)
        if self.holders:
            return []
        self._empty_at = now - (LINGER_S if kind is Kind.RELAY else 0.0)
        if self.phase is Phase.WAITING:
            self._rest()
        return []

    def told(self, layers: frozenset[Layer], now: float) -> list[DemandEffect]:
        """Take the engine's word on the layers that its legs follow."""
        self.wish.tell(layers, now)
        return self.tick(now)

    def answered(
        self, trouble: Trouble | None, now: float, chance: float, *, can_rest: bool = False
    ) -> list[DemandEffect]:
        """Take the answer to `Ask`; `chance` in [0, 1) spreads the retries.

        `can_rest`: the next hop keeps a session without media.
        """
        if self.phase is Phase.WARM and trouble is not None:
            self._rest()
        if self.phase is not Phase.ASKING:
            return []
        if (trouble is None) is not (self.trouble is None):
            self.troubled_since = None if trouble is None else now
        self.trouble, self._can_rest = trouble, can_rest
        if trouble is None:
            self._attempt = 0
            self.phase, self._due = Phase.HELD, now + RENEW_S
        else:
            self.phase, self._due = Phase.WAITING, now + RETRY.delay(self._attempt, chance)
            self._attempt += 1
            if self._empty_at is not None:
                self._rest()
        if self._again and self.phase is not Phase.IDLE and (self.wanted or self._fresh):
            return self._ask(now)
        return []

    def source(self, *, live: bool, now: float) -> None:
        """Take whether packets of the stream arrive."""
        if live:
            self._dark_since = None
        elif self._dark_since is None:
            self._dark_since = now

    def hurry(self, now: float, *, fresh: bool) -> list[DemandEffect]:
        """Ask at once: the link is back, or (`fresh`) every session is lost and a new one is needed.

        A fresh session is asked for even in the linger: the lost viewers are about to come again. A warm one is let go.
        What lingers while the link comes back is asked for by the next wish: the hop may have forgotten it.
        """
        if self.phase is Phase.WARM:
            if fresh:
                self._rest()
            return [GiveBack()] if fresh else []
        self._fresh = self._fresh or fresh
        if self.phase is Phase.IDLE or not (self.wanted or fresh):
            self._stale = self.phase is not Phase.IDLE
            return []
        if self.phase is Phase.ASKING:
            self._again = True
            return []
        self._attempt = 0
        return self._ask(now)

    def tick(self, now: float) -> list[DemandEffect]:
        """Let time pass."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return []
        if self.phase is Phase.WARM:
            return self._keep_warm(now)
        if self._empty_at is not None:
            return self._cool(now)
        dark = self._dark_since is not None and now - self._dark_since >= DARK_S
        if dark and self.phase is Phase.HELD:
            self._fresh = True
            self._dark_since = now
        return self._ask(now)

    def _cool(self, now: float) -> list[DemandEffect]:
        if not self._can_rest or self.phase is not Phase.HELD:
            self._rest()
            return [GiveBack()]
        self._rest()
        self._warm_until = now + WARM_S
        return self._keep_warm(now)

    def _keep_warm(self, now: float) -> list[DemandEffect]:
        if now >= self._warm_until:
            self._rest()
            return [GiveBack()]
        self.phase, self._due = Phase.WARM, min(now + RENEW_S, self._warm_until)
        return [Ask(layers=SILENT)]

    def _ask(self, now: float) -> list[DemandEffect]:
        self.phase, self._due, self._again, self._stale = Phase.ASKING, None, False, False
        fresh, self._fresh = self._fresh, False
        return [Ask(fresh, self.wish.ask(now))]

    def _rest(self) -> None:
        self.phase, self.trouble, self.troubled_since = Phase.IDLE, None, None
        self.wish = LayerWish()
        self._due = self._empty_at = self._dark_since = None
        self._fresh = self._again = self._stale = False


class RelayPhase(StrEnum):
    """Phase of a relay."""

    OFF = "off"
    IDLE = "idle"
    CONNECTING = "connecting"
    UP = "up"


@dataclass(frozen=True, slots=True)
class Want:
    """Want these layers of the own source."""

    layers: frozenset[Layer] = MAIN_ONLY


@dataclass(frozen=True, slots=True)
class Release:
    """Let the own source go."""


@dataclass(frozen=True, slots=True)
class Connect:
    """Relay the stream to the tier above and report with `connected` or `failed`."""

    whip_url: str
    token: str


@dataclass(frozen=True, slots=True)
class Disconnect:
    """End the relay's session."""

    session_id: str


@dataclass(frozen=True, slots=True)
class Carry:
    """Let the relay's session send these layers alone."""

    session_id: str
    layers: frozenset[Layer]


RelayEffect = Want | Release | Connect | Disconnect | Carry


class Relay:
    """The lease that the tier above holds on one stream. `until` is monotonic seconds."""

    def __init__(self) -> None:
        self.phase = RelayPhase.OFF
        self.session_id: str | None = None
        self.layers = SILENT
        self._whip_url = ""
        self._token = ""
        self._until = 0.0
        self._retry_at: float | None = None
        self._attempt = 0
        self._over = False

    @property
    def over(self) -> bool:
        """Tell whether no lease is held."""
        return self.phase is RelayPhase.OFF

    @property
    def address(self) -> tuple[str, str]:
        """Where the tier above takes the stream, and the token that opens it."""
        return self._whip_url, self._token

    @property
    def failing(self) -> bool:
        """Tell whether no session stands and making one has failed."""
        return self.phase in {RelayPhase.IDLE, RelayPhase.CONNECTING} and self._attempt > 0

    @property
    def deadline(self) -> float | None:
        """Monotonic time of the next `tick`, or None."""
        if self.phase is RelayPhase.OFF or self._over:
            return None
        if self.phase is RelayPhase.IDLE and self._retry_at is not None:
            return min(self._until, self._retry_at)
        return self._until

    def lease(
        self,
        whip_url: str,
        token: str,
        *,
        until: float,
        fresh: bool,
        now: float,
        layers: frozenset[Layer] = MAIN_ONLY,
    ) -> list[RelayEffect]:
        """Take a new or renewed lease; `fresh` replaces a session that stands. Without layers it is kept silent."""
        self._whip_url, self._token, self._until = whip_url, token, until
        self._over = False
        effects = self._change(layers)
        if self.phase is RelayPhase.OFF:
            self.phase, self._retry_at, self._attempt = RelayPhase.IDLE, now, 0
            return [*effects, *self._connect(now)]
        if fresh and self.phase is RelayPhase.UP:
            return [*effects, *self._drop(), *self._reconnect(now)]
        if self.phase is RelayPhase.IDLE:
            self._retry_at = now
            return [*effects, *self._connect(now)]
        return effects

    def _change(self, layers: frozenset[Layer]) -> list[RelayEffect]:
        if layers == self.layers:
            return []
        self.layers = layers
        effects: list[RelayEffect] = [Want(layers) if layers else Release()]
        if self.phase is RelayPhase.UP and self.session_id is not None:
            effects.append(Carry(self.session_id, layers))
        return effects

    def give_back(self) -> list[RelayEffect]:
        """End the lease; a connection that is being made is ended as soon as it stands."""
        if self.phase is RelayPhase.OFF:
            return []
        if self.phase is RelayPhase.CONNECTING:
            self._over = True
            return []
        effects = self._drop()
        self.phase, self._over, self.layers = RelayPhase.OFF, False, SILENT
        return [*effects, Release()]

    def connected(self, session_id: str, now: float) -> list[RelayEffect]:
        """Take the session that `Connect` made."""
        self.session_id, self._attempt = session_id, 0
        self.phase = RelayPhase.UP
        if self._over or now >= self._until:
            return self.give_back()
        return [Carry(session_id, self.layers)]

    def failed(self, now: float, chance: float) -> list[RelayEffect]:
        """Take that `Connect` failed."""
        self.phase = RelayPhase.IDLE
        if self._over or now >= self._until:
            return self.give_back()
        self._retry_at = now + RETRY.delay(self._attempt, chance)
        self._attempt += 1
        return []

    def ended(self, session_id: str, now: float) -> list[RelayEffect]:
        """Take that a session ended by itself; it is made again while the lease lasts."""
        if self.phase is not RelayPhase.UP or session_id != self.session_id:
            return []
        self.session_id = None
        return self._reconnect(now)

    def tick(self, now: float) -> list[RelayEffect]:
        """Let time pass."""
        if self.phase is RelayPhase.OFF:
            return []
        if now >= self._until:
            return self.give_back()
        return self._connect(now)

    def _reconnect(self, now: float) -> list[RelayEffect]:
        self.phase = RelayPhase.IDLE
        self._retry_at = now
        return self._connect(now)

    def _connect(self, now: float) -> list[RelayEffect]:
        due = self._retry_at is not None and now >= self._retry_at
        if self.phase is not RelayPhase.IDLE or not due:
            return []
        self.phase = RelayPhase.CONNECTING
        return [Connect(self._whip_url, self._token)]

    def _drop(self) -> list[RelayEffect]:
        session, self.session_id = self.session_id, None
        return [Disconnect(session)] if session is not None else []
