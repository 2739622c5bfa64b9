"""Foreign publishers are judged in turn, one decoding at a time, and never called frozen."""

import random

from gateway.media.judging import EVERY_S, STALE_S, Judging
from gateway.ports.media import Still
from protocols.aio.clock import ManualClock
from protocols.errors import NotFoundError
from protocols.health import Verdict
from protocols.picture import THUMB_HEIGHT, THUMB_WIDTH
from tests.support.rooms import picture

A, B = "320600/console-1", "320600/console-2"
SIZE = THUMB_WIDTH * THUMB_HEIGHT


class Cameras:
    """Streams with the pictures that a test wishes; `at` counts decodings."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.stories: dict[str, str] = {}
        self.looks: list[str] = []
        self.told: list[str] = []
        self.judging = Judging(self.still, lambda: list(self.stories), self.told.append, self.clock)
        self.chance = random.Random(1)

    async def still(self, stream: str, *, newer_than: float | None = None, timeout_s: float = 3.0) -> Still:
        self.looks.append(stream)
        at = self.clock.monotonic()
        assert newer_than is None or newer_than < at
        match self.stories[stream]:
            case "gone":
                raise NotFoundError(stream)
            case "black":
                return picture(stream, at, bytes(SIZE), mean=3.0, deviation=0.5)
            case "covered":
                return picture(stream, at, bytes([90]) * SIZE, mean=90.0, deviation=1.0)
            case "same":
                return picture(stream, at, bytes(range(256)) * 2 + bytes(64))
            case _:
                return picture(stream, at, self.chance.randbytes(SIZE))

    async def watch(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            await self.judging.step()
            await self.clock.advance(1.0)

    def verdict(self, stream: str) -> Verdict | None:
        health = self.judging.health(stream)
        return health.verdict if health is not None else None


async def test_each_stream_is_looked_at_in_turn() -> None:
    cameras = Cameras()
    cameras.stories = {A: "live", B: "black"}
    await cameras.watch(21)
    assert {cameras.looks.count(A), cameras.looks.count(B)} <= {20 // EVERY_S, 1 + 20 // EVERY_S}
    assert (cameras.verdict(A), cameras.verdict(B)) == (Verdict.LIVE, Verdict.BLACK)
    assert cameras.judging.judged() == (A, B)


async def test_many_publishers_cost_no_more_than_few() -> None:
    cameras = Cameras()
    cameras.stories = {f"320600/c{number}": "live" for number in range(40)}
    await cameras.watch(40)
    assert len(cameras.looks) == len(set(cameras.looks)) == 40


async def test_what_does_not_move_is_unproven_never_frozen() -> None:
    cameras = Cameras()
    cameras.stories = {A: "same"}
    await cameras.watch(60)
    assert cameras.verdict(A) is Verdict.UNPROVEN


async def test_verdicts_follow_the_picture_and_are_told_once() -> None:
    cameras = Cameras()
    cameras.stories = {A: "covered"}
    await cameras.watch(12)
    assert (cameras.verdict(A), cameras.told) == (Verdict.COVERED, [A])
    cameras.stories[A] = "gone"
    await cameras.watch(STALE_S + 7)
    assert (cameras.verdict(A), cameras.told) == (Verdict.NO_PICTURE, [A, A])
    del cameras.stories[A]
    await cameras.watch(1)
    assert cameras.verdict(A) is None
