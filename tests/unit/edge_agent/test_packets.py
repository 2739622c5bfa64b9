from edge_agent.cameras.packets import PacketWatch
from protocols.aio.h264 import Unit


def run(watch, sizes, *, keys_every=15, rate=15, start=0, key_size=20_000):
    for number, size in enumerate(sizes):
        key = number % keys_every == 0
        at = start + number / rate
        watch.look(Unit(b"x" * (key_size + number if key else size), key, round(at * 90_000), at))
    return start + len(sizes) / rate


def test_a_busy_picture_needs_no_decoder():
    watch = PacketWatch()
    now = run(watch, [400 + number * 7 % 300 for number in range(60)])
    assert not watch.suspicious(now)
    assert watch.fault(now) is None
    assert watch.key_interval_s == 1.0
    assert watch.frame_age_ms(now) < 100


def test_tiny_deltas_are_suspicious_and_so_is_the_unknown():
    watch = PacketWatch()
    assert watch.suspicious(0.0)
    assert watch.suspicious(run(watch, [30] * 60))


def test_key_frames_of_one_size_are_suspicious():
    watch = PacketWatch()
    for number in range(60):
        key = number % 15 == 0
        watch.look(Unit(b"x" * (5000 if key else 400), key, number * 6000, number / 15))
    assert watch.suspicious(4.0)


def test_reordered_pictures_are_b_frames():
    watch = PacketWatch()
    for number, pts in enumerate((0, 3, 1, 2, 6, 4, 5)):
        watch.look(Unit(b"x" * 500, number == 0, pts * 6000, number / 15))
    assert watch.fault(0.5) == "b_frames"


def test_key_frames_too_far_apart_are_named_before_the_next_one_comes():
    watch = PacketWatch()
    now = run(watch, [500] * 80, keys_every=1000)
    assert watch.fault(now) == "key_frames_apart"


def test_silence_is_named():
    watch = PacketWatch()
    now = run(watch, [500] * 30)
    assert watch.fault(now + 10) == "no_packets"
    assert PacketWatch().fault(5.0) is None
    assert PacketWatch().frame_age_ms(5.0) is None
