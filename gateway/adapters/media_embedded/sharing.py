"""What each seat may show: thin lines are shared by priority, and a worker that falls behind sheds pictures."""

from collections import Counter
from collections.abc import Iterable, Mapping

from gateway.adapters.media_embedded.rules.allocate import ASSUMED, ROOM, Allocator, Claim
from gateway.adapters.media_embedded.rules.forward import Stream
from gateway.adapters.media_embedded.rules.seat import Seat
from gateway.adapters.media_embedded.rules.shed import Shedder, order
from gateway.adapters.media_embedded.session import Session
from gateway.ports.media import Layer, SessionKind, Showing

PASSING = frozenset({SessionKind.RELAY, SessionKind.BRIDGE})
WIRE = 1.08
"""Headers and encryption add so much to a picture's packets."""
SOUND_BPS = 24_000
"""What they add to sound, whose packets are small."""
_ORDER = {Showing.SHED: 0, Showing.SAVED: 1, Showing.THUMB: 2, Showing.MAIN: 3}


class Sharing:
    """Call `share` about ten times a second, `fit` for a session whose slots just changed.

    All relays together keep to `uplink_bps` (0: no limit), each session to what its own line seems to carry.
    """

    def __init__(self, streams: Mapping[str, Stream], uplink_bps: int) -> None:
        self.shed: Counter[str] = Counter()
        self._streams, self._uplink_bps = streams, uplink_bps
        self._lines: dict[str, Allocator] = {}
        self._uplink = Allocator()
        self._up: dict[object, Showing] = {}
        self._shedder = Shedder()
        self._shedding: set[Seat] = set()

    def forget(self, session: Session) -> None:
        """Forget a session that ended."""
        self._lines.pop(session.spec.session, None)
        self._shedding.difference_update(session.seats.values())

    def share(self, sessions: Iterable[Session], late_s: float, now: float) -> set[str]:
        """Find anew what everybody may show; returns the streams where that changed.

        `late_s` is the least that the loop was late by since the last call: one stall is no reason to shed.
        """
        sending = [session for session in sessions if session.seats]
        relays = [session for session in sending if session.spec.kind is SessionKind.RELAY]
        claims = [claim for session in relays for claim in self._claims(session)]
        self._up = dict(self._uplink.share(self._uplink_bps or None, claims, now))
        self._shed(sending, self._shedder.share(late_s, now))
        return {name for session in sending for name in self.fit(session, now)}

    def limit(self, uplink_bps: int) -> None:
        """Let all relays together send at most so much from now on; 0 is no limit."""
        self._uplink_bps = uplink_bps

    def fit(self, session: Session, now: float) -> set[str]:
        """Find anew what one session may show; returns the streams where that changed.

        Bridges stay on this machine: no line of theirs is thin.
        """
        if session.spec.kind is SessionKind.BRIDGE:
            return set()
        estimate = session.estimate(now)
        if self._plenty(session, estimate):
            return self._pause(session) if self._shedding else set()
        line = self._lines.setdefault(session.spec.session, Allocator())
        given = line.share(estimate, self._claims(session), now, speaking=self._speaks(session, now))
        changed = set()
        for name, seat in session.seats.items():
            if seat.sound or seat.stream is None:
                continue
            key = (session.spec.session, name, seat.stream)
            limits = [given.get(key, Showing.MAIN), self._up.get(key, Showing.MAIN)]
            if seat in self._shedding:
                limits.append(Showing.SHED)
            limit = min(limits, key=_ORDER.__getitem__)
            if limit is not seat.limit:
                seat.limit = limit
                changed.add(seat.stream)
        return changed

    def _speaks(self, session: Session, now: float) -> bool:
        """Tell whether a session carries sound just now, for which pictures must leave room."""
        heard = (self._streams.get(seat.stream) for seat in session.seats.values() if seat.sound and seat.stream)
        return any(stream is not None and stream.strands["audio"].live(now) for stream in heard)

    def _plenty(self, session: Session, estimate: int | None) -> bool:
        """Tell at a glance that the line leaves nothing out: so it is nearly always, for hundreds of viewers.

        That must hold while pictures are shed too: a worker that is late has no time to share what is not scarce.
        """
        if self._uplink_bps and session.spec.kind is SessionKind.RELAY:
            return False
        needed = 0
        for seat in session.seats.values():
            if seat.limit is not Showing.MAIN and not (seat.limit is Showing.SHED and seat in self._shedding):
                return False
            if seat.stream is not None:
                measured = 0 if seat.strand is None else seat.strand.bitrate
                needed += measured or (SOUND_BPS if seat.sound else ASSUMED[Layer.MAIN])
        return estimate is None or needed * WIRE * ROOM + SOUND_BPS <= estimate

    def _pause(self, session: Session) -> set[str]:
        """Shed pictures of a session whose line is no reason to leave any out; returns the streams that changed."""
        changed = set()
        for seat in session.seats.values():
            if seat in self._shedding and seat.limit is not Showing.SHED and seat.stream is not None:
                seat.limit = Showing.SHED
                changed.add(seat.stream)
        return changed

    def _claims(self, session: Session) -> list[Claim]:
        return [
            self._claim(session, name, seat, stream)
            for name, seat in session.seats.items()
            if not seat.resting and seat.stream is not None and (stream := self._streams.get(seat.stream)) is not None
        ]

    @staticmethod
    def _claim(session: Session, name: str, seat: Seat, stream: Stream) -> Claim:
        key = (session.spec.session, name, stream.name)
        if seat.sound:
            return Claim(key, seat.priority, seat.wish, {}, sound=stream.strands["audio"].bitrate + SOUND_BPS)
        offered = [strand for strand in stream.pictures if strand.ingest is not None]
        rates = {Layer(strand.name): int(strand.bitrate * WIRE) for strand in offered}
        return Claim(key, seat.priority, seat.wish, rates, exact=seat.exact, vital=seat.vital)

    def _shed(self, sending: list[Session], part: float) -> None:
        """Choose who pauses: never whom others watch through (relays, bridges); of equals who came last."""
        if not part:
            self._shedding.clear()
            return
        seats = [
            seat
            for session in reversed(sending)
            for seat in session.seats.values()
            if not seat.sound and seat.stream is not None and session.spec.kind not in PASSING
        ]
        seats.sort(key=lambda seat: order(seat.wish, seat.priority))
        paused = set(seats[: round(part * len(seats))])
        for seat in paused - self._shedding:
            self.shed[f"shed_{seat.wish.value}"] += 1
        self._shedding = paused
