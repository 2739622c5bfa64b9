"""Bad input at the intake's framed protocols, one table for both: counted by name, never answered, neighbours kept."""

import random

import pytest

from edge_agent.sensors import hj212_frames, sl651_frames

HJ = hj212_frames.frame(
    "QN=20261124083000123;ST=31;CN=2011;PW=123456;MN=A320623000000001;Flag=5;CP=&&DataTime=20261124083000;a21026-Rtd=35.6&&"
)


def _sl(body: bytes) -> bytes:
    head = bytes.fromhex("7e7e0100320623011234") + b"\x34" + len(body).to_bytes(2, "big") + b"\x02"
    return sl651_frames.sealed(head + body + b"\x03")


SL = _sl(bytes.fromhex("0001261124083000" + "f1f1003206230148" + "f0f02611240830" + "392300001234"))
KINDS = {"hj212": (hj212_frames.Frames, hj212_frames.Fault, HJ), "sl651": (sl651_frames.Frames, sl651_frames.Fault, SL)}


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest):
    return KINDS[request.param]


def both(kind, data: bytes) -> tuple[int, list[str]]:
    """Return how many packets came through and the names of the faults."""
    frames, fault, _ = kind
    found = frames().feed(data)
    faults = [one.code for one in found if isinstance(one, fault)]
    return len(found) - len(faults), faults


def test_a_good_frame_is_one_packet(kind) -> None:
    assert both(kind, kind[2]) == (1, [])


def test_a_truncated_frame_waits_and_costs_no_later_one_more_than_a_named_fault(kind) -> None:
    good = kind[2]
    assert both(kind, good[:-4]) == (0, [])
    packets, faults = both(kind, good[: len(good) // 2] + good + good)
    assert packets >= 1
    assert faults


def test_a_wrong_checksum_is_named_and_its_neighbours_are_read(kind) -> None:
    good = kind[2]
    at = len(good) // 2
    packets, faults = both(kind, good + good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] + good)
    assert packets == 2
    assert faults[0] in {"crc", "header", "length"}


def test_a_frame_in_another_encoding_is_a_fault_and_no_crash(kind) -> None:
    body = "QN=1;ST=31;CN=2011;MN=站;Flag=5;CP=&&".encode("utf-16") + b"\xff\xfe&&"
    wrapped = b"##%04d" % len(body) + body + b"%04X\r\n" % hj212_frames.crc(body)
    packets, faults = both(kind, wrapped + kind[2])
    assert packets == 1
    assert faults


def test_ten_megabytes_of_noise_leave_nothing_behind(kind) -> None:
    frames, _, good = kind
    reader = frames()
    noise = random.Random(4).randbytes(64 * 1024)
    for _ in range(160):
        reader.feed(noise)
    assert len(reader._kept) <= 8 * 1024
    reader.feed(bytes(8 * 1024))  # whatever length a piece of noise has promised is over
    assert any(not isinstance(one, kind[1]) for one in reader.feed(good + good))


def test_the_same_frame_twice_and_frames_in_any_order_are_all_answered(kind) -> None:
    good = kind[2]
    assert both(kind, good * 5) == (5, [])
