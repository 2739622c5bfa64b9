"""Roll call words and payloads that more than one node must agree on (domain.md 3.1, 3.3 to 3.5 and 3.7)."""

from enum import StrEnum
from typing import Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from protocols.envelope import Event, event_type, first_fault
from protocols.errors import BadSchemaError
from protocols.ids import CentreCode, NodeId, Ulid

POINT_RESULT = event_type("rollcall", "point")
"""What became of one point of a delegated roll call: goes up while the call runs, with the fields of `PointResult`."""
CALL_RESULT = event_type("rollcall", "ended")
"""A delegated roll call ended at one centre: goes up with the fields of `CallResult`."""
AUTO: Final = "auto"
"""Who found it: the gateway itself, no person."""


class RollCallKind(StrEnum):
    """Why a roll call is held (domain.md 3.1)."""

    DAILY = "daily"  # 例行
    HOLIDAY = "holiday"  # 节假日
    FLOOD = "flood"  # 汛期加密
    RANDOM = "random"  # 随机抽查
    TRIGGERED = "triggered"  # 触发点名
    RELAY = "relay"  # 上级下达
    MAKEUP = "makeup"  # 补点
    TEST = "test"  # 测试, never scored


class Mode(StrEnum):
    """How the points are asked."""

    PARALLEL = "parallel"  # 并行点名: all at once
    SEQUENTIAL = "sequential"  # 逐一点名: one on stage, the others muted


class PointState(StrEnum):
    """State of one point of a roll call (domain.md 3.4)."""

    PENDING = "pending"
    RINGING = "ringing"
    CONNECTING = "connecting"
    VERIFYING = "verifying"
    PASSED = "passed"
    PASSED_WITH_ISSUES = "passed_with_issues"
    FAILED = "failed"
    NO_ANSWER = "no_answer"
    LINK_LOST = "link_lost"
    MAKEUP = "makeup"
    PASSED_LATE = "passed_late"
    ABSENT = "absent"
    EXCUSED = "excused"
    SKIPPED = "skipped"
    UNREACHABLE = "unreachable"


PRESENT: Final = frozenset({PointState.PASSED, PointState.PASSED_WITH_ISSUES, PointState.PASSED_LATE})
"""States in which the county was there."""
MISSING: Final = frozenset({PointState.FAILED, PointState.ABSENT, PointState.UNREACHABLE})
"""Final states in which it was not."""
ASIDE: Final = frozenset({PointState.EXCUSED, PointState.SKIPPED})
"""States that count neither way."""
FINAL: Final = PRESENT | MISSING | ASIDE
"""States that stand at the end of a roll call."""
QUEUED: Final = frozenset(
    {PointState.NO_ANSWER, PointState.LINK_LOST, PointState.FAILED, PointState.MAKEUP, PointState.PENDING}
)
"""States that the make-up takes up again."""


class SessionState(StrEnum):
    """State of a roll call (domain.md 3.3)."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    PRECHECKING = "prechecking"
    READY = "ready"
    RUNNING = "running"
    PAUSED = "paused"
    MAKEUP = "makeup"
    REVIEWING = "reviewing"
    PUBLISHED = "published"
    ARCHIVED = "archived"
    CANCELLED = "cancelled"
    PREEMPTED = "preempted"
    PARTIAL = "partial"


UNDER_WAY: Final = frozenset({SessionState.RUNNING, SessionState.PAUSED, SessionState.MAKEUP, SessionState.PREEMPTED})
"""States in which points are asked, or wait to be."""


class AbsenceReason(StrEnum):
    """Why a point is not present, as far as it was seen from here; whose fault it was is its `Cause`."""

    NO_LINK = "no_link"
    NO_ANSWER = "no_answer"
    NO_PICTURE = "no_picture"
    FROZEN = "frozen"
    BLACK = "black"
    COVERED = "covered"
    UNPROVEN = "unproven"
    REPLAY = "replay"
    BAD_PICTURE = "bad_picture"


class Cause(StrEnum):
    """Fault attribution (责任归因, domain.md 3.7)."""

    COUNTY_TERMINAL = "county_terminal"
    COUNTY_POWER = "county_power"
    COUNTY_STAFF = "county_staff"
    LINE = "line"
    PLATFORM = "platform"
    UPPER_NETWORK = "upper_network"
    UNKNOWN = "unknown"


COUNTY_CAUSES: Final = frozenset({Cause.COUNTY_TERMINAL, Cause.COUNTY_POWER, Cause.COUNTY_STAFF})


class CheckName(StrEnum):
    """What is looked at (domain.md 3.5, in its order)."""

    LINK = "link"
    PICTURE = "picture"
    SCENE = "scene"
    SOUND = "sound"
    ANSWER = "answer"
    LEADER = "leader"
    HEADCOUNT = "headcount"
    DRESS = "dress"
    BUSINESS = "business"
    LINE = "line"
    POWER = "power"


class CheckResult(StrEnum):
    """What a check found. `unproven`: looked at and not decided; `unknown`: not looked at."""

    GOOD = "good"
    ISSUE = "issue"
    BAD = "bad"
    UNPROVEN = "unproven"
    UNKNOWN = "unknown"


class Defect(StrEnum):
    """What is wrong with a picture or a sound."""

    LOST = "lost"
    FROZEN = "frozen"
    BLACK = "black"
    COVERED = "covered"
    BLURRED = "blurred"
    COLOUR_CAST = "colour_cast"
    STRIPES = "stripes"
    REPLAY = "replay"
    SILENT = "silent"
    CLIPPED = "clipped"
    ECHO = "echo"


class Check(BaseModel):
    """One check of one point. `by` is `auto` or the account that found it; `evidence` names files by SHA-256."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: CheckName
    result: CheckResult
    defect: Defect | None = None
    value: float | str | None = None
    note: str = Field(default="", max_length=500)
    by: str = Field(default=AUTO, max_length=64)
    at: AwareDatetime
    evidence: tuple[str, ...] = Field(default=(), max_length=20)


class PointResult(BaseModel):
    """Payload of `rollcall.point`: how a point of roll call `roll_call_id` (its first gateway's id) stands.

    `number` rises with each change of the point at `asked_by`, so that an older record changes nothing. `challenge` is
    the number that is to come back, `challenge_at` since when it is out (None: it is not).
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    roll_call_id: Ulid
    centre: CentreCode
    asked_by: NodeId
    number: int = Field(ge=1)
    state: PointState
    reason: AbsenceReason | None = None
    cause: Cause | None = None
    at: AwareDatetime
    attempts: int = Field(default=0, ge=0)
    rung_at: AwareDatetime | None = None
    answered_at: AwareDatetime | None = None
    answered_by: str | None = Field(default=None, max_length=64)
    first_frame_s: float | None = None
    frame_age_ms: int | None = None
    still: str | None = Field(default=None, max_length=64)
    settled_at: AwareDatetime | None = None
    makeup_at: AwareDatetime | None = None
    checks: tuple[Check, ...] = Field(default=(), max_length=40)
    score: float | None = None
    decided_by: str | None = Field(default=None, max_length=64)
    why: str = Field(default="", max_length=500)
    note: str = Field(default="", max_length=500)
    answer: dict[str, Any] | None = None
    challenge: str | None = Field(default=None, max_length=8)
    challenge_at: AwareDatetime | None = None


class CallResult(BaseModel):
    """Payload of `rollcall.ended`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    roll_call_id: Ulid
    asked_by: NodeId
    state: SessionState
    at: AwareDatetime
    why: str = Field(default="", max_length=500)


def point_result(event: Event) -> PointResult:
    """Read the payload of `rollcall.point`; raises BadSchemaError."""
    try:
        return PointResult.model_validate(event.data)
    except ValidationError as error:
        raise BadSchemaError(first_fault(error)) from None


def call_result(event: Event) -> CallResult:
    """Read the payload of `rollcall.ended`; raises BadSchemaError."""
    try:
        return CallResult.model_validate(event.data)
    except ValidationError as error:
        raise BadSchemaError(first_fault(error)) from None
