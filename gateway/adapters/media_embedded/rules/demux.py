"""Which m-line of a BUNDLE a packet belongs to (RFC 9143 section 9.2): mid extension, announced SSRC, payload type.

The source pin of each track (`pin`) still decides whether an SSRC may speak for it.
"""

from collections.abc import Mapping, Sequence

from gateway.adapters.media_embedded.rules.description import Track
from gateway.adapters.media_embedded.rules.rtp import Packet

MAX_LEARNED = 64
"""As many SSRCs are remembered that were named by their mid alone."""


class Demux:
    """Ask `track_of` for every packet of a session."""

    def __init__(self, tracks: Sequence[Track]) -> None:
        self._extension = next((track.mid_extension for track in tracks if track.mid_extension), 0)
        self._by_mid = {track.mid.encode(): track.name for track in tracks if track.mid}
        self._by_source = {
            ssrc: track.name for track in tracks for ssrc in (*track.announced, *track.announced_repairs)
        }
        self._learned: dict[int, str] = {}
        self.learned = 0
        """Counts what was learned: while it stands still, equal heads mean equal tracks."""
        self._by_type: dict[int, str | None] = {}
        for track in tracks:
            for number in (*track.codecs, *track.repairs):
                self._by_type[number] = None if number in self._by_type else track.name

    def track_of(self, packet: Packet, extensions: Mapping[int, bytes]) -> str | None:
        """Return the track's name; None where no rule names exactly one. `extensions` are the packet's, read."""
        mid = extensions.get(self._extension) if self._extension else None
        if mid is not None:
            name = self._by_mid.get(mid)
            if name is not None and packet.ssrc not in self._by_source:
                self._learn(packet.ssrc, name)
            return name
        found = self._by_source.get(packet.ssrc) or self._learned.get(packet.ssrc)
        return found or self._by_type.get(packet.payload_type)

    def settled(self, packet: Packet) -> bool:
        """Tell whether nothing that is learned later can change the track of packets like this one."""
        mid = packet.extensions.get(self._extension) if self._extension else None
        return packet.ssrc in self._by_source if mid is None else mid in self._by_mid

    def _learn(self, ssrc: int, name: str) -> None:
        if self._learned.get(ssrc) == name:
            return
        if ssrc not in self._learned and len(self._learned) >= MAX_LEARNED:
            del self._learned[next(iter(self._learned))]
        self._learned[ssrc] = name
        self.learned += 1
