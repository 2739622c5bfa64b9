"""Escalation: an alarm that nobody took in hand turns red at the tier above, and what is said there comes back.

`escalation.raised` goes up like every event. `alarm.acknowledged` and `alarm.reopened` go up, and **also down** from
the gateway that said them, along the way to the source of the alarm; a gateway that hears one from above passes it on
downward only, one from below upward only: so no word runs in a circle.
"""

from typing import TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from protocols.alarm import ACKNOWLEDGED
from protocols.envelope import Event, event_type, first_fault
from protocols.errors import BadSchemaError
from protocols.ids import CentreCode, NodeId

Model = TypeVar("Model", bound=BaseModel)
ESCALATED = event_type("escalation", "raised")
REOPENED = event_type("alarm", "reopened")
DOWNWARD = frozenset({ACKNOWLEDGED, REOPENED})
"""Types that also go down to the gateways on the way to their `alarm_source`."""


class EscalatedData(BaseModel):
    """Payload of `escalation.raised`: `centre` handed the alarm to the centre `to`, because of `why`.

    `by` is a person, or `chain` where the time ran out. `upto` as in an acknowledgement: the newest origin counter of
    the alarm that `centre` knew.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    alarm_source: NodeId
    alarm_key: str = Field(min_length=1, max_length=128)
    centre: CentreCode
    to: CentreCode
    by: str = Field(min_length=1, max_length=64)
    at: AwareDatetime
    why: str = Field(min_length=1, max_length=200)
    upto: int = Field(ge=0)


class ReopenedData(BaseModel):
    """Payload of `alarm.reopened`: acknowledgements up to `at` hold no longer, the cause still stands."""

    model_config = ConfigDict(frozen=True, extra="allow")

    alarm_source: NodeId
    alarm_key: str = Field(min_length=1, max_length=128)
    centre: CentreCode
    at: AwareDatetime
    upto: int = Field(ge=0)


def escalated_data(event: Event) -> EscalatedData:
    """Read the payload of an escalation; raises BadSchemaError."""
    return _read(EscalatedData, event)


def reopened_data(event: Event) -> ReopenedData:
    """Read the payload of a reopening; raises BadSchemaError."""
    return _read(ReopenedData, event)


def _read(kind: type[Model], event: Event) -> Model:
    try:
        return kind.model_validate(event.data)
    except ValidationError as error:
        raise BadSchemaError(first_fault(error)) from None
