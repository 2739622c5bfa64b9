"""The roster as a sheet: what is written is read back, and every fault is named by its cell."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.duty.machine import Person, Plan, ShiftKind, blank, seated
from gateway.duty.sheets import HEAD, parse, read_lines, table_of, to_csv, to_xlsx
from protocols.duty import DutyRole
from protocols.errors import BadInputError

DAY = date(2026, 11, 24)
PLAN = Plan(shifts=(ShiftKind(name="白班", start=510, hours=12), ShiftKind(name="夜班", start=1230, hours=12)))
NAMES = ("李局", "王强", "赵敏", "=周立", "王强")
STAFF = [Person(id=str(n), name=name, post=f"岗{n}", valid_from=DAY) for n, name in enumerate(NAMES)]
SEATS = st.dictionaries(st.sampled_from(STAFF).map(lambda one: one.id), st.sampled_from(list(DutyRole)), max_size=5)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(SEATS, SEATS), min_size=1, max_size=4))
def test_what_is_written_is_read_back(days):
    wanted = {}
    made = []
    for n, both in enumerate(days):
        day = DAY + timedelta(days=n)
        chosen = {name: list(seats.items()) for name, seats in zip(("白班", "夜班"), both, strict=True)}
        wanted[day] = {name: sorted(seats) for name, seats in chosen.items()}
        staffed = {name: [(STAFF[int(one)], role) for one, role in seats] for name, seats in chosen.items()}
        made.append(seated(blank(PLAN, "320623", day), staffed))
    lines = table_of(made, STAFF)
    for content in (to_xlsx(lines), to_csv(lines)):
        read, faults = parse(read_lines(content), PLAN, STAFF)
        assert faults == []
        assert {day: {name: sorted(seats) for name, seats in shifts.items()} for day, shifts in read.items()} == wanted


def test_every_fault_is_named_by_its_cell():
    lines = [
        list(HEAD),
        ["昨天", "白班", "", "", "", "", ""],
        ["2026-11-24", "中班", "", "", "", "", ""],
        ["2026/11/24", "白班", "李局", "", "王强，孙悟空", "", "李局"],
        [],
        ["2026-11-24", "白班"],
    ]
    _, faults = parse(lines, PLAN, STAFF)
    told = [(one.row, one.column) for one in faults]
    assert told == [(2, "日期"), (3, "班次"), (4, "值班员"), (4, "值班员"), (4, "备勤"), (6, "班次")]
    assert "有 2 位“王强”" in faults[2].text
    assert "没有“孙悟空”" in faults[3].text


@pytest.mark.parametrize("content", [b"PK\x03\x04 broken", b"\xff\xfe\x00", b""])
def test_what_is_no_sheet_is_refused(content):
    try:
        wanted, faults = parse(read_lines(content), PLAN, STAFF)
    except BadInputError:
        return
    assert (wanted, len(faults)) == ({}, 1)


def test_an_old_spreadsheets_encoding_is_read():
    lines = [list(HEAD), ["2026-11-24", "白班", "李局"]]
    content = "\n".join(",".join(line) for line in lines).encode("gb18030")
    wanted, faults = parse(read_lines(content), PLAN, STAFF)
    assert (faults, wanted[DAY]["白班"]) == ([], [("0", DutyRole.LEADER)])
