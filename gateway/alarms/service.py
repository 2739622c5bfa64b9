"""Alarms: taking events in, acknowledging, reading.

All writing happens in units of work; `AlarmChanged` fires after the commit.
"""

import base64
import binascii
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, false, func, not_, or_, select

from gateway.alarms import intake, machine
from gateway.alarms.groups import Group, grouped
from gateway.alarms.machine import AlarmState, Shelf
from gateway.alarms.needs import Area, Arrival, Follower, Outgoing
from gateway.alarms.rows import log_view, member_of, standing_of, state_of, values_of, view
from gateway.alarms.tables import alarms, log
from gateway.events import AlarmChanged, AlarmStanding
from gateway.metrics import Metrics
from gateway.ports.store import Reader, Store, UnitOfWork
from protocols.aio.clock import Clock
from protocols.alarm import ACKNOWLEDGED, CLEARED, AcknowledgedData, AlarmData, Condition, Visibility, lane_for
from protocols.envelope import Event, Lane
from protocols.errors import BadInputError, NotFoundError, WrongMomentError
from protocols.escalation import ESCALATED, REOPENED, EscalatedData, ReopenedData

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters of the list; None = all."""

    condition: Condition | None = None
    acknowledged: bool | None = None
    severities: tuple[int, ...] = ()
    centre: str | None = None
    shown: bool | None = None
    escalated: bool | None = None
    event_type: str | None = None
    limit: int = 100
    cursor: str | None = None


class Alarms:
    """The alarms of the subtree; `check` and `apply` make it an event handler of the links room."""

    def __init__(self, store: Store, outgoing: Outgoing, area: Area, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._store = store
        self._outgoing = outgoing
        self._area = area
        self._followers: list[Follower] = []
        self._readings = intake.Readings()
        self.from_above = FromAbove(self)

    def follow(self, follower: Follower) -> None:
        """Let another room act on every change, inside the unit of work that makes it."""
        self._followers.append(follower)

    async def _changed(self, uow: UnitOfWork, standings: Sequence[AlarmStanding]) -> None:
        for follower in self._followers if standings else ():
            await follower(uow, standings)

    def check(self, event: Event) -> None:
        """Raise a BadInputError where the payload does not fit, or names a centre that the source does not serve."""
        intake.check(event, self._area.table, self._readings)

    async def apply(self, uow: UnitOfWork, arrivals: Sequence[Arrival]) -> None:
        """Write what the events change, and a line of the log for each."""
        taken, standings = await intake.apply(uow, arrivals, self._readings)
        await self._changed(uow, standings)
        uow.after_commit(lambda: self._measure(arrivals, taken))

    def _measure(self, arrivals: Sequence[Arrival], taken: Sequence[bool]) -> None:
        received: Counter[tuple[str, str]] = Counter()
        took: defaultdict[str, list[float]] = defaultdict(list)
        late = 0
        for arrival, applied in zip(arrivals, taken, strict=True):
            if arrival.event.type in intake.WORDS:
                continue
            severity = str(arrival.event.data.get("severity"))
            received[str(arrival.event.data.get("centre")), severity] += 1
            late += not applied
            took[severity].append(max(0.0, (arrival.received_at - arrival.event.time).total_seconds()))
        for severity, seconds in took.items():
            self._metrics.observe_all("alarm_delivery_duration_seconds", seconds, severity=severity)
        for (centre, severity), count in received.items():
            self._metrics.count("alarms_received_total", count, centre=centre, severity=severity)
        if late:
            self._metrics.count("alarms_late_total", late)

    async def report(self, type_: str, data: AlarmData) -> str:
        """Raise or clear an alarm of this gateway itself; returns the event's id."""
        async with self._store.unit() as uow:
            return await self.report_within(uow, type_, data)

    async def report_within(self, uow: UnitOfWork, type_: str, data: AlarmData) -> str:
        """Do the same inside a unit of work, so that what made the alarm and the alarm are one; returns its id."""
        event = uow.mint(type_, data.model_dump(mode="json"), subject=data.alarm_key)
        await self._outgoing.emit(uow, event, lane_for(data.severity))
        return event.id

    async def end_own(self, alarm_key: str) -> bool:
        """Clear an alarm of this gateway itself where it stands; returns whether it did."""
        mine = (alarms.c.source == self._area.code, alarms.c.alarm_key == alarm_key)
        async with self._store.unit() as uow:
            active = alarms.c.condition == Condition.ACTIVE.value
            row = (await uow.execute(select(alarms).where(*mine, active))).one_or_none()
            if row is not None:
                data = state_of(row).data.model_copy(update={"observed_at": uow.now})
                await self.report_within(uow, CLEARED, data)
        return row is not None

    @property
    def centre(self) -> str:
        """This gateway's own centre."""
        return self._area.code

    async def acknowledge(self, alarm_id: str, *, by: str, note: str = "") -> dict[str, Any]:
        """Take an alarm in hand and tell the tiers above, and those below on the way to its source; returns it.

        Raises NotFoundError, WrongMomentError where it is acknowledged already.
        """
        async with self._store.unit() as uow:
            row = await self._row(uow, alarm_id)
            if row.ack_at is not None:
                raise WrongMomentError(f"alarm {alarm_id} was acknowledged by {row.ack_by} at {row.ack_centre}")
            data = AcknowledgedData(
                alarm_source=row.source,
                alarm_key=row.alarm_key,
                centre=self._area.code,
                by=by,
                at=uow.now,
                upto=row.applied,
                note=note,
            )
            payload = data.model_dump(mode="json")
            event = uow.mint(ACKNOWLEDGED, payload, subject=row.alarm_key, drill=row.drill)
            await self._outgoing.emit(uow, event, Lane.URGENT)
        return await self.get(alarm_id)

    async def reopen(self, uow: UnitOfWork, alarm_id: str) -> None:
        """Void the acknowledgements of an alarm, here and at all tiers on its way: its cause still stands."""
        row = await self._row(uow, alarm_id)
        data = ReopenedData(
            alarm_source=row.source, alarm_key=row.alarm_key, centre=self._area.code, at=uow.now, upto=row.applied
        )
        event = uow.mint(REOPENED, data.model_dump(mode="json"), subject=row.alarm_key, drill=row.drill)
        await self._outgoing.emit(uow, event, Lane.URGENT)

    async def hand_up(self, uow: UnitOfWork, alarm_id: str, *, to: str, by: str, why: str) -> None:
        """Tell the tier above that it must see to an alarm; raises NotFoundError."""
        row = await self._row(uow, alarm_id)
        data = EscalatedData(
            alarm_source=row.source,
            alarm_key=row.alarm_key,
            centre=self._area.code,
            to=to,
            by=by,
            at=uow.now,
            why=why,
            upto=row.applied,
        )
        event = uow.mint(ESCALATED, data.model_dump(mode="json"), subject=row.alarm_key, drill=row.drill)
        await self._outgoing.emit(uow, event, Lane.URGENT)

    async def standing(self, uow: Reader, alarm_id: str) -> AlarmStanding:
        """Return how an alarm stands; raises NotFoundError."""
        row = await self._row(uow, alarm_id)
        return standing_of(row.id, row.source, state_of(row))

    async def standings(self, uow: Reader, alarm_ids: Sequence[str]) -> list[AlarmStanding]:
        """Return how alarms stand, some hundreds at most; ids that are not known are left out."""
        rows = await uow.execute(select(alarms).where(alarms.c.id.in_(list(alarm_ids))))
        return [standing_of(row.id, row.source, state_of(row)) for row in rows]

    async def active(self, uow: Reader) -> list[AlarmStanding]:
        """Return all alarms whose condition stands."""
        rows = await uow.execute(select(alarms).where(alarms.c.condition == Condition.ACTIVE.value))
        return [standing_of(row.id, row.source, state_of(row)) for row in rows]

    async def shelve(self, alarm_id: str, *, by: str, reason: str, for_s: float | None) -> dict[str, Any]:
        """Hide an alarm at this tier for so many seconds (None: out of service until `show`); returns it.

        Raises NotFoundError, WrongMomentError for a red alarm, BadInputError for a time that is too long.
        """
        async with self._store.unit() as uow:
            row = await self._row(uow, alarm_id)
            until = None if for_s is None else uow.now + timedelta(seconds=for_s)
            shelf = Shelf(by, uow.now, until, reason, row.severity)
            await self._put(uow, row, machine.shelve(state_of(row), shelf))
        return await self.get(alarm_id)

    async def show(self, alarm_id: str) -> dict[str, Any]:
        """End the hiding of an alarm; one that is shown is fine. Raises NotFoundError."""
        async with self._store.unit() as uow:
            row = await self._row(uow, alarm_id)
            shown = machine.show(state_of(row))
            if shown is not None:
                await self._put(uow, row, shown)
        return await self.get(alarm_id)

    async def end_shelves(self) -> int:
        """Show the alarms whose time on the shelf is over; returns how many."""
        due = select(alarms).where(alarms.c.shelf_until <= self._clock.now())
        async with self._store.reading() as reader:
            if (await reader.execute(due.limit(1))).one_or_none() is None:
                return 0
        ended = 0
        async with self._store.unit() as uow:
            for row in await uow.execute(due):
                shown = machine.show(state_of(row), uow.now)
                if shown is not None:
                    await self._put(uow, row, shown)
                    ended += 1
        return ended

    async def own_standing(self, prefix: str) -> set[str]:
        """Return what follows `prefix` in the keys of this gateway's own alarms that stand."""
        mine = (alarms.c.source == self._area.code, alarms.c.alarm_key.startswith(prefix, autoescape=True))
        wanted = select(alarms.c.alarm_key).where(*mine, alarms.c.condition == Condition.ACTIVE.value)
        async with self._store.reading() as reader:
            return {row.alarm_key.removeprefix(prefix) for row in await reader.execute(wanted)}

    async def suppress_behind(self, failed: Collection[str]) -> int:
        """Suppress what lies behind the failed links of these nodes, show what no longer does; returns how many."""
        device = alarms.c.data["event_type"].as_string().like("dev.%")
        active = and_(alarms.c.condition == Condition.ACTIVE.value, device) if failed else false()
        concerned = select(alarms).where(or_(active, alarms.c.behind.is_not(None)))
        async with self._store.reading() as reader:
            rows = (await reader.execute(concerned)).all()
        if not any(self._behind(row, failed) for row in rows):
            return 0
        async with self._store.unit() as uow:
            moved = [(row, self._behind(row, failed)) for row in await uow.execute(concerned)]
            for row, state in moved:
                if state is not None:
                    await self._put(uow, row, state)
        return sum(state is not None for _, state in moved)

    def _behind(self, row: Row[Any], failed: Collection[str]) -> AlarmState | None:
        """Return the alarm's new state, None where nothing changes."""
        hop = self._area.hop_to(row.source) if row.condition == Condition.ACTIVE.value else None
        return machine.put_behind(state_of(row), hop if hop in failed else None)

    @staticmethod
    async def _row(uow: Reader, alarm_id: str) -> Row[Any]:
        row = (await uow.execute(select(alarms).where(alarms.c.id == alarm_id))).one_or_none()
        if row is None:
            raise NotFoundError(f"no alarm {alarm_id}; see GET /api/v1/alarms")
        return row

    async def _put(self, uow: UnitOfWork, row: Row[Any], state: AlarmState) -> None:
        await uow.put(alarms, [values_of(row.id, row.source, state)], key=("source", "alarm_key"))
        uow.tell(AlarmChanged(row.id))
        await self._changed(uow, [standing_of(row.id, row.source, state)])

    async def get(self, alarm_id: str) -> dict[str, Any]:
        """Return one alarm in the form of the API; raises NotFoundError."""
        async with self._store.reading() as reader:
            row = (await reader.execute(select(alarms).where(alarms.c.id == alarm_id))).one_or_none()
        if row is None:
            raise NotFoundError(f"no alarm {alarm_id}; see GET /api/v1/alarms")
        return view(row, self._clock.now())

    async def groups(self) -> list[Group]:
        """Return the active alarms that operators are shown, as at most 40 lines (red ones are never folded)."""
        shown = and_(alarms.c.condition == Condition.ACTIVE.value, alarms.c.visibility == Visibility.SHOWN.value)
        async with self._store.reading() as reader:
            rows = (await reader.execute(select(alarms).where(shown))).all()
        return grouped(map(member_of, rows), self._area.above)

    async def page(self, wanted: Wanted) -> dict[str, Any]:
        """Return a page, newest first, with the totals of the whole subtree; raises BadInputError on a bad cursor."""
        order = (alarms.c.first_raised_at.desc(), alarms.c.id.desc())
        statement = select(alarms).where(*self._conditions(wanted)).order_by(*order).limit(wanted.limit + 1)
        active = alarms.c.condition == Condition.ACTIVE.value
        unattended = and_(alarms.c.ack_at.is_(None), alarms.c.visibility == Visibility.SHOWN.value)
        counts = select(func.count().label("active"), func.count().filter(unattended).label("unacknowledged")).where(
            active
        )
        async with self._store.reading() as reader:
            rows = (await reader.execute(statement)).all()
            totals = (await reader.execute(counts)).mappings().one()
        more = len(rows) > wanted.limit
        items = rows[: wanted.limit]
        return {
            "items": [view(row, self._clock.now()) for row in items],
            "next": _cursor(items[-1].first_raised_at, items[-1].id) if more else None,
            "totals": dict(totals),
        }

    def _conditions(self, wanted: Wanted) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if wanted.condition is not None:
            found.append(alarms.c.condition == wanted.condition.value)
        if wanted.acknowledged is not None:
            found.append(alarms.c.ack_at.is_not(None) if wanted.acknowledged else alarms.c.ack_at.is_(None))
        if wanted.severities:
            found.append(alarms.c.severity.in_(wanted.severities))
        if wanted.shown is not None:
            hidden = alarms.c.visibility != Visibility.SHOWN.value
            found.append(not_(hidden) if wanted.shown else hidden)
        if wanted.escalated is not None:
            up = alarms.c.escalated_at.is_not(None)
            found.append(up if wanted.escalated else not_(up))
        if wanted.event_type is not None:
            found.append(alarms.c.data["event_type"].as_string() == wanted.event_type)
        if wanted.centre is not None:
            found.append(alarms.c.centre.in_(self._area.subtree(wanted.centre)))
        if wanted.cursor is not None:
            at, id_ = _read_cursor(wanted.cursor)
            same = and_(alarms.c.first_raised_at == at, alarms.c.id < id_)
            found.append(or_(alarms.c.first_raised_at < at, same))
        return found

    async def events(
        self, after: int, limit: int, *, source: str | None = None, alarm_key: str | None = None
    ) -> dict[str, Any]:
        """Return the event log after line `after`, in order of arrival; of one alarm where it is named."""
        statement = select(log).where(log.c.number > after).order_by(log.c.number).limit(limit + 1)
        if source is not None:
            statement = statement.where(log.c.alarm_source == source)
        if alarm_key is not None:
            statement = statement.where(log.c.alarm_key == alarm_key)
        async with self._store.reading() as reader:
            rows = (await reader.execute(statement)).all()
        more = len(rows) > limit
        items = rows[:limit]
        return {"items": [log_view(row) for row in items], "next": str(items[-1].number) if more else None}


class FromAbove:
    """Takes words that come down from the tiers above, which need not stand in this centre's own table."""

    def __init__(self, alarms: Alarms) -> None:
        self._alarms = alarms

    def check(self, event: Event) -> None:
        """Raise a BadInputError where the payload does not fit."""
        intake.told_of(event)

    async def apply(self, uow: UnitOfWork, arrivals: Sequence[Arrival]) -> None:
        """Write what the words change."""
        await self._alarms.apply(uow, arrivals)


def _cursor(at: datetime, id_: str) -> str:
    micros = (at - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(json.dumps([micros, id_]).encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        micros, id_ = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return _EPOCH + timedelta(microseconds=int(micros)), str(id_)
    except (ValueError, TypeError, OverflowError, binascii.Error):
        raise BadInputError("cursor: take `next` of the page before, unchanged") from None
