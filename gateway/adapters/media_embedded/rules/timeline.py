"""Where frames stand in a recording: seconds since its beginning, continuous real time over gaps and changes of source.

A track runs by its own RTP clock and is set anew by arrival where the two are apart: another source, a gap, a clock
that jumps or drifts. Sound and picture of one source are kept together by its sender reports where it sends them.
"""

from dataclasses import dataclass

RATES = {0: 90_000, 1: 48_000}
"""RTP clock by track: video (RFC 6184, RFC 7741) and Opus (RFC 7587)."""
APART_S = 0.5
"""A track this far from arrival is set anew."""
TOGETHER_S = 0.04
"""Sound and picture this far apart are put together once reports tell it."""
SAME_SOURCE_S = 2.0
_HALF = 1 << 31


@dataclass(slots=True)
class _Run:
    """One track of one source: `timestamp` stands for `seconds`."""

    generation: int
    timestamp: int
    seconds: float
    by_report: bool = False


class Timeline:
    """Feed `report`; `place` says when a frame is, in seconds since `begin` (monotonic seconds)."""

    def __init__(self, begin: float) -> None:
        self.begin = begin
        self._runs: dict[int, _Run] = {}
        self._reports: dict[int, tuple[int, float, int]] = {}
        self._delay: tuple[int, float] | None = None

    def report(self, track: int, generation: int, ntp: int, timestamp: int) -> None:
        """Take a sender report: `timestamp` was at `ntp` (64 bits, RFC 3550 section 4)."""
        self._reports[track] = generation, ntp / (1 << 32), timestamp

    def place(self, track: int, generation: int, timestamp: int, at: float) -> float:
        """Return the frame's seconds; `at` is its arrival."""
        arrived = at - self.begin
        run = self._runs.get(track)
        if run is None or run.generation != generation:
            return self._set(track, generation, timestamp, arrived)
        seconds = run.seconds + _step(timestamp, run.timestamp) / RATES[track]
        if abs(seconds - arrived) > APART_S:
            return self._set(track, generation, timestamp, arrived)
        run.timestamp, run.seconds = timestamp, seconds
        if not run.by_report and track in self._reports:
            return self._together(track, run)
        return seconds

    def _set(self, track: int, generation: int, timestamp: int, arrived: float) -> float:
        run = self._runs[track] = _Run(generation, timestamp, arrived)
        return self._together(track, run) if track in self._reports else arrived

    def _together(self, track: int, run: _Run) -> float:
        """Move a track to where its source's reports put it beside the other one."""
        generation, ntp, timestamp = self._reports[track]
        if generation != run.generation:
            return run.seconds
        run.by_report = True
        captured = ntp + _step(run.timestamp, timestamp) / RATES[track]
        source = run.generation >> 24
        if self._delay is None or self._delay[0] != source:
            self._delay = source, run.seconds - captured
            return run.seconds
        seconds = captured + self._delay[1]
        if TOGETHER_S < abs(seconds - run.seconds) < SAME_SOURCE_S:
            run.seconds = seconds
        return run.seconds


def _step(timestamp: int, before: int) -> int:
    """Return the way from one 32-bit timestamp to another, backwards too."""
    return (timestamp - before + _HALF) % (1 << 32) - _HALF
