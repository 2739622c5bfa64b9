"""Roll calls through the tiers: orders down, results up, and the word that a higher tier is inspecting.

A gateway asks its own counties for the tier above in a call of its own (kind `relay`); all tiers know the call by the
id of the gateway that began it. **A result is a record on the link**: it arrives once, and late rather than never.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from sqlalchemy import select, update

from gateway.events import EventBus, InspectionChanged, RollCallChanged
from gateway.ports.store import UnitOfWork
from gateway.rollcall import phrases
from gateway.rollcall.ledger import Ledger, stands
from gateway.rollcall.needs import RollCallNeeds, Ways
from gateway.rollcall.records import PointRecord, RollCallRecord, told_of
from gateway.rollcall.rules.claims import standing_of
from gateway.rollcall.rules.profiles import Profile
from gateway.rollcall.tables import INSPECTIONS
from gateway.rollcall.ways import gateways_on_way, way_to
from protocols.command import (
    CommandName,
    Outcome,
    RollCallChallenge,
    RollCallInspect,
    RollCallOrder,
    RollCallSteer,
)
from protocols.envelope import Event
from protocols.errors import LinkError, NotAllowedError, WrongMomentError
from protocols.ids import centre_of
from protocols.rollcall import (
    ASIDE,
    AUTO,
    CALL_RESULT,
    MISSING,
    PRESENT,
    PointResult,
    call_result,
    point_result,
)
from protocols.tiers import ORDER

logger = logging.getLogger(__name__)
INSPECT_S: Final = 3600.0
"""An inspection whose end nobody told is over after this time."""
INSPECT_WITHIN_S: Final = 60.0
STEER_WITHIN_S: Final = 600.0
CHALLENGE_WITHIN_S: Final = 10.0


class Arrived(Protocol):
    """An event on its way into the house."""

    @property
    def event(self) -> Event:
        """The event."""
        ...


class Heard(Protocol):
    """Whoever runs the calls."""

    def heard(self, roll_call_id: str, point: PointRecord) -> None:
        """Take what a gateway below told of a point; it is stored."""
        ...


@dataclass(frozen=True, slots=True)
class Inspection:
    """A higher tier calls `centres` itself."""

    roll_call_id: str
    by_centre: str
    centres: tuple[str, ...]
    kind: str
    began_at: datetime
    until: datetime
    ended_at: datetime | None = None


class TierLanes:
    """Orders and inspections towards the tiers below."""

    def __init__(self, needs: RollCallNeeds, ledger: Ledger) -> None:
        self._needs = needs
        self._ledger = ledger

    async def order(self, call: RollCallRecord, profile: Profile, points: Sequence[PointRecord]) -> None:
        """Order points at their gateways; what cannot be ordered is noted in the point."""
        groups: defaultdict[str, list[PointRecord]] = defaultdict(list)
        for point in points:
            groups[point.delegate or ""].append(point)
        for node, members in groups.items():
            order = RollCallOrder(
                roll_call_id=call.root_id,
                kind=call.kind.value,
                mode="parallel",
                centres=tuple(point.centre for point in members),
                caller=call.started_by,
                caller_centre=self._needs.ways.own().code,
                rules=profile.model_dump(mode="json"),
                drill=call.drill,
                root_centre=call.root_centre or self._needs.ways.own().code,
            )
            await self._owe(call, node, CommandName.ROLLCALL_ORDER, order, profile.presence_s or 60.0, members)

    async def steer(self, call: RollCallRecord, points: Sequence[PointRecord], deed: str, why: str = "") -> None:
        """Pause, resume, finish or cancel what was ordered below."""
        args = RollCallSteer.model_validate({"roll_call_id": call.root_id, "deed": deed, "why": why})
        for node in sorted({point.delegate for point in points if point.delegate is not None}):
            await self._owe(call, node, CommandName.ROLLCALL_STEER, args, STEER_WITHIN_S, ())

    async def challenge(self, call: RollCallRecord, point: PointRecord, *, confirmed: bool | None, by: str) -> None:
        """Have the number shown, or confirmed, by the gateway that asks a point for us.

        Raises LinkError, WrongMomentError with what that gateway says.
        """
        node = point.delegate
        if node is None:
            raise AssertionError("a point that is asked from here has a runner")
        who = by if "/" in by else f"{self._needs.ways.own().code}/{by}"
        args = RollCallChallenge(roll_call_id=call.root_id, centre=point.centre, confirmed=confirmed, by=who[:64])
        within = CHALLENGE_WITHIN_S
        reply = await self._needs.commands.ask(node, CommandName.ROLLCALL_CHALLENGE, args, within_s=within)
        if reply.outcome is not Outcome.DONE:
            why = reply.detail or reply.code or reply.outcome.value
            raise WrongMomentError(phrases.LANE_REFUSES.format(node=node, why=why))

    async def inspect(self, call: RollCallRecord, points: Sequence[PointRecord], *, over: bool = False) -> None:
        """Tell each gateway on the way to a point that is asked straight through, or that it is over."""
        told: defaultdict[str, list[str]] = defaultdict(list)
        for point in points:
            if point.delegate is None:
                for node in gateways_on_way(self._needs.ways, way_to(self._needs.ways, point.centre)):
                    told[node].append(point.centre)
        until = self._needs.clock.now() + timedelta(seconds=INSPECT_S)
        for node, centres in told.items():
            args = RollCallInspect(
                roll_call_id=call.root_id,
                caller_centre=self._needs.ways.own().code,
                centres=tuple(centres),
                kind=call.kind.value,
                until=until,
                over=over,
            )
            within = INSPECT_S if over else INSPECT_WITHIN_S
            await self._owe(call, node, CommandName.ROLLCALL_INSPECT, args, within, ())

    async def over(self, call: RollCallRecord) -> None:
        """Tell the tiers between that the call is over."""
        whole = await self._ledger.get(call.id)
        await self.inspect(call, whole.points, over=True)

    async def _owe(
        self, call: RollCallRecord, node: str, name: str, args: Any, within_s: float, points: Sequence[PointRecord]
    ) -> None:
        try:
            async with self._needs.store.unit() as uow:
                await self._needs.commands.owe_command(uow, node, name, args, within_s=within_s)
        except LinkError as error:
            extra = {"roll_call": call.id, "node": node, "command": name, "error": str(error)}
            logger.warning("roll call not passed on", extra=extra)
            for point in points:
                point.note = phrases.ORDER_FAILED.format(node=node, why=error)
                await self._ledger.save_point(call, point)


class Results:
    """Takes what gateways below tell of the points that they ask for us; an event handler of the links."""

    def __init__(self, ledger: Ledger, room: Heard, ways: Ways) -> None:
        self._ledger = ledger
        self._room = room
        self._ways = ways

    def check(self, event: Event) -> None:
        """Raise BadSchemaError where the payload does not fit, NotAllowedError for a county of somebody else."""
        if event.type == CALL_RESULT:
            call_result(event)
            return
        told = point_result(event)
        source = centre_of(event.source)
        if source != self._ways.own().code and source not in way_to(self._ways, told.centre):
            raise NotAllowedError(f"{event.source} may not tell the roll call of {told.centre}")

    async def apply(self, uow: UnitOfWork, arrivals: Sequence[Arrived]) -> None:
        """Write what is new: by the number that each asking gateway counts."""
        for arrival in arrivals:
            if arrival.event.type == CALL_RESULT:
                await self._call_ended(uow, arrival.event)
            else:
                await self._point(uow, point_result(arrival.event))

    async def _call_ended(self, uow: UnitOfWork, event: Event) -> None:
        told = call_result(event)
        mine = await self._ledger.of_root(uow, told.roll_call_id)
        if mine is not None:
            extra = {"roll_call": mine, "node": told.asked_by, "state": told.state.value, "why": told.why}
            logger.info("delegated roll call ended", extra=extra)
            uow.tell(RollCallChanged(mine))

    async def _point(self, uow: UnitOfWork, told: PointResult) -> None:
        mine = await self._ledger.of_root(uow, told.roll_call_id)
        if mine is None:
            return  # the record of a call that this gateway has no part in: it is stored and goes on up
        call = await self._ledger.read(uow, mine)
        point = next((one for one in call.points if one.centre == told.centre), None)
        if point is None or point.delegate is None or told.number <= point.heard:
            return
        change = {name: value for name, value in told_of(told).items() if name != "rung_at" or value is not None}
        if stands(point):
            says_less = point.state in PRESENT and told.state not in PRESENT | MISSING
            says_the_same = point.state in ASIDE and told.state is point.state  # lent there as it is lent here
            if point.decided_by not in {None, AUTO} or says_less or says_the_same:
                point.heard = told.number
                await self._ledger.write_point(uow, call.record, point)
                return
            await self._late(uow, call.record, point, told, change)
        else:
            point.heard = told.number
            for name, value in change.items():
                setattr(point, name, value)
            await self._ledger.write_point(uow, call.record, point)
        uow.after_commit(lambda: self._room.heard(mine, point))

    async def _late(
        self, uow: UnitOfWork, call: RollCallRecord, point: PointRecord, told: PointResult, change: dict[str, Any]
    ) -> None:
        """Take the result of a point whose verdict stands: visibly, by a revision."""
        point.heard = told.number
        if told.settled_at is None:
            await self._ledger.write_point(uow, call, point)
            return
        late = call.ended_at is not None
        await self._ledger.revise(
            uow, call, point, change | {"late": late}, by=told.asked_by, reason=phrases.LATE_RESULT
        )


class Inspections:
    """What higher tiers call in this subtree; kept in memory and as rows."""

    def __init__(self, needs: RollCallNeeds, bus: EventBus | None) -> None:
        self._needs = needs
        self._bus = bus
        self._open: dict[str, Inspection] = {}

    async def load(self) -> None:
        """Read what stood before the start."""
        async with self._needs.store.reading() as reader:
            rows = (await reader.execute(select(INSPECTIONS).where(INSPECTIONS.c.ended_at.is_(None)))).mappings().all()
        for row in rows:
            self._open[row["roll_call_id"]] = Inspection(**{**row, "centres": tuple(row["centres"])})

    def standing(self) -> list[Inspection]:
        """Return those that are under way, the newest first."""
        now = self._needs.clock.now()
        found = [one for one in self._open.values() if one.until > now]
        return sorted(found, key=lambda one: one.began_at, reverse=True)

    def of(self, centre: str) -> Inspection | None:
        """Return the inspection under way at a centre, if there is one: that of the highest tier."""
        found = [one for one in self.standing() if centre in one.centres]
        return min(found, key=self._height, default=None)

    def _height(self, one: Inspection) -> int:
        ways = self._needs.ways
        return ORDER.index(standing_of(ways.tier(one.by_centre), ways.own().tier))

    async def take(self, told: RollCallInspect) -> Inspection:
        """Take the word of the tier above, and tell the screens."""
        now = self._needs.clock.now()
        known = self._open.get(told.roll_call_id)
        one = Inspection(
            told.roll_call_id,
            told.caller_centre,
            told.centres,
            told.kind,
            known.began_at if known is not None else now,
            told.until,
            now if told.over else None,
        )
        async with self._needs.store.unit() as uow:
            await uow.put(INSPECTIONS, [_row(one)])
        if told.over:
            self._open.pop(one.roll_call_id, None)
        else:
            self._open[one.roll_call_id] = one
        logger.info(
            "inspection from above",
            extra={"roll_call": one.roll_call_id, "by": one.by_centre, "centres": len(one.centres), "over": told.over},
        )
        if self._bus is not None:
            self._bus.publish(InspectionChanged(one.roll_call_id))
        return one

    async def expire(self, now: datetime) -> list[Inspection]:
        """End those whose end nobody told."""
        gone = [one for one in self._open.values() if one.until <= now]
        for one in gone:
            del self._open[one.roll_call_id]
            async with self._needs.store.unit() as uow:
                mine = INSPECTIONS.c.roll_call_id == one.roll_call_id
                await uow.execute(update(INSPECTIONS).where(mine).values(ended_at=now))
            logger.warning("inspection ended without a word", extra={"roll_call": one.roll_call_id})
            if self._bus is not None:
                self._bus.publish(InspectionChanged(one.roll_call_id))
        return gone


def _row(one: Inspection) -> dict[str, Any]:
    return {
        "roll_call_id": one.roll_call_id,
        "by_centre": one.by_centre,
        "centres": list(one.centres),
        "kind": one.kind,
        "began_at": one.began_at,
        "until": one.until,
        "ended_at": one.ended_at,
    }
