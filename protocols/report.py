"""Incident reports (信息报送): what a report holds, how an accident is graded, and what travels.

A version that is signed goes up as one event (`SENT`), with all its content. What the addressee says to it comes down
as the command `report.answer`: stored there, signed for (签收), or sent back (退回).
"""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from protocols.envelope import Event, event_type, first_fault
from protocols.errors import BadSchemaError
from protocols.ids import CentreCode, NodeId, Ulid

SENT = event_type("report", "sent")


class ReportKind(StrEnum):
    """The four kinds of a version (报次)."""

    INITIAL = "initial"  # 首报
    FOLLOWUP = "followup"  # 续报, numbered
    VERIFIED = "verified"  # 核报
    FINAL = "final"  # 终报


class ReportState(StrEnum):
    """Where a report stands (domain.md 5.3)."""

    RECEIVED = "received"
    VERIFYING = "verifying"
    DRAFTED = "drafted"
    SIGNED = "signed"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    FOLLOWING = "following"
    VERIFIED = "verified"
    CLOSED = "closed"


class Grade(IntEnum):
    """Accident grade of Order 493, article 3; 1 is the gravest."""

    EXTREME = 1  # 特别重大
    MAJOR = 2  # 重大
    SERIOUS = 3  # 较大
    GENERAL = 4  # 一般


class Verification(StrEnum):
    """Whether a number was checked (核实状态)."""

    UNVERIFIED = "unverified"
    VERIFIED = "verified"


class Flag(StrEnum):
    """The five sensitive marks: one grade higher for speed, the same grade for statistics."""

    TIME = "time"  # 敏感时间
    PEOPLE = "people"  # 敏感人群
    PLACE = "place"  # 敏感地点
    KIND = "kind"  # 敏感类型
    LEADERS = "leaders"  # 领导特别关注


class Category(StrEnum):
    """What happened, as far as rules of reporting tell it apart."""

    WORK = "work"  # 生产安全事故
    TRAFFIC = "traffic"  # 道路交通事故
    FIRE = "fire"  # 火灾事故
    NATURAL = "natural"  # 自然灾害
    OTHER = "other"  # 其他: 险情、舆情 and so on


NUMBERS = ("deaths", "serious", "minor", "missing", "trapped", "moved", "loss_yuan")
"""Fields of `Content` that keep a history: six counts of people, and the direct loss in yuan."""
FIRST_FIELDS = (
    "occurred_at",
    "place",
    "category",
    "deaths",
    "serious",
    "missing",
    "trapped",
    "summary",
    "measures",
    "reporter",
    "source",
)
"""Fields behind the eight boxes of a first report: time, place, kind, casualties, what, measures, reporter, source."""


class Figure(BaseModel):
    """A number of a report: who says so and whether it was checked. A number that nobody knows is left out."""

    model_config = ConfigDict(frozen=True, extra="allow")

    value: int = Field(ge=0, le=10**15)
    source: str = Field(default="", max_length=200)
    verification: Verification = Verification.UNVERIFIED


class Content(BaseModel):
    """All that a version says. Empty means not known yet."""

    model_config = ConfigDict(frozen=True, extra="allow")

    title: str = Field(default="", max_length=200)
    category: Category = Category.OTHER
    occurred_at: AwareDatetime | None = None
    place: str = Field(default="", max_length=200)
    centre: CentreCode | None = None
    longitude: float | None = Field(default=None, ge=-180, le=180)
    latitude: float | None = Field(default=None, ge=-90, le=90)
    summary: str = Field(default="", max_length=4000)
    measures: str = Field(default="", max_length=4000)
    reporter: str = Field(default="", max_length=64)
    reporter_phone: str = Field(default="", max_length=64)
    source: str = Field(default="", max_length=200)
    deaths: Figure | None = None
    serious: Figure | None = None
    minor: Figure | None = None
    missing: Figure | None = None
    trapped: Figure | None = None
    moved: Figure | None = None
    loss_yuan: Figure | None = None
    unit_profile: str = Field(default="", max_length=2000)
    course: str = Field(default="", max_length=4000)
    scope: str = Field(default="", max_length=1000)
    trend: str = Field(default="", max_length=1000)
    leaders: str = Field(default="", max_length=1000)
    commander: str = Field(default="", max_length=64)
    commander_post: str = Field(default="", max_length=64)
    commander_phone: str = Field(default="", max_length=64)
    requests: str = Field(default="", max_length=1000)
    attachments: tuple[str, ...] = Field(default=(), max_length=50)
    flags: tuple[Flag, ...] = ()
    response_level: int | None = Field(default=None, ge=1, le=4)


class Grades(BaseModel):
    """What is proven and what may be, side by side; None where no number is known."""

    model_config = ConfigDict(frozen=True)

    confirmed: Grade | None = None
    possible: Grade | None = None


class SentData(BaseModel):
    """Payload of `report.sent`: one signed version, whole. `to` are the centres that it is for."""

    model_config = ConfigDict(frozen=True, extra="allow")

    report_id: Ulid
    serial: str = Field(max_length=64)
    version: int = Field(ge=1)
    kind: ReportKind
    number: int = Field(ge=0)
    corrects: int | None = Field(default=None, ge=1)
    origin: NodeId
    to: tuple[CentreCode, ...] = Field(min_length=1, max_length=4)
    leapfrog: bool = False
    known_at: AwareDatetime
    content: Content
    changed: tuple[str, ...] = ()
    reasons: dict[str, str] = Field(default_factory=dict)
    grades: Grades
    signed_by: str = Field(min_length=1, max_length=64)
    signed_at: AwareDatetime


class Answer(StrEnum):
    """What an addressee says to a version."""

    STORED = "stored"  # 送达: it is on the addressee's disk
    ACKNOWLEDGED = "acknowledged"  # 签收
    RETURNED = "returned"  # 退回


class ReportAnswer(BaseModel):
    """Arguments of the command `report.answer`; taking it twice changes nothing."""

    model_config = ConfigDict(frozen=True, extra="allow")

    report_id: Ulid
    version: int = Field(ge=1)
    answer: Answer
    centre: CentreCode
    by: str = Field(default="", max_length=64)
    at: AwareDatetime
    reason: str = Field(default="", max_length=1000)


def sent_data(event: Event) -> SentData:
    """Read the payload of a sent version; raises BadSchemaError."""
    try:
        return SentData.model_validate(event.data)
    except ValidationError as error:
        raise BadSchemaError(first_fault(error)) from None


_STEPS = {
    # Order 493, article 3: from this number on ("以上" includes it, "以下" does not).
    "deaths": ((30, Grade.EXTREME), (10, Grade.MAJOR), (3, Grade.SERIOUS)),
    "serious": ((100, Grade.EXTREME), (50, Grade.MAJOR), (10, Grade.SERIOUS)),
    "loss_yuan": ((100_000_000, Grade.EXTREME), (50_000_000, Grade.MAJOR), (10_000_000, Grade.SERIOUS)),
}


def grade_of(*, deaths: int = 0, serious: int = 0, loss_yuan: int = 0) -> Grade:
    """Grade an accident by Order 493, article 3: the worst of deaths, serious injuries (poisoning too) and loss."""
    counts = {"deaths": deaths, "serious": serious, "loss_yuan": loss_yuan}
    return min(_step(name, value) for name, value in counts.items())


def _step(name: str, value: int) -> Grade:
    return next((grade for least, grade in _STEPS[name] if value >= least), Grade.GENERAL)


def grades_of(content: Content) -> Grades:
    """Return both grades: confirmed counts what was checked, possible all that is said, the missing among the dead."""
    said = {name: figure for name in (*_STEPS, "missing") if (figure := getattr(content, name)) is not None}
    if not said:
        return Grades()
    checked = {n: f.value for n, f in said.items() if n != "missing" and f.verification is Verification.VERIFIED}
    counts = {name: figure.value for name, figure in said.items()}
    counts["deaths"] = counts.get("deaths", 0) + counts.pop("missing", 0)
    return Grades(confirmed=grade_of(**checked) if checked else None, possible=grade_of(**counts))


def for_speed(grade: Grade, flags: tuple[Flag, ...]) -> Grade:
    """Return the grade whose deadlines apply: any sensitive mark makes it one higher."""
    return Grade(max(1, grade - 1)) if flags else grade


def wants_reason(old: int | None, new: int | None) -> bool:
    """Tell whether a number that became another needs a reason: it fell, vanished, or rose by more than a half."""
    if old is None or old == new:
        return False
    return new is None or new < old or 2 * (new - old) > old


def changes(old: Content, new: Content) -> tuple[str, ...]:
    """Name the fields in which two versions differ, in the order of the form."""
    before, after = old.model_dump(), new.model_dump()
    return tuple(name for name in Content.model_fields if before[name] != after[name])


def missing_reasons(old: Content, new: Content, reasons: Mapping[str, str]) -> tuple[str, ...]:
    """Name the numbers whose change needs a reason that was not given."""
    return tuple(
        name
        for name in NUMBERS
        if wants_reason(_value(old, name), _value(new, name)) and not reasons.get(name, "").strip()
    )


def _value(content: Content, name: str) -> int | None:
    figure: Any = getattr(content, name)
    return None if figure is None else int(figure.value)
