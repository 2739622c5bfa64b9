"""Port `notify`: one way to reach a person. A channel sends one message and says what became of it.

A channel never retries and never waits longer than its time limit: the escalation room owns retries, order and limits.
**`accepted` says that the next system took the message, `delivered` that the person's device did**: a channel that
cannot know the latter never claims it.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from protocols.errors import SilianError


class Channel(StrEnum):
    """The ways to a person."""

    SOUND = "sound"  # the consoles of this centre
    EMAIL = "email"
    WEBHOOK = "webhook"
    SMS = "sms"


class Receipt(StrEnum):
    """What became of a message."""

    WAITING = "waiting"
    SENT = "sent"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"


class NotSentError(SilianError):
    """The message did not leave. `retry` tells whether another attempt may help."""

    code = "not_sent"
    status = 502

    def __init__(self, why: str, *, retry: bool = True) -> None:
        super().__init__(why)
        self.again = retry


@dataclass(frozen=True, slots=True)
class Notice:
    """One message. `text` already bears the mark of a drill; `data` is for machines (webhook, console)."""

    id: str
    address: str
    subject: str
    text: str
    severity: int
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """A channel's receipt; `reference` is the name that the next system gave the message."""

    receipt: Receipt
    reference: str = ""


class Notifier(Protocol):
    """One channel."""

    async def send(self, notice: Notice) -> Sent:
        """Send one message; raises NotSentError. Cancelling may leave it unknown whether it was sent."""
        ...


@dataclass(frozen=True, slots=True)
class Letter:
    """A message whose words another room than the escalation's gives: it owns their meaning, the post carries them.

    `topic` is what they belong to and `ref` what of it; a drill's mark stands in the words already.
    """

    topic: str
    ref: str
    channel: Channel
    person: str
    role: str
    address: str | None
    severity: int
    subject: str
    text: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LetterStanding:
    """What became of a letter."""

    id: str
    ref: str
    channel: Channel
    person: str
    address: str | None
    state: Receipt
    reason: str
    attempts: int
    created_at: datetime
    settled_at: datetime | None
