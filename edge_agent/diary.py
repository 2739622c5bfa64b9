"""The agent's diary on the disk: it looks at itself, and owes a record of each time that nobody above heard it.

**A record is on the disk under its event's id before it is queued**, so that a crash in between queues the same event
again, which the gateway swallows. The rules are `protocols.diary`.
"""

import asyncio
import contextlib
import json
import logging
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from pydantic import ValidationError

from protocols.aio.clock import Clock, new_ulid
from protocols.diary import Book, Diary, NodeRecord, Observation
from protocols.errors import SilianError

logger = logging.getLogger(__name__)
FILE = "diary.json"
SAVE_S = 30.0
"""How much of the diary a loss of power may cost."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NET = Path("/sys/class/net")

Send = Callable[[str, NodeRecord], Awaitable[None]]


class DiaryKeeper:
    """Call `look` about every 5 s, `link` when the link changes, `close` at a stop in good order.

    counters: saved, damaged, sent, unsent, overtaken.
    """

    def __init__(self, state_dir: Path, node: str, clock: Clock, send: Send) -> None:
        self.counters: Counter[str] = Counter()
        self._path = state_dir / FILE
        self._clock = clock
        self._send = send
        self._boot_id = _read(_BOOT)
        self._saved_at = 0.0
        self._busy = asyncio.Lock()
        self.diary = Diary(node, self._load())

    async def look(self, seen: Observation) -> None:
        """Take a look at the node, keep it, and queue what is owed. `boot_id` is filled in here."""
        self.diary.look(seen.model_copy(update={"boot_id": self._boot_id}))
        await self._keep()
        await self._deliver()

    def link(self, up: bool) -> None:  # noqa: FBT001 - the one thing that is told
        """Note that the link came or went; the next look keeps it."""
        before = self.diary.overtaken
        self.diary.link(up=up, at=self._clock.now(), event_id=new_ulid(self._clock))
        if self.diary.overtaken > before:
            logger.warning("an owed record of an outage gave way to a newer one", extra={"lost": self.diary.overtaken})
        self.counters["overtaken"] = self.diary.overtaken

    async def close(self) -> None:
        """Note a stop in good order."""
        self.diary.stop(self._clock.now())
        await self._keep()

    async def _deliver(self) -> None:
        for owed in tuple(self.diary.book.pending):
            try:
                await self._send(owed.event_id, owed.record)
            except SilianError as error:
                self.counters["unsent"] += 1
                logger.warning("diary not queued, tried again", extra={"code": error.code, "detail": str(error)})
                return
            self.counters["sent"] += 1
            self.diary.settled(owed.event_id)
            await self._keep()

    async def _keep(self) -> None:
        now = self._clock.monotonic()
        if not self.diary.changed and now - self._saved_at < SAVE_S:
            return
        async with self._busy:
            content = self.diary.book.model_dump_json(exclude_defaults=True)
            self.diary.saved()
            self._saved_at = now
            try:
                await asyncio.to_thread(_write, self._path, content)
            except OSError as error:
                self.diary.changed = True
                logger.error("diary not kept: %s", error)
                return
            self.counters["saved"] += 1

    def _load(self) -> Book | None:
        try:
            return Book.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError, json.JSONDecodeError) as error:
            self.counters["damaged"] += 1
            with contextlib.suppress(OSError):
                self._path.replace(self._path.with_suffix(".damaged"))
            logger.error("diary damaged, set aside and begun anew: %s", error)
            return None


def carrier(net: Path = _NET) -> bool | None:
    """Tell whether any interface but loopback has a line; None where the machine does not say."""
    found = []
    for interface in net.glob("*"):
        if interface.name == "lo":
            continue
        try:
            found.append((interface / "carrier").read_text().strip() == "1")
        except OSError:  # an interface that is down has no carrier to read
            found.append(False)
    return any(found) if found else None


async def reaches_itself(port: int | None, within_s: float = 1.0) -> bool:
    """Tell whether the node's own door answers over loopback; without a door there is nothing to doubt."""
    if port is None:
        return True
    try:
        async with asyncio.timeout(within_s):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError:
        return ""


def _write(path: Path, content: str) -> None:
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
