"""Days, their hash, and what stands at a moment."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.duty.machine import (
    CHINA,
    DEFAULT_PLAN,
    Person,
    Plan,
    ShiftKind,
    around,
    blank,
    canonical,
    day_of,
    gaps,
    next_change,
    record_of,
    seated,
    standing,
    substituted,
)
from protocols.duty import DutyRole, on_duty

DAY = date(2026, 11, 24)
LI = Person(id="1", name="李局", role=DutyRole.LEADER, phones=("13812345678",), valid_from=date(2020, 1, 1))
WANG = Person(id="2", name="王强", valid_from=date(2020, 1, 1))
ZHAO = Person(id="3", name="赵敏", valid_from=date(2020, 1, 1))
FULL = {"全天": [(LI, DutyRole.LEADER), (WANG, DutyRole.OFFICER), (ZHAO, DutyRole.OFFICER)]}


def china(hour: int, minute: int = 0, day: date = DAY) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=CHINA)


def full(day: date = DAY):
    return seated(blank(DEFAULT_PLAN, "320623", day), FULL)


def test_a_shift_that_lasts_over_midnight_stands_on_the_next_day_too():
    assert day_of(datetime(2026, 11, 23, 17, tzinfo=UTC)) == DAY
    days = [full(day) for day in around(china(3))]
    ((day, shift),) = standing(days, china(3))
    assert (day.day, shift.name) == (DAY - timedelta(days=1), "全天")
    ((day, _),) = standing(days, china(8, 30))
    assert day.day == DAY


def test_a_gap_is_told_two_hours_before_and_goes_with_the_shift():
    days = [full(DAY - timedelta(days=1)), blank(DEFAULT_PLAN, "320623", DAY)]
    key = "duty/2026-11-24/全天"
    assert gaps(days, china(6, 29)) == {}
    assert list(gaps(days, china(6, 30))) == [key]
    assert next_change(days, china(6)) == china(6, 30)
    assert list(gaps(days, china(8, 29, DAY + timedelta(days=1)))) == [key]
    assert gaps(days, china(8, 30, DAY + timedelta(days=1))) == {}
    assert gaps([full()], china(9)) == {}


def test_a_holiday_wants_one_more():
    plan = DEFAULT_PLAN.model_copy(update={"holidays": (DAY,)})
    assert seated(blank(plan, "320623", DAY), FULL).shifts[0].missing() == {DutyRole.OFFICER: 1}
    assert blank(DEFAULT_PLAN, "320623", DAY).shifts[0].missing() == {DutyRole.LEADER: 1, DutyRole.OFFICER: 2}


def test_the_hash_covers_people_version_and_what_was_before():
    one = full().model_copy(update={"version": 1})
    assert len(one.hash) == 64
    assert full().hash == ""  # nobody planned it
    for change in ({"version": 2}, {"previous": "x"}, {"centre": "320681"}, {"shifts": ()}):
        assert one.model_copy(update=change).hash != one.hash
    assert type(one).model_validate(one.model_dump(mode="json")).hash == one.hash
    assert " " not in canonical(one).decode()


def test_the_record_carries_phones_and_reaches_into_tomorrow():
    days = [full(day).model_copy(update={"version": 1}) for day in around(china(9))]
    record = record_of("320623", days, {"1": LI}, china(9))
    (now,) = on_duty(record, china(9))
    assert (now.people[0].phones, now.hash, now.version) == (("13812345678",), days[1].hash, 1)
    assert on_duty(record, china(9, 0, DAY + timedelta(days=1)))


def test_a_substitute_takes_the_seat_and_its_role():
    chen = Person(id="4", name="陈副局", role=DutyRole.LEADER, valid_from=date(2020, 1, 1))
    made = substituted(full(), "全天", "1", chen)
    first = made.shifts[0].seats[0]
    assert (first.name, first.role) == ("陈副局", DutyRole.LEADER)
    assert substituted(full(), "全天", "9", chen) is None
    assert substituted(full(), "夜班", "1", chen) is None


@given(st.integers(0, 1439), st.sampled_from([6, 8, 12, 24]), st.integers(0, 60 * 24 * 3))
def test_shifts_that_follow_each_other_leave_no_moment_alone(start, hours, minutes):
    kinds = tuple(
        ShiftKind(name=f"班{n}", start=(start + n * hours * 60) % 1440, hours=hours) for n in range(24 // hours)
    )
    at = china(0) + timedelta(minutes=minutes)
    days = [blank(Plan(shifts=kinds), "320623", day) for day in around(at)]
    assert len(standing(days, at)) == 1
