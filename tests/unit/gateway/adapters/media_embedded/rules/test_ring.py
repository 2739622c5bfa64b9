"""The ring of sent packets: the same bytes again, and one content for a number."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules.ring import Recipe, Ring, Sent


def made(recipe: Recipe) -> list[Sent]:
    return [(number + recipe.step, b"h%d" % recipe.wide, payload) for number, _, _, payload in recipe.rows]


def run(*numbers: int, wide: int = 0) -> Recipe:
    return Recipe([(number, 0, 0, b"%d" % number) for number in numbers], 100, 0, 96, wide, b"")


def keep(ring: Ring, recipe: Recipe) -> None:
    ring.extend(recipe, recipe.rows[0][0] + recipe.step, recipe.rows[-1][0] + recipe.step)


def test_what_was_sent_is_found_by_its_sixteen_bits() -> None:
    ring = Ring(8, made)
    for number in range(65530, 65545):
        assert ring.put((number, b"h", str(number).encode()))
    assert ring.get(65544 & 0xFFFF) == (65544, b"h", b"65544")
    assert ring.get(65538 & 0xFFFF) == (65538, b"h", b"65538")
    assert ring.get(65536 & 0xFFFF) is None, "too old"
    assert ring.get(100) is None
    assert Ring(8, made).get(0) is None


def test_a_late_packet_finds_its_place() -> None:
    ring = Ring(8, made)
    assert ring.put((10, b"", b"a"))
    assert ring.put((12, b"", b"c"))
    assert ring.put((11, b"", b"b"))
    assert [payload for _, _, payload in ring.since(11)] == [b"b", b"c"]


@given(st.lists(st.integers(100, 160), max_size=200))
def test_no_number_is_ever_given_two_contents(numbers: list[int]) -> None:
    ring = Ring(16, made)
    given_to: set[int] = set()
    for content, number in enumerate(numbers):
        if ring.put((number, b"", str(content).encode())):
            assert number not in given_to
            given_to.add(number)


def test_packets_of_a_run_are_made_again_and_their_numbers_stay_used() -> None:
    ring = Ring(8, made)
    keep(ring, run(1, 2, 4, wide=7))
    keep(ring, run(6, wide=8))
    assert (ring.highest, ring.get(104), ring.get(106)) == (106, (104, b"h7", b"4"), (106, b"h8", b"6"))
    assert ring.get(103) is None
    assert [number for number in range(101, 107) if ring.put((number, b"late", b""))] == [103, 105]
    assert [(number, head) for number, head, _ in ring.since(102)] == [
        (102, b"h7"), (103, b"late"), (104, b"h7"), (105, b"late"), (106, b"h8")
    ]  # fmt: skip


def test_holes_bear_the_head_before_them_and_old_runs_are_forgotten() -> None:
    ring = Ring(8, made)
    keep(ring, run(1, 2, 4, wide=7))
    assert ring.holes(100, 105) == [(103, b"h7")]
    keep(ring, run(9, 10, 11, wide=8))
    assert (ring.get(101), ring.get(102), ring.get(104)) == (None, None, (104, b"h7", b"4"))
    assert [sent[0] for sent in ring.since(0)] == [104, 109, 110, 111]
    assert ring.holes(104, 110) == [(number, b"h7") for number in range(105, 109)]


def test_what_is_too_old_is_gone_though_its_slot_was_never_used_again() -> None:
    ring = Ring(8, made)
    for number in (1, 2, 3, 4, 5, 6, 7, 8, 10):  # 9 was lost: its slot still bears 1
        assert ring.put((number, b"head", b"%d" % number))
    assert ring.get(1) is None
    assert [sent[0] for sent in ring.since(0)] == [3, 4, 5, 6, 7, 8, 10]
