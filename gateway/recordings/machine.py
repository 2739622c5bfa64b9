"""When a recording may begin, when it must end, and what its states are.

======== ==================================================== =======
state    event                                                next
======== ==================================================== =======
running  stopped by a person, time is up, quota or disk full,  closed
         the engine or the gateway ended
closed   a person orders the files away                       removed
======== ==================================================== =======

**Nothing recorded is removed to make room**: where the quota is used up, new recordings are refused and running ones
end, by name.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import PurePath


class RecordingState(StrEnum):
    """State of a recording."""

    RUNNING = "running"
    CLOSED = "closed"
    REMOVED = "removed"


class Ending(StrEnum):
    """Why a recording ended; metric label, API value."""

    STOPPED = "stopped"  # by a person
    TIME = "time"  # as long as was asked for
    QUOTA = "quota"  # media.recording_gib is used up
    DISK = "disk"  # the disk is full
    NO_PICTURE = "no_picture"  # nothing came: there is no file
    FAILED = "failed"  # the recorder could not go on
    SHUTDOWN = "shutdown"  # the gateway was stopped
    RESTART = "restart"  # the gateway died; what was written before is there


OF_ENGINE = {"disk": Ending.DISK, "source_gone": Ending.NO_PICTURE, "failed": Ending.FAILED}
"""Endings that the engine names itself; `closed` is named by who asked for it."""
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Quota:
    """How much all recordings together may take."""

    gib: float

    def full(self, octets: int) -> bool:
        """Tell whether so much leaves no room for more."""
        return octets >= self.gib * GIB


def ends_at(started_at: datetime, seconds: float | None) -> datetime | None:
    """Return when a recording is as long as was asked for; None for one without a limit."""
    return None if seconds is None else started_at + timedelta(seconds=seconds)


def ending_of(engine: str, asked: Ending | None) -> Ending:
    """Name an ending: the engine's own reason goes before that of who asked for the end."""
    return OF_ENGINE.get(engine) or asked or Ending.FAILED


def part_number(file: str, recording: str) -> int | None:
    """Return which part of a recording a file is (1, 2, ...); None for a file of another one."""
    path = PurePath(file)
    if path.suffix not in {".mp4", ".mkv"}:
        return None
    name, _, number = path.stem.partition(".")
    if name != recording or not (number.isdecimal() or not number):
        return None
    return int(number or 1)
