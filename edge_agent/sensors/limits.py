"""Values to alarms: limits with hysteresis, status bits, and stations that fall silent. Pure; times are arguments.

**A change counts only after its report is stored**: `measured`, `flagged`, `heard` and `tick` return changes, `done`
makes them the state. What could not be stored is therefore found again at the next value.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from protocols.alarm import Condition, SensorReport, Severity

SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of one element. Exactly one of `high` and `low`; the alarm clears `back` inside the limit."""

    element: str
    name: str
    severity: Severity
    unit: str = ""
    high: float | None = None
    low: float | None = None
    back: float = 0.0
    event_type: str = "dev.alarm"
    station: str | None = None
    """The only station that it is for; None means all."""

    @property
    def key(self) -> str:
        """Part of the alarm key."""
        return f"{self.element}/{'high' if self.high is not None else 'low'}{int(self.severity)}"

    def broken(self, value: float, *, raised: bool) -> bool:
        """Tell whether a value is beyond the limit, for an alarm that is raised or not."""
        slack = self.back if raised else 0.0
        if self.high is not None:
            return value > self.high - slack if raised and slack else value >= self.high
        low = self.low if self.low is not None else float("-inf")
        return value < low + slack if raised and slack else value <= low


@dataclass(frozen=True, slots=True)
class Change:
    """One report with what it changes: hand all to the intake, then to `Limits.done`."""

    report: SensorReport
    station: str
    key: str
    raised: bool


class Limits:
    """What is raised at every station. A fresh one knows nothing: the first value inside a limit clears it once."""

    def __init__(
        self, limits: Iterable[Limit], titles: dict[str, str], silent_after_s: float, label: str | None
    ) -> None:
        self._limits = tuple(limits)
        self._titles = titles
        self._silent_after = timedelta(seconds=silent_after_s)
        self._label = label
        self._raised: dict[tuple[str, str], bool] = {}
        self._heard: dict[str, datetime] = {}

    @property
    def known(self) -> frozenset[str]:
        """The stations of the table."""
        return frozenset(self._titles)

    def begin(self, now: datetime) -> None:
        """Count the silence of every known station from now on."""
        self._heard = dict.fromkeys(self._titles, now)

    def measured(self, station: str, element: str, value: float, at: datetime | None) -> list[Change]:
        """Compare one value with the limits of its element; `at` is when it was measured."""
        found: list[Change] = []
        for limit in self._limits:
            if limit.element != element or limit.station not in {None, station}:
                continue
            before = self._raised.get((station, limit.key))
            now = limit.broken(value, raised=before is True)
            if now is not before:
                found.append(self._over(station, limit, value, at, raised=now))
        return found

    def _over(self, station: str, limit: Limit, value: float, at: datetime | None, *, raised: bool) -> Change:
        bound = limit.high if limit.high is not None else limit.low
        side = "超上限" if limit.high is not None else "低于下限"
        said = f"{side} {bound:g}{limit.unit}" if raised else "恢复正常"
        headline = f"{self._title(station)}{limit.name} {value:g}{limit.unit},{said}"
        report = self._report(station, limit.key, limit.severity, headline, raised=raised)
        fields = {"value": value, "unit": limit.unit or None, "observed_at": at, "event_type": limit.event_type}
        return Change(report.model_copy(update=fields), station, limit.key, raised)

    def flagged(self, station: str, key: str, said: str, severity: Severity, *, raised: bool) -> list[Change]:
        """Compare one of the station's own alarm bits with what is known; an unknown bit that is not set is no news."""
        if self._raised.get((station, key), False) is raised:
            return []
        headline = f"{self._title(station)}{said}" + ("" if raised else ",恢复正常")
        return [Change(self._report(station, key, severity, headline, raised=raised), station, key, raised)]

    def heard(self, station: str, now: datetime) -> list[Change]:
        """Note that a station spoke; ends its silence."""
        self._heard[station] = now
        if not self._raised.get((station, SILENT)):
            return []
        return self._silence(station, f"{self._title(station)}恢复上报", raised=False)

    def tick(self, now: datetime) -> list[Change]:
        """Find the stations that have fallen silent; call every few seconds. 0 seconds of patience means never."""
        if not self._silent_after:
            return []
        return [
            change
            for station, at in self._heard.items()
            if now - at >= self._silent_after and not self._raised.get((station, SILENT))
            for change in self._silence(station, f"{self._title(station)}中断上报", raised=True)
        ]

    def _silence(self, station: str, headline: str, *, raised: bool) -> list[Change]:
        report = self._report(station, SILENT, Severity.YELLOW, headline, raised=raised)
        return [Change(report.model_copy(update={"event_type": "dev.silent"}), station, SILENT, raised)]

    def done(self, changes: Iterable[Change]) -> None:
        """Take that these changes are stored."""
        for change in changes:
            self._raised[change.station, change.key] = change.raised

    def _title(self, station: str) -> str:
        return self._titles.get(station) or station

    def _report(self, station: str, key: str, severity: Severity, headline: str, *, raised: bool) -> SensorReport:
        return SensorReport(
            alarm_key=f"{station}/{key}",
            sensor=station,
            severity=severity,
            condition=Condition.ACTIVE if raised else Condition.CLEARED,
            headline=headline[:200],
            label=self._label,
        )
