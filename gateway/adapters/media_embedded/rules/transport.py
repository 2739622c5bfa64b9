"""Transport-wide sequence numbers of one session: every packet to it counts, whatever track it is of.

The far end answers with what arrived when (draft-holmer-rmcat-transport-wide-cc-extensions-01); `log` says what was
sent when, so that the two can be laid side by side.
"""

from collections import deque
from collections.abc import Sequence

KEPT = 1024
"""As many batches are remembered: some seconds, even of a wall with many slots."""
AROUND = 28
"""Bytes of IPv4 and UDP around a datagram, and the tag of SRTP is 16 more."""
TAG = 16

Entry = tuple[int, float, Sequence[int], int]
"""First number of a batch (not wrapped), when it was sent, its payloads' lengths in order, length of their headers."""


class Transport:
    """One for a session, shared by its legs. `next` is the number of the next packet; it never wraps here.

    `carried` says that who sends plans notes them too: a leg only takes numbers for them then.
    """

    __slots__ = ("carried", "log", "next")

    def __init__(self, first: int = 0) -> None:
        self.next = first
        self.carried = False
        self.log: deque[Entry] = deque(maxlen=KEPT)

    def note(self, lengths: Sequence[int], head: int, now: float) -> None:
        """Remember a batch that took its numbers from `next` on; `lengths` of payloads may be shared and is kept."""
        self.log.append((self.next, now, lengths, head))
        self.next += len(lengths)

    def late(self, entry: Entry) -> None:
        """Remember a plan that was sent another way; only where plans are `carried`, else it is remembered already."""
        if self.carried:
            self.log.append(entry)
