"""One named stream: at most one source with its layers and sound, any number of seats; what comes in goes out to them.

Law: **seats outlive the source** (see `strand`), and the source sends a layer only while somebody wishes for it.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.adapters.media_embedded.rules.gop import KeyFrame
from gateway.adapters.media_embedded.rules.ingest import Ingest
from gateway.adapters.media_embedded.rules.rows import Steady
from gateway.adapters.media_embedded.rules.rtp import Packet
from gateway.adapters.media_embedded.rules.seat import Seat
from gateway.adapters.media_embedded.rules.strand import STALLED_AFTER_S, Out, Strand
from gateway.adapters.media_embedded.rules.tapping import Tap
from gateway.adapters.media_embedded.rules.wish import KeyFrameWish
from gateway.ports.media import Layer, StreamState

STRANDS = ("main", "thumb", "audio")
LONELY_S = 1.5
"""A thumb that was asked for has so long to arrive beside the main picture before that is sent in its place."""


@dataclass(slots=True)
class Totals:
    """Counters of a stream over all its sources and seats that are gone."""

    packets_in: int = 0
    octets_in: int = 0
    packets_out: int = 0
    octets_out: int = 0
    lost: int = 0
    frames: int = 0
    key_frames: int = 0
    freezes: int = 0
    freeze_s: float = 0.0
    dropped: Counter[str] = field(default_factory=Counter)


class Stream:
    """Feed `packets` and `tick`; send what they return. Where `unsettled`, call `settle` and move who is due.

    Each strand's `wish` says when to ask the source for a key frame.
    """

    def __init__(self, name: str, *, fans: bool = False) -> None:
        """`fans`: see `strand.Strand`."""
        self.name = name
        self.source: str | None = None
        self.strands = {strand: Strand(name, strand, fans=fans) for strand in STRANDS}
        self.pictures = (self.strands["main"], self.strands["thumb"])
        self.seats: list[Seat] = []
        self.taps: list[Tap] = []
        self.totals = Totals()
        self.state = StreamState.ABSENT
        self.unsettled = False
        self.restless = self.lonely = False
        """Whether the next tick matters at once: something changed that it looks at."""
        self._tracks: tuple[Strand, ...] = ()
        """The strands that the source has."""
        self._source_number = 0
        self._available: tuple[object, ...] = ()
        self._alone_since: float | None = None
        self._pictured = False

    @property
    def idle(self) -> bool:
        """Nothing comes and nobody looks: the stream can be forgotten."""
        watched = self.seats or self.taps or any(strand.legs for strand in self.strands.values())
        return self.source is None and not watched

    @property
    def ingests(self) -> dict[str, Ingest]:
        """Return the present source's tracks by strand."""
        return {name: strand.ingest for name, strand in self.strands.items() if strand.ingest is not None}

    def best(self, now: float) -> Strand:
        """Return the best picture that arrives; the main one where none does."""
        main, thumb = self.pictures
        return thumb if thumb.live(now) and not main.live(now) else main

    # -- the source ----------------------------------------------------------------------------------------------

    def set_source(self, session: str, ingests: dict[str, Ingest]) -> None:
        """Take a new source; the former one's packets are no longer forwarded."""
        self._retire_source()
        self.source, self._pictured = session, False
        self.restless = True
        self._source_number += 1
        for name, strand in self.strands.items():
            strand.begin(ingests.get(name), self._source_number)
        self._tracks = tuple(strand for strand in self.strands.values() if strand.ingest is not None)
        for tap in self.taps:
            self._lay(tap)
        self.unsettled = True

    def drop_source(self) -> None:
        """Note that the source is gone; the seats wait."""
        self._retire_source()
        self.source = None
        for strand in self.strands.values():
            strand.end()
        self._tracks = ()
        self.unsettled = True

    def _retire_source(self) -> None:
        for name, ingest in self.ingests.items():
            counters = ingest.counters
            self.totals.packets_in += counters.packets
            self.totals.octets_in += counters.octets
            self.totals.lost += counters.lost
            self.totals.dropped.update(counters.dropped)
            if name == "main":
                self.totals.frames += ingest.cadence.frames
                self.totals.key_frames += ingest.cadence.key_frames
                self.totals.freezes += ingest.cadence.freezes
                self.totals.freeze_s += ingest.cadence.freeze_s

    def packets(self, track: str, packets: Iterable[Packet], now: float) -> Out:
        """Forward packets of one of the source's tracks, in the order they came."""
        strand = self.strands[track]
        before = strand.condition(now)
        out = strand.packets(packets, now)
        if strand.condition(now) != before:
            self.restless = True
        return out

    def steady(self, track: str, steady: Steady, now: float) -> Out:
        """Forward packets of one of the source's tracks that follow on (`ingest.Ingest.steady`)."""
        strand = self.strands[track]
        if not strand.live(now):
            self.restless = True
        return strand.steady(steady, now)

    @property
    def wishing(self) -> bool:
        """Whether a key frame is wished for that the source was not asked for yet."""
        main, thumb = self.pictures
        return main.wish.wanted or thumb.wish.wanted

    def troubled(self) -> list[Strand]:
        """Return the strands that miss packets."""
        return [s for s in self._tracks if s.ingest is not None and s.ingest.troubled]

    @property
    def catching(self) -> bool:
        """Whether a leg is catching up."""
        main, thumb = self.pictures
        return main.catching or thumb.catching

    def catch_up(self, now: float) -> Out:
        """Send the next part to legs that are catching up; call every 2 ms while `catching`."""
        return [item for strand in self.pictures for item in strand.catch_up(now)]

    def key_frame(self) -> KeyFrame | None:
        """Return the newest whole key frame of the present source; the main picture's while that is not older."""
        frames = [frame for strand in self.pictures if (frame := strand.gop.key_frame()) is not None]
        return max(frames, key=lambda frame: frame.at, default=None)

    def first_picture(self) -> float | None:
        """Return when the first key frame of the present source came, once; None before and after."""
        if self._pictured or self.source is None:
            return None
        at = min((strand.gop.packets[0].at for strand in self.pictures if strand.gop.packets), default=None)
        self._pictured = at is not None
        return at

    def wish(self, now: float) -> KeyFrameWish:
        """Return the wish of the best picture, for who wants a key frame of whatever there is."""
        return self.best(now).wish

    def tick(self, now: float) -> bool:
        """Watch the state; True if it changed. Call it every 100 ms, and every 20 ms while `restless`."""
        for strand in self._tracks:
            strand.tick(now)
        available = tuple((strand.live(now), strand.codec) for strand in self.pictures)
        if available != self._available:
            self._available, self.unsettled = available, True
        self._watch_lonely(now)
        state = self._state(now)
        changed, self.state = state is not self.state, state
        self.restless = self.source is not None and (state is StreamState.STARTING or not self._pictured)
        return changed

    def _watch_lonely(self, now: float) -> None:
        """Note since when the main picture arrives and no thumb: a source that has none, or a relay of such a one."""
        main, thumb = self.pictures
        before = self.lonely
        if not main.live(now) or thumb.live(now):
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = now
        self.lonely = self._alone_since is not None and now - self._alone_since >= LONELY_S
        self.unsettled = self.unsettled or self.lonely is not before

    def _state(self, now: float) -> StreamState:
        if self.source is None:
            return StreamState.ABSENT
        heard = [i.last_at for i in self.ingests.values() if i.last_at is not None]
        if not heard:
            return StreamState.STARTING
        return StreamState.LIVE if now - max(heard) <= STALLED_AFTER_S else StreamState.STALLED

    # -- the recordings ------------------------------------------------------------------------------------------

    def tap(self, tap: Tap, now: float) -> None:
        """Let a recording follow: it begins at the kept group of pictures, or a key frame is asked for."""
        self.taps.append(tap)
        self._lay(tap)
        for strand in self.strands.values():
            strand.tap(tap, now)
        self.unsettled = True

    def untap(self, name: str) -> bool:
        """End a recording's tap; False if there is none of that name."""
        kept = [tap for tap in self.taps if tap.name != name]
        found = len(kept) < len(self.taps)
        self.taps = kept
        for strand in self.strands.values():
            strand.taps = [tap for tap in strand.taps if tap.name != name]
        self.unsettled = self.unsettled or found
        return found

    def _lay(self, tap: Tap) -> None:
        """Let a tap take the layer that was wished for, or the other one where the source has that alone."""
        other = "thumb" if tap.wish == "main" else "main"
        alone = self.strands[tap.wish].ingest is None and self.strands[other].ingest is not None
        tap.strand = other if alone else tap.wish
        for name, strand in self.strands.items():
            strand.taps = [one for one in strand.taps if one is not tap]
            if name in {tap.strand, "audio"}:
                strand.taps.append(tap)

    # -- the seats -----------------------------------------------------------------------------------------------

    def seat(self, seat: Seat) -> None:
        """Give a seat this stream; `settle` finds its strand."""
        self.seats.append(seat)
        seat.stream = self.name
        self.unsettled = True

    def unseat(self, seat: Seat) -> None:
        """Take the stream away from a seat; what it is shown goes on until it moves or rises."""
        self.seats = [one for one in self.seats if one is not seat]
        seat.stream = None
        self.unsettled = True

    def settle(self, now: float) -> list[Seat]:
        """Find every seat's strand anew; returns the seats that have to move."""
        self.unsettled = False
        for seat in self.seats:
            seat.relieve(alone=self.lonely)
            seat.aim(self._place(seat, now), now)
        return [seat for seat in self.seats if seat.goal is not seat.strand]

    def _place(self, seat: Seat, now: float) -> Strand | None:
        """Return the best strand that arrives and that the viewer can read, else the one to wait at."""
        strands = [self.strands[name] for name in seat.wishes()]
        arriving = [strand for strand in strands if strand.live(now)]
        for strand in arriving:
            if seat.carries(strand):
                return strand
        return next(iter(arriving or strands), None)

    def resume(self, layers: Iterable[Layer]) -> None:
        """Note that layers are wanted again: the source may have paused them, and that was no freeze."""
        for layer in layers:
            ingest = self.strands[layer.value].ingest
            if ingest is not None:
                ingest.cadence.rest()

    def wanted(self) -> frozenset[Layer]:
        """Return the layers that seats wish for, those that they see until they have them, and those recorded."""
        found: set[Layer] = set()
        for seat in self.seats:
            if not seat.counts or seat.sound or not (wishes := seat.wishes()):
                continue
            offered = [name for name in wishes if self.strands[name].ingest is not None]
            found.add(Layer((offered or wishes)[0]))
            if seat.strand is not None and seat.strand is self.strands[seat.strand.name]:
                found.add(Layer(seat.strand.name))
        return frozenset(found | {Layer(tap.strand) for tap in self.taps})
