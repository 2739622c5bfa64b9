"""What one viewer's line carries, found out by the sender.

Where transport-wide feedback was agreed, three things are read from it. The **standing queue**: even the quickest
packet of a while came later than the quickest ones of the last half minute, so packets wait somewhere; what arrives
meanwhile is all that the line carries. A key frame's own queue is gone before the next packet and misleads nobody, nor
does jitter. **Trains**: packets that left at once come apart as far as the line is thin, so frames show a capacity that
is not in use. **Loss** beyond what radio links lose at random. Elsewhere the receiver reports' loss and REMB must do.

The estimate follows what was seen: it does not grow far above what was delivered unless trains say so, and trains are
not believed for a while after they promised too much.
"""

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from gateway.adapters.media_embedded.rules.flight import Flight, InFlight, Piece
from gateway.adapters.media_embedded.rules.rtp import Unwrapper
from gateway.adapters.media_embedded.rules.trains import Trains
from gateway.adapters.media_embedded.rules.transport_feedback import REFERENCE_TICKS, TICK_S, TransportFeedback

START, LEAST, MOST = 1_000_000, 100_000, 100_000_000
"""First guess and bounds, bits per second."""
QUEUE_S, DRAINED_S = 0.04, 0.02
"""A queue that stands higher than the first is too much; below the second it is gone."""
BACK_OFF, LEFT_OVER = 0.85, 0.95
"""What is taken of the delivered rate when a queue stands, and at the least where only losses speak."""
GROWTH_A_S, FAST_GROWTH_A_S = 1.08, 2.0
HEADROOM, HEADROOM_BPS = 1.5, 10_000
"""How far the estimate goes above what was delivered where nothing else is known."""
LOOK_S, LOOK_PACKETS, LOOK_AT_LEAST_S = 0.1, 5, 0.5
"""One look at the queue: so long and so many packets, or the long time."""
BASE_S, BASES = 5.0, 6
"""The quickest packet of each of the last six times five seconds is remembered."""
DELIVERED_S, DELIVERED = 0.5, 512
"""The rate is of half a second, which holds no more trains than this."""
TRAIN_GAP_S, TRAIN_PACKETS, LONG_TRAIN, TRAIN_TRUST = 0.002, 5, 12, 0.8
DISTRUST_S, LONGEST_DISTRUST_S = 5.0, 80.0
FEW_TRAINS, MANY_TRAINS = 3, 6
"""Trains that raise the estimate; and that lower one of which not half is in use, if none of them was that quick."""
LOSS_S, LOSS_PACKETS, TOO_MUCH_LOSS, LITTLE_LOSS = 1.0, 50, 0.12, 0.02
REORDERED = 32
"""A number that is not told of is lost when so many later ones have arrived."""
NEVER, INFINITE = -1e9, 1e18
BOUND_S = 10.0
"""A REMB holds so long."""


class Judge(Protocol):
    """Whoever says what a line carries."""

    @property
    def fraction_lost(self) -> float | None:
        """Share of lost packets that the far end told of, smoothed."""

    def bitrate(self, now: float) -> int | None:
        """Return bits a second that the line seems to carry; None where nothing was heard yet."""

    def bounded(self, bitrate: int, now: float) -> None:
        """Take the far end's own estimate (REMB): ours does not go above it."""

    def sent(self, first: int, at: float, lengths: Sequence[int], around: int = 0) -> None:
        """Note packets that left at once."""

    def feedback(self, told: TransportFeedback, now: float) -> None:
        """Take what the far end says of arrivals."""

    def reported(self, fraction: float, sent_bps: int, now: float) -> None:
        """Take the worst loss of a receiver report, of a session without transport-wide feedback."""


class Estimator:
    """Feed `sent` and `feedback`, or `reported`, and `bounded`; read `bitrate`, `fraction_lost`."""

    def __init__(self) -> None:
        self.fraction_lost: float | None = None
        self._bitrate: float | None = None
        self._bound: tuple[float, float] | None = None
        self.flight: InFlight = Flight()
        self._reference = Unwrapper(24)
        self._looked_at: float | None = None
        self._quickest: float | None = None
        self._looked_packets = 0
        self._bases: deque[tuple[float, float]] = deque(maxlen=BASES)
        self._queue_s = 0.0
        self._stood = False
        self._lowered_at = NEVER
        self._grown_at: float | None = None
        self._delivered: deque[tuple[float, int]] = deque()
        self._delivered_bytes = 0
        self._trains = Trains()
        self._distrust_until, self._distrust_s = 0.0, DISTRUST_S
        self._counted_at: float | None = None
        self._arrived = self._lost = 0

    def bitrate(self, now: float) -> int | None:
        """Return bits a second that the line seems to carry; None where nothing was heard yet."""
        bound = self._bound[0] if self._bound is not None and now - self._bound[1] <= BOUND_S else None
        if self._bitrate is None:
            return None if bound is None else int(bound)
        return int(self._bitrate if bound is None else min(self._bitrate, bound))

    def bounded(self, bitrate: int, now: float) -> None:
        """Take the far end's own estimate (REMB): ours does not go above it."""
        self._bound = (float(max(bitrate, LEAST)), now)

    # -- transport-wide feedback -----------------------------------------------------------------------------------

    def sent(self, first: int, at: float, lengths: Sequence[int], around: int = 0) -> None:
        """Note packets that left at once: their transport-wide numbers from `first` on, which never wrap here.

        Each is `around` bytes longer on the wire than its length says.
        """
        self.flight.sent(first, at, lengths, around)

    def feedback(self, told: TransportFeedback, now: float) -> None:
        """Take what the far end says of arrivals; numbers that were never sent mean nothing."""
        pieces = self.flight.told(told.base, told.runs)
        self.arrived(told.reference, pieces, self.flight.lost(REORDERED) if pieces else 0, now)

    def arrived(self, reference: int, pieces: Sequence[Piece], lost: int, now: float) -> None:
        """Take what `flight` makes of arrivals: pieces, and how many packets were overtaken since."""
        reference = self._reference.unwrap(reference) * REFERENCE_TICKS
        if not self._arrive(reference, pieces, now):
            return
        self._lost += lost
        if self._bitrate is None:
            self._bitrate = float(START)
        self._look(now)
        self._weigh_losses(now)
        self._grow(now)

    def _arrive(self, reference: int, pieces: Sequence[Piece], now: float) -> int:
        """Take arrivals train by train; returns how many were known."""
        quickest = INFINITE if self._quickest is None else self._quickest
        began, earliest, latest, octets, leading, length, known = -INFINITE, 0.0, 0.0, 0, 0, 0, 0
        for at, count, size, first, soonest, last in pieces:
            came, ended = (reference + soonest) * TICK_S, (reference + last) * TICK_S
            quickest = min(quickest, came - at)
            known += count
            if -TRAIN_GAP_S <= at - began <= TRAIN_GAP_S:
                octets += size
                length += count
                earliest, latest = min(earliest, came), max(latest, ended)
                continue
            if length:
                self._end_train(length, octets, leading, latest - earliest, latest, now)
            began, earliest, latest, octets, leading, length = at, came, ended, size, first, count
        if known:
            self._end_train(length, octets, leading, latest - earliest, latest, now)
            self._quickest = quickest
            self._looked_packets += known
            self._arrived += known
        return known

    def _end_train(self, length: int, octets: int, leading: int, took: float, came: float, now: float) -> None:
        """Work out at which rate the packets that left at once came in; the leading one's size does not count."""
        delivered = self._delivered
        if len(delivered) == DELIVERED:
            self._delivered_bytes -= delivered.popleft()[1]
        delivered.append((came, octets))
        self._delivered_bytes += octets
        while delivered[0][0] < came - DELIVERED_S:
            self._delivered_bytes -= delivered.popleft()[1]
        if length >= TRAIN_PACKETS:
            bits = (octets - leading) * 8
            rate = MOST if took <= bits / MOST else bits / took
            for _ in range(3 if length >= LONG_TRAIN else 1):
                self._trains.add(rate, now)

    def _rate(self) -> float:
        """Return what was delivered lately, bits a second."""
        if len(self._delivered) < 2:
            return 0.0
        return self._delivered_bytes * 8 / DELIVERED_S

    def _look(self, now: float) -> None:
        """Judge the queue when enough was seen."""
        self._looked_at = now if self._looked_at is None else self._looked_at
        passed = now - self._looked_at
        enough = passed >= LOOK_S and self._looked_packets >= LOOK_PACKETS
        if self._quickest is None or not (enough or passed >= LOOK_AT_LEAST_S):
            return
        if not self._bases or now - self._bases[-1][0] >= BASE_S:
            self._bases.append((now, self._quickest))
        elif self._quickest < self._bases[-1][1]:
            self._bases[-1] = (self._bases[-1][0], self._quickest)
        before, self._queue_s = self._queue_s, self._quickest - min(way for _, way in self._bases)
        self._looked_at, self._quickest, self._looked_packets = now, None, 0
        stands = self._queue_s > QUEUE_S
        if stands and self._stood and self._queue_s >= before * 0.98:
            self._lower(max(self._rate() * BACK_OFF, LEAST), now)
        self._stood = stands

    def _lower(self, to: float, now: float) -> None:
        if self._bitrate is None or to >= self._bitrate:
            return
        if self._trains and now - self._lowered_at > 1.0:
            self._distrust_until = now + self._distrust_s
            self._distrust_s = min(self._distrust_s * 2, LONGEST_DISTRUST_S)
        self._trains.clear()
        self._bitrate, self._lowered_at = to, now

    def _weigh_losses(self, now: float) -> None:
        self._counted_at = now if self._counted_at is None else self._counted_at
        total = self._arrived + self._lost
        if now - self._counted_at < LOSS_S or total < LOSS_PACKETS:
            return
        fraction = self._lost / total
        self._counted_at, self._arrived, self._lost = now, 0, 0
        self._judge_loss(fraction, self._rate(), now)

    def _judge_loss(self, fraction: float, delivered: float, now: float) -> None:
        before = fraction if self.fraction_lost is None else self.fraction_lost
        self.fraction_lost = (before + fraction) / 2
        if min(fraction, self.fraction_lost) > TOO_MUCH_LOSS and self._bitrate is not None:
            by_loss = self._bitrate * (1 - fraction / 2)
            self._lower(max(by_loss, min(delivered, self._bitrate) * LEFT_OVER, LEAST), now)

    def _grow(self, now: float) -> None:
        passed = 0.0 if self._grown_at is None else min(now - self._grown_at, 1.0)
        self._grown_at = now
        if self._bitrate is None or self._queue_s > DRAINED_S or now - self._lowered_at < 1.0:
            return
        if now - self._lowered_at > LONGEST_DISTRUST_S:
            self._distrust_s = DISTRUST_S
        rates = [] if now < self._distrust_until else self._trains.rates(now)
        delivered = self._rate()
        self._bitrate = max(self._bitrate, delivered * LEFT_OVER)  # it came, and nothing waited
        seen = middle(rates) * TRAIN_TRUST if len(rates) >= FEW_TRAINS else 0.0
        if seen > self._bitrate:
            self._bitrate = min(seen, self._bitrate * FAST_GROWTH_A_S**passed) if self._lowered_at > NEVER else seen
        limit = max(delivered * HEADROOM + HEADROOM_BPS, seen)
        if not rates and now >= self._distrust_until:
            limit = max(limit, START)  # nothing speaks against the first guess any more: let more be tried
        if self._bitrate < limit:
            self._bitrate = min(self._bitrate * GROWTH_A_S**passed, limit)
        elif len(rates) >= MANY_TRAINS and delivered < self._bitrate / 2:
            self._bitrate = min(self._bitrate, max(rates[-1], limit))

    # -- receiver reports, where that is all there is --------------------------------------------------------------

    def reported(self, fraction: float, sent_bps: int, now: float) -> None:
        """Take the worst loss of a receiver report, of a session without transport-wide feedback.

        Nothing is said of the line as long as little is lost: a sender that gets no arrivals told cannot know more.
        """
        passed = 0.0 if self._grown_at is None else min(now - self._grown_at, 5.0)
        self._grown_at = now
        if self._bitrate is None and fraction > TOO_MUCH_LOSS and (self.fraction_lost or 0.0) > LITTLE_LOSS:
            self._bitrate = float(max(sent_bps, LEAST))
        elif self._bitrate is not None and fraction < LITTLE_LOSS:
            self._bitrate = min(self._bitrate * GROWTH_A_S**passed, float(MOST))
        self._judge_loss(fraction, sent_bps * (1 - fraction), now)


def middle(values: Sequence[float]) -> float:
    """Return the median of sorted values; `statistics` would sort them again for every report of every viewer."""
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2
