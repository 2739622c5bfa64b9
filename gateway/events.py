"""What happened, in the past tense, and the bus that tells the gateway's rooms.

**An event is only a wake-up**: it may be lost with the process, so whatever must follow is a row in the store. Rooms
meet here and in `gateway.app`, never by importing each other.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from protocols.cap import CapMessage
from protocols.command import Reply
from protocols.health import LinkReason, LinkStatus

Happened = TypeVar("Happened")
QUEUE_LIMIT = 1024
"""Events that one slow subscriber may lag behind before the oldest are dropped, counted and named by `Overflowed`."""


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """The link to `node` (a child, or `upper`) is up or down, and why."""

    node: str
    status: LinkStatus
    reason: LinkReason | None = None


@dataclass(frozen=True, slots=True)
class AlarmChanged:
    """An alarm was raised, cleared, acknowledged or counted up."""

    alarm_id: str


@dataclass(frozen=True, slots=True)
class AlarmStanding:
    """How one alarm stands after a change: told to followers inside the unit of work that made the change.

    `received_at` is when its present episode opened here; `escalated_to` the centre that it was last handed to, `value`
    the newest reading in `unit`, where it has one.
    """

    id: str
    source: str
    alarm_key: str
    centre: str
    severity: int
    event_type: str
    headline: str
    drill: bool
    active: bool
    shown: bool
    opened: int
    applied: int
    received_at: datetime
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    acknowledged_centre: str | None = None
    escalated_to: str | None = None
    value: float | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class WarningTaken:
    """A public warning was taken in: told to followers inside the unit of work that took it.

    `root` is the identifier of the first message of its chain, `merged` the roots of others that it replaces or
    withdraws too, `centres` those of this subtree that it is for.
    """

    message: CapMessage
    document: bytes
    root: str
    merged: tuple[str, ...]
    centres: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WarningChanged:
    """A public warning moved on, somebody answered its call, or a message of it has a receipt."""

    warning_id: str


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """An order moved on, here or at a unit."""

    order_id: str


@dataclass(frozen=True, slots=True)
class EscalationChanged:
    """The chain of an alarm moved on, or a message of it has a receipt."""

    alarm_id: str


@dataclass(frozen=True, slots=True)
class ConsoleCalled:
    """The consoles of this centre are to call the people of `role` to an alarm, with a sound."""

    notice_id: str
    role: str
    severity: int
    text: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CatalogueChanged:
    """A node announced other cameras than before."""

    node: str


@dataclass(frozen=True, slots=True)
class CameraChanged:
    """Picture verdict or stream state of one camera changed."""

    stream: str


@dataclass(frozen=True, slots=True)
class RollCallChanged:
    """A roll call or one of its points moved on."""

    roll_call_id: str


@dataclass(frozen=True, slots=True)
class InspectionChanged:
    """A higher tier began or ended a roll call of counties of this subtree that it asks itself (上级正在抽查)."""

    roll_call_id: str


@dataclass(frozen=True, slots=True)
class OfferChanged:
    """An alarm or a warning gave reason for a roll call, or such an offer was taken, declined or is over."""

    offer_id: str


@dataclass(frozen=True, slots=True)
class CallChanged:
    """A dispatch call rang, was answered or ended."""

    call_id: str


@dataclass(frozen=True, slots=True)
class CallPasses:
    """A dispatch call of people of `by_centre` rings `centre` through this gateway; `over`: it does no longer."""

    call_id: str
    centre: str
    by_centre: str
    over: bool = False


@dataclass(frozen=True, slots=True)
class ReportChanged:
    """An incident report was written, sent, answered, or a clock of it rang: `percent` of its time is used up."""

    report_id: str
    percent: int | None = None


@dataclass(frozen=True, slots=True)
class DutyChanged:
    """The roster, or who is on duty at a centre, changed."""

    centre: str


@dataclass(frozen=True, slots=True)
class MediaRestarted:
    """A media worker was replaced: whoever had one of these sessions there must come again.

    `streams` are what they showed or sent; other sessions of the same streams go on.
    """

    streams: tuple[str, ...]
    sessions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WallSlotChanged:
    """A slot of a wall shows something else, or waits for another reason."""

    session_id: str
    kind: str
    index: int
    stream: str | None
    showing: str
    why: str | None
    since: datetime


@dataclass(frozen=True, slots=True)
class FloorChanged:
    """Somebody else speaks, is heard or is muted; `of` is a wall's session or a call."""

    of: str
    speaker: str | None
    heard: tuple[str, ...]
    muted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CommandReplied:
    """A reply to a command of this gateway is stored."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Overflowed:
    """Delivered to a subscriber that lagged: `lost` events are gone, read the state anew."""

    lost: int


class Subscription:
    """An async iterator over the events of some types, from the moment of `subscribe`.

    Close it with `close()` or `async with`; cancelling `__anext__` loses nothing.
    """

    def __init__(self, bus: "EventBus", types: tuple[type[Any], ...], limit: int) -> None:
        self._bus = bus
        self._types = types
        self._limit = limit
        self._queue: deque[Any] = deque()
        self._filled = asyncio.Event()
        self._lost = 0
        self._closed = False

    def offer(self, event: object) -> None:
        """Queue `event` if it is of a wanted type; called by the bus."""
        if self._closed or (self._types and not isinstance(event, self._types)):
            return
        if len(self._queue) >= self._limit:
            self._queue.popleft()
            self._lost += 1
            self._bus.overflowed += 1
        self._queue.append(event)
        self._filled.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while not self._closed:
            if self._lost:
                lost, self._lost = self._lost, 0
                return Overflowed(lost)
            if self._queue:
                return self._queue.popleft()
            self._filled.clear()
            await self._filled.wait()
        raise StopAsyncIteration

    def close(self) -> None:
        """End the iteration; harmless when repeated."""
        self._closed = True
        self._filled.set()
        self._bus.forget(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class EventBus:
    """Tells every subscriber what happened. `publish` never waits and never raises for a slow subscriber."""

    def __init__(self) -> None:
        self.overflowed = 0
        self._subscriptions: set[Subscription] = set()
        self._listeners: list[tuple[type[Any], Callable[[Any], None]]] = []

    def publish(self, event: object) -> None:
        """Tell all; listeners run at once, subscribers are queued. Call it after the commit only."""
        for wanted, listener in tuple(self._listeners):
            if isinstance(event, wanted):
                listener(event)
        for subscription in tuple(self._subscriptions):
            subscription.offer(event)

    def listen(self, wanted: type[Happened], listener: Callable[[Happened], None]) -> None:
        """Call `listener` inside `publish`; it must be quick and must not raise."""
        self._listeners.append((wanted, listener))

    def subscribe(self, *types: type[Any], limit: int = QUEUE_LIMIT) -> Subscription:
        """Return an iterator over events of `types` (none given: all), from now on."""
        subscription = Subscription(self, types, limit)
        self._subscriptions.add(subscription)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        """Drop a subscription; called by its `close`."""
        self._subscriptions.discard(subscription)
