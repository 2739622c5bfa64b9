"""Which step follows which, and what a draft must say before it is signed."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.reports.machine import Step, check_next, check_signable, heard, moved
from protocols.errors import BadInputError, WrongMomentError
from protocols.report import Content, Figure, ReportKind, ReportState

S, K = ReportState, ReportKind
GOOD = Content(occurred_at=datetime(2026, 3, 1, tzinfo=UTC), place="洋口港", summary="泄漏", reporter="王五")


def walk(steps, state=S.RECEIVED):
    for step, kind in steps:
        state = moved(state, step, kind)
    return state


def test_the_life_of_a_report():
    first = [(step, K.INITIAL) for step in (Step.VERIFY, Step.DRAFT, Step.SIGN, Step.SEND, Step.ACKNOWLEDGED)]
    assert walk(first) is S.ACKNOWLEDGED
    again = [(step, K.FOLLOWUP) for step in (Step.DRAFT, Step.SIGN, Step.SEND, Step.ACKNOWLEDGED)]
    assert walk(first + again) is S.FOLLOWING
    checked = [(step, K.VERIFIED) for step in (Step.DRAFT, Step.SIGN, Step.SEND, Step.ACKNOWLEDGED)]
    assert walk(first + again + checked) is S.VERIFIED
    last = [(step, K.FINAL) for step in (Step.DRAFT, Step.SIGN, Step.SEND, Step.ACKNOWLEDGED)]
    assert walk(first + again + checked + last) is S.CLOSED


def test_a_returned_version_is_drafted_again():
    assert walk([(s, K.INITIAL) for s in (Step.DRAFT, Step.SIGN, Step.SEND, Step.RETURNED)]) is S.DRAFTED


@given(st.lists(st.tuples(st.sampled_from(list(Step)), st.sampled_from(list(K))), max_size=12))
def test_nothing_leaves_closed_and_a_refused_step_changes_nothing(steps):
    state = S.RECEIVED
    for step, kind in steps:
        before = state
        try:
            state = moved(state, step, kind)
        except WrongMomentError:
            assert heard(before, step, kind) is before
        assert before is not S.CLOSED or state is S.CLOSED


def test_kinds_come_in_order():
    check_next(K.INITIAL, None)
    check_next(K.FOLLOWUP, K.FOLLOWUP)
    for kind, before in ((K.FOLLOWUP, None), (K.INITIAL, K.INITIAL), (K.FOLLOWUP, K.VERIFIED)):
        with pytest.raises(WrongMomentError):
            check_next(kind, before)


def test_what_is_missing_is_named():
    with pytest.raises(BadInputError, match="place, reporter"):
        check_signable(GOOD.model_copy(update={"place": "", "reporter": ""}), None, {})
    before = GOOD.model_copy(update={"deaths": Figure(value=3)})
    after = GOOD.model_copy(update={"deaths": Figure(value=2)})
    with pytest.raises(BadInputError, match="deaths"):
        check_signable(after, before, {})
    check_signable(after, before, {"deaths": "一人重复统计"})
