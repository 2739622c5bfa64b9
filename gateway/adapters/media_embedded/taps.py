"""The worker's end of recordings: sends what taps hold to the recorder's socket, often, and never waits for it."""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable

from gateway.adapters.media_embedded.rules.tapping import Tap

FLUSH_S = 0.02
WRITE = 1 << 18
"""Octets given to the socket at once; with several taps none keeps the loop for longer than such a copy."""
BUFFER = 1 << 20


class Taps:
    """`open` connects one, `close` flushes and ends it. `dropped` counts what was not recorded, by reason."""

    def __init__(self, lost: Callable[[str], None]) -> None:
        """`lost` is told the name of a tap whose recorder died."""
        self._lost = lost
        self.dropped: Counter[str] = Counter()
        self._taps: dict[str, tuple[Tap, socket.socket]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def open(self, name: str, path: str, strand: str) -> Tap | None:
        """Connect a tap to the recorder's socket; None where the recorder is not there."""
        self.close(name)
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.settimeout(0)
        try:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
            link.connect(path)
        except OSError:
            link.close()
            return None
        tap = Tap(name, strand)
        self._taps[name] = tap, link
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)
        return tap

    def close(self, name: str) -> Tap | None:
        """End a tap and return it; an unknown one is no error. What the socket does not take at once is lost."""
        found = self._taps.pop(name, None)
        if found is None:
            return None
        tap, link = found
        with contextlib.suppress(OSError):
            while tap.backlog and _send(tap, link):
                continue
        self._end(tap, link)
        return tap

    def _end(self, tap: Tap, link: socket.socket) -> None:
        link.close()
        if tap.dropped:
            self.dropped["tap_full"] += tap.dropped

    def _flush(self) -> None:
        for name, (tap, link) in list(self._taps.items()):
            if not tap.backlog:
                continue
            try:
                _send(tap, link)
            except OSError:  # the recorder died: control makes a new tap with the next one
                self.dropped["tap_lost"] += 1
                self._end(*self._taps.pop(name))
                self._lost(name)
        again = bool(self._taps)
        self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush) if again else None

    def counted(self) -> Counter[str]:
        """Return what was not recorded up to now, by reason."""
        now = sum(tap.dropped for tap, _ in self._taps.values())
        return self.dropped + Counter({"tap_full": now})


def _send(tap: Tap, link: socket.socket) -> bool:
    """Send what goes; False where the recorder's socket is full. Raises OSError where nobody is there any more."""
    try:
        tap.sent(link.send(tap.pending(WRITE)))
    except BlockingIOError:
        return False
    return True
