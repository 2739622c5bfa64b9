"""What travels of an order: one canonical form, unknown words of newer tiers kept, wrong ones refused."""

from datetime import UTC, datetime

import pytest

from protocols.envelope import EventFactory
from protocols.errors import BadSchemaError
from protocols.ids import ulid
from protocols.order import ANSWERED, Deed, OrderAnswered, OrderDocument, answered, canonical, read_part

AT = datetime(2026, 7, 1, 8, tzinfo=UTC)
ID = ulid(0, bytes(10))
DOCUMENT = OrderDocument(
    order_id=ID,
    number="指令〔2026〕1号",
    issuer="320600",
    issuer_name="南通市",
    type="prevent",
    urgency="flash",
    title="转移",
    content="立即转移",
    units=("320623",),
    drafted_by="zhang",
    signed_by="li",
    signed_at=AT,
    ack_within_s=300,
)


def test_the_canonical_form_is_one_and_reads_back():
    text = canonical(DOCUMENT)
    assert read_part(OrderDocument, text) == DOCUMENT
    assert canonical(read_part(OrderDocument, text)) == text
    assert ", " not in text
    assert "转移" in text


def test_a_word_of_a_newer_tier_stays_in_the_form():
    newer = canonical(DOCUMENT).replace('"content":', '"colour":"blue","content":', 1)
    assert canonical(read_part(OrderDocument, newer)) == newer


@pytest.mark.parametrize("text", ["", "{}", "[]", canonical(DOCUMENT).replace('"flash"', '"now"')])
def test_what_does_not_fit_is_refused(text):
    with pytest.raises(BadSchemaError):
        read_part(OrderDocument, text)


def test_an_answer_is_read_from_its_event_or_refused():
    said = OrderAnswered(entry_id=ID, order_id=ID, unit="320623", deed=Deed.ACKNOWLEDGED, by="王五", at=AT)
    factory = EventFactory("320623", 0)
    event = factory.mint(ANSWERED, said.model_dump(mode="json"), now=AT, ulid=ID)
    assert answered(event) == said
    with pytest.raises(BadSchemaError):
        answered(factory.mint(ANSWERED, {"deed": "eaten"}, now=AT, ulid=ID))
