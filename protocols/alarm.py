"""Alarms: what a sensor says, and the colours of the four levels.

ISA-18.2 keeps three facts apart, and so do we: *condition* (active or cleared), *acknowledgement* (by whom, where) and
*visibility*. They are never folded into one enum. State rules live in the gateway's `alarms/machine.py`.
"""

from enum import IntEnum, StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from protocols.envelope import Event, Lane, event_type, first_fault
from protocols.errors import BadSchemaError
from protocols.ids import CentreCode, NodeId

RAISED = event_type("alarm", "raised")
CLEARED = event_type("alarm", "cleared")
ACKNOWLEDGED = event_type("alarm", "acknowledged")
ALARM_TYPES = frozenset({RAISED, CLEARED, ACKNOWLEDGED})


class Severity(IntEnum):
    """Alarm severity 1 to 4; 1 is the gravest (特别严重, red)."""

    RED = 1
    ORANGE = 2
    YELLOW = 3
    BLUE = 4


class Condition(StrEnum):
    """Whether the cause of the alarm persists (ISA-18.2)."""

    ACTIVE = "active"
    CLEARED = "cleared"


class Visibility(StrEnum):
    """Whether operators are shown the alarm (ISA-18.2)."""

    SHOWN = "shown"
    SHELVED = "shelved"
    SUPPRESSED = "suppressed"
    OUT_OF_SERVICE = "out_of_service"


class AlarmData(BaseModel):
    """Payload of `alarm.raised` and `alarm.cleared`.

    `alarm_key` names the thing that can be in alarm, unique within its source (`gas-1/high`); `count` is how many
    raises this record stands for after coalescing; `label` marks a demonstration for the eye.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    alarm_key: str = Field(min_length=1, max_length=128)
    centre: CentreCode
    sensor: str = Field(min_length=1, max_length=64)
    event_type: str = Field(default="dev.alarm", max_length=32)
    severity: Severity
    headline: str = Field(min_length=1, max_length=200)
    detail: str = Field(default="", max_length=4000)
    observed_at: AwareDatetime
    value: float | None = None
    unit: str | None = Field(default=None, max_length=16)
    count: int = Field(default=1, ge=1)
    label: str | None = Field(default=None, max_length=32)


class AcknowledgedData(BaseModel):
    """Payload of `alarm.acknowledged`: who took the alarm in hand, at which centre.

    `upto` is the newest origin counter of the alarm that this person had seen: a raise that opened later stays
    unacknowledged, whichever of the two arrives first at another tier.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    alarm_source: NodeId
    alarm_key: str = Field(min_length=1, max_length=128)
    centre: CentreCode
    by: str = Field(min_length=1, max_length=64)
    at: AwareDatetime
    upto: int = Field(ge=0)
    note: str = Field(default="", max_length=1000)


def alarm_data(event: Event) -> AlarmData:
    """Read the payload of a raise or clear; raises BadSchemaError."""
    try:
        return AlarmData.model_validate(event.data)
    except ValidationError as error:
        raise BadSchemaError(first_fault(error)) from None


def acknowledged_data(event: Event) -> AcknowledgedData:
    """Read the payload of an acknowledgement; raises BadSchemaError."""
    try:
        return AcknowledgedData.model_validate(event.data)
    except ValidationError as error:
        raise BadSchemaError(first_fault(error)) from None


def lane_for(severity: int) -> Lane:
    """Return the lane of a new alarm: severities 1 and 2 are urgent."""
    return Lane.URGENT if severity <= Severity.ORANGE else Lane.LIVE


class SensorReport(BaseModel):
    """What a sensor posts to the agent (webhook, local MQTT): an alarm without the names that the agent adds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alarm_key: str = Field(min_length=1, max_length=128)
    sensor: str = Field(min_length=1, max_length=64)
    event_type: str = Field(default="dev.alarm", max_length=32)
    severity: Severity
    condition: Condition = Condition.ACTIVE
    headline: str = Field(min_length=1, max_length=200)
    detail: str = Field(default="", max_length=4000)
    observed_at: AwareDatetime | None = None
    value: float | None = None
    unit: str | None = Field(default=None, max_length=16)
    drill: bool = False
    label: str | None = Field(default=None, max_length=32)

    def type_and_data(self, centre: str, observed_at: Any) -> tuple[str, dict[str, Any]]:
        """Return event type and JSON payload for this report, as seen at `centre`."""
        data = AlarmData(
            centre=centre,
            observed_at=self.observed_at or observed_at,
            **self.model_dump(exclude={"condition", "observed_at", "drill"}),
        )
        return (RAISED if self.condition is Condition.ACTIVE else CLEARED), data.model_dump(mode="json")
