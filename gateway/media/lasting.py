"""How long a voice stays muted that nobody takes back.

**A camera that is announced stays muted**, seen or not. Any other voice, such as a console's side of a call, ends with
what sends it, and its mute with it: it is over once nothing of that name has stood here for `GONE_S`. Times are
monotonic seconds given as arguments.
"""

import math
from collections.abc import Callable, Iterable

GONE_S = 60.0
"""Who was cut off, or whose media worker is replaced, comes again within this: he must not come back unmuted."""


class Lasting:
    """Ask `over` now and then."""

    def __init__(self) -> None:
        self._gone: dict[str, float] = {}

    def settled(self, streams: Iterable[str]) -> None:
        """Wait for nobody: of these, what does not stand when `over` is asked is over."""
        self._gone.update(dict.fromkeys(streams, -math.inf))

    def over(self, muted: Iterable[str], stands: Callable[[str], bool], now: float) -> frozenset[str]:
        """Return those whose mute has ended; asking again returns them again until they are no longer `muted`."""
        self._gone = {stream: self._gone.get(stream, now) for stream in muted if not stands(stream)}
        return frozenset(stream for stream, since in self._gone.items() if now - since >= GONE_S)
