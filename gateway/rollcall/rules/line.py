"""Quality of the line of a point, second by second (domain.md 3.5 row 10). Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from protocols.rollcall import CheckResult

LOSS_WARN = 0.02
RTT_WARN_MS = 400.0
LEAST_SECONDS = 3


@dataclass(frozen=True, slots=True)
class Counters:
    """What the engine counted of a stream at a moment; counters start with its worker."""

    at: float
    packets: int
    lost: int
    octets: int
    rtt_ms: float | None
    frame_rate: float


@dataclass(frozen=True, slots=True)
class Second:
    """Figures of one second."""

    at: float
    kbps: int
    loss: float
    rtt_ms: float | None
    frame_rate: float


@dataclass(frozen=True, slots=True)
class LineFinding:
    """What the line was like: share of packets lost, median round trip, mean rate."""

    result: CheckResult
    loss: float = 0.0
    rtt_ms: float | None = None
    kbps: int = 0


def seconds(counters: Sequence[Counters]) -> list[Second]:
    """Return the figures between readings; a worker that began anew gives none for that second."""
    found = []
    for before, after in pairwise(counters):
        span, packets, lost = after.at - before.at, after.packets - before.packets, after.lost - before.lost
        if span <= 0 or packets < 0 or after.octets < before.octets:
            continue
        # Packets repaired by a repetition are no longer missing, so the count of lost ones may fall.
        loss = max(0, lost) / (packets + max(0, lost)) if packets + max(0, lost) else 0.0
        kbps = round((after.octets - before.octets) * 8 / span / 1000)
        found.append(Second(after.at, kbps, round(loss, 4), after.rtt_ms, after.frame_rate))
    return found


def judge(series: Sequence[Second]) -> LineFinding:
    """Judge the line; a few seconds are needed."""
    if len(series) < LEAST_SECONDS:
        return LineFinding(CheckResult.UNKNOWN)
    loss = sum(second.loss for second in series) / len(series)
    trips = [second.rtt_ms for second in series if second.rtt_ms is not None]
    rtt = median(trips) if trips else None
    slow = rtt is not None and rtt > RTT_WARN_MS
    result = CheckResult.ISSUE if loss > LOSS_WARN or slow else CheckResult.GOOD
    return LineFinding(result, round(loss, 4), rtt, round(sum(second.kbps for second in series) / len(series)))
