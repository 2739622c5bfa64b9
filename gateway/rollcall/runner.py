"""Drives one point: rings, looks, keeps the evidence, and writes every step down before the next."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from gateway.ports.media import Still
from gateway.rollcall import phrases
from gateway.rollcall.machine import Effect, Keep, Look, Point, Profile, Ring, Settled
from gateway.rollcall.needs import RollCallNeeds
from gateway.rollcall.records import PointRecord
from gateway.rollcall.ways import Break, break_on_way, way_to
from protocols.command import CommandName, Outcome, Reply, RollCallAnswer, RollCallRing, parse_args
from protocols.errors import LinkError, SilianError
from protocols.rollcall import AbsenceReason, PointState

PRESENCE_S = 600.0
"""Domain, 3.4: presence deadline from the first ring; an older roll call is not resumed."""
LINK_LOOK_S = 1.0
RETRY_LOOK_S = 0.3
Save = Callable[[PointRecord], Awaitable[None]]
Event = Callable[[float], list[Effect]]


@dataclass(frozen=True, slots=True)
class Tools:
    """What a runner works with."""

    needs: RollCallNeeds
    profile: Profile
    save: Save


class PointRunner:
    """Runs one point to its verdict. Cancelling is safe: the record says where to go on."""

    def __init__(self, tools: Tools, record: PointRecord, *, drill: bool = False) -> None:
        self._tools = tools
        self._needs = tools.needs
        self.record = record
        self._drill = drill
        self._point = Point(tools.profile)
        self._inbox: deque[Event] = deque()
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._group = asyncio.TaskGroup()
        self._newer_than = tools.needs.clock.monotonic()
        self._first_still: Still | None = None
        self._way = way_to(tools.needs.ways, record.centre)
        self._break: Break | None = None
        self._saved: dict[str, Any] = {}

    @property
    def _holder(self) -> str:
        return f"rollcall-{self.record.roll_call_id}"

    async def run(self) -> None:
        """Return once the verdict is stored."""
        try:
            async with self._group:
                await self._drive()
                for task in self._tasks:
                    task.cancel()
        finally:
            if self.record.stream is not None:
                self._needs.pictures.release(self.record.stream, self._holder)

    async def _drive(self) -> None:
        effects = self._begin()
        while True:
            for effect in effects:
                await self._perform(effect)
            await self._save()
            if self._point.settled:
                return
            effects = await self._next()

    def _begin(self) -> list[Effect]:
        record, now = self.record, self._needs.clock.monotonic()
        self._break = self._find_break()
        self._tell_link()
        if record.state in {PointState.CONNECTING, PointState.VERIFYING}:
            self._point.attempts = record.attempts
            return self._point.resume(record.told, link_up=self._break is None, now=now)
        # A ring that was under way when the gateway stopped is repeated, not counted twice.
        self._point.attempts = max(0, record.attempts - 1)
        return self._point.start(link_up=self._break is None, camera_known=record.camera is not None)

    async def _next(self) -> list[Effect]:
        clock = self._needs.clock
        while True:
            self._wake.clear()
            if self._inbox:
                return self._inbox.popleft()(clock.monotonic())
            now = clock.monotonic()
            effects = self._look_at_link(now) or self._point.tick(now)
            if effects or self._point.settled:
                return effects
            deadline = self._point.deadline
            left = LINK_LOOK_S if deadline is None else min(LINK_LOOK_S, max(0.01, deadline - now))
            await clock.wait(self._wake, left)

    def _look_at_link(self, now: float) -> list[Effect]:
        was_up = self._break is None
        self._break = self._find_break()
        if was_up == (self._break is None):
            return []
        self._tell_link()
        return self._point.link(up=self._break is None, now=now)

    def _find_break(self) -> Break | None:
        return break_on_way(self._needs.ways, self._way, self.record.centre, self.record.owner)

    def _tell_link(self) -> None:
        found = self._break
        self.record.link = "up" if found is None else "never" if found.never else str(found.reason or "down")

    async def _perform(self, effect: Effect) -> None:
        match effect:
            case Ring():
                self.record.rung_at = self.record.rung_at or self._needs.clock.now()
                self._spawn(self._ring(), "ring")
            case Look(not_before):
                if self.record.answered_at is None:
                    self.record.answered_at = self._needs.clock.now()
                self._spawn(self._look(not_before), "look")
            case Keep():
                await self._keep()
            case Settled(_, reason):
                self._settle(reason)

    async def _ring(self) -> None:
        record, tools = self.record, self._tools
        if record.owner is None or record.camera is None:
            raise AssertionError("a point without a camera is settled before it is rung")
        args = RollCallRing(
            roll_call_id=record.roll_call_id, centre=record.centre, camera=record.camera, drill=self._drill
        )
        within = tools.profile.answer_within_s
        try:
            reply = await self._needs.commands.ask(record.owner, CommandName.ROLLCALL_RING, args, within_s=within)
            self._take_reply(reply)
        except LinkError as error:
            record.note = str(error)
            self._post(lambda now: self._point.link(up=False, now=now) or self._point.unanswered(now))
        except SilianError as error:
            record.note = phrases.RING_FAILED.format(why=error)
            self._post(self._point.unanswered)

    def _take_reply(self, reply: Reply) -> None:
        record = self.record
        if reply.outcome is not Outcome.DONE:
            record.note = phrases.RING_FAILED.format(why=reply.detail or reply.code or reply.outcome.value)
            self._post(self._point.unanswered)
            return
        answer = parse_args(RollCallAnswer, reply.result)
        record.note = ""
        record.answered_by, record.told = answer.answered_by, answer.camera.verdict
        self._post(lambda now: self._point.answered(answer.camera.verdict, now))

    async def _look(self, not_before: float) -> None:
        tools, stream = self._tools, self.record.stream
        if stream is None:
            raise AssertionError("a point without a camera is settled before it is looked at")
        self._needs.pictures.hold(stream, self._holder)
        await self._needs.clock.sleep(not_before - self._needs.clock.monotonic())
        try:
            still = await self._needs.pictures.still(
                stream, newer_than=self._newer_than, timeout_s=2 * tools.profile.look_every_s
            )
        except SilianError:
            await self._needs.clock.sleep(RETRY_LOOK_S)
            self._post(self._point.unseen)
            return
        self._newer_than = still.arrived_at
        if still.frame_age_ms > tools.profile.frame_age_limit_ms:
            self._post(self._point.unseen)
            return
        if self._first_still is None:
            self._first_still = still
        sample = still.sample
        self._post(lambda now: self._point.picture(sample, now))

    async def _keep(self) -> None:
        still, record = self._first_still, self.record
        if still is None:
            raise AssertionError("Keep follows the first picture")
        record.still = await self._needs.blobs.put(still.jpeg)
        record.frame_age_ms = still.frame_age_ms
        if record.answered_at is not None and record.first_frame_s is None:  # a restart must not lengthen it
            arrived = self._needs.clock.now() - timedelta(milliseconds=still.frame_age_ms)
            record.first_frame_s = round(max(0.0, (arrived - record.answered_at).total_seconds()), 3)

    def _settle(self, reason: AbsenceReason | None) -> None:
        record = self.record
        record.settled_at = self._needs.clock.now()
        match reason:
            case AbsenceReason.NO_LINK if self._break is not None:
                record.note = self._break.sentence()
            case AbsenceReason.NO_PICTURE if record.camera is None:
                record.note = phrases.NO_CAMERA
            case AbsenceReason.NO_PICTURE:
                why = self._needs.pictures.why_not(record.stream or "")
                record.note = phrases.STREAM_TROUBLE.format(why=why) if why else record.note
            case _:
                pass
        if reason is not None and record.told is not None:
            told = phrases.TOLD.format(verdict=record.told)
            record.note = f"{record.note}；{told}" if record.note else told

    async def _save(self) -> None:
        record, point = self.record, self._point
        record.state, record.reason, record.attempts = point.state, point.reason, point.attempts
        row = record.row()
        if row != self._saved:
            self._saved = row
            await self._tools.save(record)

    def _post(self, event: Event) -> None:
        self._inbox.append(event)
        self._wake.set()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = self._group.create_task(work, name=f"rollcall {name}[{self.record.centre}]")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
