"""Between the rows of the alarms table, the states of the machine and the JSON of the API."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row

from gateway.alarms.machine import Acknowledgement, AlarmState
from protocols.alarm import AlarmData, Condition, Severity, Visibility


def state_of(row: Row[Any]) -> AlarmState:
    """Read the state of a stored alarm."""
    return AlarmState(
        condition=Condition(row.condition),
        opened=row.opened,
        applied=row.applied,
        first_raised_at=row.first_raised_at,
        last_observed_at=row.last_observed_at,
        received_at=row.received_at,
        count=row.raises,
        data=AlarmData.model_validate(row.data),
        drill=row.drill,
        acknowledged=_acknowledgement(row),
        visibility=Visibility(row.visibility),
    )


def _acknowledgement(row: Row[Any]) -> Acknowledgement | None:
    if row.ack_at is None:
        return None
    return Acknowledgement(by=row.ack_by, at=row.ack_at, centre=row.ack_centre, upto=row.ack_upto, note=row.ack_note)


def values_of(id_: str, source: str, state: AlarmState) -> dict[str, Any]:
    """Return the row of a state."""
    ack = state.acknowledged
    return {
        "id": id_,
        "source": source,
        "alarm_key": state.data.alarm_key,
        "centre": state.data.centre,
        "severity": int(state.data.severity),
        "condition": state.condition.value,
        "opened": state.opened,
        "applied": state.applied,
        "first_raised_at": state.first_raised_at,
        "last_observed_at": state.last_observed_at,
        "received_at": state.received_at,
        "raises": state.count,
        "data": state.data.model_dump(mode="json"),
        "drill": state.drill,
        "ack_by": ack.by if ack else None,
        "ack_at": ack.at if ack else None,
        "ack_centre": ack.centre if ack else None,
        "ack_upto": ack.upto if ack else None,
        "ack_note": ack.note if ack else None,
        "visibility": state.visibility.value,
    }


def view(row: Row[Any]) -> dict[str, Any]:
    """Return one alarm in the form of the API."""
    data = row.data
    shown = {key: data.get(key) for key in ("sensor", "event_type", "headline", "detail", "value", "unit", "label")}
    return {
        "id": row.id,
        "source": row.source,
        "alarm_key": row.alarm_key,
        "centre": row.centre,
        **shown,
        "severity": row.severity,
        "colour": Severity(row.severity).name.lower(),
        "condition": row.condition,
        "acknowledged": None
        if row.ack_at is None
        else {"by": row.ack_by, "at": stamp(row.ack_at), "centre": row.ack_centre, "note": row.ack_note},
        "visibility": row.visibility,
        "first_raised_at": stamp(row.first_raised_at),
        "last_observed_at": stamp(row.last_observed_at),
        "received_at": stamp(row.received_at),
        "count": row.raises,
        "drill": row.drill,
    }


def log_view(row: Row[Any]) -> dict[str, Any]:
    """Return one line of the event log in the form of the API."""
    return {
        "number": row.number,
        "event_id": row.event_id,
        "source": row.source,
        "type": row.type,
        "alarm_source": row.alarm_source,
        "alarm_key": row.alarm_key,
        "origincounter": row.origincounter,
        "condition": row.condition,
        "time": stamp(row.time),
        "received_at": stamp(row.received_at),
        "applied": row.applied,
        "hops": row.hops,
        "count": row.raises,
    }


def stamp(at: datetime) -> str:
    """Return RFC 3339 in UTC."""
    return at.isoformat().replace("+00:00", "Z")
