"""Whose fault it was (责任归因, domain.md 3.7): the ordered rules, from the records of both ends and the neighbours.

**The first rule that holds names the cause; what no rule proves is `unknown`**, and points are deducted only for the
county's own faults. Pure: the shell gathers the facts. Rules in order, for a county that was not there:

===  ==============================================================================  ===============
 1   silent, and by its own record it was stopped or crashed meanwhile                county_terminal
 2   silent, and by its own record it lost its power                                  county_power
 3   silent, and by its own record it had no network of its own                       county_terminal
 4   counties of different carriers went silent together                              platform
 5   the way broke above the county, while the county may be well                     upper_network
 6   silent, and by its own record it ran and reached itself                          line
 7   silent, and neighbours on the same carrier went silent together                  line
 8   silent, and its last word was that it ran on battery                             county_power
 9   silent after a stop in good order                                                county_terminal
10   heard, and its camera shows nothing or not what is now                           county_terminal
11   heard and well, its picture came to nobody here while others' pictures fail too   platform
12   heard and well by its own word, and its picture never came                       line
13   heard and well, and nobody answers or speaks                                     county_staff
===  ==============================================================================  ===============
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from protocols.diary import LOW_BATTERY, Ending, NodeRecord, Span
from protocols.health import LinkReason, Verdict
from protocols.rollcall import AbsenceReason, Cause

TOGETHER = timedelta(seconds=60)
"""Domain 3.7: many counties that fail in the same 60 s."""
MANY = 3
MANY_SHARE = 0.3
"""So many counties, and such a share of those that were asked, are no coincidence."""

_SHOWN = frozenset({Verdict.FROZEN, Verdict.BLACK, Verdict.COVERED, Verdict.NO_PICTURE})
_PICTURE = frozenset(
    {
        AbsenceReason.FROZEN,
        AbsenceReason.BLACK,
        AbsenceReason.COVERED,
        AbsenceReason.REPLAY,
        AbsenceReason.BAD_PICTURE,
    }
)


@dataclass(frozen=True, slots=True)
class Silent:
    """A county that is not heard: since when, and on which carrier (empty: not told)."""

    centre: str
    since: datetime
    carrier: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one point when its cause is asked for.

    `since` is when it went silent (None: it is heard), `break_above` that the way is broken above the county. `silent`
    are the other counties that are not heard, `asked` how many counties there are in all. `record` is what the county
    itself tells of the time, `at` the time in question. `unseen` counts points whose picture fails to come here.
    """

    centre: str
    at: datetime
    reason: AbsenceReason | None
    since: datetime | None = None
    link_reason: LinkReason | None = None
    break_above: bool = False
    carrier: str = ""
    on_battery: bool | None = None
    told: Verdict | None = None
    answered: bool = False
    silent: Sequence[Silent] = ()
    asked: int = 1
    unseen: int = 0
    record: NodeRecord | None = None
    earlier: Cause | None = None
    """What was found when more of the neighbourhood could be seen than now."""


def cause_of(facts: Facts) -> Cause:
    """Return the cause."""
    return _heard(facts) if facts.since is None else _silent(facts, facts.since)


def _by_record(record: NodeRecord, began_at: datetime, at: datetime) -> Cause | None:
    """Rules 1 to 3 and 6, over all that the county did from the loss of its link on."""
    spans = record.within(min(began_at, record.began_at), at)
    silences = [span for span in spans if span.ending is not None]
    if silences:
        return _away(record.spans, silences[0])
    ran = [span for span in spans if span.ending is None]
    if not ran:
        return None
    if any(not span.loopback for span in ran) or all(span.network is False for span in ran):
        return Cause.COUNTY_TERMINAL
    return Cause.LINE


def _away(spans: Sequence[Span], silence: Span) -> Cause:
    before = [span for span in spans if span.ending is None and span.ended_at <= silence.began_at]
    on_battery = bool(before) and bool(before[-1].on_battery)
    match silence.ending:
        case Ending.REBOOT:
            return Cause.COUNTY_POWER
        case Ending.CRASH | Ending.STOPPED if on_battery and _empty(before[-1]):
            return Cause.COUNTY_POWER  # the power supply's own watch shut it down in good order
        case _:
            return Cause.COUNTY_TERMINAL


def _empty(span: Span) -> bool:
    return span.battery_ratio is not None and span.battery_ratio < LOW_BATTERY


def _silent(facts: Facts, since: datetime) -> Cause:
    """Rules 1 to 9."""
    told = None if facts.record is None else _by_record(facts.record, since, facts.at)
    if told is not None and told is not Cause.LINE:
        return told
    if facts.record is not None and told is not None:
        since = facts.record.began_at
    together = _together(facts, since)
    carriers = {facts.carrier, *together.values()}
    if many(1 + len(together), facts.asked) and ("" in carriers or len(carriers) > 1):
        return Cause.PLATFORM
    if facts.break_above:
        return Cause.UPPER_NETWORK
    if told is Cause.LINE:
        return facts.earlier if facts.earlier in (Cause.PLATFORM, Cause.UPPER_NETWORK) else told
    return _unheard(facts, shared=bool(facts.carrier) and facts.carrier in together.values())


def _unheard(facts: Facts, *, shared: bool) -> Cause:
    """Rules 7 to 9: nothing but what was known before the silence, and the neighbours."""
    if shared:
        return Cause.LINE
    if facts.on_battery:
        return Cause.COUNTY_POWER
    return Cause.COUNTY_TERMINAL if facts.link_reason is LinkReason.AGENT_STOPPED else Cause.UNKNOWN


def _together(facts: Facts, since: datetime) -> dict[str, str]:
    """Return the other counties that went silent at the same time, with their carriers."""
    near = (one for one in facts.silent if one.centre != facts.centre and abs(one.since - since) <= TOGETHER)
    return {one.centre: one.carrier for one in near}


def _heard(facts: Facts) -> Cause:
    """Rules 10 to 13."""
    if facts.answered and (facts.told in _SHOWN or facts.reason in _PICTURE):
        return Cause.COUNTY_TERMINAL
    if facts.answered and facts.reason is AbsenceReason.NO_PICTURE:
        return Cause.PLATFORM if many(facts.unseen, facts.asked) else Cause.LINE
    if not facts.answered and facts.reason is AbsenceReason.NO_ANSWER:
        return Cause.COUNTY_STAFF
    return Cause.UNKNOWN


def many(failed: int, asked: int) -> bool:
    """Tell whether so many of those asked fail that no county can be the cause."""
    return failed >= MANY and failed >= MANY_SHARE * asked
