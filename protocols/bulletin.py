"""Results of a roll call and its bulletin (通报) on the way between a centre and its units.

Down go, as commands: a unit's provisional result (it may object until a moment), and the sealed bulletin with the
unit's own line. Up come, as events: the unit's objection, and its signature (签收) with what it says to it (反馈). Each
travels exactly once; taking one twice changes nothing.
"""

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from protocols.envelope import Event, event_type, first_fault
from protocols.errors import BadSchemaError
from protocols.ids import CentreCode, Ulid

OBJECTED = event_type("rollcall", "objected")
"""A unit disputes its result: `Objected`."""
ANSWERED = event_type("rollcall", "bulletin", "answered")
"""A unit stored a bulletin, or signed for it: `Answered`."""


class _Payload(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")


class UnitResult(_Payload):
    """Arguments of `rollcall.result`: how a unit stands before publication.

    `result` and `line` are in the words of the form.
    """

    roll_call_id: Ulid
    centre: CentreCode
    kind: str = Field(max_length=16)
    called_at: AwareDatetime
    reviewed_by: str = Field(max_length=64)
    objections_until: AwareDatetime
    result: str = Field(default="", max_length=64)
    line: dict[str, str] = Field(max_length=60)
    drill: bool = False


class BulletinSent(_Payload):
    """Arguments of `rollcall.bulletin`: a published bulletin for one unit.

    `content` is the sealed JSON, `seal` its SHA-256; `line` is the unit's own line, whose hash the content names.
    """

    bulletin_id: Ulid
    roll_call_id: Ulid
    centre: CentreCode
    number: str = Field(max_length=64)
    version: int = Field(ge=1)
    published_at: AwareDatetime
    content: dict[str, Any]
    seal: str = Field(min_length=64, max_length=64)
    line: tuple[str, ...] = Field(max_length=60)
    drill: bool = False


class Objected(_Payload):
    """Payload of `rollcall.objected`."""

    objection_id: Ulid
    roll_call_id: Ulid
    centre: CentreCode
    by: str = Field(max_length=64)
    reason: str = Field(min_length=1, max_length=1000)
    at: AwareDatetime


class Answered(_Payload):
    """Payload of `rollcall.bulletin.answered`: stored there, or signed for by a person."""

    bulletin_id: Ulid
    centre: CentreCode
    version: int = Field(ge=1)
    answer: Literal["stored", "signed"]
    by: str = Field(default="", max_length=64)
    feedback: str = Field(default="", max_length=1000)
    at: AwareDatetime


def objected(event: Event) -> Objected:
    """Read an objection; raises BadSchemaError."""
    try:
        return Objected.model_validate(event.data)
    except ValidationError as error:
        raise BadSchemaError(first_fault(error)) from None


def answered(event: Event) -> Answered:
    """Read what a unit says to a bulletin; raises BadSchemaError."""
    try:
        return Answered.model_validate(event.data)
    except ValidationError as error:
        raise BadSchemaError(first_fault(error)) from None
