"""The set-checker: what sensors were promised, what each tier shows, and the difference. Pure.

**A promise is an event that the spool accepted.** What was accepted just before a kill and not written down any more is
allowed once and required never.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from protocols.alarm import CLEARED, RAISED
from protocols.ids import centre_of


@dataclass(frozen=True, slots=True)
class Promise:
    """One report that a sensor was promised."""

    event_id: str
    counter: int
    key: str
    raised: bool

    @classmethod
    def read(cls, line: str) -> "Promise":
        """Read a line of `accepted.log`."""
        event_id, counter, key, raised = line.split()
        return cls(event_id, int(counter), key, raised == "1")


@dataclass(frozen=True, slots=True)
class Promised:
    """What one node's sensors were promised. `folds`: repeats may stand in for each other; `spare`: unwritten ones."""

    node: str
    below: tuple[str, ...]
    promises: Sequence[Promise]
    folds: bool = False
    spare: int = 0


@dataclass(slots=True)
class View:
    """One tier through its API: the log in its order, the alarms by (source, key), and what it calls lost or refused.

    `courses` are the chains of red alarms that stand for ever, by (source, key).
    """

    code: str
    log: list[Mapping[str, Any]] = field(default_factory=list)
    conditions: dict[tuple[str, str], str] = field(default_factory=dict)
    gaps: Sequence[Any] = ()
    quarantine: Sequence[Any] = ()
    courses: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    overdue: float = 0.0


@dataclass(slots=True)
class Finding:
    """What is wrong at one tier; each entry is a sentence."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    timers: list[str] = field(default_factory=list)

    def sentences(self) -> list[str]:
        """Return all of them."""
        return [*self.lost, *self.doubled, *self.gaps, *self.out_of_order, *self.timers]


def judge(view: View, promised: Iterable[Promised], below: View | None) -> Finding:
    """Judge one tier by the promises made under it and by the tier below."""
    finding = Finding()
    code = view.code
    held = Counter((line["source"], line["event_id"]) for line in view.log)
    finding.doubled += [
        f"{code} holds {event_id} of {source} {n} times" for (source, event_id), n in held.items() if n > 1
    ]
    finding.gaps += [f"{code} names a gap: {gap}" for gap in view.gaps]
    finding.lost += [f"{code}: a peer refused {one}" for one in view.quarantine]
    for one in promised:
        _promises(code, one, view.log, held, finding)
    if below is not None:
        missing = {(line["source"], line["event_id"]) for line in below.log} - set(held)
        finding.lost += [f"{code} lacks {event_id} of {source}, which {below.code} has" for source, event_id in missing]
    _order(view, finding)
    _timers(view, finding)
    return finding


def _promises(
    code: str, one: Promised, log: Sequence[Mapping[str, Any]], held: Mapping[tuple[str, str], int], finding: Finding
) -> None:
    if not one.folds:
        lost = [promise.event_id for promise in one.promises if (one.node, promise.event_id) not in held]
        finding.lost += [f"{code} lacks {event_id} of {one.node}" for event_id in lost]
    raised = sum(promise.raised for promise in one.promises)
    accounted = sum(line["count"] for line in log if line["source"] == one.node and line["type"] == RAISED)
    if accounted < raised:
        finding.lost.append(f"{code}: {one.node} raised {raised}, only {accounted} are accounted for")
    elif accounted > raised + one.spare:
        finding.doubled.append(f"{code}: {one.node} raised {raised}, {accounted} are accounted for")


def _order(view: View, finding: Finding) -> None:
    """Judge that states were applied in origin order, and that the alarm stands as its newest event says."""
    newest: dict[tuple[str, str], tuple[int, str]] = {}
    for line in view.log:
        if line["type"] not in (RAISED, CLEARED):
            continue
        key, counter = (line["source"], line["alarm_key"]), line["origincounter"]
        newer = key not in newest or counter > newest[key][0]
        if line["applied"] is not newer:
            finding.out_of_order.append(f"{view.code}: {key} {counter} applied={line['applied']}")
        if newer:
            newest[key] = (counter, line["condition"])
    for key, (counter, condition) in newest.items():
        if view.conditions.get(key) != condition:
            shown = view.conditions.get(key)
            finding.out_of_order.append(f"{view.code}: {key} is {shown}, its newest event {counter} says {condition}")


def _timers(view: View, finding: Finding) -> None:
    """Judge that each step of each chain was taken exactly once."""
    if view.overdue:
        finding.timers.append(f"{view.code} has {view.overdue:g} timers overdue")
    for key, course in view.courses.items():
        told = Counter((one["person"], one["purpose"]) for one in course["notices"])
        for person in expected_people(view.code, key[0]):
            if told[person, "step"] != 1:
                finding.timers.append(f"{view.code}: {key} told {person} {told[person, 'step']} times")
        if view.code == home_of(key[0]):
            ups = sum(line["what"] in ("handed_up", "at_the_top") for line in course["lines"])
            if ups != 1 or course["phase"] != "spent":
                finding.timers.append(f"{view.code}: {key} was handed up {ups} times, its chain is {course['phase']}")


FIRST, SECOND, ABOVE = "duty_officer", "leader", "upper_officer"
"""Whom the run's chains tell: at once and after some seconds at home, and at the tier that it is handed to."""


PROVINCE, CITY, STAFFED_COUNTY = "320000", "320600", "320623"


def home_of(source: str) -> str:
    """Return the first gateway that has the alarms of this source: the county's own where it has one, else the city."""
    return STAFFED_COUNTY if centre_of(source) == STAFFED_COUNTY else CITY


def expected_people(code: str, source: str) -> tuple[str, ...]:
    """Return whom a tier must have told of a red alarm that nobody takes."""
    home = home_of(source)
    if code == home:
        return FIRST, SECOND
    return (ABOVE,) if code == (CITY if home == STAFFED_COUNTY else PROVINCE) else ()
