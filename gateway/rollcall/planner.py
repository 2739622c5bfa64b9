"""Begins calls that nobody begins by hand: those of schedules, and those that an alarm or a warning gives reason to."""

import asyncio
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from sqlalchemy import delete, select

from gateway.events import AlarmChanged, AlarmStanding, EventBus
from gateway.ports.store import Reader, Store
from gateway.rollcall.offers import Offered, Offers
from gateway.rollcall.records import RollCall
from gateway.rollcall.rules.profiles import Profile, TriggerSource
from gateway.rollcall.rules.schedule import Plan, occurrences
from gateway.rollcall.rules.trigger import Reason, fitting, offer
from gateway.rollcall.service import Planned, RollCallService
from gateway.rollcall.tables import POINTS, ROLL_CALLS, SCHEDULES
from protocols.aio.clock import Clock, new_ulid
from protocols.errors import NotFoundError, SilianError
from protocols.rollcall import Mode, RollCallKind

logger = logging.getLogger(__name__)
LOOK_S: Final = 10.0
AT_ONCE: Final = 400
"""Alarms of one look into the store."""
PAUSE_S: Final = 1.0
"""A storm of alarms is looked at once a second."""
SEEN: Final = 20_000
AHEAD: Final = timedelta(minutes=16)
AHEAD_HIDDEN: Final = timedelta(minutes=3)
"""A call is written down so long before it begins: time for the prechecks, and no earlier where it is a secret."""
MISSED: Final = timedelta(minutes=10)
"""A call whose time passed while the gateway was down is still held within this time, else counted as missed."""
WARNINGS: Final = ("11B", "11E")
"""Event types that are public warnings (domain.md 7)."""


class Alarms(Protocol):
    """The alarms room."""

    async def standings(self, uow: Reader, alarm_ids: Sequence[str]) -> Sequence[AlarmStanding]:
        """Return how alarms stand; ids that are not known are left out."""
        ...


@dataclass(frozen=True, slots=True)
class Schedule:
    """A plan of calls that come again. `seed` gives its random nights and is told nobody."""

    id: str
    at: datetime
    by: str
    enabled: bool
    plan: Plan
    seed: str


class Planner:
    """Runs beside the room, and listens to the alarms of `bus`."""

    def __init__(self, room: RollCallService, store: Store, clock: Clock, alarms: Alarms, bus: EventBus) -> None:
        self._room = room
        self._store = store
        self._clock = clock
        self._alarms = alarms
        self._offers = Offers(store, clock)
        self._seen: set[str] = set()
        self._changed: set[str] = set()
        self._wake = asyncio.Event()
        self._looked_at = clock.now() - MISSED
        room.beside("plans", self.run)
        bus.listen(AlarmChanged, lambda event: self.alarm_changed(event.alarm_id))

    async def run(self) -> None:
        """Plan what is due, for ever."""
        self._seen |= await self._offers.load()
        while True:
            await self.look()
            await self._clock.wait(self._wake, LOOK_S)
            self._wake.clear()
            await self._clock.sleep(PAUSE_S)
            await self.reasons()

    # schedules

    async def schedules(self) -> list[Schedule]:
        """Return all schedules."""
        async with self._store.reading() as reader:
            rows = (await reader.execute(select(SCHEDULES).order_by(SCHEDULES.c.id))).all()
        return [
            Schedule(row.id, row.at, row.by, row.enabled, Plan.model_validate(row.plan["plan"]), row.plan["seed"])
            for row in rows
        ]

    async def put(self, plan: Plan, *, by: str, ident: str | None = None, enabled: bool = True) -> Schedule:
        """Store a schedule, or replace the one named; raises NotFoundError."""
        known = {one.id: one for one in await self.schedules()}
        if ident is not None and ident not in known:
            raise NotFoundError(f"no schedule {ident}")
        seed = known[ident].seed if ident is not None else secrets.token_hex(16)
        one = Schedule(ident or new_ulid(self._clock), self._clock.now(), by, enabled, plan, seed)
        stored = {"plan": plan.model_dump(mode="json"), "seed": seed}
        async with self._store.unit() as uow:
            row = {"id": one.id, "at": one.at, "by": by, "enabled": enabled, "plan": stored}
            await uow.put(SCHEDULES, [row])
        logger.info("schedule stored", extra={"schedule": one.id, "by": by, "kind": plan.kind.value})
        return one

    async def remove(self, ident: str) -> None:
        """Remove a schedule; calls that it planned stay. Raises NotFoundError."""
        async with self._store.unit() as uow:
            gone = await uow.execute(delete(SCHEDULES).where(SCHEDULES.c.id == ident))
            if gone.rowcount == 0:
                raise NotFoundError(f"no schedule {ident}")

    async def look(self) -> None:
        """Plan the calls of the near future, once each."""
        now = self._clock.now()
        for one in await self.schedules():
            if one.enabled:
                hidden = one.plan.kind is RollCallKind.RANDOM
                ahead = AHEAD_HIDDEN if hidden else AHEAD
                for at in occurrences(one.plan, max(self._looked_at, one.at), now + ahead, one.seed):
                    await self._plan(one, at, now)
        self._looked_at = now - MISSED

    async def _plan(self, one: Schedule, at: datetime, now: datetime) -> None:
        async with self._store.reading() as reader:
            same = select(ROLL_CALLS.c.id).where(ROLL_CALLS.c.schedule_id == one.id, ROLL_CALLS.c.planned_at == at)
            if (await reader.execute(same)).first() is not None:
                return
        plan = one.plan
        wanted = Planned(
            one.by,
            plan.kind,
            plan.mode,
            centres=plan.centres,
            at=at,
            profile=plan.profile,
            drill=plan.drill,
            count=plan.count,
            schedule_id=one.id,
        )
        try:
            await self._room.plan(wanted)
        except SilianError as error:
            logger.warning("scheduled roll call not planned", extra={"schedule": one.id, "error": str(error)})

    # triggers

    def alarm_changed(self, alarm_id: str) -> None:
        """Take that an alarm changed: it may give reason for a call, which is looked into soon."""
        if alarm_id not in self._seen or self._offers.of(alarm_id):
            self._changed.add(alarm_id)
            self._wake.set()

    async def reasons(self) -> None:
        """Look into the alarms that changed."""
        changed, self._changed = sorted(self._changed), set()
        for at in range(0, len(changed), AT_ONCE):
            async with self._store.reading() as reader:
                alarms = await self._alarms.standings(reader, changed[at : at + AT_ONCE])
            fresh = []
            for alarm in sorted(alarms, key=lambda one: one.id):
                if not alarm.active:
                    await self._withdraw(alarm.id)
                elif alarm.shown and alarm.id not in self._seen:
                    fresh.append(alarm)
            if fresh:
                _, profile = await self._room.profile("default")
                for alarm in fresh:
                    await self._reason(alarm, profile)

    async def _withdraw(self, alarm_id: str) -> None:
        over = [one.id for one in self._offers.of(alarm_id)]
        if over:
            logger.info("offers end with their alarm", extra={"alarm": alarm_id, "offers": len(over)})
            await self._offers.end(over, by="alarm")

    async def _reason(self, alarm: AlarmStanding, profile: Profile) -> None:
        while len(self._seen) >= SEEN:
            self._seen.pop()
        self._seen.add(alarm.id)
        source = TriggerSource.WARNING if alarm.event_type.startswith(WARNINGS) else TriggerSource.ALARM
        reason = Reason(source, alarm.id, alarm.centre, alarm.severity, alarm.event_type, alarm.headline)
        if fitting(profile, reason):
            await self._take(reason, profile, drill=alarm.drill)

    async def _take(self, reason: Reason, profile: Profile, *, drill: bool) -> None:
        now = self._clock.now()
        below = self._room.counties_of(reason.centre)
        found = offer(profile, reason, below, await self._taken(), now)
        if found is None:
            return
        ident = new_ulid(self._clock)
        await self._offers.put(Offered(ident, now, found))
        extra = {"offer": ident, "alarm": reason.id, "centres": len(found.centres), "automatic": found.automatic}
        logger.info("roll call offered", extra=extra)
        if found.automatic:
            try:
                await self.accept(ident, by=f"alarm/{reason.id}", drill=drill)
            except SilianError as error:
                logger.warning("triggered roll call not begun", extra=extra | {"error": str(error)})

    async def _taken(self) -> dict[str, datetime]:
        """Return when each county was last called for a reason."""
        wanted = (
            select(POINTS.c.centre, ROLL_CALLS.c.started_at)
            .join(ROLL_CALLS, ROLL_CALLS.c.id == POINTS.c.roll_call_id)
            .where(ROLL_CALLS.c.kind == RollCallKind.TRIGGERED.value)
            .order_by(ROLL_CALLS.c.started_at)
        )
        async with self._store.reading() as reader:
            return {row.centre: row.started_at for row in (await reader.execute(wanted)).all()}

    def offers(self) -> list[Offered]:
        """Return the calls that wait for the caller's word, the newest first."""
        return self._offers.waiting

    async def accept(self, ident: str, *, by: str, drill: bool = False) -> RollCall:
        """Begin an offered call. Raises NotFoundError, WrongMomentError."""
        one = self._offers.get(ident)
        reason = one.offer.reason
        trigger = {
            "source": reason.source.value,
            "id": reason.id,
            "centre": reason.centre,
            "severity": reason.severity,
            "event_type": reason.event_type,
            "headline": reason.headline,
        }
        wanted = Planned(by, RollCallKind.TRIGGERED, Mode.PARALLEL, one.offer.centres, drill=drill, trigger=trigger)
        call = await self._room.plan(wanted)
        await self._offers.end([ident], by=by[:64])
        return call

    async def decline(self, ident: str, *, by: str) -> None:
        """Drop an offer; raises NotFoundError."""
        await self._offers.end([self._offers.get(ident).id], by=by)
