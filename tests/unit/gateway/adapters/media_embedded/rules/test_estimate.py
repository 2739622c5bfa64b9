"""The sender's estimate against simulated lines: a bottleneck with a queue, random loss, jitter, changing capacity."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.media_embedded.rules import estimate as rule
from gateway.adapters.media_embedded.rules import rtcp
from gateway.adapters.media_embedded.rules.estimate import Estimator
from gateway.adapters.media_embedded.rules.flight import KEPT
from gateway.adapters.media_embedded.rules.transport_feedback import Arrivals, TransportFeedback

FRAME_S = 0.04
SIZE = 1200
KEY_SHARE = 0.3
SKEW_S = 12345.678
"""The far end's clock is another one."""


@dataclass
class Line:
    """A bottleneck of `capacity` bits a second with a queue of at most `longest_s`, behind `delay_s`."""

    capacity: float
    loss: float = 0.0
    jitter_s: float = 0.0
    longest_s: float = 0.5
    delay_s: float = 0.02
    chance: random.Random = field(default_factory=lambda: random.Random(5))
    free_at: float = 0.0

    def carry(self, at: float, size: int) -> float | None:
        """Return when the packet arrives, None if it does not."""
        begins = max(at, self.free_at)
        if begins - at > self.longest_s or self.chance.random() < self.loss:
            return None
        self.free_at = begins + size * 8 / self.capacity
        return self.free_at + self.delay_s + self.chance.random() * self.jitter_s


class Viewer:
    """Sends frames at a wished rate over a line and has them told of every 100 ms."""

    def __init__(self, line: Line) -> None:
        self.line, self.estimator, self.now = line, Estimator(), 100.0
        self.number = 0
        self.history: list[tuple[float, float]] = []
        self._coming: list[tuple[float, int]] = []
        self._arrivals, self._report_at = Arrivals(), self.now

    @property
    def bitrate(self) -> float:
        return self.estimator.bitrate(self.now) or rule.START

    def run(self, seconds: float, rate: Callable[[float], float]) -> "Viewer":
        """Send frames of `rate(estimate)` bits a second, each 25th with three tenths of them all."""
        until = self.now + seconds
        left, frame = 0.0, 0
        while self.now < until:
            share = KEY_SHARE * 25 if frame % 25 == 0 else (1 - KEY_SHARE) * 25 / 24
            frame += 1
            left += rate(self.bitrate) * FRAME_S / 8 * share
            while left > 0:
                size = int(min(SIZE, max(left, 100)))
                left -= size
                self.number += 1
                self.estimator.sent(self.number, self.now, [size])
                came = self.line.carry(self.now, size)
                if came is not None:
                    self._coming.append((came, self.number))
            self.now += FRAME_S
            self._answer()
            self.history.append((self.now, self.bitrate))
        return self

    def _answer(self) -> None:
        if self.now < self._report_at:
            return
        self._report_at += 0.1
        here = sorted(packet for packet in self._coming if packet[0] <= self.now)
        self._coming = [packet for packet in self._coming if packet[0] > self.now]
        for came, number in here:
            self._arrivals.add(number & 0xFFFF, came + SKEW_S)
        for item in rtcp.parse(b"".join(self._arrivals.build(1, 2))):
            assert isinstance(item, TransportFeedback)
            self.estimator.feedback(item, self.now)

    def lately(self, seconds: float) -> list[float]:
        return [bitrate for at, bitrate in self.history if at > self.now - seconds]

    def average(self, seconds: float) -> float:
        values = self.lately(seconds)
        return sum(values) / len(values)


def all_of_it(estimate: float) -> float:
    return estimate


def layers(estimate: float) -> float:
    """As a camera does: the main picture or the thumb."""
    return 1_500_000 if estimate >= 1_600_000 else 150_000


@pytest.mark.parametrize("capacity", [500_000, 2_000_000, 8_000_000])
@pytest.mark.parametrize("jitter_s", [0.0, 0.03])
def test_it_comes_near_the_capacity_and_stays(capacity: int, jitter_s: float) -> None:
    viewer = Viewer(Line(capacity, jitter_s=jitter_s)).run(30, all_of_it)
    assert 0.7 * capacity <= viewer.average(15) <= 1.1 * capacity
    assert max(viewer.lately(15)) <= 1.4 * capacity


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.1])
def test_random_loss_does_not_starve(loss: float) -> None:
    viewer = Viewer(Line(2_000_000, loss=loss, jitter_s=0.01)).run(40, all_of_it)
    assert 1_200_000 <= viewer.average(15) <= 2_300_000
    assert viewer.estimator.fraction_lost == pytest.approx(loss, abs=0.04)


def test_it_falls_quickly_and_comes_back() -> None:
    line = Line(2_000_000)
    viewer = Viewer(line).run(15, all_of_it)
    line.capacity = 500_000
    viewer.run(1.5, all_of_it)
    assert viewer.bitrate <= 700_000
    viewer.run(20, all_of_it)
    assert 300_000 <= viewer.average(10) <= 600_000
    line.capacity = 2_000_000
    viewer.run(30, all_of_it)
    assert viewer.average(10) >= 1_300_000


def test_a_thin_queue_shows_by_its_losses_alone() -> None:
    viewer = Viewer(Line(1_000_000, longest_s=0.03)).run(5, lambda _: 2_500_000)
    assert viewer.bitrate <= 1_300_000


def test_layers_settle_on_what_the_line_carries() -> None:
    thin = Viewer(Line(500_000)).run(60, layers)
    assert sum(layers(value) > 1_000_000 for value in thin.lately(40)) <= 0.1 * len(thin.lately(40))
    assert thin.bitrate <= 800_000, "and that is what is shown"
    wide = Viewer(Line(4_000_000)).run(20, layers)
    assert min(map(layers, wide.lately(15))) == 1_500_000, "the main picture stays"


def test_what_is_not_used_does_not_grow_without_bound() -> None:
    viewer = Viewer(Line(50_000_000)).run(60, lambda _: 64_000)
    assert viewer.bitrate <= rule.START, "sound alone proves nothing more"
    viewer.run(3, lambda _: 3_000_000)
    assert viewer.bitrate >= 3_000_000, "frames show the line at once"


def test_a_line_that_was_thin_once_is_tried_again() -> None:
    line = Line(300_000)
    viewer = Viewer(line).run(10, all_of_it)
    assert viewer.bitrate <= 400_000
    line.capacity = 5_000_000
    viewer.run(120, lambda _: 64_000)
    assert viewer.bitrate >= 0.9 * rule.START


def test_nothing_heard_nothing_said_and_lies_are_ignored() -> None:
    estimator = Estimator()
    assert estimator.bitrate(0.0) is None
    estimator.feedback(TransportFeedback(5, 3, 1, 0, ((0, (0, 1, 2)),)), 1.0)
    assert estimator.bitrate(1.0) is None, "numbers that were never sent"
    for number in range(KEPT + 100):
        estimator.sent(number, 1.0, [SIZE])
    estimator.feedback(TransportFeedback(5, 1, 1, 0, ((0, (0,)),)), 1.0)
    assert estimator.bitrate(1.0) is None, "too old"


@given(
    st.lists(
        st.tuples(st.integers(0, 0xFFFF), st.lists(st.integers(-(2**20), 2**20), min_size=1, max_size=20)), max_size=20
    ),
    st.integers(0, 2**24 - 1),
)
def test_any_feedback_keeps_the_bounds(runs: list[tuple[int, list[int]]], reference: int) -> None:
    estimator = Estimator()
    for number in range(60):
        estimator.sent(number, number / 100, [SIZE])
    for step in range(3):
        estimator.feedback(TransportFeedback(0, 40, reference, 0, tuple(runs)), 1.0 + step)
        found = estimator.bitrate(1.0 + step)
        assert found is None or rule.LEAST <= found <= rule.MOST


def test_the_far_ends_own_estimate_is_a_bound_for_a_while() -> None:
    viewer = Viewer(Line(8_000_000)).run(10, all_of_it)
    viewer.estimator.bounded(700_000, viewer.now)
    assert viewer.estimator.bitrate(viewer.now) == 700_000
    assert (viewer.estimator.bitrate(viewer.now + rule.BOUND_S + 1) or 0) > 1_000_000
    alone = Estimator()
    alone.bounded(300_000, 0.0)
    assert alone.bitrate(0.0) == 300_000
    assert alone.bitrate(rule.BOUND_S + 1) is None


def test_receiver_reports_speak_where_nothing_else_does() -> None:
    estimator = Estimator()
    for second in range(5):
        estimator.reported(0.05, 2_000_000, second)
    assert estimator.bitrate(5.0) is None, "five per cent says nothing of the line"
    for second in range(5, 15):
        estimator.reported(0.4, estimator.bitrate(second) or 2_000_000, second)
    low = estimator.bitrate(15.0)
    assert low is not None
    assert rule.LEAST <= low <= 1_000_000
    for second in range(15, 45):
        estimator.reported(0.0, 500_000, second)
    assert (estimator.bitrate(45.0) or 0) >= 3 * low


def test_what_came_without_a_queue_is_carried_though_no_train_shows_it() -> None:
    line, viewer = Line(20_000_000), Viewer(Line(1))
    for number in range(800):
        viewer.now += 0.0025
        viewer.estimator.sent(number, viewer.now, [SIZE])
        came = line.carry(viewer.now, SIZE)
        assert came is not None
        viewer._coming.append((came, number))
        viewer._answer()
    assert viewer.bitrate > 3_000_000


@given(st.lists(st.floats(0, 1e9), min_size=1))
def test_the_middle_is_the_median(values: list[float]) -> None:
    assert rule.middle(sorted(values)) == median(values)
