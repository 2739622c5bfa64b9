"""Fan-out of one camera's coded pictures from its thread to publishers in the loop.

The feed keeps the newest group of pictures (bounded), so that a publisher of a passed-through camera starts at once
at its key frame. **A slow subscriber loses whole groups, counted, never single pictures**: after a loss it gets
nothing until the next key frame, because half a group only shows as mud.
"""

import asyncio
import logging
import threading
from collections import deque

from protocols.aio.h264 import Unit

logger = logging.getLogger(__name__)
GROUP_UNITS = 300
GROUP_BYTES = 8 * 1024 * 1024
QUEUE_UNITS = 330
"""More than one whole group, so that starting with the kept group is no overflow."""


class Subscription:
    """One reader of a feed. `dropped` counts units lost to slowness."""

    def __init__(self, feed: "Feed", start: list[Unit]) -> None:
        self._feed = feed
        self._units: deque[Unit] = deque(start)
        self._fresh = asyncio.Event()
        self._waiting_for_key = not start
        self._closed = False
        self.dropped = 0
        if start:
            self._fresh.set()

    def offer(self, unit: Unit) -> None:
        """Take one unit from the feed (loop's thread)."""
        if self._waiting_for_key and not unit.key:
            return
        self._waiting_for_key = False
        if len(self._units) >= QUEUE_UNITS:
            self.dropped += len(self._units)
            self._units.clear()
            self._feed.lost += self.dropped
            logger.warning("publisher too slow", extra={"camera": self._feed.name, "dropped": self.dropped})
            if not unit.key:
                self._waiting_for_key = True
                self._feed.request_key()
                return
        self._units.append(unit)
        self._fresh.set()

    async def next(self) -> Unit | None:
        """Return the next unit, or None once closed. Cancelling is safe."""
        while not self._units:
            if self._closed:
                return None
            self._fresh.clear()
            await self._fresh.wait()
        return self._units.popleft()

    def close(self) -> None:
        """Leave the feed; a waiting `next` returns None."""
        self._closed = True
        self._units.clear()
        self._fresh.set()
        self._feed.leave(self)


class Feed:
    """Newest group and subscribers. Everything but `put` belongs to the loop's thread."""

    def __init__(self, name: str, *, keep_group: bool, wake: threading.Event | None = None) -> None:
        self.name = name
        self.lost = 0
        self.key_requests = 0
        self.keep_group = keep_group
        self._loop = asyncio.get_running_loop()
        self._subscribers: list[Subscription] = []
        self._group: list[Unit] = []
        self._group_bytes = 0
        self._key_wanted = False
        self.wanted = False
        """Read by the camera's thread: whether anybody subscribes."""
        self.wake = wake or threading.Event()
        """Set when an idle camera thread should look at once; cleared by that thread."""

    def put(self, unit: Unit) -> None:
        """Hand over one unit; from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.deliver, unit)

    def deliver(self, unit: Unit) -> None:
        """Hand over one unit, in the loop's thread."""
        if self.keep_group:
            self._remember(unit)
        elif self._group:
            self._group, self._group_bytes = [], 0
        for subscriber in tuple(self._subscribers):
            subscriber.offer(unit)

    def _remember(self, unit: Unit) -> None:
        if unit.key:
            self._group, self._group_bytes = [], 0
        elif not self._group:
            return
        self._group.append(unit)
        self._group_bytes += len(unit.data)
        if len(self._group) > GROUP_UNITS or self._group_bytes > GROUP_BYTES:
            self._group, self._group_bytes = [], 0

    @property
    def group(self) -> tuple[Unit, ...]:
        """The newest group of pictures from its key frame on; empty where none is kept."""
        return tuple(self._group)

    def subscribe(self) -> Subscription:
        """Start reading, at the kept group or else at the next key frame, which is asked for."""
        subscription = Subscription(self, list(self._group) if self.keep_group else [])
        self._subscribers.append(subscription)
        self.wanted = True
        self.request_key()
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """Forget a subscriber; unknown ones are ignored."""
        if subscription in self._subscribers:
            self._subscribers.remove(subscription)
        self.wanted = bool(self._subscribers)

    def request_key(self) -> None:
        """Ask the source for a key frame; a source that cannot gives its next one."""
        self.key_requests += 1
        self._key_wanted = True
        self.wake.set()

    def take_key_request(self) -> bool:
        """Tell the camera's thread whether a key frame was asked for since the last call."""
        wanted, self._key_wanted = self._key_wanted, False
        return wanted
