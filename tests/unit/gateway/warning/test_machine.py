"""Where a warning stands: the table of steps, two persons, news from outside."""

import pytest

from gateway.warning.machine import IN_FORCE, UNISSUED, Step, check_second, heard, moved
from protocols.errors import NotAllowedError, WrongMomentError
from protocols.warning import WarningState as S

WAY = [Step.REVIEW, Step.SIGN, Step.DISPATCH, Step.DELIVERED, Step.CALL, Step.CONFIRMED]


def test_a_warning_goes_its_way():
    state, seen = S.DRAFTED, []
    for step in WAY:
        state = moved(state, step)
        seen.append(state)
    assert seen == [S.REVIEWED, S.SIGNED, S.DISPATCHED, S.DELIVERED, S.CALLED, S.CONFIRMED]
    assert moved(state, Step.CANCEL) is S.CANCELLED
    assert moved(S.CANCELLED, Step.ARCHIVE) is S.ARCHIVED


@pytest.mark.parametrize(
    ("state", "step"),
    [
        (S.DRAFTED, Step.SIGN),
        (S.DRAFTED, Step.DISPATCH),
        (S.REVIEWED, Step.DISPATCH),
        (S.SIGNED, Step.RETURN),
        (S.DISPATCHED, Step.DISPATCH),
        (S.CANCELLED, Step.CALL),
        (S.ARCHIVED, Step.ARCHIVE),
        (S.DRAFTED, Step.CANCEL),
    ],
)
def test_whatever_is_not_in_the_table_is_refused_by_name(state, step):
    with pytest.raises(WrongMomentError, match=state.value):
        moved(state, step)


def test_nothing_that_was_never_issued_is_in_force():
    assert not IN_FORCE & UNISSUED
    for state in IN_FORCE:
        assert moved(state, Step.SUPERSEDE) is S.UPDATED
    for state in UNISSUED:
        with pytest.raises(WrongMomentError):
            moved(state, Step.SUPERSEDE)


def test_a_receipt_that_comes_late_changes_nothing():
    assert heard(S.DISPATCHED, Step.DELIVERED) is S.DELIVERED
    assert heard(S.CALLED, Step.DELIVERED) is S.CALLED
    assert heard(S.CANCELLED, Step.CONFIRMED) is S.CANCELLED


def test_the_author_neither_reviews_nor_signs():
    check_second("zhang", "li")
    with pytest.raises(NotAllowedError, match="another person"):
        check_second("zhang", "zhang")
