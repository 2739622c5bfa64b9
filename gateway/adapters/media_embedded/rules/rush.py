"""Whether datagrams come so thick that looking for them now and then is cheaper than being woken by each.

To be woken, to leave the socket alone and to listen again costs as much as forwarding several packets. Where pictures
of many cameras come one after the other all the time, a look every 3 ms finds several at once: more often would
cost more, and less often keep the last of a hundred viewers waiting for over 4 ms at the median.
"""

POLL_S = 0.003
"""How long datagrams lie in the kernel at the longest while the rush lasts."""
RUSH_S = 0.004
"""Woken more often than this on the average: a rush."""
_FOUND_S, _EMPTY_S = 0.0, 0.006
"""What a look counts as: the rush is over when two of three looks find nothing.

A look that finds something stands for several wake-ups: feedback of many viewers comes a fraction of a millisecond
apart. Between two such swarms a few empty looks are cheaper than to be woken by each of the next one.
"""
_SHARE = 1 / 16


class Rush:
    """Tell `woken` and `looked` what happened; read `on`."""

    __slots__ = ("_gap_s", "_woken_at", "on")

    def __init__(self) -> None:
        self.on = False
        self._gap_s = _EMPTY_S
        self._woken_at = 0.0

    def woken(self, now: float) -> None:
        """Note that the socket had something while it was listened to; `now` is monotonic seconds."""
        self._take(min(now - self._woken_at, _EMPTY_S))
        self._woken_at = now

    def looked(self, now: float, *, found: bool) -> None:
        """Note a look, and whether something was there."""
        self._take(_FOUND_S if found else _EMPTY_S)
        self._woken_at = now

    def _take(self, gap_s: float) -> None:
        self._gap_s += (gap_s - self._gap_s) * _SHARE
        self.on = self._gap_s < RUSH_S
