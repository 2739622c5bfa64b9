"""Who hears of a missing county, and when many are one incident."""

from datetime import UTC, date, datetime, timedelta

from gateway.rollcall.rules.telling import AT_COUNTY, HERE, heads, recipients, sort, times_missing
from protocols.duty import DutyRole, DutyShift, OnDuty
from protocols.rollcall import Cause

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def shift(*people) -> DutyShift:
    made = [OnDuty(name=name, role=role, phones=phones) for name, role, phones in people]
    return DutyShift(day=date(2026, 5, 1), name="全天", starts_at=NOW, ends_at=NOW.replace(day=2), people=made)


def test_the_countys_officer_technician_and_leader_are_told_by_their_first_phone():
    found = recipients(
        [
            shift(
                ("王", DutyRole.LEADER, ("13900000001", "0513")),
                ("李", DutyRole.OFFICER, ()),
                ("赵", DutyRole.TECHNICIAN, ("13900000002",)),
                ("孙", DutyRole.ONCALL, ("13900000003",)),
            )
        ],
        AT_COUNTY,
    )
    assert [(one.name, one.phone) for one in found] == [("李", None), ("赵", "13900000002"), ("王", "13900000001")]


def test_a_person_in_two_shifts_is_told_once():
    twice = shift(("王", DutyRole.LEADER, ("1",)))
    assert len(recipients([twice, twice], HERE)) == 1
    assert recipients([], HERE) == ()


def test_one_cause_at_three_counties_is_one_incident():
    missing = [("1", Cause.LINE), ("2", Cause.LINE), ("3", Cause.LINE), ("4", Cause.COUNTY_STAFF), ("5", None)]
    told = sort(missing, 3)
    assert told.incidents == {Cause.LINE: ("1", "2", "3")}
    assert told.single == ("4", "5")


def test_what_is_not_known_is_never_an_incident():
    told = sort([(str(number), Cause.UNKNOWN) for number in range(5)], 3)
    assert (told.incidents, len(told.single)) == ({}, 5)


def test_what_a_county_answers_for_counts_for_seven_days():
    day = timedelta(days=1)
    missed = [
        (NOW, Cause.COUNTY_STAFF),
        (NOW - 3 * day, None),
        (NOW - 4 * day, Cause.LINE),
        (NOW - 5 * day, Cause.PLATFORM),
        (NOW - 7 * day, Cause.COUNTY_STAFF),
    ]
    assert times_missing(missed, NOW) == 2


def test_heads_are_named_with_or_without_their_phone():
    told = ["320623=张三 13900000000", "320681=李 四 0513-1", "320682=王五"]
    assert heads(told) == {"320623": ("张三", "13900000000"), "320681": ("李 四", "0513-1"), "320682": ("王五", None)}
