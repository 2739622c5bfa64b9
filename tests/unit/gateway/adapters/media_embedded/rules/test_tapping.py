"""What goes into a tap comes out of its reader, and a recorder that does not read costs groups, never memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules.ingest import Media
from gateway.adapters.media_embedded.rules.malformed import MalformedError
from gateway.adapters.media_embedded.rules.rtcp import SenderInfo
from gateway.adapters.media_embedded.rules.tapping import AUDIO, HEAD, MAX_BACKLOG, VIDEO, Reader, Record, Tap

BIG = b"x" * 60_000


def media(number: int, payload: bytes = b"data", *, key: bool = False, codec: str = "h264/42e0") -> Media:
    return Media(1, number, codec, True, number * 3000, payload, key, number / 30)


def said(tap: Tap) -> bytes:
    """Take all that waits, without the name in front."""
    data = b""
    while tap.backlog:
        part = tap.pending(1000)
        tap.sent(len(part))
        data += part
    return data


def records(tap: Tap) -> list[Record]:
    return Reader().feed(said(tap).partition(b"\n")[2])


def test_packets_losses_and_reports_come_out_as_they_went_in() -> None:
    tap = Tap("one")
    tap.take("main", [media(7, key=True)], 2)
    tap.take("main", [media(8, b"")], 2, lost=True)
    tap.take("audio", [media(3, codec="opus")], 2)
    tap.take("thumb", [media(5)], 2)
    tap.report("audio", SenderInfo(1, 5 << 32, 960, 0, 0), 1, 2, 4.0)
    tap.report("thumb", SenderInfo(1, 5 << 32, 960, 0, 0), 1, 2, 4.0)
    first, second, third, fourth = records(tap)
    assert first == (VIDEO, "h264", True, True, False, False, (2 << 24) + 1, 7, 21000, 7 / 30, b"data")
    assert (second.lost, second.payload) == (True, b"")
    assert (third.track, third.codec) == (AUDIO, "opus")
    assert (fourth.report, fourth.number, fourth.timestamp) == (True, 5 << 32, 960)
    assert not tap.starved


def test_a_tap_of_the_thumb_takes_the_thumb() -> None:
    tap = Tap("one", "thumb")
    tap.take("main", [media(1, key=True)], 1)
    tap.take("thumb", [media(2, key=True)], 1)
    tap.take("audio", [media(3, codec="opus")], 1)
    assert [record.number for record in records(tap)] == [2, 3]


def test_a_recorder_that_does_not_read_costs_whole_groups() -> None:
    tap = Tap("slow")
    tap.take("main", [media(0, BIG, key=True)], 1)
    for number in range(1, 400):
        tap.take("main", [media(number, BIG, key=number % 50 == 0)], 1)
    assert tap.backlog < MAX_BACKLOG + len(BIG) + 100
    assert tap.dropped > 200
    assert tap.starved, "it asks for a key frame"
    said(tap)
    tap.take("main", [media(400)], 1)
    assert not tap.backlog, "the middle of a group is of no use"
    tap.take("main", [media(401, key=True)], 1)
    tap.take("main", [media(402)], 1)
    assert [record.number for record in Reader().feed(said(tap))] == [401, 402]


def test_sound_alone_goes_on_as_soon_as_there_is_room() -> None:
    tap = Tap("slow")
    for number in range(300):
        tap.take("audio", [media(number, BIG, codec="opus")], 1)
    assert tap.dropped
    said(tap)
    tap.take("audio", [media(301, codec="opus")], 1)
    assert tap.backlog


@given(st.lists(st.binary(max_size=300), max_size=20), st.integers(1, 50))
def test_a_reader_does_not_care_how_bytes_are_cut(payloads: list[bytes], cut: int) -> None:
    tap = Tap("cut")
    for number, payload in enumerate(payloads):
        tap.take("main", [media(number, payload)], 1)
    data, reader = said(tap).partition(b"\n")[2], Reader()
    found = [record for at in range(0, len(data), cut) for record in reader.feed(data[at : at + cut])]
    assert [record.payload for record in found] == payloads


def test_what_comes_through_a_later_tap_is_of_a_later_generation() -> None:
    old, new = Tap("one"), Tap("one")
    old.take("main", [media(500)], 9)
    new.take("main", [media(3)], 1)
    (before,) = Reader(1).feed(said(old).partition(b"\n")[2])
    (after,) = Reader(2).feed(said(new).partition(b"\n")[2])
    assert after.generation > before.generation


@given(st.binary(min_size=HEAD, max_size=200))
def test_rubbish_is_refused_or_read_and_nothing_else(data: bytes) -> None:
    try:
        Reader().feed(data)
    except MalformedError:
        return


def test_rubbish_is_refused() -> None:
    with pytest.raises(MalformedError):
        Reader().feed(b"\xff" * HEAD)
