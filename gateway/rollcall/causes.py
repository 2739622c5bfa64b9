"""Why a county was not there (责任归因): gathers the facts for `rules.cause`, and asks again when its own record comes.

A node that was cut off sends what it observed meanwhile (`protocols.diary`). The record is a row before it is weighed;
weighing changes a verdict only by an appended revision, and never one that a person gave.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import or_, select, update
from typing_extensions import override

from gateway.metrics import Metrics
from gateway.ports.store import Store, UnitOfWork
from gateway.rollcall import phrases
from gateway.rollcall.evidence import Evidence, Item
from gateway.rollcall.needs import KnownLink, Ways
from gateway.rollcall.records import PointRecord, RollCallRecord
from gateway.rollcall.rules.cause import Facts, Silent, cause_of
from gateway.rollcall.rules.chain import EvidenceKind
from gateway.rollcall.rules.verdict import at_the_end
from gateway.rollcall.tables import NODE_RECORDS, POINTS, ROLL_CALLS
from gateway.rollcall.verdicts import Change
from gateway.rollcall.ways import break_on_way, due_centres, way_to
from protocols.aio.clock import Clock
from protocols.diary import NodeRecord, node_record
from protocols.envelope import Event
from protocols.errors import SilianError
from protocols.health import LinkStatus
from protocols.ids import centre_of
from protocols.rollcall import AUTO, MISSING, AbsenceReason, Cause, PointState

logger = logging.getLogger(__name__)
AGAIN_S = 30.0
"""A record whose roll call still runs is looked at again so often."""
BATCH = 100


class HeardLink(KnownLink, Protocol):
    """A link that tells since when."""

    @property
    def since(self) -> datetime:
        """Since when it is up or down."""
        ...


class HeardWays(Ways, Protocol):
    """The registry."""

    @override
    def links(self) -> Sequence[HeardLink]:
        """Return the links of all nodes of the subtree."""
        ...

    @override
    def link(self, node: str) -> HeardLink | None:
        """Return the link of a node, None where it was never heard of."""
        ...


class Verdicts(Protocol):
    """Whoever changes verdicts that stand."""

    async def decide(self, roll_call_id: str, centre: str, change: Change, *, by: str, why: str) -> None:
        """Change a verdict; the one that stood stays readable as a revision."""
        ...


class Received(Protocol):
    """One event as it came in."""

    @property
    def event(self) -> Event:
        """What came."""
        ...

    @property
    def received_at(self) -> datetime:
        """When."""
        ...


class Causes:
    """Implements `needs.Causes`, and takes `node.record` events. `verdicts` is set once the room is there; `run` it."""

    def __init__(
        self,
        store: Store,
        ways: HeardWays,
        evidence: Evidence,
        clock: Clock,
        metrics: Metrics,
        carriers: Sequence[str] = (),
    ) -> None:
        """`carriers` names the carrier of the line of centres and nodes: `320623=电信`."""
        self._store = store
        self._ways = ways
        self._evidence = evidence
        self._clock = clock
        self._metrics = metrics
        self._carriers = {name: carrier for name, _, carrier in (one.partition("=") for one in carriers)}
        self._came = asyncio.Event()
        self.verdicts: Verdicts | None = None

    # the cause of one point

    async def cause(self, point: PointRecord, call: RollCallRecord) -> Cause | None:
        """Return the cause of a point that was missing, be it only at first; None for one that was there."""
        if _reason(point) is None:
            return None
        return cause_of(await self._facts(point, call))

    async def _facts(self, point: PointRecord, call: RollCallRecord) -> Facts:
        now = point.settled_at or self._clock.now()
        began = point.rung_at or call.started_at
        reason = _reason(point)
        away = reason is AbsenceReason.NO_LINK
        link = self._ways.link(point.owner) if point.owner is not None else None
        down = link is not None and link.status is not LinkStatus.UP
        since = link.since if link is not None and down else began if away else None
        found = break_on_way(self._ways, way_to(self._ways, point.centre), point.centre, point.owner)
        async with self._store.reading() as reader:
            unseen = select(POINTS.c.centre).where(
                POINTS.c.roll_call_id == call.id, POINTS.c.reason == AbsenceReason.NO_PICTURE.value
            )
            failing = len((await reader.execute(unseen)).all())
            asked = len((await reader.execute(select(POINTS.c.centre).where(POINTS.c.roll_call_id == call.id))).all())
        return Facts(
            centre=point.centre,
            at=now,
            reason=reason,
            since=since if away else None,
            link_reason=link.reason if link is not None and down else None,
            break_above=found is not None and found.ours,
            carrier=self._carrier(point.centre, point.owner),
            on_battery=link.box.on_battery if link is not None and link.box is not None else None,
            told=point.told,
            answered=point.answered_at is not None,
            silent=[*self._silent(), *await self._told_silent(began, now)],
            asked=max(asked, 1),
            unseen=failing,
            record=await self._record_of(point.centre, point.owner, since or began, now),
            earlier=point.cause,
        )

    def _silent(self) -> Sequence[Silent]:
        """Return the counties that are not heard though the way to them is open as far as their own link."""
        found = []
        for centre in due_centres(self._ways):
            links = [link for link in self._ways.links() if link.centre == centre.code]
            if not links or any(link.status is LinkStatus.UP for link in links):
                continue
            broken = break_on_way(self._ways, way_to(self._ways, centre.code), centre.code, links[0].node)
            if broken is not None and not broken.ours and not broken.never:
                since = max(link.since for link in links)
                found.append(Silent(centre.code, since, self._carrier(centre.code, links[0].node)))
        return found

    async def _told_silent(self, began: datetime, ended: datetime) -> Sequence[Silent]:
        """Return the counties that told afterwards that nobody heard them in this time."""
        times = (NODE_RECORDS.c.began_at <= ended) & (NODE_RECORDS.c.ended_at >= began)
        wanted = select(NODE_RECORDS.c.node, NODE_RECORDS.c.began_at).where(times).limit(1000)
        async with self._store.reading() as reader:
            rows = (await reader.execute(wanted)).all()
        found = ((centre_of(row.node), row) for row in rows)
        return [Silent(centre, row.began_at, self._carrier(centre, row.node)) for centre, row in found]

    def _carrier(self, centre: str, node: str | None) -> str:
        return self._carriers.get(node or "", self._carriers.get(centre, ""))

    async def _record_of(self, centre: str, owner: str | None, began: datetime, ended: datetime) -> NodeRecord | None:
        """Return what the county told of this time: its box's own record before that of its other nodes."""
        times = (NODE_RECORDS.c.began_at <= ended) & (NODE_RECORDS.c.ended_at >= began)
        theirs = or_(NODE_RECORDS.c.node == centre, NODE_RECORDS.c.node.startswith(f"{centre}-", autoescape=True))
        wanted = select(NODE_RECORDS).where(times, theirs).order_by(NODE_RECORDS.c.received_at.desc()).limit(20)
        async with self._store.reading() as reader:
            rows = (await reader.execute(wanted)).mappings().all()
        best = sorted(rows, key=lambda row: row["node"] != owner)
        return NodeRecord.model_validate(best[0]["record"]) if best else None

    # what nodes tell afterwards

    def check(self, event: Event) -> None:
        """Refuse what is no record of the node that sends it."""
        node_record(event)

    async def apply(self, uow: UnitOfWork, arrivals: Sequence[Received]) -> None:
        """Keep records."""
        rows = []
        for arrival in arrivals:
            record = node_record(arrival.event)
            rows.append(
                {
                    "event_id": arrival.event.id,
                    "node": record.node,
                    "began_at": record.began_at,
                    "ended_at": record.ended_at,
                    "received_at": arrival.received_at,
                    "record": arrival.event.data,
                    "weighed_at": None,
                }
            )
        await uow.put(NODE_RECORDS, rows)
        uow.after_commit(self._came.set)

    async def run(self) -> None:
        """Weigh records as they come, for ever."""
        while True:
            self._came.clear()
            try:
                await self.weigh_all()
            except SilianError as error:
                logger.error("records of nodes not weighed, tried again: %s", error)
            await self._clock.wait(self._came, AGAIN_S)

    async def weigh_all(self) -> int:
        """Weigh the records that wait; returns how many verdicts were revised."""
        wanted = select(NODE_RECORDS).where(NODE_RECORDS.c.weighed_at.is_(None)).limit(BATCH)
        async with self._store.reading() as reader:
            rows = (await reader.execute(wanted.order_by(NODE_RECORDS.c.received_at))).mappings().all()
        revised = 0
        for row in rows:
            revised += await self._weigh(row)
        return revised

    async def _weigh(self, row: Any) -> int:
        points = await self._points(row)
        if any(call.ended_at is None for call, _ in points):
            return 0  # the roll call asks for the cause itself when it ends, and finds the record then
        revised = 0
        for call, point in points:
            await self._keep(row, point)
            revised += await self._revise(call, point, row["node"])
        async with self._store.unit() as uow:
            mine = NODE_RECORDS.c.event_id == row["event_id"]
            await uow.execute(update(NODE_RECORDS).where(mine).values(weighed_at=uow.now))
        return revised

    async def _points(self, row: Any) -> list[tuple[RollCallRecord, PointRecord]]:
        """Return the points of the node's county that were asked while it was not heard."""
        wanted = (
            select(POINTS, ROLL_CALLS.c.started_at.label("call_started_at"))
            .join(ROLL_CALLS, ROLL_CALLS.c.id == POINTS.c.roll_call_id)
            .where(
                POINTS.c.centre == centre_of(row["node"]),
                ROLL_CALLS.c.started_at <= row["ended_at"],
                or_(ROLL_CALLS.c.ended_at.is_(None), ROLL_CALLS.c.ended_at >= row["began_at"]),
            )
        )
        async with self._store.reading() as reader:
            found = [PointRecord.read(one) for one in (await reader.execute(wanted)).mappings().all()]
            calls = {}
            for point in found:
                head = select(ROLL_CALLS).where(ROLL_CALLS.c.id == point.roll_call_id)
                calls[point.roll_call_id] = RollCallRecord.read((await reader.execute(head)).mappings().one())
        return [(calls[point.roll_call_id], point) for point in found]

    async def _keep(self, row: Any, point: PointRecord) -> None:
        content = json.dumps(row["record"], ensure_ascii=False, sort_keys=True).encode()
        note = phrases.RECORD_OF_NODE.format(node=row["node"])
        item = Item(EvidenceKind.RECORD, content, "application/json", row["ended_at"], note)
        await self._evidence.keep(point.roll_call_id, point.centre, [item])

    async def _revise(self, call: RollCallRecord, point: PointRecord, node: str) -> int:
        cause = await self.cause(point, call)
        missing = point.state in MISSING and point.reason is AbsenceReason.NO_LINK
        state = at_the_end(PointState.LINK_LOST, cause) if missing else point.state
        if cause is None or cause is Cause.UNKNOWN or (cause is point.cause and state is point.state):
            return 0
        if point.decided_by not in (None, AUTO):
            logger.info("a person's verdict stands", extra={"roll_call": call.id, "centre": point.centre})
            return 0
        if self.verdicts is None:
            raise AssertionError("the gateway joins the room before it runs")
        why = phrases.REVISED_BY_RECORD.format(node=node, cause=phrases.CAUSES[cause])
        change = Change(state=state, reason=point.reason, cause=cause)
        await self.verdicts.decide(call.id, point.centre, change, by=AUTO, why=why)
        self._metrics.count("rollcall_causes_revised_total", cause=cause.value)
        logger.info("cause revised", extra={"roll_call": call.id, "centre": point.centre, "cause": cause.value})
        return 1


_FIRST = {
    PointState.LINK_LOST: AbsenceReason.NO_LINK,
    PointState.NO_ANSWER: AbsenceReason.NO_ANSWER,
    PointState.FAILED: AbsenceReason.BAD_PICTURE,
}


def _reason(point: PointRecord) -> AbsenceReason | None:
    """Return why the point was missing: now, or in its first round where it came in the make-up."""
    if point.state is PointState.LINK_LOST:
        return AbsenceReason.NO_LINK
    if point.reason is not None or point.first_state is None:
        return point.reason
    return _FIRST.get(point.first_state)
