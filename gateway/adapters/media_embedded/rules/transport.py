"""Transport-wide sequence numbers of one session: every packet to it counts, whatever track it is of.

The far end answers with what arrived when (draft-holmer-rmcat-transport-wide-cc-extensions-01); `log` says what was
sent when, so that the two can be laid side by side.
"""

from collections import deque

from gateway.adapters.media_embedded.rules.ring import Sent

KEPT = 2048
"""As many batches are remembered: some seconds."""
AROUND = 28
"""Bytes of IPv4 and UDP around a datagram, and the tag of SRTP is 16 more."""
TAG = 16

Entry = tuple[int, float, list[Sent]]
"""First number of a batch (not wrapped), when it was sent, its packets in order of their numbers."""


class Transport:
    """One for a session, shared by its legs. `next` is the number of the next packet; it never wraps here."""

    __slots__ = ("log", "next")

    def __init__(self, first: int = 0) -> None:
        self.next = first
        self.log: deque[Entry] = deque(maxlen=KEPT)

    def note(self, sent: list[Sent], now: float) -> None:
        """Remember a batch that took its numbers from `next` on."""
        self.log.append((self.next, now, sent))
        self.next += len(sent)


def sizes(entry: Entry) -> list[tuple[int, float, int]]:
    """Spell a batch out: number, time sent and bytes on the wire of each packet."""
    first, at, sent = entry
    return [
        (first + place, at, len(head) + len(payload) + TAG + AROUND) for place, (_, head, payload) in enumerate(sent)
    ]
