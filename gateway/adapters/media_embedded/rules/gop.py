"""The last group of pictures of a source, so that a viewer's first picture need not wait, and stills have a key frame.

Bounded in bytes and packets: a group that grows over the bound is forgotten, and joiners wait for the next key frame.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.adapters.media_embedded.rules.ingest import Media

MAX_BYTES = 4 << 20
MAX_PACKETS = 4096


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """A whole key frame: `at` is the arrival (monotonic seconds) of its last packet."""

    codec: str
    payloads: tuple[bytes, ...]
    at: float


class Gop:
    """Feed `add` with every packet; read `packets` from the last key frame on, in order of `number`."""

    def __init__(self) -> None:
        self.packets: list[Media] = []
        self.overflows = 0
        self._bytes = 0
        self._newest: KeyFrame | None = None
        self._found = False

    def clear(self) -> None:
        """Forget the packets (the source changed); the newest key frame stays for stills until the next one."""
        self.packets = []
        self._bytes = 0
        self._found = False

    def forget(self) -> None:
        """Forget everything: the source is gone."""
        self.clear()
        self._newest = None

    def add(self, media: Media) -> None:
        """Take a packet: a new key frame begins a new group."""
        if self.packets and media.generation != self.packets[0].generation:
            self.clear()
        if media.key and self._begins(media):
            self.packets = [media]
            self._bytes = len(media.payload)
            self._found = False
            self._look()
            return
        if not self.packets or (media.number < self.packets[0].number and media.timestamp != self.packets[0].timestamp):
            return
        if media.number > self.packets[-1].number:
            self.packets.append(media)
        else:
            insort(self.packets, media)
        self._bytes += len(media.payload)
        if not self._found:
            self._look()
        if self._bytes > MAX_BYTES or len(self.packets) > MAX_PACKETS:
            self.overflows += 1
            self.clear()

    def extend(self, media: Sequence[Media], octets: int) -> bool:
        """Take packets of one generation in ascending order, no key frames, with so many octets: all at once.

        False, and nothing taken, where that is not simply more of a group whose key frame is whole.
        """
        kept, first = self.packets, media[0]
        if not self._found or first.generation != kept[0].generation or first.number <= kept[-1].number:
            return False
        if self._bytes + octets > MAX_BYTES or len(kept) + len(media) > MAX_PACKETS:
            return False
        kept.extend(media)
        self._bytes += octets
        return True

    def _begins(self, media: Media) -> bool:
        if not self.packets:
            return True
        first = self.packets[0]
        return media.timestamp != first.timestamp and media.number > first.number

    def _look(self) -> None:
        """Find out whether the key frame at the head is whole."""
        first = self.packets[0]
        payloads: list[bytes] = []
        for offset, media in enumerate(self.packets):
            if media.number != first.number + offset or media.timestamp != first.timestamp:
                return
            payloads.append(media.payload)
            if media.marker:
                at = max(packet.at for packet in self.packets[: offset + 1])
                self._newest = KeyFrame(first.codec, tuple(payloads), at)
                self._found = True
                return

    @property
    def whole(self) -> bool:
        """Whether the kept group begins with a whole key frame."""
        return self._found

    def at(self, number: int) -> int:
        """Return the place in `packets` of the first one with this number or a later one."""
        return bisect_left(self.packets, number, key=lambda media: media.number)

    def key_frame(self) -> KeyFrame | None:
        """Return the newest whole key frame."""
        return self._newest
