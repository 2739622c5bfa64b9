"""Between the rows of the alarms table, the states of the machine and the JSON of the API."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row

from gateway.alarms.groups import Member
from gateway.alarms.machine import Acknowledgement, AlarmState, Escalated, Shelf, flapping
from gateway.events import AlarmStanding
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
        reopened_at=row.reopened_at,
        escalated=None if row.escalated_at is None else Escalated(**{**row.escalated, "at": row.escalated_at}),
        shelf=_shelf(row),
        openings=tuple(datetime.fromisoformat(at) for at in row.openings or ()),
        behind=row.behind,
    )


def _shelf(row: Row[Any]) -> Shelf | None:
    if row.shelf_at is None:
        return None
    return Shelf(row.shelf_by, row.shelf_at, row.shelf_until, row.shelf_reason, row.shelf_severity)


def _acknowledgement(row: Row[Any]) -> Acknowledgement | None:
    if row.ack_at is None:
        return None
    return Acknowledgement(by=row.ack_by, at=row.ack_at, centre=row.ack_centre, upto=row.ack_upto, note=row.ack_note)


def values_of(id_: str, source: str, state: AlarmState) -> dict[str, Any]:
    """Return the row of a state."""
    ack, shelf = state.acknowledged, state.shelf
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
        "reopened_at": state.reopened_at,
        "escalated_at": state.escalated.at if state.escalated else None,
        "escalated": _escalated(state.escalated),
        "visibility": state.visibility.value,
        "shelf_by": shelf.by if shelf else None,
        "shelf_at": shelf.at if shelf else None,
        "shelf_until": shelf.until if shelf else None,
        "shelf_reason": shelf.reason if shelf else None,
        "shelf_severity": shelf.severity if shelf else None,
        "openings": [at.isoformat() for at in state.openings],
        "behind": state.behind,
    }


def _escalated(word: Escalated | None) -> dict[str, Any] | None:
    if word is None:
        return None
    return {"by": word.by, "centre": word.centre, "to": word.to, "why": word.why, "upto": word.upto}


def standing_of(id_: str, source: str, state: AlarmState) -> AlarmStanding:
    """Return what other rooms are told of a state."""
    ack, escalated = state.acknowledged, state.escalated
    return AlarmStanding(
        id=id_,
        source=source,
        alarm_key=state.data.alarm_key,
        centre=state.data.centre,
        severity=int(state.data.severity),
        event_type=state.data.event_type,
        headline=state.data.headline,
        drill=state.drill,
        active=state.condition is Condition.ACTIVE,
        shown=state.visibility is Visibility.SHOWN,
        opened=state.opened,
        applied=state.applied,
        received_at=state.openings[-1] if state.openings else state.received_at,
        acknowledged_by=ack.by if ack else None,
        acknowledged_at=ack.at if ack else None,
        acknowledged_centre=ack.centre if ack else None,
        escalated_to=escalated.to if escalated else None,
        value=state.data.value,
        unit=state.data.unit,
    )


def view(row: Row[Any], now: datetime) -> dict[str, Any]:
    """Return one alarm in the form of the API; `now` decides whether it flaps."""
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
        "escalated": None
        if row.escalated_at is None
        else {key: row.escalated[key] for key in ("by", "centre", "to", "why")} | {"at": stamp(row.escalated_at)},
        "reopened_at": stamp(row.reopened_at) if row.reopened_at else None,
        "visibility": row.visibility,
        "shelf": None
        if row.shelf_at is None
        else {
            "by": row.shelf_by,
            "at": stamp(row.shelf_at),
            "until": stamp(row.shelf_until) if row.shelf_until else None,
            "reason": row.shelf_reason,
        },
        "behind": row.behind,
        "flapping": flapping([datetime.fromisoformat(at) for at in row.openings or ()], now),
        "first_raised_at": stamp(row.first_raised_at),
        "last_observed_at": stamp(row.last_observed_at),
        "received_at": stamp(row.received_at),
        "count": row.raises,
        "drill": row.drill,
    }


def member_of(row: Row[Any]) -> Member:
    """Return what grouping needs of a stored alarm."""
    return Member(
        id=row.id,
        centre=row.centre,
        event_type=row.data.get("event_type", ""),
        severity=row.severity,
        headline=row.data.get("headline", ""),
        acknowledged=row.ack_at is not None,
        first_raised_at=row.first_raised_at,
        last_observed_at=row.last_observed_at,
    )


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
