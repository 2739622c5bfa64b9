"""One named stream: at most one source, any number of legs; what comes in goes out to every leg.

Law: **legs outlive the source.** When a source goes, legs stay and wait; when one comes, they go on with it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gateway.adapters.media_embedded.rules.gop import Gop, KeyFrame
from gateway.adapters.media_embedded.rules.ingest import Ingest, Media
from gateway.adapters.media_embedded.rules.leg import Leg
from gateway.adapters.media_embedded.rules.ring import Sent
from gateway.adapters.media_embedded.rules.rtcp import SenderInfo
from gateway.adapters.media_embedded.rules.rtp import Packet
from gateway.adapters.media_embedded.rules.run import Run
from gateway.adapters.media_embedded.rules.wish import KeyFrameWish
from gateway.ports.media import StreamState

STALLED_AFTER_S = 2.0
LONG_GROUP_S = 1.5
"""A joiner that must be sent more than this also makes the source be asked: a new key frame shortens its way."""

Out = list[tuple[str, int, list[Sent]]]
"""Packets to send: the session, the SSRC, and packets of this one SSRC in the order of sending (never none)."""


@dataclass(slots=True)
class Totals:
    """Counters of a stream over all its sources and legs that are gone."""

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
    """Feed `packets`, `sender_report` and `tick`; send what they return.

    Whenever `wish.due` says so, ask the source for a key frame.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.source: str | None = None
        self.ingests: dict[str, Ingest] = {}
        self.legs: dict[str, list[Leg]] = {"main": [], "thumb": [], "audio": []}
        self.gop = Gop()
        self.wish = KeyFrameWish()
        self.totals = Totals()
        self.state = StreamState.ABSENT
        self._source_number = 0
        self._catching: list[Leg] = []

    @property
    def idle(self) -> bool:
        """Nothing comes and nobody looks: the stream can be forgotten."""
        return self.source is None and not any(self.legs.values())

    def set_source(self, session: str, ingests: dict[str, Ingest]) -> None:
        """Take a new source; the former one's packets are no longer forwarded."""
        self._retire_source()
        self.source, self.ingests = session, ingests
        self._source_number += 1
        self.gop.clear()

    def drop_source(self) -> None:
        """Note that the source is gone; the legs wait."""
        self._retire_source()
        self.source, self.ingests = None, {}
        self.gop.forget()

    def _retire_source(self) -> None:
        for ingest in self.ingests.values():
            counters = ingest.counters
            self.totals.packets_in += counters.packets
            self.totals.octets_in += counters.octets
            self.totals.lost += counters.lost
            if ingest.kind == "video":
                self.totals.frames += ingest.cadence.frames
                self.totals.key_frames += ingest.cadence.key_frames
                self.totals.freezes += ingest.cadence.freezes
                self.totals.freeze_s += ingest.cadence.freeze_s
            self.totals.dropped.update(counters.dropped)

    def add_leg(self, leg: Leg, now: float) -> Out:
        """Add a connected viewer: it starts at the last key frame, or one is asked for (see `wish`)."""
        self.legs[_strand_of(leg)].append(leg)
        out = self._own(leg, leg.join(self.gop, self._source_number, now))
        if leg.catching_up:
            self._catching.append(leg)
        if leg.starved or (leg.catching_up and now - self.gop.packets[0].at > LONG_GROUP_S):
            self.wish.ask()
        return out

    def remove_legs(self, owner: str) -> None:
        """Forget the legs of a viewer."""
        for kind, legs in self.legs.items():
            for leg in legs:
                if leg.owner == owner:
                    self.totals.packets_out += leg.packets
                    self.totals.octets_out += leg.octets
                    self.totals.dropped.update(leg.dropped)
            self.legs[kind] = [leg for leg in legs if leg.owner != owner]
        self._catching = [leg for leg in self._catching if leg.owner != owner]

    def packets(self, kind: str, packets: Iterable[Packet], now: float) -> Out:
        """Forward packets of the source's track `kind` (main, thumb, audio), in the order they came."""
        ingest = self.ingests.get(kind)
        if ingest is None:
            return []
        media = ingest.take(packets, now)
        return self._forward(kind, media, now) if media else []

    def repairs(self, kind: str, now: float) -> tuple[list[int], Out]:
        """Return the numbers to ask the source for again, and fillers for what will not come; call every 20 ms."""
        ingest = self.ingests.get(kind)
        if ingest is None:
            return [], []
        asked = ingest.missing(now)
        fillers = ingest.given_up()
        return asked, self._forward(kind, fillers, now) if fillers else []

    def _forward(self, kind: str, packets: Sequence[Media], now: float) -> Out:
        gop, source = self.gop, self._source_number
        if kind == "main":
            for media in packets:
                gop.add(media)
                if media.key:
                    self.wish.came()
        out: Out = []
        legs = self.legs[kind]
        if not legs:
            return out
        run = Run(packets)
        for leg in legs:
            sent = leg.take(run, gop, source, now)
            if leg.catching_up and leg not in self._catching:
                self._catching.append(leg)
            if sent:
                out.append((leg.owner, leg.plan.ssrc, sent))
        return out

    def catch_up(self, now: float) -> Out:
        """Send the next part to legs that are catching up; call every 2 ms while `catching`."""
        out: Out = []
        for leg in self._catching:
            out += self._own(leg, leg.due(self.gop, now))
        self._catching = [leg for leg in self._catching if leg.catching_up]
        return out

    @property
    def catching(self) -> bool:
        """Whether a leg is catching up."""
        return bool(self._catching)

    def key_frame_asked(self, leg: Leg, now: float) -> Out:
        """Help a viewer that lost its picture: repeat a fresh join, else pass the wish on."""
        if leg.resting:
            return []
        out = self._own(leg, leg.again(now))
        if not out:
            self.wish.ask()
        return out

    def sender_report(self, kind: str, info: SenderInfo, now: float) -> list[tuple[str, SenderInfo]]:
        """Take the source's report; returns the legs' own, which keep sound and picture together at the viewer."""
        ingest = self.ingests.get(kind)
        if ingest is None or not ingest.heard(info, now):
            return []
        return [(leg.owner, own) for leg in self.legs[kind] if (own := leg.report(info, now, now)) is not None]

    def tick(self, now: float) -> bool:
        """Watch the state (call every 50 ms); True if it changed. Legs that starve renew their wish."""
        video = self.ingests.get("main")
        if self.source is not None and any(leg.starved for leg in self.legs["main"]) and self.wish.overdue(now):
            self.wish.ask()
        if video is not None and video.damaged and self.legs["main"]:
            video.damaged = False
            self.wish.ask()
        state = self._state(now)
        changed, self.state = state is not self.state, state
        return changed

    def _state(self, now: float) -> StreamState:
        if self.source is None:
            return StreamState.ABSENT
        heard = [i.last_at for i in self.ingests.values() if i.last_at is not None]
        if not heard:
            return StreamState.STARTING
        return StreamState.LIVE if now - max(heard) <= STALLED_AFTER_S else StreamState.STALLED

    def key_frame(self) -> KeyFrame | None:
        """Return the newest whole key frame of the present source."""
        return self.gop.key_frame()

    @staticmethod
    def _own(leg: Leg, sent: list[Sent]) -> Out:
        return [(leg.owner, leg.plan.ssrc, sent)] if sent else []


def _strand_of(leg: Leg) -> str:
    if leg.plan.kind == "audio":
        return "audio"
    return "thumb" if leg.plan.name == "thumb" else "main"
