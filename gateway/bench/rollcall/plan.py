"""The counties of the run: what happens at each, and what may be said of it. Everything comes from the seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.bench.corpus import Scene
from protocols.rollcall import AbsenceReason, Cause, PointState

FIRST_CODE = 329000
CITY = "320600"
FILM_S = 240.0
"""Longer than a run watches any camera: only what is meant to repeat repeats."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What may be said of a county when all is over. No `reasons`: none. No `causes`: none is needed."""

    states: tuple[PointState, ...]
    reasons: tuple[AbsenceReason | None, ...] = (None,)
    causes: tuple[Cause | None, ...] = (None,)


@dataclass(frozen=True, slots=True)
class Story:
    """What happens at a county. `scene` is its camera, `fault` what the bench does to it during the call."""

    name: str
    scene: Scene
    expected: Expected
    share: int
    """How many of a hundred counties tell it."""
    sound: str = "none"
    policy: str = "auto"
    fault: str = ""
    films: int = 1


_S, _R, _C = PointState, AbsenceReason, Cause
THERE = Expected((_S.PASSED,))
_TERMINAL = (_C.COUNTY_TERMINAL,)


def _gone(reasons: Sequence[AbsenceReason | None], causes: Sequence[Cause | None]) -> Expected:
    return Expected((_S.ABSENT, _S.FAILED, _S.UNREACHABLE), tuple(reasons), tuple(causes))


DAY = Scene("day", ("live",), level=110.0, defect="walker")
NIGHT = Scene("night", ("live",), 2.0)
STORIES = (
    Story("day", DAY, THERE, 45, films=3),
    Story("night", NIGHT, THERE, 27, films=4),
    Story("heard", DAY, THERE, 4, sound="tone"),
    Story("silent", DAY, Expected((_S.PASSED_WITH_ISSUES,), (None,), (None, *_TERMINAL)), 3, sound="silence"),
    Story("black", Scene("black", ("black",), 0.5, defect="black"), _gone([_R.BLACK], _TERMINAL), 3),
    Story(
        "frozen",
        Scene("frozen", ("frozen",), still=True, packets=True),
        _gone([_R.FROZEN, _R.UNPROVEN], (*_TERMINAL, _C.UNKNOWN)),
        3,
    ),
    Story(
        "replayed",
        Scene("replayed", ("replay",), loop_s=4.0, packets=True),
        _gone([_R.REPLAY, _R.UNPROVEN, _R.FROZEN], (*_TERMINAL, _C.UNKNOWN)),
        3,
    ),
    Story("nobody", DAY, _gone([_R.NO_ANSWER], [_C.COUNTY_STAFF]), 3, policy="ring"),
    Story("cut", DAY, _gone([_R.NO_LINK], [_C.LINE]), 2, fault="cut"),
    Story("power", DAY, _gone([_R.NO_LINK], [_C.COUNTY_POWER]), 2, fault="power"),
    # Why a box that never was there came late nobody can know before it has told its diary.
    Story("late", DAY, Expected((_S.PASSED_LATE,), (None,), (None, _C.UNKNOWN, *_TERMINAL)), 2, fault="late"),
    Story("excused", DAY, Expected((_S.EXCUSED,), (None, *_R)), 3, fault="excused"),
)
UNREACHABLE = frozenset({"nobody", "cut", "power", "late", "excused"})
"""Stories whose counties follow their timers, not the speed of the platform."""


@dataclass(frozen=True, slots=True)
class County:
    """One county of the run."""

    code: str
    name: str
    story: Story
    film: str
    """Name of its film: story, and which of the story's films."""
    seed: int = 0

    @property
    def node(self) -> str:
        """Its agent."""
        return f"{self.code}-box"


@dataclass(frozen=True, slots=True)
class Plan:
    """All counties in order, and the films that their cameras show."""

    counties: tuple[County, ...]
    films: dict[str, tuple[Scene, int]] = field(default_factory=dict)

    def of(self, fault: str) -> list[County]:
        """Return the counties to which a fault happens."""
        return [county for county in self.counties if county.story.fault == fault]


def plan(count: int, seed: int) -> Plan:
    """Share the stories out over `count` counties: each story at least once where there is room, the rest is day."""
    chance = random.Random(seed)  # noqa: S311 - a seed that can be repeated
    told = list(STORIES[1:])
    for story in STORIES[1:]:
        told += [story] * (round(story.share * count / 100) - 1)
    told = told[:count]
    told += [STORIES[0]] * (count - len(told))
    chance.shuffle(told)
    counties, films = [], dict[str, tuple[Scene, int]]()
    for number, story in enumerate(told):
        film = f"{story.scene.name}-{number % story.films}"
        films.setdefault(film, (story.scene, seed * 1000 + len(films)))
        counties.append(County(str(FIRST_CODE + number), f"模拟{number + 1:03d}县", story, film, seed + number))
    return Plan(tuple(counties), films)


def table(plan: Plan) -> str:
    """Return the table of centres as an operator would write it."""
    rows = [
        "code,name,name_en,tier,parent",
        "000000,国家应急指挥中心,National Centre,national,",
        "320000,江苏省,Jiangsu Province,provincial,000000",
        f"{CITY},南通市,Nantong City,city,320000",
    ]
    rows += [f"{one.code},{one.name},County {one.code},county,{CITY}" for one in plan.counties]
    return "\n".join(rows) + "\n"
