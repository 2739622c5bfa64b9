"""STUN messages, against aioice's own reader and against rubbish."""

import struct

import pytest
from aioice import stun as other
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules import stun
from gateway.adapters.media_embedded.rules.malformed import MalformedError

TRANSACTION = b"transactions"
PASSWORD = b"the password of the session"


def request(**attributes: object) -> bytes:
    return stun.check(TRANSACTION, ("far", "own"), PASSWORD, priority=7, tie_breaker=9, nominate=True)


def test_our_check_is_understood_by_aioice() -> None:
    message = other.parse_message(request())
    message.check_message_integrity(PASSWORD)
    assert message.attributes["USERNAME"] == "far:own"
    assert message.attributes["PRIORITY"] == 7
    assert message.attributes["ICE-CONTROLLING"] == 9
    assert "USE-CANDIDATE" in message.attributes


@pytest.mark.parametrize("source", [("192.0.2.7", 40000), ("2001:db8::7", 40000)])
def test_our_answer_is_understood_by_aioice(source: stun.Address) -> None:
    answer = stun.success(stun.parse(request()), source, PASSWORD)
    message = other.parse_message(answer)
    message.check_message_integrity(PASSWORD)
    assert message.message_class is other.Class.RESPONSE
    assert message.attributes["XOR-MAPPED-ADDRESS"] == source


def test_aioices_request_is_understood() -> None:
    message = other.Message(other.Method.BINDING, other.Class.REQUEST, TRANSACTION)
    message.attributes["USERNAME"] = "ours:theirs"
    message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(PASSWORD)
    message.add_fingerprint()
    parsed = stun.parse(bytes(message))
    assert parsed.user == "ours"
    assert stun.USE_CANDIDATE in parsed.attributes
    assert parsed.authentic(PASSWORD)
    assert not parsed.authentic(b"another password")


def test_a_message_without_integrity_is_never_authentic() -> None:
    assert not stun.parse(stun.build(stun.REQUEST, TRANSACTION, [])).authentic(b"")


def test_attributes_after_integrity_do_not_count() -> None:
    """RFC 8489 section 14.5: what follows MESSAGE-INTEGRITY is ignored, else anybody could add to a message."""
    honest = stun.build(stun.REQUEST, TRANSACTION, [(stun.USERNAME, b"own:far")], PASSWORD)[:-8]
    added = honest + struct.pack("!HH", stun.USE_CANDIDATE, 0)
    forged = added[:2] + struct.pack("!H", len(added) - 20) + added[4:]
    parsed = stun.parse(forged)
    assert parsed.authentic(PASSWORD)
    assert stun.USE_CANDIDATE not in parsed.attributes


def test_errors_carry_their_code() -> None:
    parsed = stun.parse(stun.failure(stun.parse(request()), 401))
    assert (parsed.kind, parsed.error_code()) == (stun.ERROR, 401)
    strange = stun.parse(stun.build(stun.REQUEST, TRANSACTION, [(0x7777, b"abcd")], PASSWORD))
    assert strange.unknown() == [0x7777]
    named = stun.parse(stun.failure(strange, 420, PASSWORD))
    assert named.attributes[stun.UNKNOWN] == b"\x77\x77"
    assert named.authentic(PASSWORD)


@given(st.binary(max_size=200))
def test_rubbish_is_malformed_and_nothing_else(data: bytes) -> None:
    with pytest.raises(MalformedError):
        stun.parse(data)


@given(st.data())
def test_a_changed_byte_never_stays_authentic(data: st.DataObject) -> None:
    message = bytearray(request())
    at = data.draw(st.integers(0, len(message) - 9))  # the fingerprint itself is no secret
    message[at] ^= data.draw(st.integers(1, 255))
    try:
        parsed = stun.parse(bytes(message))
    except MalformedError:
        return
    assert not parsed.authentic(PASSWORD)


@given(st.binary(max_size=120))
def test_any_body_behind_a_good_header_parses_or_is_malformed(body: bytes) -> None:
    body += b"\0" * (-len(body) % 4)
    head = struct.pack("!HHI", stun.REQUEST, len(body), stun.COOKIE) + TRANSACTION
    try:
        message = stun.parse(head + body)
    except MalformedError:
        return
    message.unknown(), message.error_code(), message.authentic(PASSWORD), message.user
