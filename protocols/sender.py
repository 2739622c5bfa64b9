"""The sending half of a link: the window, the lanes' shares, the resend timer, and what a receipt means.

**Nothing leaves the sender's memory of what it owes before a receipt.** The machine knows numbers only; bytes stay in
the outbox. Time is an argument (monotonic seconds).

| event | effect |
|---|---|
| `room(lane)` | how many parcels of this lane may be put on the wire now |
| `sent(lane, seqs)` | they are in flight, their timer runs |
| `on_receipt(receipt)` | stored and refused ones land; what the receiver lost is returned: replay it, then `rewind` |
| `due(now)` | what waited too long, to be sent again with the timer doubled |
| `connected()` | nothing is known to be in flight: ask, then send again from the lowest number owed |

MQTT 5 forbids resending on a live connection, so a frame that the broker took and nobody stored would never come
again by itself: the timer is ours.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from protocols.envelope import DURABLE_LANES, Lane
from protocols.ranges import Ranges
from protocols.uplink import Receipt

WINDOW = 1024
"""Parcels in flight over all lanes: two groups that a receiver commits at once, so that one travels while the other is
stored. With 512 a backlog went in groups of 64 and 192 in turn, and each group costs the same whatever its size."""
URGENT_RESERVE = 64
"""Slots that only the urgent lane may use, so that it never waits for an answer to something else."""
LIVE_RESERVE = 64
"""Slots that the backfill lane leaves free even when nothing is new."""
LIVE_MEMORY_S = 5.0
"""Live traffic "exists" for so long after it was last seen: then the backlog keeps to half of the window."""
RESEND_S = 2.0
RESEND_CAP_S = 60.0


@dataclass(slots=True)
class _Flight:
    due: float
    sent_at: float
    attempt: int


class Sender:
    """One per peer; drive it as the table above says.

    `settled` holds, per lane, every number that was ever receipted as stored (the outbox loads it): a receipt whose
    ranges lack one of them tells that the receiver fell back.
    """

    def __init__(self, settled: Mapping[Lane, Ranges] | None = None) -> None:
        self.settled = {lane: Ranges() for lane in DURABLE_LANES} | {k: v.copy() for k, v in (settled or {}).items()}
        self.rtt_s: float | None = None
        self.resent = 0
        self._flights: dict[Lane, dict[int, _Flight]] = {lane: {} for lane in DURABLE_LANES}
        self._cursor = dict.fromkeys(DURABLE_LANES, 0)
        self._live_until = float("-inf")
        self._last: dict[Lane, tuple[str | None, int]] = {}

    def connected(self, settled: Mapping[Lane, Ranges] | None = None) -> None:
        """Start anew after a (re)connect of either side: whatever is owed will be sent again.

        `settled`, where given, replaces what this machine remembers: the outbox knows best.
        """
        for lane, ranges in (settled or {}).items():
            self.settled[lane] = ranges.copy()
        for lane in DURABLE_LANES:
            self._flights[lane].clear()
            self._cursor[lane] = 0

    def after(self, lane: Lane) -> int:
        """Return the number after which the outbox is to be read for new parcels of `lane`."""
        return self._cursor[lane]

    def room(self, lane: Lane, now: float) -> int:
        """Return how many parcels of `lane` may go out now (0 or more)."""
        flying = self.in_flight()
        if lane is Lane.URGENT:
            return max(0, WINDOW - flying)
        if lane is Lane.LIVE:
            return max(0, WINDOW - URGENT_RESERVE - flying)
        share = WINDOW // 2 if now < self._live_until else WINDOW - URGENT_RESERVE - LIVE_RESERVE
        backlog = len(self._flights[Lane.BACKFILL])
        return max(0, min(share - backlog, WINDOW - URGENT_RESERVE - LIVE_RESERVE - flying))

    def in_flight(self, lane: Lane | None = None) -> int:
        """Return how many parcels are on the wire without a receipt."""
        return sum(len(one) for one in self._flights.values()) if lane is None else len(self._flights[lane])

    def flying(self, lane: Lane, seq: int) -> bool:
        """Tell whether this parcel is on the wire already (after a rewind the outbox is read over it again)."""
        return seq in self._flights[lane]

    def sent(self, lane: Lane, seqs: Sequence[int], now: float, *, last: int = 0) -> None:
        """Note that the parcels `seqs` (their first numbers) are on the wire; the outbox has been read up to `last`."""
        flights = self._flights[lane]
        if lane is not Lane.BACKFILL:
            self._live_until = now + LIVE_MEMORY_S
        for seq in seqs:
            attempt = flights[seq].attempt + 1 if seq in flights else 0
            flights[seq] = _Flight(now + self._patience(attempt), now, attempt)
        self._cursor[lane] = max(self._cursor[lane], last)

    def due(self, now: float) -> dict[Lane, list[int]]:
        """Return what waited too long for a receipt; send it again and call `sent`."""
        late = {
            lane: sorted(seq for seq, flight in flights.items() if flight.due <= now)
            for lane, flights in self._flights.items()
        }
        found = {lane: seqs for lane, seqs in late.items() if seqs}
        self.resent += sum(len(seqs) for seqs in found.values())
        return found

    def gone(self, lane: Lane, seqs: Collection[int]) -> None:
        """Forget flights whose parcels the outbox no longer owes."""
        for seq in seqs:
            self._flights[lane].pop(seq, None)

    def on_receipt(self, receipt: Receipt, now: float) -> Ranges:
        """Land what the receipt names. Return the numbers that the receiver had and lost, else empty.

        Replay them from the outbox's history and then `rewind` to the lowest.
        """
        lane = receipt.lane
        if lane not in self._flights:
            return Ranges()
        stored = receipt.ranges()
        flights = self._flights[lane]
        landed = [seq for seq in flights if seq in stored]
        for seq in landed:
            flight = flights.pop(seq)
            if flight.attempt == 0:
                sample = now - flight.sent_at
                self.rtt_s = sample if self.rtt_s is None else 0.875 * self.rtt_s + 0.125 * sample
        for refusal in receipt.refused:
            flights.pop(refusal.seq, None)
        lost = Ranges()
        if self._is_news(receipt):
            settled = self.settled[lane]
            lost = settled.within(receipt.floor, settled.high).minus(stored) if settled else Ranges()
            self.settled[lane] = settled.minus(lost)
        self.settled[lane].merge(stored)
        if receipt.ask:
            for flight in flights.values():
                flight.due = now
        return lost

    @property
    def deadline(self) -> float | None:
        """Monotonic time at which `due` has something, None while nothing is in flight."""
        return min((flight.due for flights in self._flights.values() for flight in flights.values()), default=None)

    def rewind(self, lane: Lane, seq: int) -> None:
        """Have the outbox read again from `seq` on: something is owed there (again).

        Call it after the outbox owes it, never before: what is read in between would move the cursor on.
        """
        self._cursor[lane] = min(self._cursor[lane], seq - 1)

    def _is_news(self, receipt: Receipt) -> bool:
        """Tell a receipt in order from one that a broker delivered again: only news may say that something is lost."""
        if receipt.session is None:
            return True
        last = self._last.get(receipt.lane)
        if last is not None and last[0] == receipt.session and receipt.number <= last[1]:
            return False
        self._last[receipt.lane] = (receipt.session, receipt.number)
        return True

    def _patience(self, attempt: int) -> float:
        base = max(RESEND_S, 4 * self.rtt_s) if self.rtt_s is not None else RESEND_S
        return min(RESEND_CAP_S, base * float(2 ** min(attempt, 8)))
