"""What an access unit says of itself, without a decoder."""

from fractions import Fraction

import av
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cameras.compressed import Passage
from protocols.aio.h264 import CLOCK, NAL_IDR, START, is_key, nal_type, nal_units

nals = st.binary(min_size=1, max_size=40).map(lambda body: body.replace(b"\x00\x00", b"\x00\x03"))


@given(st.lists(st.tuples(st.sampled_from([START, START[1:]]), nals), max_size=6), st.binary(max_size=5))
def test_a_key_frame_is_one_that_holds_an_idr_slice(units, rest):
    data = rest + b"".join(start + body for start, body in units)
    assert is_key(data) == any(nal_type(unit) == NAL_IDR for unit in nal_units(data))


@given(st.integers(1, 90_000), st.lists(st.integers(0, 2**40), min_size=1, max_size=5))
def test_time_stamps_are_told_in_ticks_of_the_rtp_clock(rate, stamps):
    passage, base, first = Passage(b"", 7), Fraction(1, rate), None
    for stamp in sorted(stamps):
        packet = av.Packet(START + b"\x41\x01")
        packet.pts, packet.time_base = stamp, base
        exact = stamp * base * CLOCK
        first = exact if first is None else first
        assert abs(passage.unit(packet, 0.0).pts - 7 - (exact - first)) <= 1
