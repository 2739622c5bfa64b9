"""What is wrong with a roster, one rule at a time."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.duty.machine import DEFAULT_PLAN, Person, Plan, Seat, ShiftKind, blank, seated
from gateway.duty.rules.findings import Fault, findings
from protocols.duty import DutyRole

DAY = date(2026, 11, 24)
ONE = {DutyRole.OFFICER: 1}
TWELVE = Plan(
    shifts=(
        ShiftKind(name="白班", start=510, hours=12, needs=ONE),
        ShiftKind(name="夜班", start=1230, hours=12, needs=ONE),
    )
)
STAFF = {
    str(n): Person(id=str(n), name=f"人{n}", role=DutyRole.LEADER if n < 3 else DutyRole.OFFICER, valid_from=DAY)
    for n in range(9)
}


def planned(plan: Plan, *days: dict[str, list[tuple[str, DutyRole]]]):
    made = []
    for n, wanted in enumerate(days):
        chosen = {shift: [(STAFF[one], role) for one, role in seats] for shift, seats in wanted.items()}
        made.append(seated(blank(plan, "320623", DAY + timedelta(days=n)), chosen))
    return made


def faults(plan, *days, today=DAY - timedelta(days=30)):
    return [(one.fault, one.shift) for one in findings(plan, planned(plan, *days), STAFF, today)]


def officer(*idents: str):
    return [(ident, DutyRole.OFFICER) for ident in idents]


def test_a_full_day_has_nothing_wrong():
    assert faults(DEFAULT_PLAN, {"全天": [("0", DutyRole.LEADER), *officer("3", "4")]}) == []


def test_an_empty_day_names_each_role_that_is_missing():
    assert faults(DEFAULT_PLAN, {}) == [(Fault.MISSING, "全天")] * 2


def test_only_the_leadership_leads():
    assert faults(DEFAULT_PLAN, {"全天": [("5", DutyRole.LEADER), *officer("3", "4")]}) == [(Fault.NOT_LEADER, "全天")]


def test_day_and_night_without_a_break_is_one_turn_of_a_day_and_a_second_day_is_too_long():
    both = {"白班": officer("3"), "夜班": officer("3")}
    assert faults(TWELVE, both) == []
    assert (Fault.TOO_LONG, "白班") in faults(TWELVE, both, {"白班": officer("3"), "夜班": officer("4")})


def test_rest_counts_across_days():
    plan = Plan(shifts=(ShiftKind(name="白班", start=480, hours=16, needs=ONE),))
    assert faults(plan, {"白班": officer("3")}, {"白班": officer("3")}) == [(Fault.REST, "白班")]


def test_nobody_sits_in_two_places_at_once():
    rooms = [ShiftKind(name=name, start=start, hours=8, needs=ONE) for name, start in (("大厅", 0), ("机房", 60))]
    plan = Plan(shifts=tuple(rooms))
    assert faults(plan, {"大厅": officer("3"), "机房": officer("3")}) == [(Fault.DOUBLE, "机房")]


def test_no_third_day_in_a_row():
    day = {"白班": officer("3"), "夜班": officer("4")}
    found = faults(TWELVE, day, day, day)
    assert found == [(Fault.IN_A_ROW, "夜班"), (Fault.IN_A_ROW, "白班")]


def test_stand_by_is_no_turn():
    oncall = {"白班": [*officer("3"), ("4", DutyRole.ONCALL)], "夜班": officer("4")}
    assert faults(TWELVE, oncall) == []


def test_who_is_not_of_the_staff_is_named():
    days = planned(TWELVE, {"白班": officer("3"), "夜班": officer("4")})
    left = {**STAFF, "3": STAFF["3"].model_copy(update={"valid_from": DAY + timedelta(days=1)})}
    assert [one.fault for one in findings(TWELVE, days, left, DAY)] == [Fault.NOT_VALID]
    del left["3"]
    assert [one.fault for one in findings(TWELVE, days, left, DAY)] == [Fault.UNKNOWN]


def test_a_holiday_is_planned_three_days_before():
    plan = TWELVE.model_copy(update={"holidays": (DAY,)})
    day = planned(plan, {"白班": officer("3", "4"), "夜班": officer("5", "6")})
    assert [one.fault for one in findings(plan, day, STAFF, DAY - timedelta(days=4))] == []
    assert [one.fault for one in findings(plan, day, STAFF, DAY - timedelta(days=3))] == [Fault.HOLIDAY_LATE]
    done = [day[0].model_copy(update={"version": 1})]
    assert findings(plan, done, STAFF, DAY - timedelta(days=3)) == []


@given(st.lists(st.tuples(st.sampled_from(["白班", "夜班"]), st.sampled_from("345")), max_size=12))
def test_findings_never_fail_and_double_bookings_are_always_found(picks):
    days = planned(TWELVE, *[{shift: officer(one)} for shift, one in picks])
    assert all(one.fault is not Fault.DOUBLE for one in findings(TWELVE, days, STAFF, DAY))
    if picks:
        shift = days[0].shifts[0]
        seat = Seat(person="3", name="人3", role=DutyRole.OFFICER)
        both = shift.model_copy(update={"seats": (seat,)})
        doubled = [days[0].model_copy(update={"shifts": (both, both.model_copy(update={"name": "机房"}))})]
        assert Fault.DOUBLE in {one.fault for one in findings(TWELVE, doubled, STAFF, DAY)}
