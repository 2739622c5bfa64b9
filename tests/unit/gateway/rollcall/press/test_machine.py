from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.rollcall.press import machine
from gateway.rollcall.press.machine import Standing
from protocols.errors import BadInputError, NotAllowedError, WrongMomentError
from protocols.rollcall import SessionState

NOW = datetime(2026, 3, 1, 1, 0, tzinfo=UTC)
ENDED = Standing(SessionState.REVIEWING, "zhang", 0)
CONFIRMED = replace(ENDED, reviewed_at=NOW, objections_until=NOW + timedelta(hours=24))
LATER = NOW + timedelta(hours=25)


def test_the_verdicts_are_confirmed_by_a_second_person():
    machine.check_review(ENDED, "li")
    with pytest.raises(NotAllowedError, match="second person"):
        machine.check_review(ENDED, "zhang")


@pytest.mark.parametrize(
    ("standing", "says"),
    [
        (replace(ENDED, open_points=2), "2 points have no verdict"),
        (CONFIRMED, "confirmed already"),
        (replace(ENDED, state=SessionState.RUNNING), "let it end first"),
        (replace(ENDED, state=SessionState.CANCELLED), "is not reviewed"),
        (replace(ENDED, state=SessionState.PUBLISHED), "new version"),
    ],
)
def test_when_nothing_can_be_confirmed(standing, says):
    with pytest.raises(WrongMomentError, match=says):
        machine.check_review(standing, "li")


def test_units_object_while_the_window_is_open():
    machine.check_objection(CONFIRMED, NOW + timedelta(hours=24))
    with pytest.raises(WrongMomentError, match="window is over"):
        machine.check_objection(CONFIRMED, LATER)
    with pytest.raises(WrongMomentError, match="not confirmed"):
        machine.check_objection(ENDED, NOW)


def test_an_objection_is_decided_once_and_not_by_who_noted_it():
    machine.check_decision(CONFIRMED, "open", "", "zhang")
    machine.check_decision(CONFIRMED, "open", "li", "zhang")
    with pytest.raises(NotAllowedError):
        machine.check_decision(CONFIRMED, "open", "li", "li")
    with pytest.raises(WrongMomentError, match="upheld"):
        machine.check_decision(CONFIRMED, "upheld", "", "zhang")


def test_what_must_hold_before_the_bulletin_goes_out():
    machine.check_publish(CONFIRMED, "li", LATER)
    machine.check_publish(replace(CONFIRMED, waived=True), "li", NOW)
    refused = [
        (ENDED, "li", LATER, "second person confirms"),
        (CONFIRMED, "li", NOW, "window is open"),
        (replace(CONFIRMED, open_objections=1), "li", LATER, "1 objections are open"),
        (replace(CONFIRMED, state=SessionState.ARCHIVED), "li", LATER, "is out"),
    ]
    for standing, by, now, says in refused:
        with pytest.raises(WrongMomentError, match=says):
            machine.check_publish(standing, by, now)
    with pytest.raises(NotAllowedError):
        machine.check_publish(CONFIRMED, "zhang", LATER)


def test_a_correction_says_why_and_follows_a_publication():
    out = replace(CONFIRMED, state=SessionState.PUBLISHED)
    machine.check_correction(out, "li", "误判")
    with pytest.raises(BadInputError):
        machine.check_correction(out, "li", " ")
    with pytest.raises(WrongMomentError):
        machine.check_correction(CONFIRMED, "li", "误判")
    with pytest.raises(NotAllowedError):
        machine.check_correction(out, "zhang", "误判")


def test_units_that_have_not_signed_hold_the_archive_up():
    machine.check_archive(SessionState.PUBLISHED, [], "")
    machine.check_archive(SessionState.PUBLISHED, ["320612"], "已电话通知")
    with pytest.raises(WrongMomentError, match="320612"):
        machine.check_archive(SessionState.PUBLISHED, ["320612"], "")
    with pytest.raises(WrongMomentError):
        machine.check_archive(SessionState.REVIEWING, [], "")


def test_the_window_is_that_of_the_profile():
    assert machine.hours_of({"objections_h": 2}) == 2.0
    assert machine.hours_of({}) == machine.WINDOW_HOURS


def test_the_window_has_bounds():
    assert machine.until(NOW, 0) == NOW
    for hours in (-1, 721, float("nan")):
        with pytest.raises(BadInputError):
            machine.until(NOW, hours)
