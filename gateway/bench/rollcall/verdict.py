"""Compares what a roll call says of the counties with what is true of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.bench.rollcall.plan import UNREACHABLE, County
from protocols.rollcall import PRESENT, AbsenceReason, Cause, PointState


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found. Seconds count from the start of the call."""

    false_present: int
    false_frozen: int
    wrong_cause: int
    wrong_state: int
    lost_for_platform: int
    reachable_s: float | None
    unasked_s: float | None
    """The same without those whose verdict waited for a challenge number that nobody gave."""
    all_s: float | None
    wrong: tuple[str, ...]
    states: Mapping[str, int]


def judge(call: Mapping[str, Any], first: Mapping[str, float], counties: Sequence[County]) -> Judged:
    """Judge a roll call that has ended, as its GET shows it; `first` has the seconds to each county's first verdict.

    The first one counts for the platform's speed: who is found black or frozen is asked again until the call ends.
    """
    points = {point["centre"]: point for point in call["points"]}
    began = datetime.fromisoformat(call["started_at"])
    wrong, counts = [], Counter[str]()
    settled: dict[bool, list[float]] = {True: [], False: []}
    unasked: list[float] = []
    for county in counties:
        point = points.get(county.code)
        if point is None:
            wrong.append(f"{county.code} ({county.story.name}): not in the call")
            counts["state"] += 1
            continue
        faults = _faults(county, point)
        counts.update(faults.keys())
        wrong += [f"{county.code} ({county.story.name}): {sentence}" for sentence in faults.values()]
        if point["settled_at"]:
            last = (datetime.fromisoformat(point["settled_at"]) - began).total_seconds()
            reachable = county.story.name not in UNREACHABLE
            settled[reachable].append(first.get(county.code, last) if reachable else last)
            if reachable and point["reason"] != AbsenceReason.UNPROVEN.value:
                unasked.append(settled[reachable][-1])
    return Judged(
        false_present=counts["present"],
        false_frozen=counts["frozen"],
        wrong_cause=counts["cause"],
        wrong_state=counts["state"],
        lost_for_platform=counts["platform"],
        reachable_s=max(settled[True], default=None),
        unasked_s=max(unasked, default=None),
        all_s=max(settled[True] + settled[False], default=None),
        wrong=tuple(wrong),
        states=dict(Counter(f"{point['state']}/{point['reason'] or '-'}" for point in points.values())),
    )


def _faults(county: County, point: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with one point: kind of fault, and a sentence."""
    wanted, found = county.story.expected, {}
    state, reason = PointState(point["state"]), point["reason"] and AbsenceReason(point["reason"])
    cause = point["cause"] and Cause(point["cause"])
    checks = [f"{check['name']}={check['result']}" for check in point["checks"]]
    told = f"{state.value}, {reason}, cause {cause}: {point['note']} {checks}"
    if state in PRESENT and not PRESENT & set(wanted.states):
        found["present"] = f"called present: {told}"
    if reason is AbsenceReason.FROZEN and AbsenceReason.FROZEN not in wanted.reasons:
        found["frozen"] = f"called frozen: {told}"
    if cause is Cause.PLATFORM:
        found["platform"] = f"lost for the platform's fault: {told}"
    if not found and (state not in wanted.states or (state not in PRESENT and reason not in wanted.reasons)):
        found["state"] = f"wrong verdict: {told}"
    if not found and cause not in wanted.causes:
        found["cause"] = f"wrong cause: {told}"
    return found
