import pytest

from gateway.rollcall.rules.line import Counters, judge, seconds
from protocols.rollcall import CheckResult


def readings(count=10, lost=0, rtt=20.0, packets=100, octets=125_000):
    return [Counters(float(n), n * packets, n * lost, n * octets, rtt, 15.0) for n in range(count)]


def test_figures_of_each_second():
    one = seconds(readings(2, lost=1))[0]
    assert (one.at, one.kbps, one.rtt_ms, one.frame_rate) == (1.0, 1000, 20.0, 15.0)
    assert one.loss == pytest.approx(1 / 101, abs=1e-4)


def test_a_worker_that_began_anew_gives_no_figures_for_that_second():
    before, after = readings(2)[1], readings(1)[0]
    assert seconds([before, Counters(2.0, 0, 0, 0, None, 0.0)]) == []
    assert seconds([before, before]) == []
    assert seconds([after]) == []


def test_repaired_packets_are_not_lost():
    assert seconds([Counters(0, 100, 5, 1000, None, 15), Counters(1, 200, 2, 2000, None, 15)])[0].loss == 0.0
    assert seconds([Counters(0, 100, 0, 1000, None, 15), Counters(1, 100, 0, 1000, None, 15)])[0].loss == 0.0


def test_a_good_line_a_lossy_one_and_a_slow_one():
    assert judge(seconds(readings())).result is CheckResult.GOOD
    lossy = judge(seconds(readings(lost=3)))
    assert lossy.result is CheckResult.ISSUE
    assert lossy.loss == pytest.approx(3 / 103, abs=1e-3)
    assert judge(seconds(readings(rtt=401.0))).result is CheckResult.ISSUE
    unknown_rtt = judge(seconds(readings(rtt=None)))
    assert (unknown_rtt.result, unknown_rtt.rtt_ms, unknown_rtt.kbps) == (CheckResult.GOOD, None, 1000)


def test_a_few_seconds_are_needed():
    assert judge(seconds(readings(3))).result is CheckResult.UNKNOWN
    assert judge([]).result is CheckResult.UNKNOWN
