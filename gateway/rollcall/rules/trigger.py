"""Which alarm or warning gives reason for a roll call (domain.md 3.1). Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.rollcall.rules.profiles import Profile, Trigger, TriggerSource


@dataclass(frozen=True, slots=True)
class Reason:
    """What happened: an alarm or a warning in `centre`."""

    source: TriggerSource
    id: str
    centre: str
    severity: int
    event_type: str
    headline: str


@dataclass(frozen=True, slots=True)
class Offer:
    """Counties to call for one reason; `automatic`: without asking anybody."""

    reason: Reason
    centres: tuple[str, ...]
    automatic: bool


def fitting(profile: Profile, reason: Reason) -> list[Trigger]:
    """Return the triggers that a reason pulls, in their order."""
    return [
        trigger
        for trigger in profile.triggers
        if trigger.source is reason.source
        and reason.severity <= trigger.severity
        and reason.event_type.startswith(trigger.event_type)
    ]


def offer(
    profile: Profile, reason: Reason, below: Iterable[str], taken: Mapping[str, datetime], now: datetime
) -> Offer | None:
    """Return the call that a reason gives, None where no trigger fits or its counties were taken lately.

    `below` are the counties that the reason concerns, `taken` when each was last called for a reason.
    """
    for trigger in fitting(profile, reason):
        rest = timedelta(seconds=trigger.rest_s)
        due = tuple(code for code in below if code not in taken or now - taken[code] >= rest)
        if due:
            return Offer(reason, due, trigger.automatic)
    return None
