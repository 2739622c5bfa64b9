"""When a call that passes must end, though neither end says so."""

from gateway.dispatch.machine import DARK_S, EndReason
from gateway.dispatch.rules.passing import LOST_S, Passing


def test_a_ring_that_nobody_answers_is_over_with_its_time():
    call = Passing(ring_ends=60.0)
    call.look(live=True, now=30.0)
    assert call.over(59.9) is None
    assert call.over(60.0) is EndReason.NO_ANSWER


def test_a_call_that_was_answered_ends_when_the_caller_stays_away_and_not_before():
    call = Passing(ring_ends=60.0)
    call.take_answer(50.0)
    assert call.over(100.0) is None, "it rings no more"
    call.look(live=True, now=100.0)
    call.look(live=False, now=120.0)
    assert call.over(100.0 + LOST_S - 0.1) is None
    call.look(live=True, now=150.0)
    assert call.over(100.0 + LOST_S) is None, "it came back"
    assert call.over(150.0 + LOST_S) is EndReason.LINK


def test_both_ends_notice_it_first():
    assert LOST_S > DARK_S
