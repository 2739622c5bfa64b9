"""Drives one round of one point: rings, looks, keeps the evidence, and writes every step down before the next."""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from gateway.ports.media import Still
from gateway.rollcall import phrases
from gateway.rollcall.machine import Challenge, Effect, Keep, Look, Point, Ring, Settled, Weigh
from gateway.rollcall.needs import RollCallNeeds
from gateway.rollcall.pace import Pace, Turn
from gateway.rollcall.records import PointRecord, RollCallRecord
from gateway.rollcall.rules import checks as rules
from gateway.rollcall.rules.profiles import Profile
from gateway.rollcall.rules.roster import names_of, read
from gateway.rollcall.ways import Break, break_on_way, stand_for, way_to
from protocols.command import (
    CommandName,
    Outcome,
    Reply,
    RollCallAnswer,
    RollCallRing,
    RollCallStage,
    parse_args,
)
from protocols.errors import LinkError, SilianError
from protocols.rollcall import AbsenceReason, Check, PointState

logger = logging.getLogger(__name__)
LINK_LOOK_S = 1.0
RETRY_LOOK_S = 0.3
SLOW_LOOK_S = 1.0
"""A picture that was there and took longer to decode is late for this gateway's own fault."""
GATHER_S = 15.0
"""Whoever gathers evidence has so long for one step; a verdict does not wait for it any longer."""
STAGE_WITHIN_S = 20.0
UNDER_WAY = frozenset({PointState.CONNECTING, PointState.VERIFYING})
Save = Callable[[PointRecord], Awaitable[None]]
Event = Callable[[float], list[Effect]]


@dataclass(frozen=True, slots=True)
class Tools:
    """What a runner works with. `own` is the code of this gateway's centre, `pace` is told how soon pictures come."""

    needs: RollCallNeeds
    profile: Profile
    save: Save
    call: RollCallRecord
    own: str
    pace: Pace | None = None


class PointRunner:
    """Runs one round to its end. Cancelling is safe: the record says where to go on."""

    def __init__(self, tools: Tools, record: PointRecord, *, late: bool = False, turn: Turn | None = None) -> None:
        """`turn` is told when the round has its first picture (see `pace`)."""
        self._turn = turn
        self._tools = tools
        self._needs = tools.needs
        self.record = record
        self._point = Point(tools.profile, late=late)
        self._reader: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._ours_since: float | None = None
        """From then on a look that is under way waits for this gateway, not for the county."""
        self._inbox: deque[Event] = deque()
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._group = asyncio.TaskGroup()
        self._newer_than = tools.needs.clock.monotonic()
        self._first_still: Still | None = None
        self._way = way_to(tools.needs.ways, record.centre)
        self._break: Break | None = None
        self._saved: dict[str, Any] = {}
        self._answer: RollCallAnswer | None = None
        self._begun = False
        self._earlier = record.attempts if record.state is not PointState.RINGING else 0
        """Rings of former rounds."""

    @property
    def _holder(self) -> str:
        return f"rollcall-{self.record.roll_call_id}"

    def challenge(self) -> None:
        """Ask for the challenge number because a person wants it."""
        self._post(self._point.challenge)

    def confirm(self, *, confirmed: bool) -> None:
        """Take a person's word on the challenge number."""
        self._post(lambda now: self._point.challenged(now, confirmed=confirmed))

    @property
    def asks_for_number(self) -> bool:
        """Tell whether the challenge number is out and not yet confirmed."""
        return self._point.challenged_now

    async def run(self) -> None:
        """Return once the end of the round is stored."""
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
        record, now, rang_s = self.record, self._needs.clock.monotonic(), 0.0
        if record.camera is None:  # a county that came first after the call had begun
            stand_for(record, self._needs.ways.cameras())
        self._break = self._find_break()
        self._tell_link()
        if record.state in UNDER_WAY:
            self._earlier = record.attempts
            return self._point.resume(record.told, link_up=self._break is None, now=now)
        if record.state is PointState.RINGING:
            # A ring that was under way when the gateway stopped is repeated, not counted twice, and no longer for it.
            began = record.ring_at or self._needs.clock.now()
            rang_s = max(0.0, (self._needs.clock.now() - began).total_seconds())
            self._point.attempts = (record.attempts - 1) % self._tools.profile.attempts
            self._earlier = record.attempts - 1 - self._point.attempts
        return self._point.start(link_up=self._break is None, camera_known=record.camera is not None, rang_s=rang_s)

    async def _next(self) -> list[Effect]:
        clock = self._needs.clock
        while True:
            self._wake.clear()
            if self._inbox:
                return self._inbox.popleft()(clock.monotonic())
            now = clock.monotonic()
            self._give_time(now)
            effects = self._look_at_link(now) or self._point.tick(now)
            if effects or self._point.settled:
                return effects
            deadline = self._point.deadline
            left = LINK_LOOK_S if deadline is None else min(LINK_LOOK_S, max(0.01, deadline - now))
            await clock.wait(self._wake, left)

    def _give_time(self, now: float) -> None:
        """Give the county the time that a look has waited for nobody but this gateway."""
        if self._ours_since is not None and now > self._ours_since:
            self._point.delayed(now - self._ours_since)
            self._ours_since = now

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
            case Ring() as ring:
                now = self._needs.clock.now()
                self.record.rung_at = self.record.rung_at or now
                self.record.ring_at = now - timedelta(seconds=ring.spent_s)
                self._spawn(self._ring(ring), "ring")
            case Look(not_before):
                if self.record.answered_at is None:
                    self.record.answered_at = self._needs.clock.now()
                if self._looking is None or self._looking.done():
                    self._looking = self._spawn(self._look(not_before), "look")
            case Keep():
                await self._keep()
            case Challenge():
                self._challenge()
            case Weigh():
                self._stop_reading()
                self._spawn(self._weigh(), "weigh")
            case Settled(state, reason):
                await self._settle(state, reason)

    async def _ring(self, ring: Ring) -> None:
        record, tools = self.record, self._tools
        if record.owner is None or record.camera is None:
            raise AssertionError("a point without a camera is settled before it is rung")
        await self._begin_gathering()
        args = RollCallRing(
            roll_call_id=record.roll_call_id,
            centre=record.centre,
            camera=record.camera,
            challenge=record.challenge,
            drill=tools.call.drill,
            caller=tools.call.seat or tools.call.started_by,
            caller_centre=tools.own,
            caller_centre_name=self._needs.ways.own().name,
            kind=tools.call.kind.value,
            roster=names_of(record.roster),
            people_due=read(record.roster).required or tools.profile.required_people,
            attempt=self._earlier + ring.attempt,
        )
        within = ring.left_s(tools.profile.answer_within_s)
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
        record.answer = said_of(answer)
        self._answer = answer
        self._post(lambda now: self._point.answered(answer.camera.verdict, now))

    async def _look(self, not_before: float) -> None:
        tools, stream = self._tools, self.record.stream
        if stream is None:
            raise AssertionError("a point without a camera is settled before it is looked at")
        self._needs.pictures.hold(stream, self._holder)
        await self._begin_gathering()
        if self._answer is not None:
            answer, self._answer = self._answer, None
            await self._gather("answered", self._needs.gathering.answered(self.record, answer))
        await self._needs.clock.sleep(not_before - self._needs.clock.monotonic())
        asked = self._needs.clock.monotonic()
        still = await self._fetched(stream, asked, 2 * tools.profile.look_every_s)
        if still is None:
            await self._needs.clock.sleep(RETRY_LOOK_S)
            self._post(self._point.unseen)
            return
        self._newer_than = still.arrived_at
        # By when it was asked for: how long others were decoded first says nothing of this county.
        if (asked - still.arrived_at) * 1000 > tools.profile.frame_age_limit_ms:
            self._post(self._point.unseen)
            return
        if self._first_still is None:
            self._first_still = still
            if self._turn is not None:
                self._turn.seen.set()
        else:
            await self._gather("seen", self._needs.gathering.seen(self.record, still))
        sample = still.sample
        self._post(lambda now: self._point.picture(sample, now))

    async def _fetched(self, stream: str, asked: float, within_s: float) -> Still | None:
        """Return the next picture, None where none comes; whatever this gateway itself loses is the county's."""
        self._ours_since = asked + within_s
        try:
            still = await self._needs.pictures.still(stream, newer_than=self._newer_than, timeout_s=within_s)
        except SilianError:
            if self._tools.pace is not None and self._tools.pace.slow:
                self._point.delayed(min(within_s, self._needs.clock.monotonic() - asked))
            return None
        finally:
            self._give_time(self._needs.clock.monotonic())
            self._ours_since = None
        # Since the first picture that would have done: while it waited its turn, newer ones took its place.
        there = max(asked, still.first_arrival)
        lag_s = self._needs.clock.monotonic() - there
        if self._tools.pace is not None:
            self._tools.pace.tell(lag_s)
        if lag_s > SLOW_LOOK_S:
            self._point.delayed(min(lag_s, asked + within_s - there))
        return still

    async def _keep(self) -> None:
        still, record = self._first_still, self.record
        if still is None:
            raise AssertionError("Keep follows the first picture")
        try:
            record.still = await self._needs.blobs.put(still.jpeg)
        except SilianError as error:  # say a full disk: what was seen was seen
            self._lament("still", error)
        record.frame_age_ms = still.frame_age_ms
        if record.answered_at is not None and record.first_frame_s is None:  # a restart must not lengthen it
            # Its arrival, not its decoding: how busy this gateway is says nothing of the county.
            ago = self._needs.clock.monotonic() - still.first_arrival
            arrived = self._needs.clock.now() - timedelta(seconds=ago)
            record.first_frame_s = round(max(0.0, (arrived - record.answered_at).total_seconds()), 3)
        await self._gather("seen", self._needs.gathering.seen(record, still))

    # the challenge number

    def _challenge(self) -> None:
        record = self.record
        record.challenge = record.challenge or f"{secrets.randbelow(9000) + 1000}"
        record.challenge_at = self._needs.clock.now()
        self._spawn(self._show_number(record.challenge), "challenge")
        self._reader = self._spawn(self._read_back(record.challenge), "read back")

    async def _show_number(self, number: str) -> None:
        record = self.record
        if record.owner is None or record.camera is None:
            raise AssertionError("a point without a camera is settled before it is challenged")
        staged = self._tools.call.stage == record.centre
        args = RollCallStage(
            roll_call_id=record.roll_call_id,
            centre=record.centre,
            camera=record.camera,
            stage="on" if staged else "off",
            muted=not staged,
            challenge=number,
        )
        try:
            reply = await self._needs.commands.ask(
                record.owner, CommandName.ROLLCALL_STAGE, args, within_s=STAGE_WITHIN_S
            )
        except LinkError as error:
            record.note = phrases.NUMBER_NOT_SHOWN.format(why=error)
            return
        if reply.outcome is not Outcome.DONE:
            why = reply.detail or reply.code or reply.outcome.value
            record.note = phrases.NUMBER_NOT_SHOWN.format(why=why)

    async def _read_back(self, number: str) -> None:
        try:
            read = await self._needs.gathering.read_back(self.record, number)
        except SilianError as error:
            self._lament("read_back", error)
            return
        if read:
            self._post(lambda now: self._point.challenged(now, confirmed=True))

    def _stop_reading(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None

    # the evidence

    async def _weigh(self) -> None:
        checks = await self._checks()
        self._post(lambda now: self._point.weighed(checks, now))

    async def _checks(self) -> Sequence[Check]:
        gathered = await self._gather("end", self._needs.gathering.end(self.record))
        checks = rules.by_profile(gathered or (), self.record, self._tools.profile.picture_warn_s)
        if self._needs.rosters is not None:
            checks += self._needs.rosters.compare(self.record, self._needs.clock.now())
        self.record.checks = tuple(checks)
        return checks

    async def _begin_gathering(self) -> None:
        if not self._begun:
            self._begun = True
            await self._gather("begin", self._needs.gathering.begin(self.record, drill=self._tools.call.drill))

    async def _gather(self, step: str, work: Awaitable[Any]) -> Any:
        """Do one step of the gathering; its failure is told and changes no verdict."""
        try:
            async with asyncio.timeout(GATHER_S):
                return await work
        except (SilianError, TimeoutError) as error:
            self._lament(step, error)
        return None

    def _lament(self, step: str, error: Exception) -> None:
        self._needs.metrics.count("rollcall_evidence_failed_total", step=step)
        extra = {"roll_call": self.record.roll_call_id, "centre": self.record.centre, "step": step}
        logger.warning("evidence not gathered", extra=extra | {"error": str(error) or type(error).__name__})

    async def _settle(self, state: PointState, reason: AbsenceReason | None) -> None:
        record = self.record
        self._stop_reading()
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
        if reason is None:
            return
        if record.told is not None:
            told = phrases.TOLD.format(verdict=record.told)
            record.note = f"{record.note}；{told}" if record.note else told
        record.state, record.reason = state, reason
        if record.camera is not None and record.rung_at is not None:
            await self._checks()

    async def _save(self) -> None:
        record, point = self.record, self._point
        record.state, record.reason = point.state, point.reason
        record.attempts = self._earlier + point.attempts
        record.challenge_at = record.challenge_at if point.challenged_now else None
        row = record.row()
        if row != self._saved:
            self._saved = row
            await self._tools.save(record)

    def _post(self, event: Event) -> None:
        self._inbox.append(event)
        self._wake.set()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = self._group.create_task(work, name=f"rollcall {name}[{self.record.centre}]")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def said_of(answer: RollCallAnswer) -> dict[str, Any]:
    """Return what a county said, without its picture and its box: those are evidence."""
    said = answer.model_dump(mode="json", exclude={"camera", "box"})
    return {name: value for name, value in said.items() if value not in {None, ""}}
