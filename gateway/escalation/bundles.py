"""When a message leaves: red at once, mild ones at most one per person, channel, group and minute. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from protocols.alarm import Severity

SPACING = timedelta(minutes=1)
RETRY_S = (5.0, 15.0, 45.0, 120.0)
"""Pauses after a failed attempt; after the last one the message has failed for good."""


def bundle_of(channel: str, person: str, centre: str, event_type: str, severity: int) -> str:
    """Name the group within which mild messages are bundled."""
    return f"{channel}|{person}|{centre}|{event_type}|{severity}"


def release_at(severity: int, last_sent: datetime | None, now: datetime) -> datetime:
    """Return when a message may leave."""
    if severity <= Severity.RED or last_sent is None:
        return now
    return max(now, last_sent + SPACING)


def slot_at(recent: Sequence[datetime], limit: int, severity: int, now: datetime) -> datetime:
    """Return when a channel that left messages at `recent` times may take one more; red ones never wait."""
    within = sorted(at for at in recent if now - at < SPACING)
    if severity <= Severity.RED or len(within) < limit:
        return now
    return within[-limit] + SPACING


def retry_at(attempts: int, now: datetime) -> datetime | None:
    """Return when to try again after so many attempts, None where it is enough."""
    return now + timedelta(seconds=RETRY_S[attempts - 1]) if attempts <= len(RETRY_S) else None
