"""The rows of roll calls: read, written at each step, and revised by appending.

What a call owes to the tier that ordered it is written in the same transaction as the point it speaks of.
"""

import logging
from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import func, insert, select, update

from gateway.events import RollCallChanged
from gateway.ports.store import Reader, Store, UnitOfWork
from gateway.rollcall.needs import Links
from gateway.rollcall.records import PointRecord, Revision, RollCall, RollCallRecord, result_of
from gateway.rollcall.tables import POINTS, PROFILES, REVISIONS, ROLL_CALLS
from protocols.command import CommandName, RollCallStage
from protocols.envelope import Lane
from protocols.errors import LinkError, NotFoundError
from protocols.rollcall import CALL_RESULT, POINT_RESULT, UNDER_WAY, CallResult, PointState, SessionState

logger = logging.getLogger(__name__)
OVER_S: Final = 900.0
"""So long a county's page stays open by itself (`edge_agent.rollcall.machine.LIFE_S`): a later word is no news."""
VERDICT = ("state", "reason", "cause", "score", "why", "late")
"""What a revision keeps of a point, before and after."""
TOLD = ("state", "reason", "cause", "score", "why", "settled_at", "answer", "challenge_at")
"""A change of any of these is told to the tier that ordered the call."""
BEFORE = (SessionState.DRAFT, SessionState.SCHEDULED, SessionState.PRECHECKING, SessionState.READY)


class Ledger:
    """Reads and writes; `node` names this gateway in what goes up."""

    def __init__(self, store: Store, links: Links, node: str) -> None:
        self._store = store
        self._links = links
        self._node = node
        self._told: dict[tuple[str, str], tuple[Any, ...]] = {}

    # reading

    async def get(self, roll_call_id: str) -> RollCall:
        """Return one roll call; raises NotFoundError."""
        async with self._store.reading() as reader:
            return await self.read(reader, roll_call_id)

    async def read(self, reader: Reader, roll_call_id: str) -> RollCall:
        """Return one roll call as `reader` sees it; raises NotFoundError."""
        head = (await reader.execute(select(ROLL_CALLS).where(ROLL_CALLS.c.id == roll_call_id))).mappings().first()
        if head is None:
            raise NotFoundError(f"no roll call {roll_call_id}")
        rows = select(POINTS).where(POINTS.c.roll_call_id == roll_call_id).order_by(POINTS.c.number)
        points = tuple(PointRecord.read(row) for row in (await reader.execute(rows)).mappings().all())
        return RollCall(RollCallRecord.read(head), points)

    async def page(self, before: str | None, limit: int) -> list[RollCall]:
        """Return the newest roll calls, or those older than the one named `before`."""
        newest = select(ROLL_CALLS.c.id).order_by(ROLL_CALLS.c.id.desc()).limit(limit)
        if before is not None:
            newest = newest.where(ROLL_CALLS.c.id < before)
        async with self._store.reading() as reader:
            ids = [row.id for row in (await reader.execute(newest)).all()]
            return [await self.read(reader, one) for one in ids]

    async def alive(self) -> list[str]:
        """Return the calls that are planned or under way, the oldest first."""
        wanted = select(ROLL_CALLS.c.id).where(ROLL_CALLS.c.state.in_([*BEFORE, *UNDER_WAY])).order_by(ROLL_CALLS.c.id)
        async with self._store.reading() as reader:
            return [row.id for row in (await reader.execute(wanted)).all()]

    async def busy(self, reader: Reader, centres: Collection[str]) -> list[tuple[str, str, str]]:
        """Return roll call, code and name of the centres that a call under way asks now."""
        wanted = (
            select(ROLL_CALLS.c.id, POINTS.c.centre, POINTS.c.name)
            .join(ROLL_CALLS, ROLL_CALLS.c.id == POINTS.c.roll_call_id)
            .where(ROLL_CALLS.c.state.in_(list(UNDER_WAY)), POINTS.c.centre.in_(sorted(centres)))
        )
        return [(row.id, row.centre, row.name) for row in (await reader.execute(wanted)).all()]

    async def of_root(self, reader: Reader, root_id: str) -> str | None:
        """Return this gateway's call that carries out, or is, the call known to all tiers as `root_id`."""
        mine = select(ROLL_CALLS.c.id).where((ROLL_CALLS.c.id == root_id) | (ROLL_CALLS.c.upper_id == root_id))
        found: str | None = (await reader.execute(mine.limit(1))).scalar_one_or_none()
        return found

    async def revisions(self, roll_call_id: str, centre: str | None = None) -> list[Revision]:
        """Return the changes of verdicts that stood, in order."""
        wanted = select(REVISIONS).where(REVISIONS.c.roll_call_id == roll_call_id).order_by(REVISIONS.c.id)
        if centre is not None:
            wanted = wanted.where(REVISIONS.c.centre == centre)
        async with self._store.reading() as reader:
            rows = (await reader.execute(wanted)).all()
        return [Revision(r.centre, r.number, r.at, r.by, r.reason, r.before, r.after) for r in rows]

    # writing

    async def create(self, uow: UnitOfWork, record: RollCallRecord, points: Sequence[PointRecord]) -> None:
        """Write a new call."""
        await uow.execute(insert(ROLL_CALLS), record.row())
        await uow.execute(insert(POINTS), [point.row() for point in points])
        uow.tell(RollCallChanged(record.id))

    async def save_call(self, record: RollCallRecord, ended: Collection[PointRecord] = ()) -> None:
        """Write a call's own row; the end of a delegated call goes up with it.

        Of `ended`, the points of a call that ended, those that were rung and have no verdict are owed the word of it.
        """
        async with self._store.unit() as uow:
            await self.write_call(uow, record)
            for point in ended:
                if point.settled_at is None:
                    await self._say_over(uow, record, point, record.state.value)

    async def write_call(self, uow: UnitOfWork, record: RollCallRecord) -> None:
        """Write a call's own row inside a unit of work."""
        await uow.execute(update(ROLL_CALLS).where(ROLL_CALLS.c.id == record.id).values(**record.row()))
        if record.upper_id is not None and record.ended_at is not None:
            ended = CallResult(
                roll_call_id=record.upper_id, asked_by=self._node, state=record.state, at=uow.now, why=record.why[:500]
            )
            event = uow.mint(CALL_RESULT, ended.model_dump(mode="json"), subject=record.upper_id, drill=record.drill)
            await self._links.emit(uow, event, Lane.LIVE)
        uow.tell(RollCallChanged(record.id))

    async def save_point(self, call: RollCallRecord, point: PointRecord) -> None:
        """Write a point's row; what the tier that ordered the call must know goes up with it."""
        async with self._store.unit() as uow:
            await self.write_point(uow, call, point)

    async def save_verdict(self, call: RollCallRecord, point: PointRecord) -> None:
        """Write a point whose verdict stands."""
        async with self._store.unit() as uow:
            await self.write_verdict(uow, call, point)

    async def write_verdict(self, uow: UnitOfWork, call: RollCallRecord, point: PointRecord) -> None:
        """Write a point whose verdict stands; its county is owed the word of it, however this gateway ends."""
        await self.write_point(uow, call, point)
        await self._say_over(uow, call, point, point.state.value)

    async def _say_over(self, uow: UnitOfWork, call: RollCallRecord, point: PointRecord, state: str) -> None:
        if point.rung_at is None or point.delegate is not None or point.owner is None or point.camera is None:
            return
        told = RollCallStage(
            roll_call_id=call.id, centre=point.centre, camera=point.camera, stage="over", muted=True, state=state
        )
        try:
            await self._links.owe_command(uow, point.owner, CommandName.ROLLCALL_STAGE, told, within_s=OVER_S)
        except LinkError as error:
            logger.info("county not told", extra={"centre": point.centre, "stage": "over", "error": str(error)})

    async def write_point(self, uow: UnitOfWork, call: RollCallRecord, point: PointRecord) -> None:
        """Write a point's row inside a unit of work."""
        if call.upper_id is not None and point.delegate is None:
            await self._tell_above(uow, call, point)
        await uow.put(POINTS, [point.row()])
        uow.tell(RollCallChanged(point.roll_call_id))

    async def _tell_above(self, uow: UnitOfWork, call: RollCallRecord, point: PointRecord) -> None:
        said = tuple(getattr(point, name) for name in TOLD)
        key = (call.id, point.centre)
        if self._told.get(key) == said:
            return
        point.heard += 1
        result = result_of(point, call.root_id, self._node, uow.now)
        event = uow.mint(POINT_RESULT, result.model_dump(mode="json"), subject=call.root_id, drill=call.drill)
        await self._links.emit(uow, event, Lane.LIVE)
        uow.after_commit(lambda: self._told.__setitem__(key, said))

    async def revise(
        self, uow: UnitOfWork, call: RollCallRecord, point: PointRecord, change: dict[str, Any], *, by: str, reason: str
    ) -> None:
        """Change a verdict that stood: the former one stays readable as a revision."""
        before = _verdict(point)
        for name, value in change.items():
            setattr(point, name, value)
        point.revision += 1
        row = {
            "roll_call_id": point.roll_call_id,
            "centre": point.centre,
            "number": point.revision,
            "at": uow.now,
            "by": by,
            "reason": reason,
            "before": before,
            "after": _verdict(point),
        }
        await uow.execute(insert(REVISIONS), [row])
        await self.write_point(uow, call, point)

    def forget(self, roll_call_id: str) -> None:
        """Drop what is kept in memory of a call that ended."""
        self._told = {key: said for key, said in self._told.items() if key[0] != roll_call_id}

    # profiles

    async def profile(self, name: str) -> tuple[int, dict[str, Any]] | None:
        """Return the newest version of a stored profile, None where nobody has stored it."""
        wanted = select(PROFILES).where(PROFILES.c.name == name).order_by(PROFILES.c.version.desc()).limit(1)
        async with self._store.reading() as reader:
            row = (await reader.execute(wanted)).first()
        return None if row is None else (row.version, row.rules)

    async def profiles(self) -> list[Any]:
        """Return the newest version of every stored profile: name, version, at, by, rules."""
        newest = select(PROFILES.c.name, func.max(PROFILES.c.version).label("version")).group_by(PROFILES.c.name)
        latest = newest.subquery()
        same = (PROFILES.c.name == latest.c.name) & (PROFILES.c.version == latest.c.version)
        async with self._store.reading() as reader:
            return list((await reader.execute(select(PROFILES).join(latest, same).order_by(PROFILES.c.name))).all())

    async def store_profile(self, name: str, rules: dict[str, Any], *, by: str) -> int:
        """Store a new version of a profile and return its number."""
        async with self._store.unit() as uow:
            newest = select(func.max(PROFILES.c.version)).where(PROFILES.c.name == name)
            version = int((await uow.execute(newest)).scalar_one_or_none() or 0) + 1
            row = {"name": name, "version": version, "at": uow.now, "by": by, "rules": rules}
            await uow.execute(insert(PROFILES), [row])
        return version


def _verdict(point: PointRecord) -> dict[str, Any]:
    return {name: getattr(point, name) for name in VERDICT}


def stands(point: PointRecord) -> bool:
    """Tell whether a verdict stands that a change must revise."""
    return point.settled_at is not None and point.state is not PointState.PENDING
