"""The interpreter of a process that serves for days: how often its collector looks, who waits how long for its lock."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

COLLECT_AFTER = (50_000, 20, 50)
"""Objects until the collector looks at the young ones, and how often it then looks at the older ones too.

Frames of records are trees without cycles, which go by themselves: with the interpreter's own 700 the collector went
through each batch on its way some hundred times, and cost more than reading it.
"""
SWITCH_S = 0.001
"""How long the event loop goes on while a thread of the store waits for its next row; the usual 5 ms are many rows."""


@contextmanager
def loading() -> Iterator[None]:
    """Load modules and build what stays: nothing of it is garbage, and looking for some takes a sixth of the time."""
    looks = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if looks:
            gc.enable()


def settle() -> None:
    """Call it once all modules are loaded: what there is now stays for ever and is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    sys.setswitchinterval(SWITCH_S)
