"""Taking alarm events in: a batch in one unit of work.

Everything a batch needs is read in a few statements and written in a few: the rules themselves run in memory.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from gateway.alarms import machine
from gateway.alarms.machine import Acknowledgement, AlarmState, Change, Escalated, Reopened, Word
from gateway.alarms.needs import Arrival
from gateway.alarms.rows import stamp, standing_of, state_of, values_of
from gateway.alarms.tables import acknowledgements, alarms, log, words
from gateway.events import AlarmChanged, AlarmStanding
from gateway.ports.store import UnitOfWork, Wanted
from protocols.alarm import (
    ACKNOWLEDGED,
    CLEARED,
    AcknowledgedData,
    AlarmData,
    Condition,
    acknowledged_data,
    alarm_data,
)
from protocols.envelope import Event, Hop
from protocols.errors import BadClockError, NotAllowedError, UnknownCentreError
from protocols.escalation import ESCALATED, REOPENED, EscalatedData, ReopenedData, escalated_data, reopened_data
from protocols.ids import centre_of
from protocols.tiers import CentreTable

CLOCK_TOLERANCE = timedelta(hours=24)
READ_AT_MOST = 4096
Key = tuple[str, str]
WORDS = frozenset({ACKNOWLEDGED, ESCALATED, REOPENED})
"""Types that speak of an alarm of another source."""


@dataclass(slots=True)
class Entry:
    """One alarm in the hands of a batch. `id` is the id of the event that first told of it, the same at all tiers."""

    id: str
    state: AlarmState | None = None
    changed: bool = False


class Readings:
    """Payloads that were read when they were checked, so that applying need not read them again."""

    def __init__(self) -> None:
        self._read: dict[int, tuple[Event, AlarmData]] = {}

    def note(self, event: Event, data: AlarmData) -> None:
        """Remember what was read. What is refused or fails later is forgotten with the rest."""
        if len(self._read) >= READ_AT_MOST:
            self._read.clear()
        self._read[id(event)] = (event, data)

    def take(self, event: Event) -> AlarmData:
        """Return the payload and forget it; raises BadSchemaError where it was not read before and does not fit."""
        kept = self._read.pop(id(event), None)
        return kept[1] if kept is not None and kept[0] is event else alarm_data(event)


def check(event: Event, table: CentreTable, readings: Readings) -> None:
    """Raise a BadInputError or NotAllowedError where the payload does not fit, or speaks for a foreign centre."""
    if event.type in WORDS:
        told = told_of(event)
        _check_centre(event, told.centre, table)
        _check_centre(event, centre_of(told.alarm_source), table)
        return
    data = alarm_data(event)
    _check_centre(event, data.centre, table)
    if data.observed_at > event.time + CLOCK_TOLERANCE:
        raise BadClockError(f"observed_at {data.observed_at.isoformat()} lies over a day after the event's own time")
    readings.note(event, data)


def told_of(event: Event) -> AcknowledgedData | EscalatedData | ReopenedData:
    """Read what a word says; raises BadSchemaError."""
    if event.type == ESCALATED:
        return escalated_data(event)
    return reopened_data(event) if event.type == REOPENED else acknowledged_data(event)


def _check_centre(event: Event, centre: str, table: CentreTable) -> None:
    if centre not in table:
        raise UnknownCentreError(f"no row of the table of centres bears {centre}")
    if not table.covers(centre_of(event.source), centre):
        raise NotAllowedError(f"{event.source} may not speak for centre {centre}")


def key_of(event: Event) -> Key:
    """Return (source, alarm key) of the alarm that the event speaks of."""
    if event.type in WORDS:
        return str(event.data["alarm_source"]), str(event.data["alarm_key"])
    return event.source, str(event.data["alarm_key"])


async def apply(
    uow: UnitOfWork, arrivals: Sequence[Arrival], readings: Readings
) -> tuple[list[bool], list[AlarmStanding]]:
    """Write what the events change, and a line of the log for each.

    Returns whether each changed its alarm, and how the changed alarms stand now.
    """
    keys = {key_of(arrival.event) for arrival in arrivals}
    entries, known = await _load(uow, keys)
    lines, acks, said = [], [], []
    for arrival in arrivals:
        key = key_of(arrival.event)
        if arrival.event.type in WORDS:
            if arrival.event.type == ACKNOWLEDGED:
                acks.append(_ack_row(arrival.event, acknowledged_data(arrival.event)))
            else:
                said.append(_word_row(arrival.event, key))
            word = _word(arrival.event.type, arrival.event.data)
            known.setdefault(key, []).append(word)
            lines.append(_line(arrival, key, None, 0, applied=_say(entries.get(key), word, known[key])))
        else:
            lines.append(_change(arrival, readings.take(arrival.event), entries, known.get(key, ())))
    await uow.add(log, lines)
    await uow.add(acknowledgements, acks)
    await uow.add(words, said)
    return [bool(line["applied"]) for line in lines], await _save(uow, entries)


def _change(arrival: Arrival, data: AlarmData, entries: dict[Key, Entry], known: Iterable[Word]) -> dict[str, Any]:
    event, key = arrival.event, key_of(arrival.event)
    condition = Condition.CLEARED if event.type == CLEARED else Condition.ACTIVE
    change = Change(event.origincounter, condition, data, event.time, arrival.received_at, event.drill)
    entry = entries.setdefault(key, Entry(event.id))
    new = machine.apply(entry.state, change, known)
    if new is not None:
        entry.state, entry.changed = new, True
    return _line(arrival, key, condition, data.count, applied=new is not None)


def _say(entry: Entry | None, word: Word, known: Iterable[Word]) -> bool:
    if entry is None or entry.state is None:
        return False
    new = machine.say(entry.state, word, known)
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
        "hops": [_hop(hop) for hop in arrival.hops],
        "raises": count,
    }


def _hop(hop: Hop) -> dict[str, Any]:
    """Return an arrival as JSON has it; those of a batch share their last."""
    return {"node": hop.node, "at": stamp(hop.at), **(hop.model_extra or {})}


def _word(type_: str, data: Mapping[str, Any]) -> Word:
    if type_ == ESCALATED:
        told = EscalatedData.model_validate(data)
        return Escalated(told.by, told.at, told.centre, told.to, told.why, told.upto)
    if type_ == REOPENED:
        again = ReopenedData.model_validate(data)
        return Reopened(again.at, again.upto)
    ack = AcknowledgedData.model_validate(data)
    return Acknowledgement(ack.by, ack.at, ack.centre, ack.upto, ack.note)


def _word_row(event: Event, key: Key) -> dict[str, Any]:
    return {"event_id": event.id, "source": key[0], "alarm_key": key[1], "type": event.type, "data": event.data}


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


async def _load(uow: UnitOfWork, keys: set[Key]) -> tuple[dict[Key, Entry], dict[Key, list[Word]]]:
    """Return the alarms of a batch, and what was said of them so far."""
    by = ("source", "alarm_key")
    stored, acks, said = await uow.find(
        Wanted(alarms, keys, by), Wanted(acknowledgements, keys, by), Wanted(words, keys, by)
    )
    known: dict[Key, list[Word]] = {}
    for row in acks:
        ack = Acknowledgement(row.by, row.at, row.centre, row.upto, row.note)
        known.setdefault((row.source, row.alarm_key), []).append(ack)
    for row in said:
        known.setdefault((row.source, row.alarm_key), []).append(_word(row.type, row.data))
    return {(row.source, row.alarm_key): Entry(row.id, state_of(row)) for row in stored}, known


async def _save(uow: UnitOfWork, entries: dict[Key, Entry]) -> list[AlarmStanding]:
    changed = [(key, entry) for key, entry in entries.items() if entry.changed and entry.state is not None]
    if not changed:
        return []
    rows = [values_of(entry.id, key[0], entry.state) for key, entry in changed if entry.state is not None]
    await uow.put(alarms, rows, key=("source", "alarm_key"))
    for _, entry in changed:
        uow.tell(AlarmChanged(entry.id))
    return [standing_of(entry.id, key[0], entry.state) for key, entry in changed if entry.state is not None]
