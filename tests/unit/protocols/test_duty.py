"""The record of who is on duty: what stands at a moment, and how phones are hidden."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.duty import DUTY_CURRENT, DutyCurrent, DutyShift, duty_current, masked, next_shift, on_duty
from protocols.envelope import EventFactory
from protocols.errors import BadSchemaError

NOON = datetime(2026, 11, 24, 4, tzinfo=UTC)


def shift(name: str, begins: int, ends: int) -> DutyShift:
    at = [NOON + timedelta(hours=hours) for hours in (begins, ends)]
    return DutyShift(day=date(2026, 11, 24), name=name, starts_at=at[0], ends_at=at[1])


def test_what_stands_and_what_comes_next():
    record = DutyCurrent(centre="320623", shifts=(shift("早", -4, 0), shift("中", 0, 8), shift("晚", 8, 16)))
    assert [one.name for one in on_duty(record, NOON)] == ["中"]  # the end belongs to the next shift
    assert next_shift(record, NOON).name == "晚"
    assert on_duty(record, NOON + timedelta(hours=20)) == ()
    assert next_shift(record, NOON + timedelta(hours=20)) is None


def test_a_payload_that_does_not_fit_is_refused_and_unknown_fields_stay():
    factory = EventFactory("320623", 1)
    good = factory.mint(DUTY_CURRENT, {"centre": "320623", "more": 1}, now=NOON, ulid="0" * 26)
    assert duty_current(good).model_dump()["more"] == 1
    bad = factory.mint(DUTY_CURRENT, {"centre": "x"}, now=NOON, ulid="0" * 26)
    with pytest.raises(BadSchemaError):
        duty_current(bad)


@given(st.text("0123456789-+", max_size=24))
def test_a_masked_phone_keeps_its_length_and_hides_what_matters(phone):
    hidden = masked(phone)
    assert len(hidden) == len(phone)
    assert hidden.count("*") >= min(len(phone), 2)


def test_how_a_mobile_looks():
    assert masked("13812345678") == "138****5678"
