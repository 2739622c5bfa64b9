"""Ready-made events for tests of links and spools."""

import os
from datetime import UTC, datetime

from protocols.alarm import CLEARED, RAISED
from protocols.envelope import Event
from protocols.ids import ulid

NODE = "320623-box"


def alarm(counter: int, *, key: str | None = None, raised: bool = True, source: str = NODE, pad: int = 0) -> Event:
    """Return a raise or clear with the given origin counter."""
    now = datetime(2026, 1, 2, tzinfo=UTC)
    return Event(
        id=ulid(1_767_312_000_000 + counter, os.urandom(10)),
        source=source,
        type=RAISED if raised else CLEARED,
        time=now,
        origincounter=counter,
        data={
            "alarm_key": key or f"k{counter}",
            "centre": source[:6],
            "sensor": "s1",
            "severity": 3,
            "headline": "test" + "x" * pad,
            "observed_at": now.isoformat(),
            "count": 1,
        },
    )
