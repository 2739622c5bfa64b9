"""ICE (RFC 8445): the lite agent that answers browsers and agents, and the small controlling agent of upward sessions.

**An address is believed only after an authenticated binding request or response.** Feed `handle` and `tick`, perform
the effects. Consent (RFC 7675): a lite agent hears the other side's checks, a controlling one sends its own; after
30 s without (10 s between gateways), the session is over.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.adapters.media_embedded.rules import stun
from gateway.adapters.media_embedded.rules.stun import Address, Message

CONSENT_S = 30.0  # RFC 7675 section 5.1
CONNECT_S = 20.0
"""A session whose other side has not been heard by then never connected."""
UPWARD_CONSENT_S = 10.0
"""Between gateways a dead path is given up sooner, because whoever relays can simply begin anew."""
CHECK_EVERY_S = 2.5
FIRST_RETRY_S = 0.05
SILENT_PATH_S = 8.0
"""A selected path without a check for this long gives way to another authenticated path that has them."""
NOMINATED_S = 3.0
"""Within this time after a nomination only a better path wins: some nominate every path that they check."""
SETTLED_S = 2.0
"""After this time a first check from a new address means that the address changed, not that checks still go on."""
MAX_PATHS = 8
HOST_PRIORITY = 126 << 24 | 65535 << 8 | 255  # RFC 8445 section 5.1.2.1, component 1
PEER_REFLEXIVE_PRIORITY = 110 << 24 | 65535 << 8 | 255


@dataclass(frozen=True, slots=True)
class Credentials:
    """A ufrag and its password."""

    ufrag: str
    password: str


@dataclass(frozen=True, slots=True)
class Send:
    """Send these bytes to that address."""

    data: bytes
    to: Address


@dataclass(frozen=True, slots=True)
class Bound:
    """This address belongs to the session from now on."""

    address: Address


@dataclass(frozen=True, slots=True)
class Unbound:
    """This address is forgotten, because there were too many."""

    address: Address


@dataclass(frozen=True, slots=True)
class Selected:
    """Media goes to this address from now on."""

    address: Address


@dataclass(frozen=True, slots=True)
class Refused:
    """A message was not believed; `name` is the counter."""

    name: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The session is over: it never connected (`consent` False) or consent ended."""

    consent: bool


Effect = Send | Bound | Unbound | Selected | Refused | Lost


def refusal(message: Message, source: Address, code: int) -> list[Effect]:
    """Answer what is not believed; never with more bytes than came (no amplification)."""
    reply = stun.failure(message, code)
    effects: list[Effect] = [Refused("spoofed")]
    if len(reply) <= len(message.raw):
        effects.append(Send(reply, source))
    return effects


@dataclass(slots=True)
class _Path:
    """One authenticated address: when it was heard last, its priority as the other side sees it, its last nomination.

    `fresh` is False where only the credentials before an ICE restart were seen here.
    """

    heard: float
    priority: int
    nominated: float | None = None
    fresh: bool = True


class LiteAgent:
    """The controlled lite agent (RFC 8445 section 2.5): it only answers. Two credential pairs live during a restart.

    **Media follows the other side.** A nominated path wins at once, among several nominated at the same time the one
    of the highest priority; a new address with the priority of the selected one is the same socket behind a changed
    address (NAT rebinding) and wins too; a selected path that fell silent gives way to any that is heard.
    """

    def __init__(self, local: Credentials, now: float) -> None:
        self.local = local
        self._former: Credentials | None = None
        self._paths: dict[Address, _Path] = {}
        self._selected_at = 0.0
        self.selected: Address | None = None
        self._began = now
        self._heard: float | None = None

    @property
    def ufrags(self) -> list[str]:
        """The user names that lead to this session now."""
        return [c.ufrag for c in (self.local, self._former) if c is not None]

    def restart(self, local: Credentials, now: float) -> list[str]:
        """Take new credentials (RFC 8445 section 9); returns ufrags that end at once. Media flows on meanwhile."""
        ended = [self._former.ufrag] if self._former else []
        self._former, self.local = self.local, local
        self._began = now
        return ended

    def handle(self, message: Message, source: Address, now: float) -> list[Effect]:
        """Take a message whose user is one of `ufrags`."""
        if message.kind != stun.REQUEST:
            return [] if message.kind == stun.INDICATION else [Refused("unexpected")]
        password = self._password(message)
        if password is None:
            return refusal(message, source, 401)
        if message.unknown():
            return [Send(stun.failure(message, 420, password), source)]
        if stun.CONTROLLED in message.attributes:
            return [Send(stun.failure(message, 487, password), source)]
        self._heard = now
        effects: list[Effect] = [Send(stun.success(message, source, password), source)]
        new = source not in self._paths
        effects += self._remember(message, source, now)
        if self._shall_select(message, source, now, new=new):
            self.selected, self._selected_at = source, now
            effects.append(Selected(source))
        if stun.USE_CANDIDATE in message.attributes:
            self._paths[source].nominated = now
        return effects

    def _password(self, message: Message) -> bytes | None:
        for pair in (self.local, self._former):
            if pair is not None and pair.ufrag == message.user and message.authentic(pair.password.encode()):
                if pair is self.local and self._former is not None:
                    self._former = None  # the other side has moved on
                    for path in self._paths.values():
                        path.fresh = False
                return pair.password.encode()
        return None

    def _remember(self, message: Message, source: Address, now: float) -> list[Effect]:
        effects: list[Effect] = []
        path = self._paths.get(source)
        if path is None:
            if len(self._paths) >= MAX_PATHS:
                oldest = min((a for a in self._paths if a != self.selected), key=lambda a: self._paths[a].heard)
                del self._paths[oldest]
                effects.append(Unbound(oldest))
            effects.append(Bound(source))
            path = self._paths[source] = _Path(now, 0)
        path.heard, path.priority, path.fresh = now, message.priority, True
        return effects

    @property
    def settled(self) -> tuple[Address, Credentials] | None:
        """The selected address, and the credentials of checks from there that change nothing but when it was heard.

        None while that is not so: nothing is selected, or a restart is on its way.
        """
        if self.selected is None or self._former is not None or not self._paths[self.selected].fresh:
            return None
        return self.selected, self.local

    def checked(self, source: Address, heard: float, priority: int, nominated: float | None) -> None:
        """Take note of checks from `source` that were answered elsewhere: the last one, and when one nominated."""
        path = self._paths.get(source)
        if path is None:
            return
        self._heard = path.heard = heard
        path.priority = priority
        if nominated is not None:
            path.nominated = nominated

    def forget(self, source: Address) -> list[Effect]:
        """Take note that an address can no longer be reached: the path heard last of the others takes over."""
        if self._paths.pop(source, None) is None:
            return []
        effects: list[Effect] = [Unbound(source)]
        if source == self.selected:
            self.selected = max(self._paths, key=lambda a: self._paths[a].heard, default=None)
            if self.selected is not None:
                effects.append(Selected(self.selected))
        return effects

    def _shall_select(self, message: Message, source: Address, now: float, *, new: bool) -> bool:
        if self.selected is None:
            return True
        if source == self.selected:
            return False
        chosen, path = self._paths[self.selected], self._paths[source]
        if stun.USE_CANDIDATE in message.attributes:
            held = chosen.fresh and chosen.nominated is not None and now - chosen.nominated < NOMINATED_S
            return not held or path.priority > chosen.priority
        if new and path.priority == chosen.priority and now - self._selected_at > SETTLED_S:
            return True
        return now - chosen.heard > SILENT_PATH_S

    def tick(self, now: float) -> list[Effect]:
        """Watch the consent; call about once a second."""
        if self._heard is None:
            return [Lost(consent=False)] if now - self._began > CONNECT_S else []
        return [Lost(consent=True)] if now - self._heard > CONSENT_S else []


class ControllingAgent:
    """The controlling agent towards another gateway: checks its candidates, nominates, keeps the consent.

    `new_transaction` gives 12 random bytes. A single candidate is nominated with the first check (one round trip
    less); of several, the first that answers is nominated.
    """

    def __init__(
        self, users: tuple[Credentials, Credentials], tie_breaker: int, new_transaction: Callable[[], bytes]
    ) -> None:
        """Take the own and the far credentials."""
        self.local, self.remote = users
        self._tie_breaker = tie_breaker
        self._new_transaction = new_transaction
        self._candidates: list[Address] = []
        self._pending: dict[bytes, tuple[Address, bool]] = {}
        self.selected: Address | None = None
        self._nominee: Address | None = None
        self._began = self._due = self._heard = 0.0
        self._round = 0

    def start(self, candidates: list[Address], now: float) -> list[Effect]:
        """Begin the checks."""
        self._began = now
        self._candidates = list(dict.fromkeys(candidates))[:MAX_PATHS]
        if len(self._candidates) == 1:
            self._nominee = self._candidates[0]
        return self.tick(now)

    def tick(self, now: float) -> list[Effect]:
        """Send what is due; call every 20 ms until selected, then about once a second."""
        if self.selected is None and now - self._began > CONNECT_S:
            return [Lost(consent=False)]
        if self.selected is not None and now - self._heard > UPWARD_CONSENT_S:
            return [Lost(consent=True)]
        if now < self._due:
            return []
        if self.selected is not None:
            self._due = now + CHECK_EVERY_S
            return [self._check(self.selected, nominate=False)]
        self._due = now + min(FIRST_RETRY_S * 2**self._round, 1.0)
        self._round += 1
        if self._nominee is not None:
            return [self._check(self._nominee, nominate=True)]
        return [self._check(candidate, nominate=False) for candidate in self._candidates]

    def handle(self, message: Message, source: Address, now: float) -> list[Effect]:
        """Take a message that came to this session's socket."""
        if message.kind == stun.REQUEST:
            return self._request(message, source)
        if message.kind not in {stun.SUCCESS, stun.ERROR}:
            return []
        sent = self._pending.get(message.transaction)
        if sent is None or sent[0] != source:
            return [Refused("spoofed")]
        if not message.authentic(self.remote.password.encode()):
            return [Refused("spoofed")]
        del self._pending[message.transaction]
        if message.kind == stun.ERROR:
            return [Refused(f"stun_{message.error_code()}")]
        return self._answered(source, nominated=sent[1], now=now)

    def _answered(self, source: Address, *, nominated: bool, now: float) -> list[Effect]:
        self._heard = now
        if self.selected == source:
            return []
        if nominated and self.selected is None:
            self.selected, self._due = source, now + CHECK_EVERY_S
            self._pending.clear()
            return [Bound(source), Selected(source)]
        if self._nominee is None:
            self._nominee, self._round = source, 0
            self._due = now
            return self.tick(now)
        return []

    def _request(self, message: Message, source: Address) -> list[Effect]:
        password = self.local.password.encode()
        if message.user != self.local.ufrag or not message.authentic(password):
            return refusal(message, source, 401)
        if message.unknown():
            return [Send(stun.failure(message, 420, password), source)]
        if stun.CONTROLLING in message.attributes:
            return [Send(stun.failure(message, 487, password), source)]  # we made the offer: the role is ours
        effects: list[Effect] = [Send(stun.success(message, source, password), source)]
        if self.selected is None and source not in self._candidates and len(self._candidates) < MAX_PATHS:
            self._candidates.append(source)
            effects.append(self._check(source, nominate=False))  # triggered check, section 7.3.1.4
        return effects

    def _check(self, to: Address, *, nominate: bool) -> Send:
        transaction = self._new_transaction()
        if len(self._pending) > 64:
            del self._pending[next(iter(self._pending))]
        self._pending[transaction] = (to, nominate)
        users = (self.remote.ufrag, self.local.ufrag)
        data = stun.check(
            transaction,
            users,
            self.remote.password.encode(),
            priority=PEER_REFLEXIVE_PRIORITY,
            tie_breaker=self._tie_breaker,
            nominate=nominate,
        )
        return Send(data, to)
