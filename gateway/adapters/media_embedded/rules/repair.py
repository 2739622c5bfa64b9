"""How a leg repeats what its viewer missed: as RTX where that was agreed (RFC 4588), else as the very same packet.

**A NACK is no amplifier**: within a second a leg repeats at most a share of what it sent, and no packet twice within a
round trip: the viewer cannot know yet that the first repetition comes. On a line that loses much each repetition goes
out twice at once, for one that is lost too makes the picture stand still for another round trip.
"""

from dataclasses import dataclass, field

from gateway.adapters.media_embedded.rules.ring import Sent
from gateway.adapters.media_embedded.rules.transport import Transport

LEAST_A_SECOND, SHARE = 64, 0.5
"""A leg repeats so many packets a second, or this share of what it sent in the second before."""
SOONEST_S, UNKNOWN_RTT_S = 0.01, 0.05
TWICE_FROM = 0.02
"""From this share of lost packets on a repetition goes out twice: at 5 % one in 400 is lost then, and not one in 20."""
ASKED_AT_ONCE = 256
"""Numbers of one NACK that are looked at."""


@dataclass(frozen=True, slots=True)
class Rtx:
    """What the viewer agreed to: our SSRC, the RTX payload type for each media one, where the numbers begin."""

    ssrc: int
    payload_types: dict[int, int]
    first_sequence: int


@dataclass(slots=True)
class Allowance:
    """Ask `grants` before each repetition; `refused` says why the last one was not granted."""

    refused: str = ""
    _second: float | None = None
    _sent_before: int = 0
    _left: int = 0
    _repeated: dict[int, float] = field(default_factory=dict)

    def grants(self, number: int, sent: int, rtt_s: float | None, now: float) -> bool:
        """Tell whether this number may be repeated now; `sent` counts the leg's packets so far."""
        if self._second is None or now - self._second >= 1.0:
            self._second = now
            self._left = max(LEAST_A_SECOND, int((sent - self._sent_before) * SHARE))
            self._sent_before = sent
            self._repeated = {n: at for n, at in self._repeated.items() if now - at < 1.0}
        before = self._repeated.get(number)
        if before is not None and now - before < max(SOONEST_S, UNKNOWN_RTT_S if rtt_s is None else rtt_s):
            self.refused = "nack_too_soon"
            return False
        if self._left <= 0:
            self.refused = "nack_too_many"
            return False
        self._left -= 1
        self._repeated[number] = now
        return True

    def spare(self) -> bool:
        """Take one repetition more for what was just granted, where the share allows it."""
        if self._left <= 0:
            return False
        self._left -= 1
        return True


class Repeater:
    """Wraps packets of a leg into RTX: own SSRC, own numbers, the original number before the payload."""

    def __init__(self, rtx: Rtx, transport: Transport | None) -> None:
        self.ssrc = rtx.ssrc
        self._payload_types = rtx.payload_types
        self._number = rtx.first_sequence
        self._transport = transport

    def wrap(self, sent: Sent, now: float) -> Sent | None:
        """Return the packet as RTX; None where its payload type has none."""
        original, head, payload = sent
        payload_type = self._payload_types.get(head[1] & 0x7F)
        if payload_type is None:
            return None
        number = self._number
        self._number += 1
        second = bytes([head[0], head[1] & 0x80 | payload_type])
        wrapped = second + (number & 0xFFFF).to_bytes(2, "big") + head[4:8] + self.ssrc.to_bytes(4, "big") + head[12:]
        if self._transport is not None:
            wrapped = wrapped[:-2] + (self._transport.next & 0xFFFF).to_bytes(2, "big")
        again = (number, wrapped, (original & 0xFFFF).to_bytes(2, "big") + payload)
        if self._transport is not None:
            self._transport.note((len(again[2]),), len(wrapped), now)
        return again
