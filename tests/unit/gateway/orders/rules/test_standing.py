"""An order as a whole is as far as the unit that is least far; the overdue come first."""

from datetime import UTC, datetime, timedelta

from gateway.orders.rules.standing import LineStanding, rank, shown, whole
from protocols.order import OrderState as S
from protocols.order import Urgency

AT = datetime(2026, 7, 1, 8, tzinfo=UTC)


def line(state, *, overdue=False):
    return LineStanding(state, overdue)


def test_a_passed_deadline_shows_until_somebody_signs():
    assert shown(line(S.SENT, overdue=True), revoked=False) is S.OVERDUE
    assert shown(line(S.DELIVERED, overdue=True), revoked=False) is S.OVERDUE
    assert shown(line(S.ACKNOWLEDGED, overdue=True), revoked=False) is S.ACKNOWLEDGED


def test_a_revoked_order_leaves_only_what_was_done():
    assert shown(line(S.FEEDBACK), revoked=True) is S.REVOKED
    assert shown(line(S.DONE), revoked=True) is S.DONE


def test_the_whole_is_as_far_as_the_last():
    assert whole(S.DRAFT, []) is S.DRAFT
    assert whole(S.SENT, [line(S.DONE), line(S.DELIVERED)]) is S.DELIVERED
    assert whole(S.SENT, [line(S.DONE), line(S.SENT, overdue=True)]) is S.OVERDUE
    assert whole(S.SENT, [line(S.DONE), line(S.DONE)]) is S.DONE
    assert whole(S.REVOKED, [line(S.DONE)]) is S.REVOKED


def test_the_list_begins_with_what_is_overdue_then_the_most_urgent():
    later = AT + timedelta(minutes=5)
    rows = {
        "done": rank(S.DONE, Urgency.FLASH, later, closed=False),
        "closed": rank(S.DELIVERED, Urgency.FLASH, AT, closed=True),
        "routine": rank(S.SENT, Urgency.ROUTINE, later, closed=False),
        "old flash": rank(S.SENT, Urgency.FLASH, AT, closed=False),
        "new flash": rank(S.ACKNOWLEDGED, Urgency.FLASH, later, closed=False),
        "overdue": rank(S.OVERDUE, Urgency.ROUTINE, AT, closed=False),
    }
    assert sorted(rows, key=rows.__getitem__) == ["overdue", "new flash", "old flash", "routine", "done", "closed"]
