"""Taking alarm events in: a batch in one unit of work.

Everything a batch needs is read in a few statements and written in a few: the rules themselves run in memory.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import insert, select, tuple_

from gateway.alarms import machine
from gateway.alarms.machine import Acknowledgement, AlarmState, Change
from gateway.alarms.needs import Arrival
from gateway.alarms.rows import state_of, values_of
from gateway.alarms.tables import acknowledgements, alarms, log
from gateway.events import AlarmChanged
from gateway.ports.store import UnitOfWork
from protocols.alarm import ACKNOWLEDGED, CLEARED, AcknowledgedData, Condition, acknowledged_data, alarm_data
from protocols.envelope import Event
from protocols.errors import BadClockError, NotAllowedError, UnknownCentreError
from protocols.ids import centre_of
from protocols.tiers import CentreTable

CLOCK_TOLERANCE = timedelta(hours=24)
Key = tuple[str, str]


@dataclass(slots=True)
class Entry:
    """One alarm in the hands of a batch. `id` is the id of the event that first told of it, the same at all tiers."""

    id: str
    state: AlarmState | None = None
    changed: bool = False


def check(event: Event, table: CentreTable) -> None:
    """Raise a BadInputError or NotAllowedError where the payload does not fit, or speaks for a foreign centre."""
    if event.type == ACKNOWLEDGED:
        told = acknowledged_data(event)
        _check_centre(event, told.centre, table)
        _check_centre(event, centre_of(told.alarm_source), table)
        return
    data = alarm_data(event)
    _check_centre(event, data.centre, table)
    if data.observed_at > event.time + CLOCK_TOLERANCE:
        raise BadClockError(f"observed_at {data.observed_at.isoformat()} lies over a day after the event's own time")


def _check_centre(event: Event, centre: str, table: CentreTable) -> None:
    if centre not in table:
        raise UnknownCentreError(f"no row of the table of centres bears {centre}")
    if not table.covers(centre_of(event.source), centre):
        raise NotAllowedError(f"{event.source} may not speak for centre {centre}")


def key_of(event: Event) -> Key:
    """Return (source, alarm key) of the alarm that the event speaks of."""
    if event.type == ACKNOWLEDGED:
        return str(event.data["alarm_source"]), str(event.data["alarm_key"])
    return event.source, str(event.data["alarm_key"])


async def apply(uow: UnitOfWork, arrivals: Sequence[Arrival]) -> list[bool]:
    """Write what the events change, and a line of the log for each; returns whether each changed its alarm."""
    keys = {key_of(arrival.event) for arrival in arrivals}
    entries = await _load(uow, keys)
    known = await _acknowledgements(uow, keys)
    lines, acks = [], []
    for arrival in arrivals:
        key = key_of(arrival.event)
        if arrival.event.type == ACKNOWLEDGED:
            data = acknowledged_data(arrival.event)
            acks.append(_ack_row(arrival.event, data))
            ack = _acknowledgement(data)
            known.setdefault(key, []).append(ack)
            lines.append(_line(arrival, key, None, 0, applied=_acknowledge(entries.get(key), ack)))
        else:
            lines.append(_change(arrival, key, entries, known.get(key, ())))
    await uow.execute(insert(log), lines)
    if acks:
        await uow.execute(insert(acknowledgements), acks)
    await _save(uow, entries)
    return [bool(line["applied"]) for line in lines]


def _change(arrival: Arrival, key: Key, entries: dict[Key, Entry], known: Iterable[Acknowledgement]) -> dict[str, Any]:
    event, data = arrival.event, alarm_data(arrival.event)
    condition = Condition.CLEARED if event.type == CLEARED else Condition.ACTIVE
    change = Change(event.origincounter, condition, data, event.time, arrival.received_at, event.drill)
    entry = entries.setdefault(key, Entry(event.id))
    new = machine.apply(entry.state, change, known)
    if new is not None:
        entry.state, entry.changed = new, True
    return _line(arrival, key, condition, data.count, applied=new is not None)


def _acknowledge(entry: Entry | None, ack: Acknowledgement) -> bool:
    if entry is None or entry.state is None:
        return False
    new = machine.acknowledge(entry.state, ack)
    if new is None:
        return False
    entry.state, entry.changed = new, True
    return True


def _line(arrival: Arrival, key: Key, condition: Condition | None, count: int, *, applied: bool) -> dict[str, Any]:
    event = arrival.event
    return {
        "event_id": event.id,
        "source": event.source,
        "type": event.type,
        "alarm_source": key[0],
        "alarm_key": key[1],
        "origincounter": event.origincounter,
        "condition": condition.value if condition else None,
        "time": event.time,
        "received_at": arrival.received_at,
        "applied": applied,
        "hops": [hop.model_dump(mode="json") for hop in arrival.hops],
        "raises": count,
    }


def _acknowledgement(data: AcknowledgedData) -> Acknowledgement:
    return Acknowledgement(data.by, data.at, data.centre, data.upto, data.note)


def _ack_row(event: Event, data: AcknowledgedData) -> dict[str, Any]:
    return {
        "event_id": event.id,
        "source": data.alarm_source,
        "alarm_key": data.alarm_key,
        "by": data.by,
        "at": data.at,
        "centre": data.centre,
        "upto": data.upto,
        "note": data.note,
    }


async def _load(uow: UnitOfWork, keys: set[Key]) -> dict[Key, Entry]:
    found = await uow.execute(select(alarms).where(tuple_(alarms.c.source, alarms.c.alarm_key).in_(sorted(keys))))
    return {(row.source, row.alarm_key): Entry(row.id, state_of(row)) for row in found}


async def _acknowledgements(uow: UnitOfWork, keys: set[Key]) -> dict[Key, list[Acknowledgement]]:
    table = acknowledgements
    found = await uow.execute(select(table).where(tuple_(table.c.source, table.c.alarm_key).in_(sorted(keys))))
    known: dict[Key, list[Acknowledgement]] = {}
    for row in found:
        ack = Acknowledgement(row.by, row.at, row.centre, row.upto, row.note)
        known.setdefault((row.source, row.alarm_key), []).append(ack)
    return known


async def _save(uow: UnitOfWork, entries: dict[Key, Entry]) -> None:
    changed = [(key, entry) for key, entry in entries.items() if entry.changed and entry.state is not None]
    if not changed:
        return
    rows = [values_of(entry.id, key[0], entry.state) for key, entry in changed if entry.state is not None]
    await uow.put(alarms, rows, key=("source", "alarm_key"))
    for _, entry in changed:
        uow.tell(AlarmChanged(entry.id))
