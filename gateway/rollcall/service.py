"""Roll calls: start, run in parallel, go on after a restart, read.

A point is written at every step; `RollCallChanged` fires after each commit. One county is in one roll call at a time.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Self

from sqlalchemy import insert, select, update

from gateway.events import RollCallChanged
from gateway.ports.store import Reader
from gateway.rollcall import phrases
from gateway.rollcall.machine import Profile
from gateway.rollcall.needs import RollCallNeeds
from gateway.rollcall.records import PointRecord, RollCall, RollCallRecord
from gateway.rollcall.runner import PRESENCE_S, PointRunner, Tools
from gateway.rollcall.tables import POINTS, ROLL_CALLS
from gateway.rollcall.ways import due_centres, point_of
from protocols.aio.clock import new_ulid
from protocols.aio.tasks import Supervisor
from protocols.errors import BadInputError, NotFoundError, WrongMomentError
from protocols.rollcall import AbsenceReason, PointState, RollCallKind, SessionState
from protocols.tiers import Centre

logger = logging.getLogger(__name__)
PAGE = 50


class RollCallService:
    """The roll-call room. Use it with `async with`: entering resumes what a restart interrupted."""

    def __init__(
        self,
        needs: RollCallNeeds,
        *,
        profile: Profile | None = None,
        parallel: int = 100,
    ) -> None:
        """`parallel` points are rung at the same moment, the others wait. The clock must be the media engine's."""
        self._store = needs.store
        self._blobs = needs.blobs
        self._ways = needs.ways
        self._clock = needs.clock
        self._metrics = needs.metrics
        self._seats = asyncio.Semaphore(parallel)
        self._tools = Tools(needs, profile or Profile(), self._save_point)
        self._supervisor = Supervisor("rollcall", clock=needs.clock)
        self._last: dict[str, PointRecord] = {}
        needs.metrics.live("rollcall_participants", self._participants)
        needs.metrics.live("rollcall_centre_result", self._results)

    async def __aenter__(self) -> Self:
        async with self._store.reading() as reader:
            rows = (
                await reader.execute(select(ROLL_CALLS.c.id).where(ROLL_CALLS.c.state == SessionState.RUNNING))
            ).all()
        for (roll_call_id,) in rows:
            logger.info("roll call resumed", extra={"roll_call": roll_call_id})
            self._supervisor.start(roll_call_id, partial(self._run, roll_call_id))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._supervisor.stop()

    async def start(
        self,
        *,
        by: str,
        kind: RollCallKind = RollCallKind.DAILY,
        centres: Sequence[str] | None = None,
        drill: bool = False,
    ) -> RollCall:
        """Ring the named counties, or all of the subtree. Raises NotFoundError, BadInputError, WrongMomentError."""
        chosen = self._chosen(centres)
        record = RollCallRecord(new_ulid(self._clock), kind, SessionState.RUNNING, by, self._clock.now(), drill=drill)
        cameras = self._ways.cameras()
        points = tuple(point_of(record.id, number, one, cameras) for number, one in enumerate(chosen, 1))
        async with self._store.unit() as uow:
            await self._refuse_overlap(uow, {point.centre for point in points})
            await uow.execute(insert(ROLL_CALLS), record.row())
            await uow.execute(insert(POINTS), [point.row() for point in points])
            uow.tell(RollCallChanged(record.id))
        logger.info("roll call started", extra={"roll_call": record.id, "due": len(points), "by": by})
        self._supervisor.start(record.id, partial(self._run, record.id))
        return RollCall(record, points)

    def _chosen(self, codes: Sequence[str] | None) -> list[Centre]:
        if codes is None:
            chosen = due_centres(self._ways)
            if not chosen:
                raise BadInputError("no county lies below this centre; a roll call has nobody to ring")
            return chosen
        below = {centre.code: centre for centre in self._ways.centres() if centre.code != self._ways.own().code}
        below = below or {centre.code: centre for centre in self._ways.centres()}
        unknown = [code for code in codes if code not in below]
        if unknown:
            raise NotFoundError(f"no centre {unknown[0]} below {self._ways.own().code}")
        if not codes:
            raise BadInputError("name at least one county, or leave `centres` away for all")
        return [below[code] for code in dict.fromkeys(codes)]

    @staticmethod
    async def _refuse_overlap(reader: Reader, centres: set[str]) -> None:
        running = (
            select(POINTS.c.centre, POINTS.c.name)
            .join(ROLL_CALLS, ROLL_CALLS.c.id == POINTS.c.roll_call_id)
            .where(ROLL_CALLS.c.state == SessionState.RUNNING, POINTS.c.centre.in_(centres))
        )
        found = (await reader.execute(running)).first()
        if found is not None:
            raise WrongMomentError(f"{found.name} ({found.centre}) is in a roll call that is still running")

    async def get(self, roll_call_id: str) -> RollCall:
        """Return one roll call; raises NotFoundError."""
        async with self._store.reading() as reader:
            return await self._read(reader, roll_call_id)

    async def page(self, before: str | None = None, limit: int = PAGE) -> list[RollCall]:
        """Return the newest roll calls, or those older than the one named `before`."""
        newest = select(ROLL_CALLS.c.id).order_by(ROLL_CALLS.c.id.desc()).limit(limit)
        if before is not None:
            newest = newest.where(ROLL_CALLS.c.id < before)
        async with self._store.reading() as reader:
            ids = [row.id for row in (await reader.execute(newest)).all()]
            return [await self._read(reader, one) for one in ids]

    async def still(self, roll_call_id: str, centre: str) -> bytes:
        """Return the kept picture of a point as JPEG; raises NotFoundError where none was seen."""
        point = next((p for p in (await self.get(roll_call_id)).points if p.centre == centre), None)
        if point is None or point.still is None:
            raise NotFoundError(f"roll call {roll_call_id} keeps no picture of {centre}")
        return await self._blobs.get(point.still)

    async def _read(self, reader: Reader, roll_call_id: str) -> RollCall:
        head = (await reader.execute(select(ROLL_CALLS).where(ROLL_CALLS.c.id == roll_call_id))).mappings().first()
        if head is None:
            raise NotFoundError(f"no roll call {roll_call_id}")
        rows = select(POINTS).where(POINTS.c.roll_call_id == roll_call_id).order_by(POINTS.c.number)
        points = tuple(PointRecord.read(row) for row in (await reader.execute(rows)).mappings().all())
        return RollCall(RollCallRecord.read(head), points)

    async def _run(self, roll_call_id: str) -> None:
        call = await self.get(roll_call_id)
        self._last = {point.centre: point for point in call.points}
        if self._clock.now() - call.record.started_at > timedelta(seconds=PRESENCE_S):
            await self._give_up(call)
        async with asyncio.TaskGroup() as group:
            for point in call.points:
                if not point.settled:
                    group.create_task(self._run_point(call, point), name=f"rollcall[{point.centre}]")
        await self._finish(roll_call_id)

    async def _run_point(self, call: RollCall, point: PointRecord) -> None:
        async with self._seats:
            await PointRunner(self._tools, point, drill=call.record.drill).run()
        logger.info(
            "roll call point",
            extra={
                "roll_call": call.record.id, "centre": point.centre, "state": point.state.value,
                "reason": point.reason or "none",
            },
        )  # fmt: skip
        if point.first_frame_s is not None and point.rung_at is not None and point.answered_at is not None:
            seen = (point.answered_at - point.rung_at).total_seconds() + point.first_frame_s
            self._metrics.observe("rollcall_answer_duration_seconds", seen)

    async def _give_up(self, call: RollCall) -> None:
        for point in call.points:
            if not point.settled:
                answered = point.answered_at is not None
                point.state = PointState.ABSENT
                point.reason = AbsenceReason.NO_PICTURE if answered else AbsenceReason.NO_ANSWER
                point.settled_at, point.note = self._clock.now(), phrases.TOO_OLD
                await self._save_point(point)

    async def _finish(self, roll_call_id: str) -> None:
        ended = self._clock.now()
        async with self._store.unit() as uow:
            values = {"state": SessionState.REVIEWING, "ended_at": ended}
            await uow.execute(update(ROLL_CALLS).where(ROLL_CALLS.c.id == roll_call_id).values(**values))
            uow.tell(RollCallChanged(roll_call_id))
        call = await self.get(roll_call_id)
        outcome = "complete" if call.present == call.due else "absences"
        self._metrics.count("rollcall_sessions_total", outcome=outcome)
        self._metrics.observe("rollcall_duration_seconds", (ended - call.record.started_at).total_seconds())
        logger.info("roll call ended", extra={"roll_call": roll_call_id, "due": call.due, "present": call.present})

    async def _save_point(self, point: PointRecord) -> None:
        self._last[point.centre] = point
        mine = (POINTS.c.roll_call_id == point.roll_call_id) & (POINTS.c.centre == point.centre)
        async with self._store.unit() as uow:
            await uow.execute(update(POINTS).where(mine).values(**point.row()))
            uow.tell(RollCallChanged(point.roll_call_id))

    def _participants(self) -> list[tuple[tuple[str, ...], float]]:
        points = self._last.values()
        present = sum(point.state is PointState.PASSED for point in points)
        absent = sum(point.state is PointState.ABSENT for point in points)
        counts = {"present": present, "absent": absent, "open": len(self._last) - present - absent}
        return [((state,), float(number)) for state, number in counts.items()]

    def _results(self) -> list[tuple[tuple[str, ...], float]]:
        return [((p.centre,), float(p.state is PointState.PASSED)) for p in self._last.values() if p.settled]
