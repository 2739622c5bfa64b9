"""One WHIP session of one camera: its m-lines, what is sent on them, and what comes back.

The first video m-line is `main`, the second `thumb` (only where the camera has one), then sound. **A layer is read, and
so coded, only while it is selected.** A server that takes no second video m-line gets the main picture, whatever it
asks.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_agent.cameras.feed import Feed
from edge_agent.media.rate import RateControl
from protocols.aio.whip import WhipClient

if TYPE_CHECKING:
    import ssl

    from edge_agent.media.aiortc_private import SenderWatch
    from edge_agent.media.tracks import FeedTrack
    from protocols.command import MediaPublish

SILENT_S = 3.0
"""A gateway that reported packets and then says nothing for so long is gone; ours reports each second."""
NEVER_HEARD_S = 15.0
"""A server that never reports at all is left to ICE consent."""
UNREPORTED = 20
"""So many packets without any report are silence; fewer may just be a camera that has stopped."""
STARVED_S = 2.0
_RATE_WINDOW_S = 1.0


def _follow_nothing(_: Mapping[str, int]) -> None:
    """Leave a source as it is: what is passed through has the bit rate that the camera gave it."""


@dataclass(frozen=True, slots=True)
class Source:
    """What one camera offers: pictures, a small layer and sound where it has them.

    `bounds` and `steer` are those of `Camera`: what may be asked of its encoders, and how to ask.
    """

    video: Feed
    audio: Feed | None = None
    thumb: Feed | None = None
    bounds: Mapping[str, tuple[int, int]] | None = None
    steer: Callable[[Mapping[str, int]], None] = _follow_nothing


class Session:
    """`open` once, `select` and `look` at any time, `close` at the end, also after a failed `open`."""

    def __init__(
        self,
        order: "MediaPublish",
        source: Source,
        verify: "ssl.SSLContext | None" = None,
        *,
        start: Mapping[str, int] | None = None,
    ) -> None:
        """Prepare; `start` are the bit rates that a former session ended with."""
        from edge_agent.media.peer import new_peer

        self.targets: dict[str, int] = {}
        self.thin = False
        self.sent_kbps = 0.0
        self.round_trip_s: float | None = None
        self._order = order
        self._source = source
        self._peer = new_peer()
        self._client = WhipClient(order.whip_url, order.token, verify=verify)
        self._tracks: dict[str, FeedTrack] = {}
        self._watches: list[SenderWatch] = []
        self._rate = RateControl(source.bounds or {}, sound=source.audio is not None, start=start or {})
        self._refused: frozenset[str] = frozenset()
        self._open = False
        self._layers: frozenset[str] = frozenset()
        self._starved = False
        self._thumb_at = (0.0, -1)
        self._counted = (time.monotonic(), 0)
        self._silence = _Silence()
        self._add("main", "video", source.video)
        if source.thumb is not None:
            self._add("thumb", "video", source.thumb)
        if source.audio is not None:
            self._add("audio", "audio", source.audio)

    def _add(self, name: str, kind: str, feed: Feed) -> None:
        from edge_agent.media.aiortc_private import SenderWatch, send_by_frame, tell_levels
        from edge_agent.media.peer import prefer
        from edge_agent.media.tracks import FeedTrack

        track = self._tracks[name] = FeedTrack(kind, feed, on=False)
        transceiver = self._peer.addTransceiver(track, direction="sendonly")
        prefer(transceiver, kind, "video/H264" if kind == "video" else "audio/opus")
        sender: Any = transceiver.sender
        send_by_frame(sender)
        if kind == "video":
            self._watches.append(SenderWatch(sender, feed.request_key, self._on_report, self._on_estimate))
        else:
            self._watches.append(SenderWatch(sender))
            tell_levels(sender, lambda: track.level)

    def _on_report(self, lost: float, round_trip: float | None) -> None:
        now = time.monotonic()
        self._rate.loss(lost, self.sent_kbps, now)
        if round_trip is not None:
            self.round_trip_s = round_trip
            self._rate.round_trip(round_trip, self.sent_kbps, now)

    def _on_estimate(self, bits: int) -> None:
        self._rate.estimate(bits / 1000, time.monotonic())

    async def open(self) -> None:
        """Connect, and send what the order names. Raises LinkError, RefusedError, BadMediaError."""
        from edge_agent.media.peer import connect

        # Read from now on: the first key frame is coded while the handshakes run.
        self.select(self._order.layers)
        rejected = await connect(self._peer, self._client)
        self._refused = frozenset(name for place, name in enumerate(self._tracks) if place in rejected)
        self._open = True
        self._silence.begin(time.monotonic())
        self.select(self._order.layers)

    def select(self, layers: tuple[str, ...] | None) -> None:
        """Send these layers and no others (None: main); one that cannot be given is replaced by main. Sound goes on."""
        self._layers = frozenset({"main"} if layers is None else layers)
        wanted = self._layers
        if "thumb" in wanted and ("thumb" not in self._tracks or "thumb" in self._refused):
            wanted = frozenset({"main"})
        elif self._starved:
            wanted |= {"main"}
        for name, track in self._tracks.items():
            track.switch(on=name not in self._refused and (name == "audio" or name in wanted))

    def _feed_the_starved(self, now: float) -> None:
        """Send main beside a small layer that gives nothing (a dead sub-stream), until it gives again."""
        thumb = self._tracks.get("thumb")
        if thumb is None or not thumb.reading:
            self._thumb_at, self._starved = (now, -1), False
            return
        if thumb.sent != self._thumb_at[1]:
            self._thumb_at = (now, thumb.sent)
        starved = now - self._thumb_at[0] > STARVED_S
        if starved != self._starved:
            self._starved = starved
            self.select(tuple(self._layers))

    @property
    def active(self) -> frozenset[str]:
        """The layers that are sent now."""
        return frozenset(name for name, track in self._tracks.items() if track.reading and name != "audio")

    @property
    def heard(self) -> bool:
        """Whether the far end ever reported packets."""
        return any(watch.reports for watch in self._watches)

    def look(self, now: float) -> str | None:
        """Steer the encoders, and tell why the session is over: failed, silent, or None while it is well."""
        self._measure(now)
        self._feed_the_starved(now)
        self.targets = self._rate.targets(self.active, now)
        self._source.steer(self.targets)
        self.thin = self._rate.thin(self.sent_kbps, now)
        if self._open and self._peer.connectionState in ("failed", "closed"):
            return "failed"
        sent = sum(track.sent for track in self._tracks.values())
        reports = sum(watch.reports for watch in self._watches)
        heard = max((watch.heard_at for watch in self._watches if watch.heard_at is not None), default=None)
        return "silent" if self._silence.too_long(now, sent, reports, heard) else None

    def _measure(self, now: float) -> None:
        since, before = self._counted
        octets = sum(track.octets for track in self._tracks.values())
        if now - since >= _RATE_WINDOW_S:
            self.sent_kbps = (octets - before) * 8 / 1000 / (now - since)
            self._counted = (now, octets)

    async def close(self) -> None:
        """End tracks, session and sockets; safe to call at any time, and twice."""
        from edge_agent.media.peer import part

        self._open = False
        for track in self._tracks.values():
            track.stop()
        await part(self._peer, self._client)


class _Silence:
    """Tells a gateway that is gone from one that has nothing to report because the camera gives nothing."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._reports = 0
        self._sent = 0

    def begin(self, now: float) -> None:
        """Count from here: before, nothing could be heard."""
        self._began = now

    def too_long(self, now: float, sent: int, reports: int, heard: float | None) -> bool:
        """Judge at `now` (monotonic seconds)."""
        if reports != self._reports:
            self._reports, self._sent = reports, sent
        limit = NEVER_HEARD_S if heard is None else SILENT_S
        return sent - self._sent >= UNREPORTED and now - (heard or self._began) > limit
