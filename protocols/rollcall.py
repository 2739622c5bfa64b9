"""Roll call words that more than one node must agree on (domain.md 3.4 and 3.7)."""

from enum import StrEnum


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


class AbsenceReason(StrEnum):
    """Why a point of the first roll call is not present."""

    NO_LINK = "no_link"
    NO_ANSWER = "no_answer"
    NO_PICTURE = "no_picture"
    FROZEN = "frozen"
    BLACK = "black"
    COVERED = "covered"
    UNPROVEN = "unproven"


class Cause(StrEnum):
    """Fault attribution (责任归因, domain.md 3.7)."""

    COUNTY_TERMINAL = "county_terminal"
    COUNTY_POWER = "county_power"
    COUNTY_STAFF = "county_staff"
    LINE = "line"
    PLATFORM = "platform"
    UPPER_NETWORK = "upper_network"
    UNKNOWN = "unknown"
