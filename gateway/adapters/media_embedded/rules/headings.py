"""What a packet's head says: the track that it is of, and its transport-wide number.

Header extensions of a source's packets look alike but for that number: whatever stands elsewhere was read once, and is
compared instead of being read again.
"""

from typing import NamedTuple

from gateway.adapters.media_embedded.rules.demux import Demux
from gateway.adapters.media_embedded.rules.rtp import Packet, elements

KEPT = 64
"""As many kinds of heads are remembered; then all are read anew."""
NONE = -1


class Known(NamedTuple):
    """A head that was read: what stands before and behind the number, and the track under this state of the demux.

    Where there is no number, all of it stands before.
    """

    before: bytes
    behind: bytes
    track: str
    learned: int
    counted: bool


class Headings:
    """Ask `read` for every packet of a session. `counted_by` is the extension id of the number, 0 for none."""

    def __init__(self, demux: Demux, counted_by: int) -> None:
        self._demux = demux
        self._counted_by = counted_by
        self._known: dict[tuple[int, int, int], Known] = {}

    def read(self, packet: Packet) -> tuple[str, int]:
        """Return the track's name, empty where no rule names one, and the number or NONE."""
        block = packet.block
        key = (packet.ssrc, packet.payload_type, len(block))
        known = self._known.get(key)
        if known is not None and known.learned == self._demux.learned:
            at = len(known.before)
            if not known.counted:
                if block == known.before:
                    return known.track, NONE
            elif block[:at] == known.before and block[at + 2 :] == known.behind:
                return known.track, block[at] << 8 | block[at + 1]
        return self._anew(packet, key)

    def pattern(self, packet: Packet) -> tuple[str, int] | None:
        """Return the track of a packet that was just read, and where its number stands (0: it has none).

        Whatever has its SSRC, its payload type and the same block but for that number is of this track, and is counted
        by the number at that place. None where that is not known, or may change.
        """
        block = packet.block
        known = self._known.get((packet.ssrc, packet.payload_type, len(block)))
        if known is None or known.learned != self._demux.learned or not self._demux.settled(packet):
            return None
        at = len(known.before)
        if not known.counted:
            return (known.track, 0) if block == known.before else None
        return (known.track, at) if block[:at] == known.before and block[at + 2 :] == known.behind else None

    def _anew(self, packet: Packet, key: tuple[int, int, int]) -> tuple[str, int]:
        block = packet.block
        extensions = elements(block)
        track = self._demux.track_of(packet, extensions) or ""
        value = extensions.get(self._counted_by, b"")
        if len(value) != 2:
            self._keep(key, Known(block, b"", track, self._demux.learned, counted=False))
            return track, NONE
        at = self._place(block, value)
        if at >= 0:
            self._keep(key, Known(block[:at], block[at + 2 :], track, self._demux.learned, counted=True))
        return track, value[0] << 8 | value[1]

    def _keep(self, key: tuple[int, int, int], known: Known) -> None:
        if len(self._known) >= KEPT:
            self._known.clear()
        self._known[key] = known

    def _place(self, block: bytes, value: bytes) -> int:
        """Return where the number stands, proved by reading the block with another one there; -1 where that fails."""
        head = bytes([self._counted_by << 4 | 1])
        at = block.find(head + value, 4) + 1
        if at < 1:
            return -1
        other = bytes(byte ^ 0xFF for byte in value)
        changed = elements(block[:at] + other + block[at + 2 :])
        return at if changed.get(self._counted_by) == other else -1
