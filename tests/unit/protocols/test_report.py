"""Grades at every boundary, what needs a reason, and what travels."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.envelope import Event
from protocols.errors import BadSchemaError
from protocols.report import (
    NUMBERS,
    SENT,
    Content,
    Figure,
    Flag,
    Grade,
    Grades,
    SentData,
    Verification,
    changes,
    for_speed,
    grade_of,
    grades_of,
    missing_reasons,
    sent_data,
    wants_reason,
)

AT = datetime(2026, 3, 1, 1, 10, tzinfo=UTC)
M = 1_000_000


def checked(value: int) -> Figure:
    return Figure(value=value, verification=Verification.VERIFIED)


@pytest.mark.parametrize(
    ("field", "value", "grade"),
    [
        ("deaths", 0, 4),
        ("deaths", 2, 4),
        ("deaths", 3, 3),
        ("deaths", 9, 3),
        ("deaths", 10, 2),
        ("deaths", 29, 2),
        ("deaths", 30, 1),
        ("serious", 9, 4),
        ("serious", 10, 3),
        ("serious", 49, 3),
        ("serious", 50, 2),
        ("serious", 99, 2),
        ("serious", 100, 1),
        ("loss_yuan", 10 * M - 1, 4),
        ("loss_yuan", 10 * M, 3),
        ("loss_yuan", 50 * M - 1, 3),
        ("loss_yuan", 50 * M, 2),
        ("loss_yuan", 100 * M - 1, 2),
        ("loss_yuan", 100 * M, 1),
    ],
)
def test_each_boundary_of_order_493(field, value, grade):
    assert grade_of(**{field: value}) == grade
    assert grades_of(Content(**{field: checked(value)})).confirmed == grade


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 200 * M), st.integers(0, 50))
def test_the_grade_is_the_worst_of_the_three_and_never_falls_with_more_harm(deaths, serious, loss, more):
    worst = grade_of(deaths=deaths, serious=serious, loss_yuan=loss)
    assert worst == min(grade_of(deaths=deaths), grade_of(serious=serious), grade_of(loss_yuan=loss))
    assert grade_of(deaths=deaths + more, serious=serious, loss_yuan=loss) <= worst


def test_the_missing_count_as_possible_only():
    content = Content(deaths=checked(2), missing=checked(4))
    assert grades_of(content) == Grades(confirmed=Grade.GENERAL, possible=Grade.SERIOUS)


def test_what_was_not_checked_is_possible_and_nothing_known_is_no_grade():
    assert grades_of(Content(deaths=Figure(value=30))) == Grades(confirmed=None, possible=Grade.EXTREME)
    assert grades_of(Content(missing=Figure(value=3))) == Grades(confirmed=None, possible=Grade.SERIOUS)
    assert grades_of(Content()) == Grades()


def test_a_sensitive_mark_speeds_up_by_one_grade():
    assert for_speed(Grade.GENERAL, (Flag.TIME, Flag.PLACE)) is Grade.SERIOUS
    assert for_speed(Grade.EXTREME, (Flag.LEADERS,)) is Grade.EXTREME
    assert for_speed(Grade.MAJOR, ()) is Grade.MAJOR


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        (None, 5, False),
        (4, 4, False),
        (4, 3, True),
        (4, None, True),
        (2, 3, False),
        (2, 4, True),
        (100, 150, False),
        (100, 151, True),
        (0, 1, True),
    ],
)
def test_a_fall_or_a_jump_over_a_half_needs_a_reason(old, new, wanted):
    assert wants_reason(old, new) is wanted


def test_a_reason_of_spaces_is_none():
    old, new = Content(deaths=checked(3), moved=checked(10)), Content(deaths=checked(2), moved=checked(40))
    assert missing_reasons(old, new, {}) == ("deaths", "moved")
    assert missing_reasons(old, new, {"deaths": " ", "moved": "第二批转移"}) == ("deaths",)
    assert missing_reasons(old, new, {"deaths": "重复统计", "moved": "第二批转移"}) == ()


def test_changes_name_the_fields_in_order():
    assert changes(Content(place="A", deaths=checked(1)), Content(place="B", deaths=Figure(value=1))) == (
        "place",
        "deaths",
    )
    assert set(NUMBERS) < set(Content.model_fields)


def test_a_sent_version_is_read_back_with_fields_of_a_newer_sender():
    data = {
        "report_id": "01JB0000000000000000000000",
        "serial": "320623-20260301-0001",
        "version": 1,
        "kind": "initial",
        "number": 0,
        "origin": "320623",
        "to": ["320600"],
        "known_at": AT,
        "content": {"place": "如东县洋口港", "weather": "大雾"},
        "grades": {},
        "signed_by": "张三",
        "signed_at": AT,
    }
    plain = SentData.model_validate(data).model_dump(mode="json")
    event = Event(id="01JB0000000000000000000001", source="320623", type=SENT, time=AT, data=plain, origincounter=1)
    assert sent_data(event).content.model_extra == {"weather": "大雾"}
    with pytest.raises(BadSchemaError, match="signed_by"):
        sent_data(event.model_copy(update={"data": plain | {"signed_by": ""}}))
