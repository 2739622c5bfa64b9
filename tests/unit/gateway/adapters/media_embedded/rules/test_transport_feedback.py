"""Transport-wide feedback: what was noted is what is read, and a datagram of lies costs nothing."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules import rtcp
from gateway.adapters.media_embedded.rules import transport_feedback as rule
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from gateway.adapters.media_embedded.rules.transport_feedback import Arrivals, TransportFeedback


def read(packets: list[bytes]) -> list[TransportFeedback]:
    found = rtcp.parse(b"".join(packets))
    assert all(len(packet) <= 1200 and len(packet) % 4 == 0 for packet in packets)
    return [item for item in found if isinstance(item, TransportFeedback)]


def seconds(feedback: TransportFeedback) -> dict[int, float]:
    return {number: feedback.reference * 0.064 + ticks * rule.TICK_S for number, ticks in feedback.arrivals}


def test_a_packet_as_the_draft_draws_it() -> None:
    body = struct.pack("!IIHHI", 1, 2, 65534, 9, 0x000005_07)
    body += struct.pack("!HH", 0b0_01_0000000000010, 0b11_00_10_01_00_00_00_00)
    body += struct.pack("!BBhB", 4, 8, -400, 255)
    feedback = rule.parse(body)
    assert (feedback.base, feedback.count, feedback.reference, feedback.sequence) == (65534, 9, 5, 7)
    assert feedback.arrivals == ((65534, 4), (65535, 12), (1, -388), (2, -133))


@given(
    st.integers(0, 0xFFFF),
    st.lists(st.tuples(st.integers(0, 900), st.floats(0, 40)), min_size=1, max_size=150),
    st.floats(0, 1e6),
)
def test_every_arrival_is_told_once_and_in_time(first: int, noted: list[tuple[int, float]], began: float) -> None:
    arrivals, wanted = Arrivals(), {}
    for offset, after in noted:
        number = (first + offset) & 0xFFFF
        arrivals.add(number, began + after)
        wanted.setdefault(number, began + after)
    told: dict[int, float] = {}
    for feedback in read(arrivals.build(1, 2)):
        for number, at in seconds(feedback).items():
            assert number not in told
            told[number] = at
    assert told.keys() == wanted.keys()
    turn = 0.064 * (1 << 24)
    assert all(abs(told[number] - at % turn) <= rule.TICK_S or turn - 10 < at % turn for number, at in wanted.items())
    assert arrivals.build(1, 2) == []
    assert not arrivals.due(1e9)


def test_losses_stand_between_and_across_reports() -> None:
    arrivals = Arrivals()
    for number in (65533, 65535, 0, 3):
        arrivals.add(number, 1.0)
    (first,) = read(arrivals.build(1, 2))
    assert (first.base, first.count) == (65533, 7)
    assert [number for number, _ in first.arrivals] == [65533, 65535, 0, 3]
    arrivals.add(6, 1.1)
    (second,) = read(arrivals.build(1, 2))
    assert (second.base, second.count, second.sequence) == (4, 3, 1), "the report goes on where the last one ended"
    arrivals.add(5, 1.2)
    (third,) = read(arrivals.build(1, 2))
    assert [number for number, _ in third.arrivals] == [5], "what comes late is told late"
    arrivals.add(20, 1.3)
    (fourth,) = read(arrivals.build(1, 2))
    assert (fourth.base, fourth.count) == (7, 14)


def test_when_feedback_is_due() -> None:
    arrivals = Arrivals()
    assert not arrivals.due(0.0)
    arrivals.add(1, 0.0)
    assert not arrivals.due(0.09)
    assert arrivals.due(0.1)
    for number in range(2, 51):
        arrivals.add(number, 0.01)
    assert arrivals.due(0.01), "fifty packets wait for no clock"


def test_a_jump_is_a_new_beginning_and_memory_has_an_end() -> None:
    arrivals = Arrivals()
    arrivals.add(10, 0.0)
    arrivals.add(30000, 0.0)
    (only,) = read(arrivals.build(1, 2))
    assert (only.base, only.count) == (30000, 1)
    for number in range(rule.KEPT + 500):
        arrivals.add((30001 + number) & 0xFFFF, 0.0)
    assert sum(len(feedback.arrivals) for feedback in read(arrivals.build(1, 2))) == rule.KEPT


def test_long_losses_do_not_make_long_packets() -> None:
    arrivals = Arrivals()
    arrivals.add(0, 0.0)
    arrivals.build(1, 2)
    arrivals.add(1900, 0.0)
    (feedback,) = read(arrivals.build(1, 2))
    assert feedback.count <= rule.LONGEST


@given(st.binary(max_size=120))
def test_rubbish_is_refused_or_small(data: bytes) -> None:
    try:
        feedback = rule.parse(data)
    except MalformedError:
        return
    assert len(feedback.arrivals) <= len(data)
    assert len({number for number, _ in feedback.arrivals}) == len(feedback.arrivals)


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b"\x3f\xff",
        b"\x20\x00\x00",
        b"\x60\x01\x00",
        struct.pack("!H", 0b11_11_000000000000) + b"\0" * 8,
        struct.pack("!H", 0b0_01_0000000000001),
    ],
)
def test_what_does_not_fit_is_refused(tail: bytes) -> None:
    with pytest.raises(MalformedError):
        rule.parse(struct.pack("!IIHHI", 1, 2, 0, 9, 0) + tail)


@given(st.integers(0, 0xFFFF), st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40)), max_size=60))
def test_numbers_noted_together_are_numbers_noted_one_by_one(first: int, runs: list[tuple[int, int]]) -> None:
    one, other = Arrivals(), Arrivals()
    now, number = 5.0, first
    for gap, count in runs:
        now += 0.01
        number += gap - 1  # some came before
        one.add_run(number & 0xFFFF, count, now)
        for place in range(count):
            other.add(number + place & 0xFFFF, now)
        number += count
        assert (one.waiting, one._since, one._unwrap.last) == (other.waiting, other._since, other._unwrap.last)
    assert one.build(1, 2) == other.build(1, 2)
