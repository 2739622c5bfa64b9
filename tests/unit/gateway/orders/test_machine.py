"""Where an order stands: the issuer's steps, two persons, and a unit's line that never goes back."""

import pytest

from gateway.orders.machine import LINE, Step, check_deed, check_signer, heard, moved
from protocols.errors import NotAllowedError, WrongMomentError
from protocols.order import Deed
from protocols.order import OrderState as S


def test_an_order_goes_its_way():
    assert moved(moved(S.DRAFT, Step.SIGN), Step.SEND) is S.SENT
    assert moved(S.SIGNED, Step.RETURN) is S.DRAFT
    assert [moved(state, Step.REVOKE) for state in (S.DRAFT, S.SIGNED, S.SENT)] == [S.REVOKED] * 3


@pytest.mark.parametrize(
    ("state", "step"),
    [(S.DRAFT, Step.SEND), (S.SENT, Step.SEND), (S.SENT, Step.RETURN), (S.REVOKED, Step.SEND), (S.SENT, Step.SIGN)],
)
def test_whatever_is_not_in_the_table_is_refused_by_name(state, step):
    with pytest.raises(WrongMomentError, match=state.value):
        moved(state, step)


def test_an_author_signs_only_where_the_settings_permit_it():
    check_signer(["zhang"], "li", one_person=False)
    check_signer(["zhang"], "zhang", one_person=True)
    with pytest.raises(NotAllowedError, match="one_person"):
        check_signer(["zhang", "li"], "li", one_person=False)


def test_news_never_takes_a_line_back():
    state = S.SENT
    for deed in (Deed.ACKNOWLEDGED, Deed.DELIVERED, Deed.FEEDBACK, Deed.IN_PROGRESS, Deed.REFUSED, Deed.WITHDRAWN):
        after = heard(state, deed)
        assert LINE.index(after) >= LINE.index(state)
        state = after
    assert state is S.FEEDBACK
    assert heard(state, Deed.DONE) is S.DONE
    assert heard(S.DONE, Deed.FEEDBACK) is S.DONE


@pytest.mark.parametrize("line", [S.SENT, S.DELIVERED])
def test_a_unit_signs_before_it_reports_also_by_telephone_before_delivery(line):
    check_deed(line, Deed.ACKNOWLEDGED, revoked=False, text="")
    for deed in (Deed.IN_PROGRESS, Deed.FEEDBACK, Deed.DONE):
        with pytest.raises(WrongMomentError, match="签收"):
            check_deed(line, deed, revoked=False, text="到位")


def test_feedback_comes_many_times_and_never_without_words():
    for line in (S.ACKNOWLEDGED, S.IN_PROGRESS, S.FEEDBACK):
        check_deed(line, Deed.FEEDBACK, revoked=False, text="已转移 120 人")
        with pytest.raises(WrongMomentError, match="words"):
            check_deed(line, Deed.FEEDBACK, revoked=False, text=" ")
        with pytest.raises(WrongMomentError, match="already"):
            check_deed(line, Deed.ACKNOWLEDGED, revoked=False, text="")


@pytest.mark.parametrize("deed", [Deed.DELIVERED, Deed.REFUSED, Deed.WITHDRAWN])
def test_people_do_not_say_what_gateways_say(deed):
    with pytest.raises(NotAllowedError):
        check_deed(S.SENT, deed, revoked=False, text="")


def test_nothing_more_is_said_of_what_is_over():
    with pytest.raises(WrongMomentError, match="revoked"):
        check_deed(S.ACKNOWLEDGED, Deed.DONE, revoked=True, text="")
    with pytest.raises(WrongMomentError, match="done"):
        check_deed(S.DONE, Deed.FEEDBACK, revoked=False, text="再报")
