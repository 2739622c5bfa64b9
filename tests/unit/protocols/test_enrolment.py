from datetime import UTC, datetime, timedelta

import pytest

from protocols.enrolment import EnrolmentToken, parse_token, renewal_due
from protocols.errors import BadInputError

PIN = "ab" * 16


def test_a_token_survives_the_wire():
    token = EnrolmentToken("320623-box", "s" * 32, PIN)
    assert parse_token(f" {token}\n") == token
    assert parse_token(str(EnrolmentToken("320600", "s" * 32, PIN))).node == "320600"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "320623-box",
        f"320623-box.short.{PIN}",
        f"32062-box.{'s' * 32}.{PIN}",
        f"320623-box.{'s' * 32}.{PIN}0",
        "a.b.c",
    ],
)
def test_rubbish_is_not_a_token_and_is_not_repeated(text):
    with pytest.raises(BadInputError) as caught:
        parse_token(text)
    assert not text or text not in str(caught.value)


def test_a_token_hides_its_secret_in_logs():
    assert "s" * 32 not in repr(EnrolmentToken("320623-box", "s" * 32, PIN))


def test_renewal_is_due_after_two_thirds():
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    end = begin + timedelta(days=90)
    assert not renewal_due(begin, end, begin + timedelta(days=59))
    assert renewal_due(begin, end, begin + timedelta(days=60))
