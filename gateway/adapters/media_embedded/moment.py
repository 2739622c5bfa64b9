"""The worker's clock: the same one as `protocols.aio.clock.SystemClock.monotonic`, so that moments can be compared."""

import time


def now() -> float:
    """Return seconds since boot, counting suspended time."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
