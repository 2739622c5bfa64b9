"""How a thin line is shared: who shows its main picture, who the thumb, who nothing.

Law: **sound first, then the smaller priority number**; within one priority everybody gets the smallest picture before
anybody gets a larger one. What no longer fits goes at once; more is given only when it would fit with room to spare
for a while, so that a picture does not flicker between its layers.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from gateway.ports.media import Layer, Showing

ROOM = 1.15
STEADY_S = 2.0
"""More is given when 15 % more than needed would have been there for 2 s."""
ASSUMED = {Layer.MAIN: 1_000_000, Layer.THUMB: 150_000}
"""What a layer takes that was not measured yet, in bits per second."""
_LEVELS = {Showing.SAVED: 0, Showing.THUMB: 1, Showing.MAIN: 2}
_SHOWN = {level: showing for showing, level in _LEVELS.items()}


@dataclass(frozen=True, slots=True)
class Claim:
    """One leg. `key` stays the same while the same picture is claimed.

    `rates` has the bit rate of each layer that the source offers (0: not measured yet); for `sound` its sum counts.
    `exact`: no other layer than `wish` will do. `vital`: the smallest picture is given even where it does not fit.
    """

    key: Hashable
    priority: int
    wish: Layer
    rates: Mapping[Layer, int]
    sound: int | None = None
    exact: bool = False
    vital: bool = False

    def options(self) -> list[tuple[int, int]]:
        """Return level and rate of the layers that would do, the smallest first."""
        offered = {layer: rate or ASSUMED[layer] for layer, rate in self.rates.items()} or ASSUMED
        if self.exact:
            allowed = [self.wish]
        elif self.wish is Layer.THUMB and Layer.THUMB in offered:
            allowed = [Layer.THUMB]
        else:
            allowed = [layer for layer in (Layer.THUMB, Layer.MAIN) if layer in offered]
        return [(_LEVELS[Showing(layer.value)], offered.get(layer, ASSUMED[layer])) for layer in allowed]


class Allocator:
    """Shares one budget; call `share` several times a second, `now` in monotonic seconds."""

    def __init__(self) -> None:
        self._given: dict[Hashable, int] = {}
        self._since: dict[Hashable, float] = {}

    def share(
        self, budget: int | None, claims: Sequence[Claim], now: float, *, speaking: bool = True
    ) -> dict[Hashable, Showing]:
        """Return the best that each picture may show, or SAVED; a `budget` of None lets everybody show everything.

        Where nothing else is `speaking` on the line, one picture goes even where none fits: a line on which nothing is
        sent tells nothing, so that it would stay as thin as it once seemed.
        """
        pictures = [claim for claim in claims if claim.sound is None]
        if budget is None:
            self._given = {claim.key: _LEVELS[Showing.MAIN] for claim in pictures}
            self._since = {}
            return dict.fromkeys(self._given, Showing.MAIN)
        heard = sum(claim.sound for claim in claims if claim.sound is not None)
        fits, roomy = _fit(budget - heard, pictures), _fit(int(budget / ROOM) - heard, pictures)
        given = {claim.key: self._steady(claim.key, fits[claim.key], roomy[claim.key], now) for claim in pictures}
        if pictures and not speaking and not any(given.values()):
            first = min(
                pictures, key=lambda claim: (claim.priority, not self._given.get(claim.key), claim.options()[0])
            )
            given[first.key] = first.options()[0][0]
        self._given = given
        self._since = {key: since for key, since in self._since.items() if key in given}
        return {key: _SHOWN[level] for key, level in given.items()}

    def _steady(self, key: Hashable, fits: int, roomy: int, now: float) -> int:
        """Return the level for one picture: never more than fits."""
        before = self._given.get(key)
        if before is None or fits <= before or roomy <= before:
            self._since.pop(key, None)
            return fits if before is None else min(fits, before)
        if now - self._since.setdefault(key, now) < STEADY_S:
            return before
        del self._since[key]
        return min(fits, roomy)


def _fit(room: int, pictures: Sequence[Claim]) -> dict[Hashable, int]:
    """Give out `room` by priority; returns the level of each picture, 0 for nothing."""
    given: dict[Hashable, int] = {}
    for priority in sorted({claim.priority for claim in pictures}):
        equals = [claim for claim in pictures if claim.priority == priority]
        for claim in equals:
            level, rate = claim.options()[0]
            given[claim.key] = level if rate <= room or claim.vital else 0
            room -= rate if given[claim.key] else 0
        for claim in equals:
            (least, small), (most, large) = claim.options()[0], claim.options()[-1]
            if given[claim.key] == least != most and large - small <= room:
                given[claim.key] = most
                room -= large - small
    return given
