"""Events to several listeners: each has a bounded shelf, a slow one loses the oldest, and that is counted."""

import asyncio
from collections import deque
from typing import Self
from weakref import WeakSet

from gateway.ports.media import MediaEvent

SHELF = 1024


class Listener:
    """An async iterator that hears everything from its making on."""

    def __init__(self, source: "Broadcast") -> None:
        self._source = source
        self._shelf: deque[MediaEvent] = deque()
        self._some = asyncio.Event()

    def put(self, event: MediaEvent) -> bool:
        """Take an event; False if the oldest had to go for it."""
        full = len(self._shelf) >= SHELF
        if full:
            self._shelf.popleft()
        self._shelf.append(event)
        self._some.set()
        return not full

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> MediaEvent:
        while not self._shelf:
            self._some.clear()
            await self._some.wait()
        return self._shelf.popleft()

    async def aclose(self) -> None:
        """Hear no more."""
        self._source.leave(self)


class Broadcast:
    """Publishes to all present listeners; one that nobody holds any more is forgotten."""

    def __init__(self) -> None:
        self.lost = 0
        self._listeners: WeakSet[Listener] = WeakSet()

    def publish(self, event: MediaEvent) -> None:
        """Give the event to everybody."""
        for listener in list(self._listeners):
            self.lost += not listener.put(event)

    def listen(self) -> Listener:
        """Return a new listener, which hears from now on."""
        listener = Listener(self)
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Forget a listener."""
        self._listeners.discard(listener)
