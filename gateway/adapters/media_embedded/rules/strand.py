"""One strand of a stream: main picture, thumb or sound, with its incoming track and the legs that follow it.

Law: **legs outlive the source.** When a source goes, legs stay and wait; when one comes, they go on with it.
"""

from collections.abc import Iterable, Sequence

from gateway.adapters.media_embedded.rules.convoy import Convoy, Fan, Way
from gateway.adapters.media_embedded.rules.gop import Gop
from gateway.adapters.media_embedded.rules.ingest import Ingest
from gateway.adapters.media_embedded.rules.leg import Leg
from gateway.adapters.media_embedded.rules.ring import Planned, Sent
from gateway.adapters.media_embedded.rules.rows import Steady
from gateway.adapters.media_embedded.rules.rtcp import SenderInfo
from gateway.adapters.media_embedded.rules.rtp import Packet
from gateway.adapters.media_embedded.rules.run import Run, SteadyRun
from gateway.adapters.media_embedded.rules.tapping import Tap
from gateway.adapters.media_embedded.rules.wish import KeyFrameWish

STALLED_AFTER_S = 2.0
"""A track that said nothing for so long has stopped."""
LONG_GROUP_S = 1.5
"""A joiner that must be sent more than this also makes the source be asked: a new key frame shortens its way."""
MEASURE_EVERY_S = 0.5
FEWEST = 2
"""A convoy of one costs more than its leg alone."""

Portion = tuple[str, int, Sequence[Sent]]
"""Packets to send: the session, the SSRC, and packets of this one SSRC in the order of sending (never none)."""
Out = list[Portion | Fan]
"""What is to be sent, in this order; a fan is for all members of a convoy."""


class Strand:
    """Feed `packets` and `sender_report`; call `repairs` every 20 ms while packets are missing; send what they return.

    `tick` belongs to the stream's. Whenever `wish.due` says so, ask the source for a key frame of this track.
    """

    def __init__(self, stream: str, name: str, *, fans: bool = False) -> None:
        """`fans`: legs in steady state go in convoys, for who carries fans out at less than they cost singly."""
        self.stream, self.name = stream, name
        self.video = name != "audio"
        self.ingest: Ingest | None = None
        self.legs: list[Leg] = []
        self.taps: list[Tap] = []
        self.gop = Gop()
        self.wish = KeyFrameWish()
        self.bitrate = 0
        self.whole = True
        self.packets_out = self.octets_out = 0
        self._source = 0
        self._catching: list[Leg] = []
        self._fans = fans
        self._convoys: dict[Way, Convoy] = {}
        self._measured: tuple[float, int] = (0.0, 0)

    # -- the incoming track --------------------------------------------------------------------------------------

    def begin(self, ingest: Ingest | None, source: int) -> None:
        """Take the track of a new source, numbered `source`; None where it has no such track."""
        self.ingest, self._source = ingest, source
        self.whole = True
        self._measured = (0.0, 0)
        self.gop.clear()
        if any(leg.starved for leg in self.legs):
            self.wish.ask()

    def end(self) -> None:
        """Note that the source is gone; the legs wait."""
        self.ingest, self.bitrate = None, 0
        self.gop.forget()

    def live(self, now: float) -> bool:
        """Tell whether packets arrive."""
        return self.ingest is not None and self.ingest.last_at is not None and (
            now - self.ingest.last_at <= STALLED_AFTER_S
        )  # fmt: skip

    @property
    def codec(self) -> str | None:
        """The codec that arrives, None before the first packet."""
        return None if self.ingest is None or self.ingest.codec is None else self.ingest.codec.name

    def condition(self, now: float) -> tuple[object, ...]:
        """Return what the stream's tick looks at: where a packet changes it, the tick must not wait."""
        ingest = self.ingest
        if ingest is None or ingest.last_at is None or now - ingest.last_at > STALLED_AFTER_S:
            return None, 0
        return ingest.codec, ingest.generation

    def packets(self, packets: Iterable[Packet], now: float) -> Out:
        """Forward packets of the track, in the order they came."""
        media = [] if self.ingest is None else self.ingest.take(packets, now)
        return self._forward(Run(media), now) if media else []

    def steady(self, steady: Steady, now: float) -> Out:
        """Forward packets that follow on (`ingest.Ingest.steady`)."""
        if self.ingest is None:
            return []
        return self._forward(SteadyRun(steady, self.ingest.follow(steady, now), now), now)

    def repairs(self, now: float) -> tuple[list[int], Out]:
        """Return the numbers to ask the source for again, and fillers for what will not come."""
        if self.ingest is None:
            return [], []
        asked = self.ingest.missing(now)
        fillers = self.ingest.given_up()
        return asked, self._forward(Run(fillers), now, lost=True) if fillers else []

    def _forward(self, run: Run, now: float, *, lost: bool = False) -> Out:
        gop, source = self.gop, self._source
        if self.video:
            self._keep(run)
            self.whole = run.marked
        for tap in self.taps:
            tap.take(self.name, run.packets, source, lost=lost)
        out: Out = []
        if not self.legs:
            return out
        if self._convoys:
            out += self._pass(run, now)
        for leg in self.legs:
            if leg.convoy is not None:
                continue
            sent = leg.take(run, gop, source, now)
            if leg.catching_up and leg not in self._catching:
                self._catching.append(leg)
            if type(sent) is Planned or sent:  # a plan is never empty, and asking it costs
                out.append((leg.owner, leg.ssrc, sent))
                if self._fans and len(self.legs) >= FEWEST:
                    self._gather(leg, run)
        return out

    def _pass(self, run: Run, now: float) -> list[Fan]:
        """Let the run pass to convoys; those whose members would not all take it alike are over."""
        fans = []
        for way, convoy in list(self._convoys.items()):
            if convoy.members and convoy.takes(run, self._source):
                fans.append(convoy.take(run, now))
                continue
            del self._convoys[way]
            for leg in self.legs:
                if leg.convoy is convoy:
                    leg.settle()
        return fans

    def _gather(self, leg: Leg, run: Run) -> None:
        """Let a leg go with others from now on, if it can, and is the only one of its session here.

        Two of one session keep to their order, in which they take transport-wide numbers.
        """
        way = leg.alike(run, self._source)
        if way is None or any(other.owner == leg.owner and other is not leg for other in self.legs):
            return
        leg.follow(self._convoys.setdefault(way, Convoy(way)), run)

    def _keep(self, run: Run) -> None:
        if run.plain and not run.keyed and self.gop.extend(run):
            return
        for media in run.packets:
            self.gop.add(media)
            if media.key:
                self.wish.came()

    def sender_report(self, info: SenderInfo, now: float) -> list[tuple[str, SenderInfo]]:
        """Take the source's report; returns the legs' own, which keep sound and picture together at the viewer."""
        if self.ingest is None or not self.ingest.heard(info, now):
            return []
        for tap in self.taps:
            tap.report(self.name, info, self.ingest.generation, self._source, now)
        return [(leg.owner, own) for leg in self.legs if (own := leg.report(info, now, now)) is not None]

    def tick(self, now: float) -> None:
        """Ask again for the key frame that legs wait for, and measure."""
        if self.ingest is None:
            return
        waiting = any(leg.starved for leg in self.legs) or (self.video and any(tap.starved for tap in self.taps))
        if waiting and self.wish.overdue(now):
            self.wish.ask()
        if self.ingest.damaged and (self.legs or self.taps):
            self.ingest.damaged = False
            self.wish.ask()
        at, octets = self._measured
        if now - at >= MEASURE_EVERY_S:
            counted = self.ingest.counters.octets
            if at:
                self._smooth(int((counted - octets) * 8 / (now - at)))
            self._measured = (now, counted)

    def _smooth(self, bitrate: int) -> None:
        """Follow the measured bitrate; what stopped keeps its last one, which it will have again."""
        if bitrate:
            self.bitrate = bitrate if not self.bitrate else (self.bitrate * 3 + bitrate) // 4

    # -- the legs ------------------------------------------------------------------------------------------------

    def add(self, leg: Leg, now: float) -> Out:
        """Let a leg follow: it starts at the last key frame, or one is asked for (see `wish`).

        A group of a source that has fallen silent is not shown: who comes would take an old picture for a live one.
        """
        for other in self.legs:
            if other.owner == leg.owner:
                other.settle()
        self.legs.append(leg)
        out = self.own(leg, leg.join(self.gop, self._source, now)) if self.live(now) or not self.video else []
        if leg.catching_up:
            self._catching.append(leg)
        if leg.starved or (leg.catching_up and now - self.gop.packets[0].at > LONG_GROUP_S):
            self.wish.ask()
        return out

    def tap(self, tap: Tap, now: float) -> None:
        """Tell a recording that was just laid here what is known and kept already."""
        if tap not in self.taps or self.ingest is None:
            return
        if self.ingest.sender is not None:
            tap.report(self.name, self.ingest.sender[0], self.ingest.generation, self._source, now)
        if self.video:
            tap.take(self.name, self.gop.packets, self._source)
            if tap.starved:
                self.wish.ask()

    def remove(self, leg: Leg, packets: int, octets: int) -> None:
        """Let a leg go that was sent so much here."""
        leg.settle()
        self.packets_out += packets
        self.octets_out += octets
        self.legs = [one for one in self.legs if one is not leg]
        self._catching = [one for one in self._catching if one is not leg]

    @property
    def catching(self) -> bool:
        """Whether a leg is catching up."""
        return bool(self._catching)

    def catch_up(self, now: float) -> Out:
        """Send the next part to legs that are catching up; call every 2 ms while `catching`."""
        out: Out = []
        for leg in self._catching:
            out += self.own(leg, leg.due(self.gop, now))
        self._catching = [leg for leg in self._catching if leg.catching_up]
        return out

    def key_frame_asked(self, leg: Leg, now: float) -> Out:
        """Help a viewer that lost its picture: repeat a fresh join, else pass the wish on."""
        out = self.own(leg, leg.again(now))
        if not out:
            self.wish.ask()
        return out

    @staticmethod
    def own(leg: Leg, sent: list[Sent]) -> Out:
        """Address packets of a leg."""
        return [(leg.owner, leg.plan.ssrc, sent)] if sent else []
