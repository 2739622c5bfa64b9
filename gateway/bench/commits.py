"""The process that sees when alarms are committed: `python -m gateway.bench.commits`, driven by JSON lines.

An alarm counts as committed when another connection to the tier's database can read it. It looks each half millisecond
for one tier and each two for four, which is the error of the figures; reading a SQLite database in WAL mode does not
hold up its writer, and nothing is read before its version says that somebody wrote.
"""

import asyncio
import sqlite3
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from gateway.bench.child import Answer, serve

LOOK_S = 0.0005
"""For each tier, so that onlookers of four take no more of the machine than one of one."""
NEW = "SELECT number, event_id, alarm_key FROM alarm_log WHERE number > ? ORDER BY number"


@dataclass(slots=True)
class Sight:
    """One tier's log as it grows. `rows` holds (moment, event id, alarm key), `kinds` count and last moment of a kind.

    The kind of a key is what stands before its first stroke.
    """

    path: str
    rows: list[tuple[float, str, str]] = field(default_factory=list)
    kinds: dict[str, tuple[int, float]] = field(default_factory=dict)
    last: int = 0
    version: int = 0
    connection: sqlite3.Connection | None = None

    def look(self) -> None:
        """Read what is new; a database that is being restored or created is read at the next look."""
        try:
            if self.connection is None:
                self.connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, check_same_thread=False)
            ((version,),) = self.connection.execute("PRAGMA data_version").fetchall()
            if version == self.version:
                return
            found = self.connection.execute(NEW, (self.last,)).fetchall()
            self.version = version
        except sqlite3.Error:
            self.connection, self.version = None, 0
            return
        if found:
            now = time.monotonic()
            self.rows += [(now, event_id, key) for _, event_id, key in found]
            for _, _, key in found:
                kind = key.partition("/")[0]
                self.kinds[kind] = (self.kinds.get(kind, (0, 0.0))[0] + 1, now)
            self.last = found[-1][0]


class Watch:
    """Looks at all tiers in a thread of its own."""

    def __init__(self) -> None:
        self._sights: dict[str, Sight] = {}
        self._ended = threading.Event()
        self._awake = threading.Event()
        self._awake.set()
        self._thread = threading.Thread(target=self._run, name="commits", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Stop looking."""
        self._ended.set()
        self._awake.set()
        self._thread.join()

    async def watch(self, *, code: str, path: str) -> Answer:
        """Look at one more tier."""
        self._sights = {**self._sights, code: Sight(path)}
        return {}

    async def rest(self, *, rest: bool) -> Answer:
        """Look at nothing for a while, where looking would cost what is measured; what is missed is seen later."""
        (self._awake.clear if rest else self._awake.set)()
        return {}

    async def count(self, *, code: str, kind: str) -> Answer:
        """Tell how many alarm events of a kind the tier holds, and when the last came."""
        count, at = self._sights[code].kinds.get(kind, (0, 0.0))
        return {"count": count, "at": at}

    async def seen(self, *, code: str, kind: str) -> Answer:
        """Tell when each event of a kind was committed."""
        mine = f"{kind}/"
        return {"seen": {event_id: at for at, event_id, key in self._sights[code].rows if key.startswith(mine)}}

    def _run(self) -> None:
        while not self._ended.is_set():
            self._awake.wait()
            for sight in self._sights.values():
                sight.look()
            time.sleep(LOOK_S * max(1, len(self._sights)))


async def main() -> None:
    """Answer until standard input ends."""
    watch = Watch()
    watch.start()
    handlers: dict[str, Any] = {"watch": watch.watch, "rest": watch.rest, "count": watch.count, "seen": watch.seen}
    try:
        await serve(handlers)
    finally:
        watch.end()


if __name__ == "__main__":
    asyncio.run(main())
