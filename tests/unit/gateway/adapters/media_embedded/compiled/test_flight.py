"""What is under way, kept in C: piece by piece what the rule says, for any feedback, in plain form or not."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapters.media_embedded.compiled import build
from gateway.adapters.media_embedded.compiled.library import MAX_BATCH, Library
from gateway.adapters.media_embedded.compiled.srtp import CompiledFlight, CompiledSrtp, noted
from gateway.adapters.media_embedded.rules import rtcp
from gateway.adapters.media_embedded.rules.flight import KEPT, Flight
from gateway.adapters.media_embedded.rules.line import Line
from gateway.adapters.media_embedded.rules.transport import Transport
from gateway.adapters.media_embedded.rules.transport_feedback import Arrivals
from gateway.adapters.media_embedded.srtp import PROFILES, Keys
from gateway.adapters.media_embedded.srtp_gcm import GcmSrtp, key_pair

LIBRARY = Library(Path(os.environ["PACKETS"]) if "PACKETS" in os.environ else build.ensure(build.HERE))
PROFILE = b"SRTP_AEAD_AES_128_GCM"
LENGTH = PROFILES[PROFILE][1] + PROFILES[PROFILE][2]
LENGTHS = st.lists(st.integers(0, 65_000), min_size=1, max_size=9)
RUNS = st.lists(st.tuples(st.integers(0, 40), st.lists(st.integers(-9000, 9000), max_size=60)), max_size=4)


def pair() -> tuple[GcmSrtp, CompiledSrtp]:
    """Return a viewer and us."""
    one, other = bytes(range(LENGTH)), bytes(range(100, 100 + LENGTH))
    return GcmSrtp.of(Keys(PROFILE, one, other)), CompiledSrtp(*key_pair(Keys(PROFILE, other, one)), LIBRARY)


def in_order(runs: list[tuple[int, list[int]]]) -> list[tuple[int, list[int]]]:
    """Lay runs one behind the other: a gap, then what came."""
    found, at = [], 0
    for gap, ticks in runs:
        found.append((at + gap, ticks))
        at += gap + len(ticks)
    return found


@settings(deadline=None)
@given(
    st.integers(0, 140_000),
    st.lists(
        st.one_of(
            st.tuples(st.just("sent"), LENGTHS, st.integers(0, 3)),
            st.tuples(st.just("told"), st.integers(-80, 20), RUNS),
            st.tuples(st.just("lost"), st.integers(0, 40), st.none()),
        ),
        max_size=40,
    ),
)
def test_every_piece_is_the_rules(first: int, script: list[tuple]) -> None:
    _, srtp = pair()
    ours, rule = CompiledFlight(LIBRARY, srtp), Flight()
    number, now = first, 0.0
    for action, one, other in script:
        now += 0.04
        if action == "sent":
            number += other  # numbers that others took
            for flight in (ours, rule):
                flight.sent(number, now, one, 74)
            number += len(one)
        elif action == "told":
            base = (number + one) & 0xFFFF
            assert ours.told(base, in_order(other)) == rule.told(base, in_order(other))
        else:
            assert ours.told(0, []) == rule.told(0, []) == []
            assert ours.lost(one) == rule.lost(one)


def test_what_is_remembered_is_bounded_alike() -> None:
    _, srtp = pair()
    ours, rule = CompiledFlight(LIBRARY, srtp), Flight()
    for number in range(0, 2 * (KEPT + 40), 2):
        for flight in (ours, rule):
            flight.sent(number, float(number), (1, 2), 0)
    runs = [(0, list(range(2 * KEPT + 80)))]
    assert ours.told(0, runs) == rule.told(0, runs)
    assert ours.lost(0) == rule.lost(0) == 0


def test_a_batch_may_be_as_long_as_a_plain_run() -> None:
    _, srtp = pair()
    flight = CompiledFlight(LIBRARY, srtp)
    flight.sent(7, 0.5, [9] * MAX_BATCH, 1)
    assert flight.told(7, [(0, list(range(MAX_BATCH)))]) == [(0.5, MAX_BATCH, 10 * MAX_BATCH, 10, 0, MAX_BATCH - 1)]


def test_without_keys_nothing_is_under_way() -> None:
    _, srtp = pair()
    flight = CompiledFlight(LIBRARY, srtp)
    del srtp
    flight.sent(7, 0.5, [9], 1)
    assert (flight.told(7, [(0, [1])]), flight.lost(0)) == ([], 0)


def test_notes_that_do_not_fit_are_refused() -> None:
    _, srtp = pair()
    good = noted([(5, 0.0, [1, 2, 3], 4)])
    for wrong in (good[:-1], good + b"x", good[:16] + b"\xff\xff" + good[18:], noted([(-1, 0.0, [1], 0)])):
        with pytest.raises(AssertionError):
            LIBRARY.note(srtp.number, wrong)


class Script:
    """A viewer's feedback on what we sent, heard by two lines: one that the library serves, one by the rules."""

    def __init__(self) -> None:
        self.viewer, self.srtp = pair()
        self.transports = (Transport(65_000), Transport(65_000))
        self.lines = tuple(Line(transport, counted=True) for transport in self.transports)
        self.srtp.ready(self.lines[0])
        self.arrivals = Arrivals()
        self.now = 100.0
        self.short = 0

    def frame(self, lengths: list[int], missing: int, delay_s: float) -> None:
        first = self.transports[0].next
        for transport in self.transports:
            transport.note(lengths, 34, self.now)
        for place in range(len(lengths)):
            if not missing >> place & 1:
                self.arrivals.add((first + place) & 0xFFFF, self.now + delay_s + place * 0.0004)
        self.now += 0.04

    def feedback(self, extra: bytes) -> None:
        self.now += 0.02
        head = rtcp.receiver_report(rtcp.ReceiverInfo(1, ())) + rtcp.source_description(1, "viewer")
        for packet in self.arrivals.build(1, 2):
            compound = head + packet + extra
            left = self.srtp.hear(self.viewer.protect_rtcp(compound), self.lines[0], self.now)
            self.short += not left
            for item in rtcp.parse(left) if left else []:
                self.lines[0].heard(item, self.now)
            for item in rtcp.parse(compound):
                self.lines[1].heard(item, self.now)
        assert self.lines[0].estimate(self.now) == self.lines[1].estimate(self.now)
        assert self.lines[0].fraction_lost == self.lines[1].fraction_lost


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(LENGTHS, st.sampled_from([0, 0, 0, 0, 1, 2, 0xFF]), st.sampled_from([0.003, 0.003, 0.05, 0.3])),
        max_size=40,
    ),
    st.integers(1, 7),
    st.sampled_from([b"", b"", rtcp.picture_loss(1, 2), rtcp.estimate(1, [2], 900_000)]),
)
def test_both_lines_come_to_the_same_estimate(
    frames: list[tuple[list[int], int, float]], every: int, extra: bytes
) -> None:
    script = Script()
    for number, (lengths, missing, delay_s) in enumerate(frames):
        script.frame(lengths, missing, delay_s)
        if number % every == 0:
            script.feedback(extra)
    script.feedback(extra)


def test_what_nearly_all_viewers_send_takes_the_short_way() -> None:
    script = Script()
    for number in range(200):
        script.frame([1100] * 6 + [300], 0, 0.003)
        if number % 3 == 2:
            script.feedback(b"")
    assert script.short == 67 - 1
    assert script.lines[0].estimate(script.now) is not None


@settings(deadline=None)
@given(st.binary(max_size=120), st.integers(0, 119), st.integers(0, 255))
def test_any_compound_is_read_or_handed_on_alike(tail: bytes, at: int, to: int) -> None:
    """The short way takes nothing that the rules would refuse, and nothing else than they would read."""
    script = Script()
    script.frame([1100] * 6, 0, 0.003)
    feedback = script.arrivals.build(1, 2)[0]
    head = rtcp.receiver_report(rtcp.ReceiverInfo(1, ())) + rtcp.source_description(1, "viewer")
    compound = bytearray(head + feedback + tail)
    compound[at % len(compound)] = to
    left = script.srtp.hear(script.viewer.protect_rtcp(bytes(compound)), script.lines[0], 101.0)
    assert left in {b"", bytes(compound)}
    if not left:
        for item in rtcp.parse(bytes(compound)):
            script.lines[1].heard(item, 101.0)
        assert script.lines[0].estimate(101.0) == script.lines[1].estimate(101.0)
