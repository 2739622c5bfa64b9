"""Waiting for a condition, with a generous limit, instead of for a time."""

import asyncio
import time


async def until(condition, seconds=20.0, what="the condition"):
    """Wait until `condition()` is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not come true in time"
        await asyncio.sleep(0.02)
