"""Who sits where: the seats of all sessions, the streams they watch, and what is told when that changes."""

from collections.abc import Callable, Iterable

from gateway.adapters.media_embedded.rules.forward import Stream
from gateway.adapters.media_embedded.rules.seat import Seat
from gateway.adapters.media_embedded.rules.strand import Out
from gateway.adapters.media_embedded.session import Session
from gateway.adapters.media_embedded.sharing import Sharing
from gateway.adapters.media_embedded.wire import Shows, Wanted
from gateway.ports.media import Layer, SessionKind, Slot


class Seating:
    """Owns the streams. `send` takes packets, `emit` events, `moved` is called when somebody began a new picture."""

    def __init__(
        self,
        send: Callable[[Out], None],
        emit: Callable[[Wanted | Shows], None],
        moved: Callable[[], None],
        uplink_bps: int,
        *,
        fans: bool = False,
    ) -> None:
        self.streams: dict[str, Stream] = {}
        self.sharing = Sharing(self.streams, uplink_bps)
        self._fans = fans
        self._send, self._emit, self._moved = send, emit, moved
        self._movers: list[Seat] = []
        self._wanted: dict[str, frozenset[Layer]] = {}

    def stream(self, name: str) -> Stream:
        """Return the stream of this name, made if it is new."""
        return self.streams.setdefault(name, Stream(name, fans=self._fans))

    def open(self, session: Session, now: float) -> None:
        """Give the seats of a session its stream; those of a wall stay empty. Wishes count from now on."""
        if session.spec.kind is not SessionKind.WALL:
            stream = self.stream(session.spec.stream)
            for seat in session.seats.values():
                stream.seat(seat)
            self.settle(stream, now)

    def up(self, session: Session, now: float) -> None:
        """Begin to send to a session."""
        for seat in session.seats.values():
            seat.ready = True
        self.go(now)
        self.tell(session, now)

    def close(self, session: Session, now: float) -> list[Stream]:
        """Clear the seats of a session; returns the streams that it watched."""
        self.sharing.forget(session)
        left = {stream.name: stream for seat in session.seats.values() if (stream := self._leave(seat)) is not None}
        for seat in session.seats.values():
            if seat.strand is not None:
                left[seat.strand.stream] = self.stream(seat.strand.stream)
            seat.rise()
            seat.goal = None
        self._movers = [seat for seat in self._movers if seat.goal is not seat.strand]
        for stream in left.values():
            self.settle(stream, now)
        return list(left.values())

    def _leave(self, seat: Seat) -> Stream | None:
        stream = None if seat.stream is None else self.streams.get(seat.stream)
        if stream is not None:
            stream.unseat(seat)
        return stream

    def carry(self, session: Session, layers: frozenset[Layer], now: float) -> None:
        """Let a relay send these layers alone, and sound while there is any; they count as wishes.

        Where the thumb alone is asked for and the source has none, its main picture goes in its place.

        Sound always crosses a bridge: whoever asked for it there may show no picture.
        """
        for name, seat in session.seats.items():
            seat.resting = not (layers or seat.inner if seat.sound else name in layers)
            seat.counts = True
            seat.instead = name == "main" and layers == {Layer.THUMB}
        self.settle(self.stream(session.spec.stream), now)

    def assign(self, session: Session, slots: Iterable[Slot], now: float) -> bool:
        """Change what stands in slots; False, and nothing changed, where one does not exist."""
        asked = [(session.seats.get(f"{slot.kind}/{slot.index}"), slot) for slot in slots]
        if any(seat is None for seat, _ in asked):
            return False
        touched: dict[str, Stream] = {}
        for seat, slot in asked:
            if seat is None:
                continue
            seat.wish, seat.priority = slot.layer, slot.priority
            if slot.stream != seat.stream:
                left = self._leave(seat)
                if left is not None:
                    touched[left.name] = left
                if slot.stream is None:
                    seat.aim(None, now)
                    self._movers.append(seat)
                else:
                    self.stream(slot.stream).seat(seat)
            if slot.stream is not None:
                touched[slot.stream] = self.stream(slot.stream)
        self.sharing.fit(session, now)
        for stream in touched.values():
            self.settle(stream, now)
        self.go(now)
        self.tell(session, now)
        return True

    def share(self, sessions: Iterable[Session], late_s: float, now: float) -> None:
        """Give everybody what the lines and this machine bear; call it about ten times a second."""
        for name in self.sharing.share(sessions, late_s, now):
            self.settle(self.stream(name), now)

    def settle(self, stream: Stream, now: float) -> None:
        """Find everybody's place at a stream anew and let those move who can."""
        moving = stream.settle(now)
        self._movers += [seat for seat in moving if seat not in self._movers]
        self.go(now)
        self._tell_wanted(stream)

    def go(self, now: float) -> None:
        """Let those move whose picture can begin; call it whenever packets came, and every 20 ms."""
        due = [seat for seat in self._movers if seat.due(now)] if self._movers else []
        if not due:
            return
        left = set()
        for seat in due:
            left.add(seat.strand.stream if seat.strand is not None else seat.stream)
            self._send(seat.move(now))
        self._movers = [seat for seat in self._movers if seat.goal is not seat.strand]
        for name in left:
            if name in self.streams:
                self._tell_wanted(self.streams[name])
        self._moved()

    def _tell_wanted(self, stream: Stream) -> None:
        wanted = stream.wanted()
        former = self._wanted.get(stream.name, frozenset())
        if wanted != former:
            stream.resume(wanted - former)
            self._wanted[stream.name] = wanted
            self._emit(Wanted(stream.name, tuple(sorted(wanted))))

    def forget(self, stream: Stream) -> None:
        """Forget a stream that is idle."""
        del self.streams[stream.name]
        self._wanted.pop(stream.name, None)

    def tell(self, session: Session, now: float) -> None:
        """Tell what the slots of a wall show, where it changed; call it about ten times a second."""
        if session.spec.kind is not SessionKind.WALL:
            return
        for seat in session.seats.values():
            shown = (seat.stream, seat.showing(now))
            if shown != seat.told:
                seat.told = shown
                index = int(seat.leg.plan.name.partition("/")[2])
                self._emit(Shows(session.spec.session, seat.leg.plan.kind, index, *shown))
