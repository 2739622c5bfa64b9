"""RFC 4571 framing: whatever the cuts of the byte stream, the packets are the same; nonsense ends it at once."""

import random

import pytest

from gateway.adapters.media_embedded.rules.framing import LONGEST, Deframer, frame
from gateway.adapters.media_embedded.rules.malformed import MalformedError


def test_any_cut_gives_the_same_packets() -> None:
    chance = random.Random(4)
    packets = [chance.randbytes(chance.choice((1, 2, 3, 100, 1200, LONGEST))) for _ in range(200)]
    stream = b"".join(map(frame, packets))
    for longest in (1, 2, 3, 700, 5000, len(stream)):
        deframer, found, at = Deframer(), [], 0
        while at < len(stream):
            size = chance.randint(1, longest)
            found += deframer.feed(stream[at : at + size])
            at += size
        assert found == packets


def test_empty_frames_are_keep_alives() -> None:
    assert Deframer().feed(frame(b"") + frame(b"a") + frame(b"")) == [b"a"]


def test_a_length_beyond_any_packet_is_refused_before_its_bytes_come() -> None:
    deframer = Deframer()
    assert deframer.feed(frame(b"fine")) == [b"fine"]
    with pytest.raises(MalformedError):
        deframer.feed((LONGEST + 1).to_bytes(2, "big"))


def test_any_bytes_give_packets_or_an_error_and_keep_little() -> None:
    chance = random.Random(5)
    for _ in range(300):
        deframer = Deframer()
        try:
            for _ in range(20):
                assert all(0 < len(packet) <= LONGEST for packet in deframer.feed(chance.randbytes(500)))
        except MalformedError:
            continue
        assert len(deframer._kept) <= LONGEST + 2
