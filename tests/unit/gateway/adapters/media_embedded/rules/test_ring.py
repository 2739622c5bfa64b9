"""The ring of sent packets: the same bytes again, and one content for a number."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules.ring import Ring


def test_what_was_sent_is_found_by_its_sixteen_bits() -> None:
    ring = Ring(8)
    for number in range(65530, 65545):
        assert ring.put((number, b"h", str(number).encode()))
    assert ring.get(65544 & 0xFFFF) == (65544, b"h", b"65544")
    assert ring.get(65538 & 0xFFFF) == (65538, b"h", b"65538")
    assert ring.get(65536 & 0xFFFF) is None, "too old"
    assert ring.get(100) is None
    assert Ring(8).get(0) is None


def test_a_late_packet_finds_its_place() -> None:
    ring = Ring(8)
    assert ring.put((10, b"", b"a"))
    assert ring.put((12, b"", b"c"))
    assert ring.put((11, b"", b"b"))
    assert [payload for _, _, payload in ring.since(11)] == [b"b", b"c"]


@given(st.lists(st.integers(100, 160), max_size=200))
def test_no_number_is_ever_given_two_contents(numbers: list[int]) -> None:
    ring = Ring(16)
    given_to: set[int] = set()
    for content, number in enumerate(numbers):
        if ring.put((number, b"", str(content).encode())):
            assert number not in given_to
            given_to.add(number)
