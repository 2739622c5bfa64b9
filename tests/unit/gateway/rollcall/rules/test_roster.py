"""Scenario 6: A stands in the roster, B sits there."""

from datetime import UTC, date, datetime

import pytest

from gateway.rollcall.rules.roster import REQUIRED, Frozen, compare, freeze, plain, read
from protocols.duty import DutyRole, DutyShift, OnDuty
from protocols.rollcall import CheckResult

AT = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)


def shift(*people, version=1, missing=None, name="全天"):
    return DutyShift(
        day=date(2026, 3, 1),
        name=name,
        starts_at=AT,
        ends_at=AT.replace(day=2),
        people=tuple(OnDuty(name=who, role=role) for who, role in people),
        missing=missing or {},
        version=version,
        hash=f"{version:064d}",
    )


PLANNED = shift(("李四", DutyRole.LEADER), ("甲", DutyRole.OFFICER), ("乙", DutyRole.ONCALL))
SWAPPED = shift(("王五", DutyRole.LEADER), ("甲", DutyRole.OFFICER), version=2)


def leader(frozen, name):
    found, _ = compare(frozen, name, None)
    return found.result, found.issue


def count(frozen, number):
    _, found = compare(frozen, "", number)
    return found.result, found.issue


def test_the_planned_leader_passes_however_the_name_is_spaced():
    assert leader(freeze([PLANNED]), " 李 四 ") == (CheckResult.GOOD, "")


def test_a_substitute_passes_with_an_approved_swap_and_not_without():
    assert leader(freeze([PLANNED]), "王五") == (CheckResult.ISSUE, "other_leader")
    assert leader(freeze([SWAPPED]), "王五") == (CheckResult.GOOD, "")


def test_an_edit_after_the_freeze_changes_nothing():
    kept = plain(freeze([PLANNED]))
    later = freeze([SWAPPED])
    assert leader(read(kept), "王五") == (CheckResult.ISSUE, "other_leader")
    assert (read(kept).version, read(kept).hash) == (1, PLANNED.hash)
    assert later.hash != read(kept).hash


def test_nothing_said_is_unknown_and_no_roster_is_unproven():
    assert leader(freeze([PLANNED]), "") == (CheckResult.UNKNOWN, "")
    assert leader(freeze([]), "王五") == (CheckResult.UNPROVEN, "no_roster")
    assert read(None) == freeze([]) == Frozen()


@pytest.mark.parametrize(
    ("number", "result"), [(None, "unknown"), (2, "good"), (3, "good"), (1, "issue"), (0, "issue")]
)
def test_heads_are_counted_without_those_who_stand_by(number, result):
    assert count(freeze([PLANNED]), number)[0] == result


def test_seats_that_nobody_fills_are_required_all_the_same():
    frozen = freeze([shift(("李四", DutyRole.LEADER), missing={DutyRole.OFFICER: 2})])
    assert frozen.required == 3
    assert count(frozen, 2) == (CheckResult.ISSUE, "too_few")


def test_without_a_roster_two_are_wanted():
    assert REQUIRED == 2
    assert count(Frozen(), 2) == (CheckResult.GOOD, "")
    assert count(Frozen(), 1) == (CheckResult.ISSUE, "too_few")


def test_two_standing_shifts_are_one_crew():
    frozen = freeze([PLANNED, shift(("李四", DutyRole.LEADER), ("丙", DutyRole.CHIEF), name="夜班", version=7)])
    assert frozen.leaders == ("李四",)
    assert frozen.officers == ("甲", "丙")
    assert frozen.version == 7
