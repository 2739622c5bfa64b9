"""When the worker falls behind, pictures pause: thumbs first, then main pictures from the lowest priority. Never sound.

Law: **a loop that is late gives up the least important pictures rather than delay all of them.**
"""

from gateway.ports.media import Layer

LATE_S, CALM_S = 0.05, 0.02
"""Later than the first for `LASTING_S`: one step more is shed. Less late than the second for `CALM_FOR_S`: one less."""
LASTING_S, CALM_FOR_S = 1.0, 3.0
STEP_DOWN, STEP_UP = 0.25, 0.1
"""A quarter of the pictures goes at a time, a tenth comes back."""


class Shedder:
    """Call `share` about ten times a second with the least that the loop was late by since the last call.

    It returns the part of all pictures to pause.
    """

    def __init__(self) -> None:
        self._part = 0.0
        self._late_since: float | None = None
        self._calm_since: float | None = None

    def share(self, late_s: float, now: float) -> float:
        """Return 0 (all go) to 1 (no picture goes)."""
        self._late_since = None if late_s <= LATE_S else now if self._late_since is None else self._late_since
        self._calm_since = None if late_s > CALM_S else now if self._calm_since is None else self._calm_since
        if self._late_since is not None and now - self._late_since >= LASTING_S:
            self._part, self._late_since = min(1.0, self._part + STEP_DOWN), now
        if self._part and self._calm_since is not None and now - self._calm_since >= CALM_FOR_S:
            self._part, self._calm_since = max(0.0, round(self._part - STEP_UP, 3)), now
        return self._part


def order(layer: Layer, priority: int) -> tuple[bool, int]:
    """Return the place of a picture in the order of shedding: what sorts first is shed first."""
    return (layer is Layer.MAIN, -priority)
