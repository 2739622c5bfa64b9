"""Orders (指令): what one says, how it stands at each unit, and what travels.

An order goes down as the command `order.sent` and everything that became of it comes up as events (`ANSWERED`), each
with an id of its own, so that taking one twice changes nothing. Document and later words (chases, revocation) are
canonical JSON signed by the issuing unit with Ed25519, so that no tier on the way can write or alter one. Each command
carries all that was said so far: whatever order they arrive in, the same state follows.
"""

import json
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from protocols.envelope import Event, event_type, first_fault
from protocols.errors import BadSchemaError
from protocols.ids import CentreCode, Ulid

ANSWERED = event_type("order", "answered")
"""A unit, or the gateway that answers for it, says what became of an order: `OrderAnswered`."""


class OrderType(StrEnum):
    """What an order is for (类型)."""

    DISPATCH = "dispatch"  # 调度
    PREVENT = "prevent"  # 防范
    VERIFY = "verify"  # 核查
    REINFORCE = "reinforce"  # 增援
    LIFT = "lift"  # 解除
    NOTICE = "notice"  # 通知


class Urgency(StrEnum):
    """How urgent it is (紧急程度)."""

    FLASH = "flash"  # 特急
    URGENT = "urgent"  # 加急
    ROUTINE = "routine"  # 平急


class OrderState(StrEnum):
    """Where an order stands, as a whole and at each unit (domain.md 4)."""

    DRAFT = "draft"
    SIGNED = "signed"
    SENT = "sent"
    DELIVERED = "delivered"
    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "in_progress"
    FEEDBACK = "feedback"
    DONE = "done"
    OVERDUE = "overdue"
    REVOKED = "revoked"


class Deed(StrEnum):
    """What a unit says, or its gateway for it."""

    DELIVERED = "delivered"  # stored there
    REFUSED = "refused"  # not believed there; the text says why
    ACKNOWLEDGED = "acknowledged"  # 签收
    IN_PROGRESS = "in_progress"
    FEEDBACK = "feedback"  # 反馈, many times
    DONE = "done"  # 办结
    WITHDRAWN = "withdrawn"  # the revocation is stored there


class AnswerWay(StrEnum):
    """How it was said (方式)."""

    CONSOLE = "console"
    PHONE = "phone"
    RADIO = "radio"
    FAX = "fax"
    VISIT = "visit"
    SYSTEM = "system"  # the gateway itself


Paper = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""Number or name of a paper that belongs to an order."""


class _Part(BaseModel):
    """Frozen; unknown keys of a newer tier are kept, because they are signed too."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Related(_Part):
    """What an order belongs to (关联事件/预警/会话)."""

    kind: str = Field(pattern=r"^(alarm|warning|report|call|order)$")
    id: str = Field(min_length=1, max_length=64)
    text: str = Field(default="", max_length=200)


class OrderDocument(_Part):
    """The order as it was signed; it never changes. Times allowed are in seconds from `OrderLater.sent_at`."""

    order_id: Ulid
    number: str = Field(min_length=1, max_length=64)
    issuer: CentreCode
    issuer_name: str = Field(max_length=64)
    type: OrderType
    urgency: Urgency
    title: str = Field(min_length=1, max_length=120)
    content: str = Field(min_length=1, max_length=4000)
    related: tuple[Related, ...] = Field(default=(), max_length=10)
    papers: tuple[Paper, ...] = Field(default=(), max_length=10)
    units: tuple[CentreCode, ...] = Field(min_length=1, max_length=400)
    drafted_by: str = Field(min_length=1, max_length=64)
    signed_by: str = Field(min_length=1, max_length=64)
    signed_at: AwareDatetime
    ack_within_s: int = Field(ge=1, le=86_400)
    feedback_within_s: int | None = Field(default=None, ge=60, le=30 * 86_400)
    drill: bool = False


class Chase(_Part):
    """One chase of one unit (督办)."""

    chase_id: Ulid
    unit: CentreCode
    by: str = Field(max_length=64)
    at: AwareDatetime
    text: str = Field(min_length=1, max_length=300)


class Revocation(_Part):
    """Why an order no longer holds (撤销)."""

    by: str = Field(max_length=64)
    at: AwareDatetime
    reason: str = Field(min_length=1, max_length=300)


class OrderLater(_Part):
    """What was said of an order after it was signed."""

    order_id: Ulid
    sent_at: AwareDatetime
    chases: tuple[Chase, ...] = Field(default=(), max_length=10)
    revocation: Revocation | None = None


class OrderSent(_Part):
    """Arguments of `order.sent`: canonical JSON of `OrderDocument` and `OrderLater` with their signatures in base64.

    `units` are those that the target answers for: its own, and units below it without a gateway of their own.
    """

    document: str = Field(min_length=2, max_length=40 * 1024)
    signature: str = Field(min_length=80, max_length=100)
    later: str = Field(min_length=2, max_length=40 * 1024)
    later_signature: str = Field(min_length=80, max_length=100)
    key: str = Field(min_length=40, max_length=48)
    units: tuple[CentreCode, ...] = Field(min_length=1, max_length=400)


class OrderAnswered(_Part):
    """Payload of `order.answered`. `noted_by` is who wrote it down where the unit did not say it itself."""

    entry_id: Ulid
    order_id: Ulid
    unit: CentreCode
    deed: Deed
    by: str = Field(default="", max_length=64)
    way: AnswerWay = AnswerWay.CONSOLE
    noted_by: str = Field(default="", max_length=64)
    text: str = Field(default="", max_length=1000)
    at: AwareDatetime


_Model = TypeVar("_Model", bound=BaseModel)


def canonical(part: BaseModel) -> str:
    """Return the one form of a part that is signed: JSON with sorted keys, without spaces, UTF-8 as it is."""
    return json.dumps(part.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def read_part(kind: type[_Model], text: str) -> _Model:
    """Read a signed part; raises BadSchemaError."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise BadSchemaError(first_fault(error)) from None


def answered(event: Event) -> OrderAnswered:
    """Read the payload of `order.answered`; raises BadSchemaError."""
    try:
        return OrderAnswered.model_validate(event.data)
    except ValidationError as error:
        raise BadSchemaError(first_fault(error)) from None
