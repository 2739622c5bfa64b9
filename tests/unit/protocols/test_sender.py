"""The window, the shares of the lanes, the resend timer and what a receipt means."""

from protocols.envelope import Lane
from protocols.ranges import Ranges
from protocols.sender import LIVE_MEMORY_S, RESEND_CAP_S, RESEND_S, URGENT_RESERVE, WINDOW, Sender
from protocols.uplink import Receipt, Refusal

EPOCH = "01JGFJJZ000000000000000001"
OTHER = "01JGFJJZ000000000000000002"


def receipt(lane=Lane.LIVE, stored=(), **more):
    ranges = Ranges(stored)
    fields = {"node": "320600", "epoch": EPOCH, "store_epoch": EPOCH, "at": "2026-01-01T00:00:00Z", "high": ranges.high}
    return Receipt(**{**fields, "lane": lane, "stored": tuple(ranges.to_list()), **more})


def test_window_is_never_exceeded_and_urgent_always_has_room():
    sender = Sender()
    sender.sent(Lane.BACKFILL, range(1, 1 + sender.room(Lane.BACKFILL, 0.0)), 0.0)
    assert sender.room(Lane.BACKFILL, 0.0) == 0
    assert sender.room(Lane.LIVE, 0.0) > 0
    sender.sent(Lane.LIVE, range(1, 1 + sender.room(Lane.LIVE, 0.0)), 0.0)
    assert sender.room(Lane.LIVE, 0.0) == 0
    assert sender.room(Lane.URGENT, 0.0) == URGENT_RESERVE
    sender.sent(Lane.URGENT, range(1, 1 + URGENT_RESERVE), 0.0)
    assert sender.room(Lane.URGENT, 0.0) == 0
    assert sender.in_flight() == WINDOW


def test_backlog_keeps_to_half_of_the_window_while_live_traffic_exists():
    sender = Sender()
    sender.sent(Lane.LIVE, [1], 0.0)
    assert sender.room(Lane.BACKFILL, 1.0) == WINDOW // 2
    sender.on_receipt(receipt(stored=[(1, 1)]), 1.0)
    assert sender.room(Lane.BACKFILL, LIVE_MEMORY_S + 0.1) > WINDOW // 2


def test_resend_timer_doubles_to_its_cap_and_never_ends():
    sender = Sender()
    sender.sent(Lane.URGENT, [1, 2], 0.0, last=2)
    assert sender.due(RESEND_S - 0.01) == {}
    now, pauses = 0.0, []
    for _ in range(12):
        pauses.append(sender.deadline - now)
        now = sender.deadline
        assert sender.due(now) == {Lane.URGENT: [1, 2]}
        sender.sent(Lane.URGENT, [1, 2], now)
    assert pauses[:3] == [2.0, 4.0, 8.0]
    assert pauses[-1] == RESEND_CAP_S
    assert sender.after(Lane.URGENT) == 2
    assert sender.resent == 24


def test_slow_line_is_not_flooded_with_doubles():
    sender = Sender()
    sender.sent(Lane.LIVE, [1], 0.0)
    sender.on_receipt(receipt(stored=[(1, 1)]), 3.0)
    sender.sent(Lane.LIVE, [2], 3.0)
    assert sender.deadline == 3.0 + 4 * 3.0


def test_receipts_land_stored_and_refused():
    sender = Sender()
    sender.sent(Lane.LIVE, [1, 2, 3, 4], 0.0, last=4)
    lost = sender.on_receipt(receipt(stored=[(1, 2)], refused=(Refusal(seq=3, code="x"),)), 0.1)
    assert not lost
    assert sender.in_flight() == 1
    assert sender.flying(Lane.LIVE, 4)
    assert sender.after(Lane.LIVE) == 4
    sender.rewind(Lane.LIVE, 3)
    sender.rewind(Lane.LIVE, 9)
    assert sender.after(Lane.LIVE) == 2, "the refused number is void now and is read again"
    assert sender.settled[Lane.LIVE].to_list() == [[1, 2]]
    assert sender.rtt_s == 0.1


def test_a_receiver_that_fell_back_is_noticed():
    sender = Sender({Lane.LIVE: Ranges([(1, 100)])})
    assert not sender.on_receipt(receipt(stored=[(1, 100)], session=OTHER, number=1), 0.0)
    lost = sender.on_receipt(receipt(stored=[(1, 60), (101, 101)], session=OTHER, number=2, high=101), 0.0)
    assert lost.to_list() == [[61, 100]]
    assert sender.settled[Lane.LIVE].to_list() == [[1, 60], [101, 101]]


def test_a_late_receipt_says_nothing_about_loss():
    sender = Sender()
    sender.on_receipt(receipt(stored=[(1, 100)], session=OTHER, number=7), 0.0)
    assert not sender.on_receipt(receipt(stored=[(1, 50)], session=OTHER, number=6), 0.0)
    assert sender.on_receipt(receipt(stored=[(1, 50)], session=EPOCH, number=1), 0.0).to_list() == [[51, 100]]


def test_what_a_cut_list_does_not_name_is_not_lost():
    sender = Sender({Lane.LIVE: Ranges([(1, 1000)])})
    assert not sender.on_receipt(receipt(stored=[(900, 1000)], floor=900), 0.0)


def test_an_ask_sends_at_once_what_is_in_flight():
    sender = Sender()
    sender.sent(Lane.LIVE, [5], 0.0)
    sender.on_receipt(receipt(stored=[(1, 3)], ask=True), 0.5)
    assert sender.due(0.5) == {Lane.LIVE: [5]}


def test_reconnect_starts_from_the_lowest_owed():
    sender = Sender()
    sender.sent(Lane.LIVE, [1, 2], 0.0, last=2)
    sender.connected({Lane.LIVE: Ranges([(1, 1)])})
    assert sender.in_flight() == 0
    assert sender.after(Lane.LIVE) == 0
    assert sender.deadline is None
    assert sender.settled[Lane.LIVE].to_list() == [[1, 1]]
    sender.sent(Lane.LIVE, [2], 0.0)
    sender.gone(Lane.LIVE, [2, 3])
    assert sender.in_flight() == 0


def test_telemetry_receipts_mean_nothing_here():
    assert not Sender().on_receipt(receipt(lane=Lane.TELEMETRY), 0.0)
