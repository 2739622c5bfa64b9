"""A session's line: rates, round trip and losses out of what both ends report."""

import pytest

from gateway.adapters.media_embedded.rules import rtcp
from gateway.adapters.media_embedded.rules.line import REPORTS, Line
from gateway.adapters.media_embedded.rules.transport import Transport
from gateway.adapters.media_embedded.rules.transport_feedback import TransportFeedback


def block(ssrc: int, *, last_sr: int = 0, delay_s: float = 0.0, lost: int = 0) -> rtcp.Report:
    return rtcp.Report(ssrc, lost, 0, 0, 0, last_sr, int(delay_s * 65536))


def test_rates_are_of_the_last_second() -> None:
    line = Line(Transport(), counted=False)
    line.measure(10.0)
    line.sent.octets += 125_000
    line.measure(10.5)
    assert line.sent.bps == 0, "not a second yet"
    line.measure(11.0)
    assert (line.sent.bps, line.received.bps) == (1_000_000, 0)
    line.measure(12.0)
    assert line.sent.bps == 0


def test_the_round_trip_comes_from_reports_that_were_sent() -> None:
    line = Line(Transport(), counted=False)
    info = rtcp.SenderInfo(7, 0x0000_1234_5678_0000, 0, 1, 1)
    line.reported(info, 100.0)
    line.heard(rtcp.ReceiverInfo(1, (block(7, last_sr=0x1234_5678, delay_s=0.5),)), 100.58)
    assert line.rtt_s == pytest.approx(0.08, abs=0.001)
    for answer in (
        block(8, last_sr=0x1234_5678),
        block(7, last_sr=5),
        block(7),
        block(7, last_sr=0x1234_5678, delay_s=9),
    ):
        line.heard(rtcp.ReceiverInfo(1, (answer,)), 101.0)
    assert line.rtt_s == pytest.approx(0.08, abs=0.001), "what fits no report of ours says nothing"
    for number in range(REPORTS + 1):
        line.reported(rtcp.SenderInfo(7, number << 16, 0, 1, 1), 101.0)
    line.heard(rtcp.ReceiverInfo(1, (block(7, last_sr=0x1234_5678, delay_s=0.5),)), 101.6)
    assert line.rtt_s == pytest.approx(0.08, abs=0.001), "forgotten"


def test_arrivals_count_only_where_they_were_agreed() -> None:
    transport = Transport()
    told = TransportFeedback(0, 20, 1, 0, ((0, range(0, 80, 4)),))
    transport.note([1100] * 20, 20, 1.0)
    stranger = Line(transport, counted=False)
    stranger.heard(told, 1.1)
    assert stranger.estimate(1.1) is None
    line = Line(transport, counted=True)
    line.heard(told, 1.1)
    assert line.estimate(1.1) == pytest.approx(1164 * 8 * 1000 * 0.8, rel=0.3), "a packet each millisecond"
    assert not transport.log
    line.heard(rtcp.Estimate(300_000), 1.1)
    assert line.estimate(1.1) == 300_000


def test_losses_of_reports_are_heard() -> None:
    line = Line(Transport(), counted=False)
    line.heard(rtcp.ReceiverInfo(1, (block(7, lost=0), block(8, lost=64))), 1.0)
    assert line.fraction_lost == pytest.approx(0.25)
    line.heard(rtcp.ReceiverInfo(1, ()), 1.0)
    assert line.estimate(1.0) is None
