"""Transport-wide numbers: one count for a session, and what was sent when."""

from gateway.adapters.media_embedded.rules.transport import KEPT, Transport


def test_batches_follow_on() -> None:
    transport = Transport(65534)
    transport.note((100, 50), 20, 1.0)
    transport.note((10,), 24, 2.0)
    assert list(transport.log) == [(65534, 1.0, (100, 50), 20), (65536, 2.0, (10,), 24)]
    assert transport.next == 65537


def test_what_is_remembered_is_bounded() -> None:
    transport = Transport()
    for number in range(KEPT + 5):
        transport.note((number,), 0, 0.0)
    assert (len(transport.log), transport.log[0][0]) == (KEPT, 5)
