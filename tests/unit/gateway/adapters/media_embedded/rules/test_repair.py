"""Repetitions: bounded, not before their time, and never two contents under one number."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules import repair as rule
from gateway.adapters.media_embedded.rules import rtp
from gateway.adapters.media_embedded.rules.repair import Allowance, Repeater, Rtx
from gateway.adapters.media_embedded.rules.ring import Sent


def sent(number: int, payload: bytes = b"payload") -> Sent:
    return number, rtp.header(96, number & 0xFFFF, 9000, 7, marker=True, block=rtp.extension_block({4: b"0"})), payload


def test_a_number_is_repeated_once_a_round_trip() -> None:
    allowance = Allowance()
    assert allowance.grants(5, 100, 0.2, 1.0)
    assert not allowance.grants(5, 100, 0.2, 1.19)
    assert allowance.refused == "nack_too_soon"
    assert allowance.grants(6, 100, 0.2, 1.19)
    assert allowance.grants(5, 100, 0.2, 1.21)
    assert not allowance.grants(5, 100, None, 1.25), "an unknown round trip is a usual one"
    assert allowance.grants(5, 100, 0.0, 1.27)


@given(st.lists(st.tuples(st.integers(0, 400), st.floats(0, 0.02)), max_size=600), st.integers(0, 1000))
def test_nacks_are_no_amplifier(asked: list[tuple[int, float]], rate: int) -> None:
    allowance, now, granted = Allowance(), 0.0, []
    for number, pause in asked:
        now += pause
        if allowance.grants(number, int(now * rate), 0.0, now):
            granted.append(now)
    for at in granted:
        within = sum(at <= other < at + 1.0 for other in granted)
        assert within <= 2 * max(rule.LEAST_A_SECOND, rate * 1.1 * rule.SHARE + 1)


def test_rtx_bears_the_original_number_and_padding_stays_padding() -> None:
    repeater = Repeater(Rtx(99, {96: 97}, 3), None)
    again = repeater.wrap(sent(65536 + 12), 0.0)
    assert again is not None
    packet = rtp.parse(again[1] + again[2])
    assert (packet.ssrc, packet.payload_type, packet.sequence, packet.marker) == (99, 97, 3, True)
    assert (packet.payload, packet.timestamp, packet.extensions) == (b"\0\x0cpayload", 9000, {4: b"0"})
    number, head, _ = sent(13)
    padding = repeater.wrap((number, bytes([head[0] | 0x20]) + head[1:], b"\x01"), 0.0)
    assert padding is not None
    assert rtp.parse(padding[1] + padding[2]).payload == b"\0\x0d"


def test_what_has_no_rtx_type_is_left() -> None:
    assert Repeater(Rtx(99, {100: 97}, 3), None).wrap(sent(1), 0.0) is None
