"""What is known of one session's line: how much goes over it, its round trip, its losses, what it seems to carry."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.adapters.media_embedded.rules import rtcp
from gateway.adapters.media_embedded.rules.estimate import Estimator, Judge
from gateway.adapters.media_embedded.rules.transport import AROUND, TAG, Transport
from gateway.adapters.media_embedded.rules.transport_feedback import TransportFeedback

REPORTS = 128
"""Sender reports that are remembered to measure the round trip by."""
OURS_S = 1.0


Answer = tuple[float, int, int, int]
"""A block of a receiver report: when it came, SSRC, which sender report it answers, after how long (LSR, DLSR)."""


@dataclass(slots=True)
class Flow:
    """Bytes of one direction, and bits a second over the last second or more."""

    octets: int = 0
    bps: int = 0
    _before: int = 0
    _at: float | None = None

    def measure(self, now: float) -> None:
        """Work out the rate; called about once a second."""
        if self._at is None or now - self._at >= OURS_S:
            if self._at is not None:
                self.bps = int((self.octets - self._before) * 8 / (now - self._at))
            self._before, self._at = self.octets, now


class Line:
    """Feed `heard` with all RTCP, `reported` with each sender report of ours; call `measure` about once a second.

    `counted` says that transport-wide feedback was agreed for what we send.
    """

    def __init__(self, transport: Transport, *, counted: bool) -> None:
        self.sent, self.received = Flow(), Flow()
        self.rtt_s: float | None = None
        self._transport = transport
        self.counted = counted
        self._estimator: Judge = Estimator()
        self._reports: dict[tuple[int, int], float] = {}

    def estimate(self, now: float) -> int | None:
        """Return bits a second that the line seems to carry; None where nothing was heard yet."""
        return self._estimator.bitrate(now)

    @property
    def fraction_lost(self) -> float | None:
        """Share of lost packets that the far end told of, smoothed."""
        return self._estimator.fraction_lost

    def measure(self, now: float) -> None:
        """Work out the rates."""
        self.sent.measure(now)
        self.received.measure(now)

    def reported(self, info: rtcp.SenderInfo, now: float) -> None:
        """Note a sender report that goes out: the receiver's answer to it gives the round trip."""
        self._reports[info.ssrc, info.ntp >> 16 & 0xFFFFFFFF] = now
        if len(self._reports) > REPORTS:
            del self._reports[next(iter(self._reports))]

    def heard(self, item: rtcp.Feedback, now: float) -> None:
        """Take what the far end says of what we send."""
        match item:
            case TransportFeedback():
                self._take_arrivals(item, now)
            case rtcp.Estimate(bitrate):
                self._estimator.bounded(bitrate, now)
            case rtcp.SenderInfo(reports=reports) | rtcp.ReceiverInfo(reports=reports) if reports:
                self._take_reports(reports, now)

    def judge(self, estimator: Judge) -> None:
        """Let another estimator judge, to whom plans are noted as they are carried out; call it before that."""
        self._estimator = estimator
        self._transport.carried = True

    def drain(self) -> Iterator[tuple[int, float, Sequence[int], int]]:
        """Return what `InFlight.sent` is to be told: what was sent since the last call."""
        log = self._transport.log
        while log:
            first, at, lengths, head = log.popleft()
            yield first, at, lengths, head + TAG + AROUND

    def _take_arrivals(self, told: TransportFeedback, now: float) -> None:
        if not self.counted:
            return
        for batch in self.drain():
            self._estimator.sent(*batch)
        self._estimator.feedback(told, now)

    def _take_reports(self, reports: tuple[rtcp.Report, ...], now: float) -> None:
        for report in reports:
            self.answered((now, report.ssrc, report.last_sr, report.delay))
        if not self.counted:
            worst = max(report.fraction_lost for report in reports) / 256
            self._estimator.reported(worst, self.sent.bps, now)

    def answered(self, answer: Answer) -> None:
        """Work out the round trip from a receiver's answer to one of our sender reports."""
        at, ssrc, last_sr, delay = answer
        sent_at = self._reports.get((ssrc, last_sr))
        if sent_at is None or not last_sr:
            return
        round_trip = at - sent_at - delay / 65536
        if 0 <= round_trip < 10:
            self.rtt_s = round_trip if self.rtt_s is None else self.rtt_s + (round_trip - self.rtt_s) / 4
