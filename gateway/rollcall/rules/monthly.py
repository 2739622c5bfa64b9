"""The monthly table (月度统计): how each unit stood in all scored roll calls of a month, and against the month before.

Tests and drills do not count. Points lost through lines, the platform or upper networks are shown beside, never counted
against a unit: the scores that come in went through the attribution gate already (domain.md 3.6).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from gateway.rollcall import phrases
from gateway.rollcall.rules.bulletin import good_rate, percent
from gateway.rollcall.rules.sheet import Line
from protocols.rollcall import COUNTY_CAUSES, PointState


@dataclass(frozen=True, slots=True)
class Standing:
    """One unit's month. Rates are 0 to 1, None where nothing was judged; `trend` is the score's change."""

    centre: str
    name: str
    due: int
    present: int
    first: int
    connect_s: float | None
    score: float | None
    picture_rate: float | None
    sound_rate: float | None
    own_faults: int
    other_faults: int
    trend: float | None = None

    @property
    def at_post_rate(self) -> float | None:
        """Return the share of calls that the unit answered."""
        return self.present / self.due if self.due else None


def month(lines: Iterable[Line], before: Iterable[Line] = ()) -> tuple[Standing, ...]:
    """Return the units, the best first: by the share of answered calls, then score, then how fast they answered."""
    earlier = {one.centre: one.score for one in map(_standing, _by_centre(before))}
    found = []
    for own in _by_centre(lines):
        one = _standing(own)
        last = earlier.get(one.centre)
        trend = None if one.score is None or last is None else round(one.score - last, 1)
        found.append(replace(one, trend=trend))
    return tuple(sorted(found, key=_rank))


def _rank(one: Standing) -> tuple[float, float, float, str]:
    rate = one.at_post_rate
    return (
        -(rate if rate is not None else -1.0),
        -(one.score if one.score is not None else -1.0),
        one.connect_s if one.connect_s is not None else float("inf"),
        one.centre,
    )


def _by_centre(lines: Iterable[Line]) -> list[list[Line]]:
    found: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        found[line.centre].append(line)
    return list(found.values())


def _standing(lines: Sequence[Line]) -> Standing:
    due = [line for line in lines if line.due]
    there = [line for line in due if line.present]
    late = sum(line.state is PointState.PASSED_LATE or line.makeup_at is not None for line in there)
    causes = [line.cause for line in due if line.cause is not None]
    own = sum(cause in COUNTY_CAUSES for cause in causes)
    return Standing(
        centre=lines[-1].centre,
        name=lines[-1].name,
        due=len(due),
        present=len(there),
        first=len(there) - late,
        connect_s=_mean(line.connect_s for line in due),
        score=_mean(line.score for line in due),
        picture_rate=good_rate(line.picture.result for line in due),
        sound_rate=good_rate(line.sound.result for line in due),
        own_faults=own,
        other_faults=len(causes) - own,
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 1) if known else None


def cells(standings: Sequence[Standing]) -> tuple[tuple[str, ...], ...]:
    """Return the table in the words of the form, one text for each of `phrases.MONTH`."""
    return tuple(_cells(rank, one) for rank, one in enumerate(standings, 1))


def _cells(rank: int, one: Standing) -> tuple[str, ...]:
    def number(value: float | None) -> str:
        return phrases.NONE if value is None else f"{value:g}"

    return (
        str(rank),
        one.name,
        one.centre,
        str(one.due),
        str(one.present),
        percent(one.at_post_rate),
        percent(one.first / one.due if one.due else None),
        number(one.connect_s),
        number(one.score),
        percent(one.picture_rate),
        percent(one.sound_rate),
        str(one.own_faults),
        str(one.other_faults),
        phrases.NONE if one.trend is None else f"{one.trend:+g}",
    )
