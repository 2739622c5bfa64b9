"""Months and their bounds."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from gateway.adapters.store_months import PARTED, month_of, shifted, wanted
from protocols.ids import ulid

EVENTS, _, AUDIT, _ = PARTED


def at(year: int, month: int, day: int = 1, *more: int) -> datetime:
    return datetime(year, month, day, *more, tzinfo=UTC)


def test_the_months_around_the_turn_of_a_year() -> None:
    assert wanted(at(2026, 11, 30, 23)) == [at(2026, 10), at(2026, 11), at(2026, 12), at(2027, 1), at(2027, 2)]
    assert shifted(at(2026, 1), -1) == at(2025, 12)
    assert shifted(at(2026, 12), 12) == at(2027, 12)


def test_a_month_begins_at_midnight_utc() -> None:
    beijing = timezone(timedelta(hours=8))
    assert month_of(datetime(2026, 12, 1, 7, 59, tzinfo=beijing)) == at(2026, 11)
    assert month_of(datetime(2026, 12, 1, 8, 0, tzinfo=beijing)) == at(2026, 12)


@pytest.mark.parametrize("month", [at(2026, 11), at(2026, 12), at(2027, 1)])
def test_an_event_lies_in_the_month_of_its_ulid(month: datetime) -> None:
    low, high = EVENTS.bound(month).strip("'"), EVENTS.bound(shifted(month, 1)).strip("'")
    first = int(month.timestamp() * 1000)
    last = int(shifted(month, 1).timestamp() * 1000) - 1
    for inside in (ulid(first, bytes(10)), ulid(first, b"\xff" * 10), ulid(last, b"\xff" * 10)):
        assert low <= inside < high
    assert ulid(first - 1, b"\xff" * 10) < low
    assert ulid(last + 1, bytes(10)) >= high


def test_other_rows_lie_in_the_month_of_their_time() -> None:
    assert AUDIT.bound(at(2026, 11)) == "1793491200000000"
    assert AUDIT.partition(at(2026, 11)) == "audit_202611"
