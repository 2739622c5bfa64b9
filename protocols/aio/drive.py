"""One shell for all rules: feeds events and time to a machine, performs what it returns, wakes at its deadline."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from protocols.aio.clock import Clock

EventT_contra = TypeVar("EventT_contra", contravariant=True)
EffectT_co = TypeVar("EffectT_co", covariant=True)
InT = TypeVar("InT")
OutT = TypeVar("OutT")


class Machine(Protocol[EventT_contra, EffectT_co]):
    """A rule: pure, with time as an argument (monotonic seconds)."""

    @property
    def deadline(self) -> float | None:
        """When `tick` must be called at the latest; None: never."""
        ...

    @property
    def done(self) -> bool:
        """Whether the machine has reached its end."""
        ...

    def handle(self, event: EventT_contra, now: float) -> Sequence[EffectT_co]:
        """Take one event and return what is to be done."""
        ...

    def tick(self, now: float) -> Sequence[EffectT_co]:
        """Take the passing of time and return what is to be done."""
        ...


async def drive(
    machine: Machine[InT, OutT], inbox: "asyncio.Queue[InT]", perform: Callable[[OutT], Awaitable[None]], clock: Clock
) -> None:
    """Run `machine` until it is done. Cancelling is safe between effects; errors of `perform` end the drive."""
    bell = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        while not machine.done:
            deadline = machine.deadline
            fetch = group.create_task(inbox.get(), name="drive.inbox")
            fetch.add_done_callback(lambda _: bell.set())
            await clock.wait(bell, None if deadline is None else deadline - clock.monotonic())
            bell.clear()
            if fetch.done():
                effects = machine.handle(fetch.result(), clock.monotonic())
            else:
                fetch.cancel()
                effects = machine.tick(clock.monotonic())
            for effect in effects:
                await perform(effect)
