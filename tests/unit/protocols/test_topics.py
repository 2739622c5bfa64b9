import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.envelope import Lane
from protocols.errors import BadIdentityError, BadTopicError
from protocols.topics import Direction, ReceiptTopic, RecordTopic, StateTopic, parse, receipts, records, state

NODES = st.from_regex(r"[0-9]{6}(-[a-z0-9]{1,24})?", fullmatch=True)


@given(NODES, st.sampled_from(Direction), st.sampled_from(Lane))
def test_what_is_built_is_parsed(node, direction, lane):
    assert parse(records(node, direction, lane)) == RecordTopic(node, direction, lane)
    assert parse(receipts(node, direction)) == ReceiptTopic(node, direction)
    assert parse(state(node)) == StateTopic(node)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "silian/v1",
        "silian/v2/320623/state",
        "silian/v1/320623/up",
        "silian/v1/320623/up/fast",
        "silian/v1/+/state",
        "silian/v1/320623/rcpt/sideways",
        "silian/v1/320623/state/x",
        "$SYS/broker",
        "silian/v1/320623/state\n",
    ],
)
def test_other_topics_are_refused(topic):
    with pytest.raises(BadTopicError):
        parse(topic)


def test_a_node_name_cannot_smuggle_levels():
    with pytest.raises(BadIdentityError):
        state("320623/up")
