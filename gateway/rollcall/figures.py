"""The figures of roll calls for Prometheus (domain.md 9.5)."""

from collections.abc import Callable, Iterable

from gateway.metrics import LiveSample, Metrics
from gateway.rollcall.records import PointRecord, RollCallRecord
from protocols.rollcall import ASIDE, FINAL, MISSING, PRESENT, CheckResult, PointState, SessionState


class Figures:
    """Counts verdicts as they fall; shows the newest call that began here. A rehearsal counts in `sessions` alone."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._points: dict[str, PointRecord] = {}
        live = metrics.live
        live("rollcall_participants", self._participants)
        live("rollcall_centre_result", self._results)
        live("rollcall_due", lambda: [((), float(len(self._due())))])
        live("rollcall_present_ratio", lambda: self._ratio(lambda point: point.state in PRESENT))
        live("rollcall_first_connect_ratio", lambda: self._ratio(_at_once))

    def show(self, points: dict[str, PointRecord]) -> None:
        """Show these points from now on; they are read at each scrape."""
        self._points = points

    def settled(self, point: PointRecord) -> None:
        """Count one verdict."""
        if point.state in MISSING:
            self._metrics.count("rollcall_fail_total", cause=point.cause or "unknown")
        if point.answered_at is not None and point.rung_at is not None:
            self._metrics.observe("rollcall_connect_seconds", (point.answered_at - point.rung_at).total_seconds())
        for check in point.checks:
            if check.defect is not None and check.result in {CheckResult.BAD, CheckResult.ISSUE}:
                self._metrics.count("av_defect_total", kind=check.defect.value)

    def ended(self, call: RollCallRecord, points: Iterable[PointRecord]) -> None:
        """Count a call that ended."""
        states = [point.state for point in points]
        outcome = "absences" if any(state in MISSING for state in states) else "complete"
        if call.state in {SessionState.CANCELLED, SessionState.PARTIAL}:
            outcome = call.state.value
        self._metrics.count("rollcall_sessions_total", outcome=outcome)
        if call.ended_at is not None:
            self._metrics.observe("rollcall_duration_seconds", (call.ended_at - call.started_at).total_seconds())

    def _due(self) -> list[PointRecord]:
        return [point for point in self._points.values() if point.state not in ASIDE]

    def _participants(self) -> list[LiveSample]:
        due = self._due()
        present = sum(point.state in PRESENT for point in due)
        absent = sum(point.state in MISSING and point.settled for point in due)
        counts = {"present": present, "absent": absent, "open": len(due) - present - absent}
        return [((state,), float(number)) for state, number in counts.items()]

    def _results(self) -> list[LiveSample]:
        settled = [point for point in self._due() if point.settled and point.state in FINAL]
        return [((point.centre,), float(point.state in PRESENT)) for point in settled]

    def _ratio(self, counts: Callable[[PointRecord], bool]) -> list[LiveSample]:
        due = self._due()
        return [((), sum(counts(point) for point in due) / len(due))] if due else []


def _at_once(point: PointRecord) -> bool:
    """Tell whether a county was there at the first round (一次接通)."""
    return point.state in {PointState.PASSED, PointState.PASSED_WITH_ISSUES}
