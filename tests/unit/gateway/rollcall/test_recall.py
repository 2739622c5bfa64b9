"""A recording is longer than any look at it: it gives itself away when it is seen again."""

from dataclasses import replace

import numpy as np
import pytest

from gateway.ports.media import PictureFigures
from gateway.rollcall.recall import Recall
from gateway.rollcall.records import PointRecord
from protocols.grain import BLOCKS, CELL
from protocols.rollcall import Check, CheckName, CheckResult, Defect
from tests.support.rollcall_stage import COUNTIES, roll_call_stage
from tests.support.rooms import picture

FIRST = COUNTIES[0]


@pytest.fixture
async def stage(tmp_path):
    async with roll_call_stage(tmp_path) as made:
        yield made


class Inner:
    """Finds every picture good."""

    def __init__(self, clock) -> None:
        self.clock = clock
        self.steps: list[str] = []

    async def begin(self, _point, *, drill):
        self.steps.append("begin")

    async def answered(self, _point, _answer):
        self.steps.append("answered")

    async def seen(self, _point, _still):
        self.steps.append("seen")

    async def read_back(self, _point, _number):
        return True

    async def broken_off(self, _point):
        self.steps.append("broken_off")

    async def end(self, _point):
        names = (CheckName.PICTURE, CheckName.SOUND)
        return [Check(name=name, result=CheckResult.GOOD, at=self.clock.now()) for name in names]


def still(stage, frame, *, strength=4.0):
    noise = np.random.default_rng(frame).normal(0, strength * 8, BLOCKS * CELL)
    grain = np.clip(noise, -127, 127).astype(np.int8).tobytes()
    figures = PictureFigures(
        exact=f"{frame:032x}", grain=grain, edges=1.0, span=1.0, cast=0.0, stripes=0.0, mark=None, challenge=None
    )
    return replace(picture(f"{FIRST}/room", stage.clock.monotonic(), b""), figures=figures)


async def called(stage, recall, number, frames, **how):
    point = PointRecord(f"{number:026}", FIRST, 1, "x", camera="room")
    await recall.begin(point, drill=False)
    for frame in frames:
        await recall.seen(point, still(stage, frame, **how))
    return {check.name: check for check in await recall.end(point)}


async def test_a_recording_is_found_when_it_comes_back_and_life_is_not(stage):
    inner = Inner(stage.clock)
    recall = Recall(inner, stage.store, stage.clock, keep_days=180)
    assert (await called(stage, recall, 1, range(5)))[CheckName.PICTURE].result is CheckResult.GOOD
    assert (await called(stage, recall, 2, range(4, 9)))[CheckName.PICTURE].result is CheckResult.GOOD, (
        "one after other"
    )
    stage.clock.step(86_400.0)
    assert (await called(stage, recall, 3, range(20, 25)))[CheckName.PICTURE].result is CheckResult.GOOD
    checks = await called(stage, recall, 4, range(3, 7))
    assert (checks[CheckName.PICTURE].result, checks[CheckName.PICTURE].defect) == (CheckResult.BAD, Defect.REPLAY)
    assert checks[CheckName.SOUND].result is CheckResult.GOOD
    assert "逐像素相同" in checks[CheckName.PICTURE].note
    assert inner.steps.count("seen") == 5 + 5 + 5 + 4


async def test_a_picture_without_grain_may_come_back(stage):
    recall = Recall(Inner(stage.clock), stage.store, stage.clock, keep_days=180)
    await called(stage, recall, 1, range(5), strength=0.0)
    stage.clock.step(86_400.0)
    again = await called(stage, recall, 2, range(5), strength=0.0)
    assert again[CheckName.PICTURE].result is CheckResult.GOOD


async def test_pictures_of_a_round_that_was_broken_off_are_not_held_against_the_next(stage):
    recall = Recall(Inner(stage.clock), stage.store, stage.clock, keep_days=30)
    point = PointRecord(f"{1:026}", FIRST, 1, "x", camera="room")
    await recall.begin(point, drill=False)
    await recall.seen(point, still(stage, 1))
    await recall.broken_off(point)
    assert recall._inner.steps == ["begin", "seen", "broken_off"]
    assert recall._rounds == {}
