"""A wall clock that somebody else may step: its offset is a number in a file, read through shared memory."""

import mmap
import struct
from datetime import datetime, timedelta
from pathlib import Path

from typing_extensions import override

from protocols.aio.clock import SystemClock

VARIABLE = "BENCH_CLOCK"
"""Names the file to a process."""
_OFFSET = struct.Struct("<d")


class SteppedClock(SystemClock):
    """The machine's clock with its wall time set off by what `step` wrote; monotonic time is never touched."""

    def __init__(self, file: Path) -> None:
        with file.open("rb") as opened:
            self._memory = mmap.mmap(opened.fileno(), _OFFSET.size, prot=mmap.PROT_READ)

    @override
    def now(self) -> datetime:
        (offset,) = _OFFSET.unpack(self._memory)
        return super().now() + timedelta(seconds=offset)


def step(file: Path, seconds: float) -> None:
    """Set the clock of `file` off by so much from the machine's; whoever reads it sees that at once."""
    if not file.exists():
        file.write_bytes(_OFFSET.pack(seconds))
        return
    with file.open("r+b") as opened:
        opened.write(_OFFSET.pack(seconds))
