"""The kept group of pictures."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules import gop as rule
from gateway.adapters.media_embedded.rules.gop import Gop
from gateway.adapters.media_embedded.rules.ingest import Media
from gateway.adapters.media_embedded.rules.run import Run


def media(number: int, frame: int, *, key: bool = False, marker: bool = False, generation: int = 1) -> Media:
    return Media(
        generation, number, "vp8", marker, frame * 3000, b"\x10\x00" + bytes([number % 256]), key, number / 100
    )


def numbers(gop: Gop) -> list[int]:
    return [packet.number for packet in gop.packets]


def test_a_group_begins_with_its_key_frame_and_ends_at_the_next() -> None:
    gop = Gop()
    gop.add(media(1, 0, marker=True))
    assert not gop.packets
    gop.add(media(2, 1, key=True))
    gop.add(media(3, 1, marker=True))
    gop.add(media(4, 2, marker=True))
    assert numbers(gop) == [2, 3, 4]
    gop.add(media(5, 3, key=True, marker=True))
    assert numbers(gop) == [5]


def test_the_newest_whole_key_frame_is_kept_for_stills() -> None:
    gop = Gop()
    gop.add(media(1, 0, key=True))
    assert gop.key_frame() is None
    gop.add(media(3, 0, marker=True))
    assert gop.key_frame() is None, "packet 2 is missing"
    gop.add(media(2, 0))
    frame = gop.key_frame()
    assert frame is not None
    assert [payload[2] for payload in frame.payloads] == [1, 2, 3]
    assert frame.at == 0.03, "the arrival of its last packet"
    gop.add(media(4, 1, key=True))
    assert gop.key_frame() is frame, "the next one is not whole yet"
    gop.add(media(5, 1, marker=True))
    assert gop.key_frame() is not frame


def test_late_packets_find_their_place_and_strays_do_not() -> None:
    gop = Gop()
    gop.add(media(10, 5, key=True, marker=True))
    gop.add(media(13, 7, marker=True))
    gop.add(media(11, 6))
    gop.add(media(9, 4, marker=True))
    assert numbers(gop) == [10, 11, 13]
    assert gop.at(12) == 2


def test_a_parameter_set_that_comes_late_still_stands_first() -> None:
    gop = Gop()
    gop.add(media(11, 5, key=True))
    gop.add(media(10, 5, key=True))
    assert numbers(gop) == [10, 11]


def test_a_group_over_the_bound_is_forgotten() -> None:
    gop = Gop()
    gop.add(media(0, 0, key=True, marker=True))
    for number in range(1, rule.MAX_PACKETS + 2):
        gop.add(media(number, number))
    assert gop.overflows == 1
    assert not gop.packets
    gop.add(media(9000, 9000, key=True, marker=True))
    assert numbers(gop) == [9000]


def test_another_generation_begins_empty() -> None:
    gop = Gop()
    gop.add(media(1, 0, key=True, marker=True))
    gop.add(media(2, 1, generation=2))
    assert not gop.packets
    gop.add(media(3, 2, key=True, marker=True, generation=2))
    gop.forget()
    assert gop.key_frame() is None


@given(st.lists(st.tuples(st.integers(0, 60), st.booleans()), unique_by=lambda pair: pair[0], max_size=60))
def test_the_group_is_always_in_order_and_of_one_generation(arrivals: list[tuple[int, bool]]) -> None:
    gop = Gop()
    for number, key in arrivals:
        gop.add(media(number, number // 3, key=key and number % 3 == 0, marker=number % 3 == 2))
        gop.key_frame()
        assert all(a < b for a, b in itertools.pairwise(numbers(gop)))
        assert not gop.packets or gop.packets[0].key


@given(st.lists(st.integers(1, 6), min_size=1, max_size=12), st.integers(0, 3), st.booleans())
def test_packets_taken_at_once_are_packets_taken_one_by_one(runs: list[int], lost: int, whole: bool) -> None:
    together, singly = Gop(), Gop()
    for gop in (together, singly):
        gop.add(media(1, 0, key=True, marker=whole))
    at = 2 + lost
    for frame, size in enumerate(runs, 1):
        run = [media(at + place, frame, marker=place == size - 1) for place in range(size)]
        at += size
        if not together.extend(Run(run)):
            for packet in run:
                together.add(packet)
        for packet in run:
            singly.add(packet)
    assert together.packets == singly.packets
    assert (together.key_frame(), together.whole, together._bytes) == (singly.key_frame(), singly.whole, singly._bytes)


def test_what_is_not_simply_more_of_the_group_is_not_taken_at_once() -> None:
    gop = Gop()
    assert not gop.extend(Run([media(1, 0)])), "there is no group"
    gop.add(media(5, 1, key=True, marker=True))
    gop.add(media(7, 2, marker=True))
    assert not gop.extend(Run([media(6, 2)])), "late"
    assert not gop.extend(Run([media(8, 3, generation=2)])), "another source"
    assert gop.extend(Run([media(8, 3)]))
    assert not gop.extend(Run([media(8, 3)])), "it came already"
    many = [media(9 + place, 4) for place in range(rule.MAX_PACKETS - 2)]
    assert not gop.extend(Run(many)), "too many"
    large = media(9, 4)._replace(payload=bytes(rule.MAX_BYTES))
    assert not gop.extend(Run([large])), "too much"
    assert numbers(gop) == [5, 7, 8]
