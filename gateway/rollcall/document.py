"""The result sheet (结果表) as CSV for spreadsheets: UTF-8 with a byte order mark, Chinese headings, local times."""

import csv
import io
from datetime import datetime

from gateway.rollcall import phrases
from gateway.rollcall.records import PointRecord, RollCall, RollCallRecord
from protocols.rollcall import PointState

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def result_csv(call: RollCall) -> bytes:
    """Return the sheet; times are in the zone of this machine."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(phrases.COLUMNS)
    for point in call.points:
        writer.writerow([_safe(cell) for cell in _cells(call.record, point)])
    return ("\ufeff" + out.getvalue()).encode()


def _cells(call: RollCallRecord, point: PointRecord) -> list[str]:
    return [
        str(point.number),
        point.name,
        point.centre,
        point.camera or "",
        phrases.KINDS.get(call.kind, call.kind.value),
        _time(point.rung_at),
        _time(point.answered_at),
        _seconds_between(point.rung_at, point.answered_at),
        str(point.attempts),
        point.answered_by or "",
        _result(point),
        _picture(point),
        "" if point.first_frame_s is None else f"{point.first_frame_s:.2f}",
        "" if point.frame_age_ms is None else str(point.frame_age_ms),
        point.link,
        point.still or "",
        call.started_by,
        point.note,
    ]


def _result(point: PointRecord) -> str:
    state = phrases.STATES.get(point.state, point.state.value)
    return state if point.reason is None else f"{state}（{phrases.REASONS[point.reason]}）"


def _picture(point: PointRecord) -> str:
    if point.state is PointState.PASSED:
        return phrases.PICTURE_GOOD
    if point.still is None or point.reason is None:
        return phrases.PICTURE_UNSEEN
    return phrases.REASONS[point.reason]


def _time(at: datetime | None) -> str:
    return "" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _seconds_between(start: datetime | None, end: datetime | None) -> str:
    return "" if start is None or end is None else f"{(end - start).total_seconds():.1f}"


def _safe(cell: str) -> str:
    """Keep a spreadsheet from running a cell that a far node wrote."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
