"""The roster as a sheet (XLSX, CSV): one line per shift, a column per role, names parted by 、.

Reading collects every fault with line and column before anything is written: all or nothing.
"""

import csv
import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from gateway.duty import phrases
from gateway.duty.machine import Day, Person, Plan
from protocols.duty import DutyRole
from protocols.errors import BadInputError

HEAD = ("日期", "班次", *phrases.ROLES.values())
MOST_ROWS = 2000
MOST_BYTES = 64 * 1024 * 1024
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
Wanted = dict[date, dict[str, list[tuple[str, DutyRole]]]]


@dataclass(frozen=True, slots=True)
class SheetFault:
    """What is wrong in which cell; `row` counts from 1 as the spreadsheet does."""

    row: int
    column: str
    text: str


def table_of(days: Iterable[Day], people: Sequence[Person]) -> list[list[str]]:
    """Return the lines of the sheet, the head first. A name that two people bear is told apart by the post."""
    lines = [list(HEAD)]
    known = {person.id: person for person in people}
    labels = _labels(people)
    for day in days:
        for shift in day.shifts:
            cells = [
                "、".join(
                    labels[seat.person] if seat.person in known else seat.name
                    for seat in shift.seats
                    if seat.role is role
                )
                for role in phrases.ROLES
            ]
            lines.append([day.day.isoformat(), shift.name, *cells])
    return lines


def _labels(people: Sequence[Person]) -> dict[str, str]:
    names = [person.name for person in people]
    return {p.id: f"{p.name}（{p.post}）" if names.count(p.name) > 1 else p.name for p in people}


def to_csv(lines: Sequence[Sequence[str]]) -> bytes:
    """Return CSV for spreadsheets: UTF-8 with a byte order mark."""
    out = io.StringIO()
    csv.writer(out).writerows([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in line] for line in lines)
    return ("\ufeff" + out.getvalue()).encode()


def to_xlsx(lines: Sequence[Sequence[str]]) -> bytes:
    """Return a workbook with one sheet; every cell is text, so nothing in it can run."""
    import xlsxwriter

    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    sheet, bold = book.add_worksheet("值班表"), book.add_format({"bold": True})
    for row, line in enumerate(lines):
        for column, cell in enumerate(line):
            sheet.write_string(row, column, cell, None if row else bold)
    sheet.set_column(0, len(HEAD) - 1, 16)
    sheet.freeze_panes(1, 0)
    book.close()
    return out.getvalue()


def read_lines(content: bytes) -> list[list[str]]:
    """Read XLSX or CSV by its content; raises BadInputError where it is neither or too large."""
    lines = _xlsx(content) if content.startswith(b"PK") else _csv(content)
    if len(lines) > MOST_ROWS:
        raise BadInputError(f"表格超过 {MOST_ROWS} 行，请分月导入")
    return lines


def _xlsx(content: bytes) -> list[list[str]]:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(item.file_size for item in archive.infolist()) > MOST_BYTES:
                raise BadInputError("表格解压后过大，请删去图片和多余的工作表")
        with CalamineWorkbook.from_filelike(io.BytesIO(content)) as book:
            rows = book.get_sheet_by_index(0).to_python(skip_empty_area=False, nrows=MOST_ROWS + 1)
    except (zipfile.BadZipFile, CalamineError, IndexError) as error:
        raise BadInputError(f"不是可以读取的 XLSX 表格：{error}") from None
    return [[_text(cell) for cell in row] for row in rows]


def _csv(content: bytes) -> list[list[str]]:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        try:
            rows = [[cell.strip().removeprefix("'") for cell in row] for row in csv.reader(io.StringIO(text))]
        except csv.Error as error:
            raise BadInputError(f"不是可以读取的 CSV 表格：{error}") from None
        return rows
    raise BadInputError("表格文字编码无法识别，请另存为 XLSX 或 UTF-8 编码的 CSV")


def _text(cell: Any) -> str:
    if isinstance(cell, datetime):
        return cell.date().isoformat()
    return cell.isoformat() if isinstance(cell, date) else str(cell).strip()


def parse(lines: Sequence[Sequence[str]], plan: Plan, people: Sequence[Person]) -> tuple[Wanted, list[SheetFault]]:
    """Return the days of the sheet and every fault in it; write nothing while there is a fault."""
    head = [cell.strip() for cell in lines[0][: len(HEAD)]] if lines else []
    if tuple(head) != HEAD:
        return {}, [SheetFault(1, "", f"表头应为：{'、'.join(HEAD)}；请使用模板")]
    wanted: Wanted = {}
    faults: list[SheetFault] = []
    for number, line in enumerate(lines[1:], 2):
        if not any(cell.strip() for cell in line):
            continue
        _line(number, [*line, *[""] * len(HEAD)], plan, people, wanted, faults)
    if not wanted and not faults:
        faults.append(SheetFault(2, "", "表格没有内容"))
    return wanted, faults


def _line(
    number: int,
    line: Sequence[str],
    plan: Plan,
    people: Sequence[Person],
    wanted: Wanted,
    faults: list[SheetFault],
) -> None:
    try:
        day = date.fromisoformat(line[0].strip().replace("/", "-"))
    except ValueError:
        faults.append(SheetFault(number, HEAD[0], f"“{line[0]}”不是日期，应写作 2026-01-31"))
        return
    shift = line[1].strip()
    if shift not in {kind.name for kind in plan.shifts}:
        faults.append(SheetFault(number, HEAD[1], f"没有名为“{shift}”的班次"))
        return
    if shift in wanted.setdefault(day, {}):
        faults.append(SheetFault(number, HEAD[1], f"{day} {shift} 重复出现"))
        return
    seats = wanted[day][shift] = []
    for column, role in enumerate(phrases.ROLES, 2):
        for name in _names(line[column]):
            found = _find(name, day, people)
            if isinstance(found, str):
                faults.append(SheetFault(number, HEAD[column], found))
            elif found.id in {ident for ident, _ in seats}:
                faults.append(SheetFault(number, HEAD[column], f"{name} 在同一班次出现两次"))
            else:
                seats.append((found.id, role))


def _names(cell: str) -> list[str]:
    for mark in (",", "，", ";", "；", "\n"):
        cell = cell.replace(mark, "、")
    return [name.strip() for name in cell.split("、") if name.strip()]


def _find(name: str, day: date, people: Sequence[Person]) -> Person | str:
    labels = _labels(people)
    exact = [person for person in people if labels[person.id] == name or person.name == name]
    exact = [person for person in exact if person.valid(day)] or exact
    if not exact:
        return f"人员名单中没有“{name}”"
    if len(exact) > 1:
        return f"有 {len(exact)} 位“{name}”，请写作“姓名（职务）”"
    return exact[0]
