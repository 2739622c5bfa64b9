"""What is under way: batches beside what the far end tells, proved against one packet after the other."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules.flight import KEPT, Flight, Piece

AROUND = 60


def spelt(pieces: list[Piece]) -> tuple[int, int]:
    return sum(count for _, count, *_ in pieces), sum(octets for _, _, octets, *_ in pieces)


def test_a_whole_batch_is_one_piece() -> None:
    flight = Flight()
    flight.sent(70_000, 1.0, (1100, 1100, 300), AROUND)
    flight.sent(70_003, 1.04, (500,), AROUND)
    assert flight.told(70_000 & 0xFFFF, [(0, (7, 5, 9, 40))]) == [
        (1.0, 3, 2500 + 3 * AROUND, 1100 + AROUND, 5, 9),
        (1.04, 1, 500 + AROUND, 500 + AROUND, 40, 40),
    ]
    assert (flight.highest, len(flight), flight.lost(0)) == (70_003, 0, 0)


def test_what_was_told_twice_counts_once_and_gaps_are_lost_when_overtaken() -> None:
    flight = Flight()
    for number in range(0, 40, 4):
        flight.sent(number, number / 100, (100,) * 4, 0)
    assert spelt(flight.told(0, [(0, (1, 1)), (3, (2, 2, 2))])) == (5, 500)
    assert spelt(flight.told(0, [(0, (1, 1, 1)), (3, (2, 2, 2, 2, 2))])) == (3, 300)
    assert spelt(flight.told(12, [(0, range(12))])) == (12, 1200)
    assert flight.lost(16) == 0, "packets may overtake each other so far"
    assert flight.lost(11) == 4, "8 to 11"
    assert len(flight) == 16


def test_numbers_never_sent_mean_nothing() -> None:
    flight = Flight()
    assert flight.told(0, [(0, (1, 2, 3))]) == []
    flight.sent(10, 0.0, (100,) * 5, 0)
    assert flight.told(15, [(0, (1, 2, 3))]) == []
    assert spelt(flight.told(5, [(0, range(100))])) == (5, 500)


def test_what_is_remembered_is_bounded() -> None:
    flight = Flight()
    for number in range(KEPT + 5):
        flight.sent(number, 0.0, (1,), 0)
    assert len(flight) == KEPT
    assert flight.told(0, [(0, (1, 1, 1, 1, 1))]) == []


@given(
    st.lists(st.lists(st.integers(1, 1500), min_size=1, max_size=9), min_size=1, max_size=12),
    st.lists(st.sets(st.integers(0, 110)), min_size=1, max_size=3),
)
def test_any_feedback_gives_what_counting_singly_gives(batches: list[list[int]], told: list[set[int]]) -> None:
    flight, waiting, number = Flight(), dict[int, tuple[float, int]](), 65_500
    for place, lengths in enumerate(batches):
        flight.sent(number, float(place), lengths, AROUND)
        for length in lengths:
            waiting[number] = (float(place), length + AROUND)
            number += 1
    for numbers in told:
        runs: list[tuple[int, list[int]]] = []
        for offset in sorted(numbers):
            if runs and runs[-1][0] + len(runs[-1][1]) == offset:
                runs[-1][1].append(offset)
            else:
                runs.append((offset, [offset]))
        arrived = [waiting.pop(65_500 + offset) for offset in sorted(numbers) if 65_500 + offset in waiting]
        pieces = flight.told(65_500, runs)
        assert spelt(pieces) == (len(arrived), sum(size for _, size in arrived))
        assert {at for at, *_ in pieces} == {at for at, _ in arrived}
        assert len(flight) == len(waiting)
