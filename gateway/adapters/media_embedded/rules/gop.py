"""The last group of pictures of a source, so that a viewer's first picture need not wait, and stills have a key frame.

Bounded in bytes and packets: a group that grows over the bound is forgotten, and joiners wait for the next key frame.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass

from gateway.adapters.media_embedded.rules.ingest import Media
from gateway.adapters.media_embedded.rules.run import Run

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
        self.overflows = 0
        self._packets: list[Media] = []
        self._runs: list[Run] = []
        self._count = self._bytes = self._last = 0
        self._newest: KeyFrame | None = None
        self._found = False

    @property
    def packets(self) -> list[Media]:
        """The kept packets; those of whole runs are made when somebody looks."""
        if self._runs:
            for run in self._runs:
                self._packets.extend(run.packets)
            self._runs = []
        return self._packets

    @packets.setter
    def packets(self, packets: list[Media]) -> None:
        self._packets, self._runs = packets, []

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

    def extend(self, run: Run) -> bool:
        """Take a plain run without a key frame, all of it at once.

        False, and nothing taken, where that is not simply more of a group whose key frame is whole.
        """
        kept, runs = self._packets, self._runs
        if not self._found or run.kind[0] != kept[0].generation:
            return False
        if not runs:
            self._count, self._last = len(kept), kept[-1].number
        if run.first_number <= self._last:
            return False
        if self._bytes + run.octets > MAX_BYTES or self._count + run.count > MAX_PACKETS:
            return False
        runs.append(run)
        self._last = run.last_number
        self._count += run.count
        self._bytes += run.octets
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
