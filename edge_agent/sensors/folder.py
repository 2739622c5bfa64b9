"""Sensor kind `folder`: files of reports that other programs drop, for systems that can write files and nothing else.

**A file leaves the folder only after the spool's commit**: to `done/`, or to `refused/` with the reason beside it. A
writer gives its file the name `*.json` when it is whole (write, then rename).
"""

import asyncio
import hashlib
import logging
import os
from pathlib import Path

from edge_agent.intake import Intake
from edge_agent.sensors.reports import BODY_BYTES, read_reports
from edge_agent.settings import SensorSettings
from protocols.aio.clock import Clock
from protocols.errors import BadInputError, SpoolFullError, TooLargeError

logger = logging.getLogger(__name__)
EVERY_S = 1.0
AT_ONCE = 100
KEPT = 1000
"""Files kept in `done/` and in `refused/`; the oldest go."""


class Folder:
    """One watched folder."""

    def __init__(self, settings: SensorSettings, intake: Intake, clock: Clock) -> None:
        if settings.folder is None:
            raise AssertionError("the settings ask for a folder")
        self._folder = settings.folder
        self._name = settings.name
        self._intake = intake
        self._clock = clock
        self._missing = False

    async def run(self) -> None:
        """Take files until cancelled; a folder that is away (an unmounted share) is waited for."""
        while True:
            found = await asyncio.to_thread(self._look)
            for path in found:
                await self._take(path)
            if len(found) < AT_ONCE:
                await self._clock.sleep(EVERY_S)

    def _look(self) -> list[Path]:
        try:
            found = sorted(path for path in self._folder.iterdir() if path.suffix == ".json" and path.is_file())
        except OSError as error:
            if not self._missing:
                logger.warning(
                    "folder away", extra={"sensor": self._name, "path": str(self._folder), "error": str(error)}
                )
            self._missing = True
            return []
        self._missing = False
        return found[:AT_ONCE]

    async def _take(self, path: Path) -> None:
        try:
            body, stamp = await asyncio.to_thread(_read, path)
            reports = read_reports(body)
            # The very same file again, after a crash between commit and move, gives the same ids: it is stored once.
            ids = [_ulid(f"{path.name}\0{stamp}\0{number}".encode() + body) for number in range(len(reports))]
            await self._intake.take(reports, self._name, ids)
        except SpoolFullError as error:
            self._intake.refused(error.code, self._name, str(error))
            await self._clock.sleep(EVERY_S * 5)
        except BadInputError as error:
            self._intake.refused(error.code, self._name, f"{path.name}: {error}")
            await asyncio.to_thread(_move, path, "refused", str(error))
        except OSError as error:
            self._intake.refused("unreadable", self._name, f"{path.name}: {error}")
            await self._clock.sleep(EVERY_S)
        else:
            await asyncio.to_thread(_move, path, "done", "")


def _read(path: Path) -> tuple[bytes, str]:
    """Return the content and what tells this file from a later one of the same name and content."""
    with path.open("rb") as file:
        body = file.read(BODY_BYTES + 1)
        status = os.fstat(file.fileno())
    if len(body) > BODY_BYTES:
        raise TooLargeError(f"more than {BODY_BYTES} bytes; write several files")
    return body, f"{status.st_ino}-{status.st_mtime_ns}"


def _ulid(content: bytes) -> str:
    """Make an id in ULID's alphabet out of content, so that the same content has the same id."""
    value = int.from_bytes(hashlib.sha256(content).digest()[:16], "big")
    letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    return "".join(letters[value >> shift & 31] for shift in range(125, -1, -5))


def _move(path: Path, where: str, reason: str) -> None:
    target = path.parent / where
    target.mkdir(exist_ok=True)
    if reason:
        (target / f"{path.name}.reason").write_text(reason + "\n", "utf-8")
    path.replace(target / path.name)
    kept = sorted((p for p in target.iterdir() if p.suffix == ".json"), key=lambda p: p.stat().st_mtime)
    for old in kept[:-KEPT]:
        old.unlink(missing_ok=True)
        old.with_name(old.name + ".reason").unlink(missing_ok=True)
