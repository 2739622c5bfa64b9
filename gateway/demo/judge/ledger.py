"""What was acknowledged, what a tier shows, and the difference: lost, doubled, out of order, untrue. Pure.

**A 202 is a promise, a timeout is not a refusal**: a report whose post broke off may or may not have been stored, so
it is allowed once and required never.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from protocols.alarm import CLEARED, RAISED


class Fate(StrEnum):
    """What the sensor was told."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class Posted:
    """One report that was posted to an agent. `number` orders the reports of one (source, alarm key)."""

    source: str
    alarm_key: str
    type: str
    number: int
    fate: Fate


@dataclass(frozen=True, slots=True)
class Seen:
    """One event in a tier's log, in the log's order."""

    event_id: str
    source: str
    alarm_key: str
    type: str
    origin_counter: int
    applied: bool
    count: int
    climbed_s: float = 0.0
    """Seconds from the origin's time to this tier's commit."""

    @classmethod
    def read(cls, item: Mapping[str, Any]) -> "Seen":
        """Read one item of `GET /api/v1/alarms/events`; raises KeyError where the API breaks its word."""
        return cls(
            event_id=item["event_id"],
            source=item["source"],
            alarm_key=item["alarm_key"],
            type=item["type"],
            origin_counter=item["origincounter"],
            applied=item["applied"],
            count=item["count"],
            climbed_s=_seconds(item["time"], item["received_at"]),
        )


def _seconds(begin: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()


@dataclass(slots=True)
class Finding:
    """The difference at one tier. Each entry is a sentence that names the alarm."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Tell that nothing is wrong."""
        return not (self.lost or self.doubled or self.out_of_order or self.untrue)

    def summary(self) -> dict[str, Any]:
        """Return counts and the first sentences for a report."""
        kinds = {name: getattr(self, name) for name in ("lost", "doubled", "out_of_order", "untrue")}
        return {
            **{name: len(found) for name, found in kinds.items()},
            "first": [s for f in kinds.values() for s in f[:3]],
        }


class Ledger:
    """The judge's own list."""

    def __init__(self) -> None:
        self.posted: list[Posted] = []
        self._numbers: Counter[tuple[str, str]] = Counter()

    def note(self, source: str, alarm_key: str, type_: str, fate: Fate) -> None:
        """Take down what a sensor was told about one report, in the order of the posts."""
        number = self._numbers[source, alarm_key]
        self._numbers[source, alarm_key] += 1
        self.posted.append(Posted(source, alarm_key, type_, number, fate))

    def count(self, fate: Fate) -> int:
        """Return how many reports met `fate`."""
        return sum(report.fate is fate for report in self.posted)

    def of_centre(self, code: str) -> "Ledger":
        """Return the part of the list that concerns one centre's own nodes."""
        part = Ledger()
        part.posted = [report for report in self.posted if report.source.startswith(code)]
        return part

    def compare(self, log: Iterable[Seen]) -> Finding:
        """Judge the log of one tier against the list; events of other keys are left to `same_events`."""
        finding = Finding()
        ours = {(p.source, p.alarm_key) for p in self.posted}
        log = [seen for seen in log if (seen.source, seen.alarm_key) in ours]
        _twice(log, finding)
        self._counts(log, finding)
        _order(log, finding)
        return finding

    def _counts(self, log: list[Seen], finding: Finding) -> None:
        told: dict[tuple[str, str, str], Counter[Fate]] = defaultdict(Counter)
        for p in self.posted:
            told[p.source, p.alarm_key, p.type][p.fate] += 1
        shown: Counter[tuple[str, str, str]] = Counter()
        for seen in {s.event_id: s for s in log}.values():
            shown[seen.source, seen.alarm_key, seen.type] += seen.count
        for what in told.keys() | shown.keys():
            least = told[what][Fate.ACKNOWLEDGED]
            most = least + told[what][Fate.UNCERTAIN]
            words = f"{what[0]} {what[1]} {what[2]}: {least} acknowledged, {shown[what]} shown"
            finding.lost.extend([words] * (least - shown[what]))
            if shown[what] > most:
                # More than was posted is a double; anything where nothing was accepted is an invention.
                (finding.doubled if most else finding.untrue).extend([words] * (shown[what] - most))

    def last_conditions(self) -> dict[tuple[str, str], str]:
        """Return for each (source, alarm key) the type that its state must show; left out where a post is uncertain."""
        last: dict[tuple[str, str], str] = {}
        unsure = {(p.source, p.alarm_key) for p in self.posted if p.fate is Fate.UNCERTAIN}
        for p in self.posted:
            if p.fate is Fate.ACKNOWLEDGED:
                last[p.source, p.alarm_key] = p.type
        return {key: type_ for key, type_ in last.items() if key not in unsure}


def _twice(log: list[Seen], finding: Finding) -> None:
    for event_id, times in Counter(seen.event_id for seen in log).items():
        if times > 1:
            finding.doubled.append(f"event {event_id} stands {times} times in the log")


def _order(log: list[Seen], finding: Finding) -> None:
    newest: dict[tuple[str, str], int] = {}
    for seen in log:
        key = seen.source, seen.alarm_key
        before = newest.get(key, -1)
        if seen.applied and seen.origin_counter < before:
            finding.out_of_order.append(f"{seen.source} {seen.alarm_key}: {seen.origin_counter} applied after {before}")
        if not seen.applied and seen.origin_counter > before and seen.type in (RAISED, CLEARED):
            finding.out_of_order.append(f"{seen.source} {seen.alarm_key}: {seen.origin_counter} is newer, not applied")
        newest[key] = max(before, seen.origin_counter)


def same_events(lower: Iterable[Seen], upper: Iterable[Seen]) -> Finding:
    """Judge that every event of a tier stands exactly once in the tier above."""
    finding = Finding()
    above = Counter(seen.event_id for seen in upper)
    for seen in {s.event_id: s for s in lower}.values():
        if not above[seen.event_id]:
            finding.lost.append(f"{seen.source} {seen.alarm_key}: event {seen.event_id} did not arrive above")
    for event_id, times in above.items():
        if times > 1:
            finding.doubled.append(f"event {event_id} stands {times} times above")
    return finding
