"""What is worked out once for all legs that take the same packets."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules.ingest import Media
from gateway.adapters.media_embedded.rules.run import SPAN, Run, SteadyRun
from tests.unit.gateway.adapters.media_embedded.rules.test_rows import PACKETS, newest_of, steady


def media(number: int, *, codec: str = "vp8", generation: int = 1, payload: bytes = b"x", timestamp: int = 0) -> Media:
    return Media(generation, number, codec, True, timestamp, payload, False, 0.0)


def test_plain_is_one_kind_in_order_with_something_in_it() -> None:
    assert Run([media(1), media(2), media(5)]).plain
    assert Run([media(1), media(SPAN)]).plain
    assert not Run([media(1), media(1 + SPAN)]).plain, "longer than a ring"
    assert not Run([media(2), media(1)]).plain
    assert not Run([media(1), media(2, codec="h264")]).plain
    assert not Run([media(1), media(2, generation=2)]).plain
    assert not Run([media(1), media(2, payload=b"")]).plain


def test_the_newest_timestamp_is_found_over_the_wrap() -> None:
    run = Run([media(1, timestamp=0xFFFFFF00), media(2, timestamp=100), media(3, timestamp=0xFFFFFFF0)])
    assert (run.newest, run.octets) == (100, 3)


@given(st.lists(st.binary(min_size=1, max_size=8), min_size=1, max_size=5))
def test_moved_payloads_are_made_once_and_what_cannot_be_read_stays(payloads: list[bytes]) -> None:
    run = Run([media(number, payload=payload) for number, payload in enumerate(payloads)])
    rows, malformed = run.moved((3, 1))
    assert run.moved((3, 1))[0] is rows
    assert [len(row[3]) for row in rows] == [len(payload) for payload in payloads]
    assert malformed == sum(1 for payload in payloads if payload[0] & 0x80 and not readable(payload))


def readable(payload: bytes) -> bool:
    """Follow RFC 7741 figure 2 by hand."""
    if len(payload) < 2:
        return False
    length = 2 + bool(payload[1] & 0x40) + bool(payload[1] & 0x30)
    if payload[1] & 0x80:
        if len(payload) < 3:
            return False
        length += 2 if payload[2] & 0x80 else 1
    return len(payload) >= length


@given(PACKETS)
def test_a_run_of_rows_is_the_run_of_their_packets(packets: list[tuple[int, bool, bytes]]) -> None:
    made = [
        Media(3, number, "vp8", marker, timestamp, payload, False, 5.0)
        for number, (timestamp, marker, payload) in enumerate(packets, 7)
    ]
    one, other = SteadyRun(steady(packets), (3, "vp8"), 5.0), Run(made)
    assert one.newest == newest_of(packets)
    names = ("plain", "keyed", "kind", "loudness", "count", "octets", "first_number", "last_number", "newest", "marked",
             "last_payload", "lengths", "stamps", "at")  # fmt: skip
    assert [getattr(one, name) for name in names] == [getattr(other, name) for name in names]
    assert (list(one.packets), list(one.rows)) == (list(other.packets), list(other.rows))
    assert one.moved((3, 1)) == other.moved((3, 1))
