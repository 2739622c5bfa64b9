"""Key-frame requests of many viewers, merged and throttled towards one source."""

EVERY_S = 0.5
"""A source is asked at most this often."""
PATIENCE_S = 2.0
"""A wish that brought nothing for this long is sent again while somebody waits."""


class KeyFrameWish:
    """`ask` whenever somebody needs a key frame; send a PLI whenever `due` says True."""

    def __init__(self) -> None:
        self._sent: float | None = None
        self.wanted = False
        """Whether a wish was noted that is not sent yet."""

    def ask(self) -> None:
        """Note the wish."""
        self.wanted = True

    def due(self, now: float) -> bool:
        """Tell whether a noted wish is to be sent now; call after `ask` and about every 25 ms."""
        if not self.wanted or (self._sent is not None and now - self._sent < EVERY_S):
            return False
        self._sent, self.wanted = now, False
        return True

    def came(self) -> None:
        """Note that a key frame has begun: wishes so far are met."""
        self.wanted = False

    def overdue(self, now: float) -> bool:
        """Tell whether the last request is so old that whoever still waits may ask again."""
        return self._sent is None or now - self._sent >= PATIENCE_S
