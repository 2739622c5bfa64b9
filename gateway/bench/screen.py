"""A console without a face: listens to a gateway's event stream and notes when each alarm would be on the screen.

The stream tells how an alarm stands, not each event of it: an alarm's report number n is on the screen as soon as a
message of its key carries the number n or a later one.
"""

import asyncio
import contextlib
import json
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.bench.tiers import Tier


class Screen:
    """Use `run` as a task; read `shown` and `resyncs`."""

    def __init__(self, tier: "Tier") -> None:
        self.tier = tier
        self.ready = asyncio.Event()
        self.resyncs = 0
        self._shown: defaultdict[tuple[str, str], list[tuple[float, int]]] = defaultdict(list)

    async def run(self) -> None:
        """Listen until cancelled; a stream that ends is opened anew."""
        import httpx

        await self.tier.log_in()
        while True:
            with contextlib.suppress(httpx.HTTPError):
                async with self.tier.http().stream("GET", "/api/v1/events", timeout=None) as stream:
                    event = ""
                    async for line in stream.aiter_lines():
                        if line.startswith("event: "):
                            event = line[7:]
                        elif line.startswith("data: "):
                            self._hear(event, line[6:])
            await asyncio.sleep(0.1)

    def _hear(self, event: str, data: str) -> None:
        if event == "hello":
            self.ready.set()
        elif event == "resync":
            self.resyncs += 1
        elif event == "alarm.changed":
            alarm: dict[str, Any] = json.loads(data)
            number = alarm["value"]
            if number is not None:
                self._shown[alarm["source"], alarm["alarm_key"]].append((time.monotonic(), int(number)))

    def shown_at(self, source: str, key: str, number: int) -> float | None:
        """Return when report `number` of an alarm stood on the screen, None while it does not."""
        return next((at for at, told in self._shown[source, key] if told >= number), None)
