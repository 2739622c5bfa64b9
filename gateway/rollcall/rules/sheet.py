"""The result sheet (结果表): one line a point, every column of the form (domain.md 3.8).

A `Line` holds values; `cells` says them in the words of the form. Screen, workbook, PDF, Word and CSV are all made of
the same cells, so that no two of them can differ.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Final

from gateway.rollcall import phrases
from protocols.rollcall import ASIDE, PRESENT, AbsenceReason, Cause, PointState

CHINA: Final = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True)
class Looked:
    """What a check of picture or sound found. `result` is a name of `CheckResult`, `defects` are names of `Defect`."""

    result: str = ""
    defects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One point of a finished roll call. Seconds, ratios of 0 to 1, kbit/s; empty means that nobody knows."""

    number: int
    centre: str
    name: str
    point: str = ""
    kind: str = ""
    planned_at: datetime | None = None
    rung_at: datetime | None = None
    connected_at: datetime | None = None
    connect_s: float | None = None
    attempts: int = 0
    answered_by: str = ""
    state: PointState = PointState.PENDING
    reason: AbsenceReason | None = None
    leader_due: tuple[str, ...] = ()
    leader_there: str = ""
    officers_due: tuple[str, ...] = ()
    officers_there: tuple[str, ...] = ()
    count_due: int | None = None
    count_there: int | None = None
    picture: Looked = Looked()
    sound: Looked = Looked()
    rtt_ms: float | None = None
    loss_ratio: float | None = None
    bitrate_kbps: float | None = None
    dress: str = ""
    business: int | None = None
    issues: tuple[str, ...] = ()
    cause: Cause | None = None
    makeup_at: datetime | None = None
    makeup_state: PointState | None = None
    score: float | None = None
    stills: tuple[str, ...] = ()
    clips: tuple[str, ...] = ()
    caller: str = ""
    reviewer: str = ""
    objection: str = ""
    revisions: tuple[str, ...] = ()
    remedy_by: datetime | None = None
    feedback: str = ""
    signed_at: datetime | None = None
    signed_by: str = ""
    note: str = ""

    @property
    def due(self) -> bool:
        """Tell whether the point counts (应点)."""
        return self.state not in ASIDE

    @property
    def present(self) -> bool:
        """Tell whether somebody was there (实点)."""
        return self.state in PRESENT


@dataclass(frozen=True, slots=True)
class Sheet:
    """The whole form. `roster` names, for each centre, version and hash of the duty roster that was frozen."""

    title: str
    lines: tuple[Line, ...]
    drill: bool = False
    roster: Mapping[str, str] = field(default_factory=dict)


def cells(line: Line) -> tuple[str, ...]:
    """Return the line in the words of the form, one text for each of `phrases.COLUMNS`."""
    return tuple(say(line) for say in _SAYINGS)


def clock(at: datetime | None) -> str:
    """Return a time of China on the 24-hour clock, empty for none."""
    return "" if at is None else at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


def result(line: Line) -> str:
    """Return the verdict in one word, with its reason."""
    state = phrases.STATES.get(line.state, line.state.value)
    return state if line.reason is None else f"{state}（{phrases.REASONS.get(line.reason, line.reason.value)}）"


def _looked(found: Looked, words: Mapping[str, str]) -> str:
    said = words.get(found.result, found.result)
    faults = "、".join(phrases.DEFECTS.get(defect, defect) for defect in found.defects)
    return f"{said}/{faults}" if faults else said


def _figures(line: Line) -> str:
    parts = (
        ("{:.0f} ms", line.rtt_ms),
        ("{:.1%}", line.loss_ratio),
        ("{:.0f} kbps", line.bitrate_kbps),
    )
    told = [form.format(value) if value is not None else phrases.NONE for form, value in parts]
    return "" if all(value is None for _, value in parts) else " / ".join(told)


def _pair(due: str, there: str) -> str:
    return "" if not due and not there else f"{due or phrases.NONE}/{there or phrases.NONE}"


def _count(line: Line) -> str:
    due = "" if line.count_due is None else str(line.count_due)
    there = "" if line.count_there is None else str(line.count_there)
    return _pair(due, there)


def _makeup(line: Line) -> str:
    if line.makeup_at is None:
        return ""
    state = line.makeup_state
    return f"{clock(line.makeup_at)} {phrases.STATES.get(state, '') if state is not None else ''}".strip()


def _signed(line: Line) -> str:
    return f"{clock(line.signed_at)} {line.signed_by}".strip()


def _disputed(line: Line) -> str:
    return "；".join(text for text in (line.objection, *line.revisions) if text)


_SAYINGS: Final[tuple[Callable[[Line], str], ...]] = (
    lambda line: str(line.number),
    lambda line: line.name,
    lambda line: line.centre,
    lambda line: line.point,
    lambda line: phrases.KINDS.get(line.kind, line.kind),
    lambda line: clock(line.planned_at),
    lambda line: clock(line.rung_at),
    lambda line: clock(line.connected_at),
    lambda line: "" if line.connect_s is None else f"{line.connect_s:.1f}",
    lambda line: str(line.attempts),
    lambda line: line.answered_by,
    result,
    lambda line: _pair("、".join(line.leader_due), line.leader_there),
    lambda line: _pair("、".join(line.officers_due), "、".join(line.officers_there)),
    _count,
    lambda line: _looked(line.picture, phrases.LOOKED),
    lambda line: _looked(line.sound, phrases.LOOKED),
    _figures,
    lambda line: phrases.LOOKED.get(line.dress, line.dress),
    lambda line: "" if line.business is None else f"{line.business}/5",
    lambda line: "、".join(phrases.ISSUES.get(issue, issue) for issue in line.issues),
    lambda line: "" if line.cause is None else phrases.CAUSES[line.cause],
    _makeup,
    lambda line: "" if line.score is None else f"{line.score:g}",
    lambda line: "、".join(one[:12] for one in line.stills),
    lambda line: "、".join(one[:12] for one in line.clips),
    lambda line: line.caller,
    lambda line: line.reviewer,
    _disputed,
    lambda line: clock(line.remedy_by),
    lambda line: line.feedback,
    _signed,
    lambda line: line.note,
)
