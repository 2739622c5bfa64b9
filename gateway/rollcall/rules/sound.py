"""Sound of a point by its loudness (domain.md 3.5 row 4): speech, silence, overload. Pure.

Levels are those of RFC 6464, sampled a few times a second: -127 (silence) to 0 (overload) dB below full scale.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

from protocols.rollcall import CheckResult, Defect

LEAST_S = 5.0
"""Sound is listened to for so long before it is judged."""
SPEECH_DB = -40.0
SPEECH_SHARE = 0.05
"""Speech has pauses; so much of the time it must be heard."""
CLIPPED_DB = -1.0
CLIPPED_SHARE = 0.01
SILENCE_DB = -127.0


@dataclass(frozen=True, slots=True)
class Loudness:
    """One sample: seconds on the gateway's clock and decibels; None where the stream has no sound track."""

    at: float
    db: float | None


def decibels(level: float | None) -> float | None:
    """Return a level of 0 to 1 (webrtc-stats) in dB; None stays None."""
    return None if level is None else SILENCE_DB if level <= 0 else max(SILENCE_DB, round(20 * log10(level), 1))


@dataclass(frozen=True, slots=True)
class SoundFinding:
    """What the sound proves. `peak_db` is its loudest sample."""

    result: CheckResult
    defect: Defect | None = None
    peak_db: float | None = None


def judge(track: Sequence[Loudness]) -> SoundFinding:
    """Judge what was heard; too short a time, or no sound track at all, is unknown."""
    heard = [sample.db for sample in track if sample.db is not None]
    if not heard or track[-1].at - track[0].at < LEAST_S:
        return SoundFinding(CheckResult.UNKNOWN)
    peak = max(heard)
    if sum(db >= CLIPPED_DB for db in heard) > CLIPPED_SHARE * len(heard):
        return SoundFinding(CheckResult.ISSUE, Defect.CLIPPED, peak)
    if sum(db >= SPEECH_DB for db in heard) < SPEECH_SHARE * len(heard):
        return SoundFinding(CheckResult.BAD, Defect.SILENT, peak)
    return SoundFinding(CheckResult.GOOD, None, peak)
