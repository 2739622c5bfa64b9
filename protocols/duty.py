"""Who is on duty at a centre, as the record that travels up: the present shifts and those to come.

The newest record of a source (by its origin counter) replaces the ones before. It names the version and hash of the
roster's day, so that an upper tier can prove later what was planned.
"""

from datetime import date, datetime
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from protocols.envelope import Event, event_type, first_fault
from protocols.errors import BadSchemaError
from protocols.ids import CentreCode

DUTY_CURRENT = event_type("duty", "current")


class DutyRole(StrEnum):
    """What a person is in a shift."""

    LEADER = "leader"  # 带班领导
    CHIEF = "chief"  # 值班长
    OFFICER = "officer"  # 值班员
    TECHNICIAN = "technician"  # 技术保障
    ONCALL = "oncall"  # 备勤


class OnDuty(BaseModel):
    """One person of a shift; phones in the order of calling."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = Field(min_length=1, max_length=32)
    role: DutyRole
    post: str = Field(default="", max_length=64)
    phones: tuple[str, ...] = Field(default=(), max_length=6)


class DutyShift(BaseModel):
    """One shift of one day. `version` 0 and no hash: nobody has planned this day."""

    model_config = ConfigDict(frozen=True, extra="allow")

    day: date
    name: str = Field(min_length=1, max_length=16)
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    people: tuple[OnDuty, ...] = Field(default=(), max_length=40)
    missing: dict[DutyRole, int] = Field(default_factory=dict)
    version: int = Field(default=0, ge=0)
    hash: str = Field(default="", max_length=64)


class DutyCurrent(BaseModel):
    """Payload of `duty.current`: what the centre's roster says from now on."""

    model_config = ConfigDict(frozen=True, extra="allow")

    centre: CentreCode
    shifts: tuple[DutyShift, ...] = Field(default=(), max_length=12)


def duty_current(event: Event) -> DutyCurrent:
    """Read the payload; raises BadSchemaError."""
    try:
        return DutyCurrent.model_validate(event.data)
    except ValidationError as error:
        raise BadSchemaError(first_fault(error)) from None


def on_duty(record: DutyCurrent, at: datetime) -> tuple[DutyShift, ...]:
    """Return the shifts that the record plans for the moment `at`; empty where it says nothing of it."""
    return tuple(shift for shift in record.shifts if shift.starts_at <= at < shift.ends_at)


def next_shift(record: DutyCurrent, at: datetime) -> DutyShift | None:
    """Return the first shift that begins after `at`."""
    return min((one for one in record.shifts if one.starts_at > at), key=lambda one: one.starts_at, default=None)


def masked(phone: str) -> str:
    """Hide a phone number but for its ends: `138****5678`."""
    if len(phone) <= 4:
        return "*" * len(phone)
    head = 3 if len(phone) > 10 else 1
    tail = 4 if len(phone) > 10 else 1
    return phone[:head] + "*" * (len(phone) - head - tail) + phone[-tail:]
