from datetime import UTC, date, datetime, timedelta

import pytest

from gateway.enrolment.machine import TokenRow, TokenState, check_node, judge
from protocols.errors import BadIdentityError
from protocols.tiers import NANTONG, CentreTable

NOW = datetime(2026, 11, 23, tzinfo=UTC)
END = NOW + timedelta(hours=1)
TABLE = CentreTable(NANTONG)


@pytest.mark.parametrize(
    ("token", "state"),
    [
        (None, TokenState.UNKNOWN),
        (TokenRow("320613-box", END, None, None), TokenState.UNKNOWN),
        (TokenRow("320623-box", END, None, None), TokenState.OPEN),
        (TokenRow("320623-box", NOW, None, None), TokenState.EXPIRED),
        (TokenRow("320623-box", END, NOW, "key"), TokenState.AGAIN),
        (TokenRow("320623-box", END, NOW, "other"), TokenState.USED),
        (TokenRow("320623-box", NOW, NOW, "key"), TokenState.USED),
    ],
)
def test_what_a_token_opens(token, state):
    assert judge(token, "320623-box", "key", NOW) is state


@pytest.mark.parametrize("node", ["320623-box", "320623", "320600-roof", "320685-field1"])
def test_the_subtree_may_enrol(node):
    check_node(node, "320600", TABLE, date(2026, 11, 23))


@pytest.mark.parametrize("node", ["320600", "320000", "110000-box", "000000", "320602-box", "rubbish"])
def test_strangers_the_gateway_itself_and_ended_codes_may_not(node):
    with pytest.raises(BadIdentityError):
        check_node(node, "320600", TABLE, date(2026, 11, 23))
