"""Transport-wide numbers: one count for a session, and what was sent when."""

from gateway.adapters.media_embedded.rules.transport import AROUND, KEPT, TAG, Transport, sizes


def test_batches_follow_on_and_say_their_sizes() -> None:
    transport = Transport(65534)
    transport.note((100, 50), 20, 1.0)
    transport.note((10,), 24, 2.0)
    over = TAG + AROUND
    spelt = [size for entry in transport.log for size in sizes(entry)]
    assert spelt == [120 + over, 70 + over, 34 + over]
    assert [(first, at) for first, at, _, _ in transport.log] == [(65534, 1.0), (65536, 2.0)]
    assert transport.next == 65537


def test_what_is_remembered_is_bounded() -> None:
    transport = Transport()
    for number in range(KEPT + 5):
        transport.note((number,), 0, 0.0)
    assert (len(transport.log), transport.log[0][0]) == (KEPT, 5)
