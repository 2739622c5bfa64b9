"""The links to the nodes below: records in, receipts out, commands down.

Use it with `async with`; everything else may be called from then on and from any task of the loop.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from pydantic import BaseModel

from gateway.ports.store import UnitOfWork
from protocols.command import Command, Outcome, Reply
from protocols.envelope import Event, Hop


@dataclass(frozen=True, slots=True)
class Arrival:
    """One new event: never stored here before. `sender` is the child that sent it, or this gateway for its own."""

    event: Event
    sender: str
    hops: tuple[Hop, ...]
    received_at: datetime


class EventHandler(Protocol):
    """What a room does with the events of its types. Both steps see each event exactly once in its life."""

    def check(self, event: Event) -> None:
        """Raise a BadInputError to refuse the event: its code goes to the sender's quarantine. No I/O."""
        ...

    async def apply(self, uow: UnitOfWork, arrivals: Sequence[Arrival]) -> None:
        """Write what the events change. Forwarding upward is done by the caller."""
        ...


@dataclass(frozen=True, slots=True)
class Answered:
    """What a command handler answers; becomes a Reply."""

    outcome: Outcome = Outcome.DONE
    code: str | None = None
    detail: str = ""
    result: dict[str, Any] = field(default_factory=dict)


CommandHandler = Callable[[Command], Awaitable[Answered]]


class Links(Protocol):
    """Links to the children."""

    def on_event(self, type_: str, handler: EventHandler) -> None:
        """Let `handler` take the events of one type; unknown types are stored and forwarded."""
        ...

    def on_command(self, name: str, handler: CommandHandler) -> None:
        """Let `handler` carry out a command that addresses this gateway. A SilianError becomes a `failed` reply.

        It runs in a task of its own, ends at the command's deadline (reply `expired`) and runs once per command id.
        """
        ...

    async def ask(self, target: str, name: str, args: BaseModel, *, within_s: float) -> Reply:
        """Send a command to a node below and wait for its reply; `Outcome.EXPIRED` after the deadline.

        Raises LinkError where no way leads to the node. Cancelling is safe: the command is then simply not waited for.
        """
        ...

    async def tell(self, target: str, name: str, args: BaseModel, *, within_s: float) -> str:
        """Send a command without waiting; returns its command id. Raises LinkError."""
        ...

    async def take_command(self, event: Event) -> None:
        """Take a command that came from above: carry it out, or pass it to the next hop."""
        ...
