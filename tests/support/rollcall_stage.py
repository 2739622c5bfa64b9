"""A roll-call room on a real store, with counties that each tell a story."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gateway.adapters.store_sqlite import SqliteStore
from gateway.events import EventBus, RollCallChanged
from gateway.metrics import Metrics
from gateway.rollcall.needs import RollCallNeeds
from gateway.rollcall.rules.profiles import Profile
from gateway.rollcall.service import RollCallService
from protocols.command import Command, RollCallAnswer
from protocols.errors import NotFoundError
from protocols.health import CameraHealth, Verdict
from protocols.picture import THUMB_HEIGHT, THUMB_WIDTH
from protocols.rollcall import Check
from tests.support.databases import at_newest_schema
from tests.support.paced import PacedClock
from tests.support.rooms import Blobs, Commands, Ways, picture

SIZE = THUMB_WIDTH * THUMB_HEIGHT
BUSY_S, SWAMPED_S = 0.6, 1.5
COUNTIES = ("320612", "320613", "320614", "320623", "320681", "320682", "320685")
PROFILE = Profile(
    answer_within_s=0.4,
    picture_within_s=1.0,
    observe_s=0.6,
    look_every_s=0.1,
    least_looks=4,
    grace_s=0.5,
    challenge_within_s=0.3,
    presence_s=0.0,
    makeup_every_s=0.2,
    preempt_notice_s=0.2,
)
"""Short times; `presence_s` 0 leaves no time for a make-up."""


@dataclass
class Pictures:
    """What the cameras show: a story per stream."""

    clock: PacedClock
    stories: dict[str, str] = field(default_factory=dict)
    held: dict[str, set[str]] = field(default_factory=dict)
    ever: set[str] = field(default_factory=set)
    there: dict[str, datetime] = field(default_factory=dict)

    def hold(self, stream: str, holder: str) -> None:
        self.held.setdefault(stream, set()).add(holder)
        self.ever.add(stream)

    def release(self, stream: str, holder: str) -> None:
        self.held.get(stream, set()).discard(holder)

    def why_not(self, stream: str) -> str | None:
        return "refused" if self.stories.get(stream) == "dark" else None

    def play_pass(self, stream: str, holder: str) -> SimpleNamespace:
        return SimpleNamespace(path=f"/whep/{stream}", token=f"for {holder}")

    async def still(self, stream, *, newer_than=None, timeout_s=3.0):
        await self.clock.sleep(0.02)
        at = self.clock.monotonic()
        assert newer_than is not None
        assert self.held[stream], "a still of a stream that nobody holds"
        match self.stories.get(stream, "live"):
            case "dark":
                raise NotFoundError("no picture")
            case "frozen":
                return picture(stream, at, bytes(range(64)) * 9)
            case "busy" | "swamped" as how:  # it is there at once, and waits while others are decoded
                self.there[stream] = self.clock.now()
                await self.clock.sleep(BUSY_S if how == "busy" else SWAMPED_S)
                return replace(picture(stream, self.clock.monotonic(), random.randbytes(SIZE)), there_at=at)
            case "black":
                return picture(stream, at, bytes(SIZE), mean=16, deviation=0.2)
            case _:
                return picture(stream, at, random.randbytes(SIZE))


@dataclass
class Stage:
    clock: PacedClock
    store: SqliteStore
    ways: Ways
    commands: Commands
    pictures: Pictures
    blobs: Blobs
    changes: list[str]

    def service(self, profile: Profile = PROFILE, **needs: Any) -> RollCallService:
        """Return the room; `needs` are further ones, such as who gathers evidence."""
        parts = (self.store, self.blobs, self.ways, self.commands, self.pictures, self.clock, Metrics())
        return RollCallService(RollCallNeeds(*parts, **needs), profile=profile)

    def answer(self, county: str, told: Verdict = Verdict.LIVE, by: str = "值班员") -> None:
        async def respond(command: Command) -> dict[str, object]:
            answer = RollCallAnswer(answered_by=by, answered_at=self.clock.now(), camera=CameraHealth(verdict=told))
            return answer.model_dump(mode="json")

        self.commands.on(f"{county}-box", "rollcall.ring", respond)


@asynccontextmanager
async def roll_call_stage(directory: Path) -> AsyncIterator[Stage]:
    """Seven counties that all answer and show a live picture."""
    bus = EventBus()
    changes: list[str] = []
    bus.listen(RollCallChanged, lambda event: changes.append(event.roll_call_id))
    clock = PacedClock()
    async with SqliteStore(at_newest_schema(directory / "gateway.db"), "320600", clock, bus.publish) as store:
        ways, commands = Ways.city(COUNTIES), Commands("320600", clock)
        made = Stage(clock, store, ways, commands, Pictures(clock), Blobs(), changes)
        for county in COUNTIES:
            made.answer(county)

        async def settled() -> None:
            async with store.unit():
                pass

        async with clock.running(settled):
            yield made


async def ended(service: RollCallService, roll_call_id: str):
    """Wait for the end of a roll call and return it."""
    async with asyncio.timeout(30):
        while (call := await service.get(roll_call_id)).record.ended_at is None:
            await asyncio.sleep(0.02)
    return call


async def reached(service, roll_call_id, holds):
    async with asyncio.timeout(30):
        while not holds(call := await service.get(roll_call_id)):
            await asyncio.sleep(0.02)
    return call


def state_of(call, centre):
    return next(point.state for point in call.points if point.centre == centre)


class Gatherer:
    """Finds what it is told to; notes the order of the calls, and which rounds were broken off."""

    def __init__(self, *checks: Check, fail: bool = False) -> None:
        self.checks = checks
        self.fail = fail
        self.steps: list[str] = []
        self.broken: list[str] = []

    async def begin(self, _point, *, drill):
        self.steps.append("begin")
        if self.fail:
            raise NotFoundError("disk is away")

    async def answered(self, _point, answer):
        self.steps.append(f"answered by {answer.answered_by}")

    async def seen(self, point, still):
        assert point.still is not None
        self.steps.append("seen")

    async def read_back(self, _point, _number):
        return True

    async def broken_off(self, point):
        self.broken.append(point.centre)

    async def end(self, _point):
        self.steps.append("end")
        return self.checks
