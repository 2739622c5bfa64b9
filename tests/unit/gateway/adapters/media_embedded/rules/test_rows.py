"""Rows are the packets that they were written down from, however they are put together."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules.rows import ROW, Rows, Steady

PACKETS = st.lists(
    st.tuples(st.integers(0, 2**32 - 1), st.booleans(), st.binary(min_size=1, max_size=9)), min_size=1, max_size=8
)


def rows(packets: list[tuple[int, bool, bytes]], first: int = 7) -> Rows:
    at, packed = 0, b""
    for number, (timestamp, marker, payload) in enumerate(packets, first):
        packed += ROW.pack(number, timestamp, at, len(payload), 0x80 if marker else 0)
        at += len(payload)
    return Rows(packed, b"".join(one[2] for one in packets), first, max(len(one[2]) for one in packets))


def newest_of(packets: list[tuple[int, bool, bytes]]) -> int:
    newest = packets[0][0]
    for timestamp, _, _ in packets:
        if 0 < (timestamp - newest) & 0xFFFFFFFF < 1 << 31:
            newest = timestamp
    return newest


def steady(packets: list[tuple[int, bool, bytes]], first: int = 7, wide: int = 65534) -> Steady:
    stamps = {one[0] for one in packets}
    return Steady(1, rows(packets, first), wide, newest_of(packets), any(one[1] for one in packets), len(stamps) == 1)


@given(PACKETS)
def test_rows_are_packets(packets: list[tuple[int, bool, bytes]]) -> None:
    found = rows(packets)
    made = [(n, 0x80 if m else 0, t, p) for n, (t, m, p) in enumerate(packets, 7)]
    assert (found.newest_payload, found.ends) == (packets[-1][2], packets[-1][1])
    assert (list(found), len(found), found[0], found[-1], found[:2]) == (made, len(made), made[0], made[-1], made[:2])
    assert (found.first, found.last) == (7, 6 + len(packets))


@given(PACKETS, PACKETS)
def test_what_follows_on_is_put_together(
    one: list[tuple[int, bool, bytes]], other: list[tuple[int, bool, bytes]]
) -> None:
    both = steady(other, 7 + len(one), 65534 + len(one) & 0xFFFF).behind(steady(one))
    assert both is not None
    whole = steady([*one, *other])
    assert list(both.rows) == list(whole.rows)
    assert (both.rows.packed, both.rows.payloads, both.rows.longest) == (
        whole.rows.packed, whole.rows.payloads, whole.rows.longest,
    )  # fmt: skip
    assert both[2:3] + both[4:] == whole[2:3] + whole[4:]


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=9).map(sorted))
def test_it_is_known_when_each_came(ticks: list[int]) -> None:
    packed = b"".join(ROW.pack(7 + n, 0, n, 1, 0)[:-4] + struct.pack("=H2x", later) for n, later in enumerate(ticks))
    found = Rows(packed, bytes(len(ticks)), 7, 1).moments(50.0)
    assert [at for count, at in found for _ in range(count)] == [50.0 + later * 0.00025 for later in ticks]
    assert len(found) == len(set(ticks))


def test_what_came_later_is_told_behind() -> None:
    one, other = (steady([(0, True, b"x")], 7 + n, 65534 + n)._replace(came=((1, 5.0 + n),)) for n in range(2))
    assert other.behind(one).came == ((1, 5.0), (1, 6.0))


def test_what_does_not_follow_on_stays_apart() -> None:
    one = [(0, True, b"x")]
    assert steady(one, 9, 65535).behind(steady(one)) is None, "a number is missing"
    assert steady(one, 8, 65533).behind(steady(one)) is None, "another packet of the session came between"
    assert steady(one, 8, 65535)._replace(lane=0).behind(steady(one)) is None, "another track"
    assert steady(one, 8, -1).behind(steady(one, wide=-1)) is not None
