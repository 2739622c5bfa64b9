"""Our candidates in SDP: UDP before TCP, whatever the other end compares."""

from gateway.adapters.media_embedded.rules.candidates import listed


def test_udp_comes_first_and_every_line_stands_alone() -> None:
    found = listed([("192.0.2.1", 5), ("10.0.0.1", 5), ("tcp:192.0.2.1", 5), ("tcp:10.0.0.1", 5)])
    assert [one.protocol for one in found] == ["udp", "udp", "tcp", "tcp"]
    assert [one.ip for one in found] == ["192.0.2.1", "10.0.0.1", "192.0.2.1", "10.0.0.1"]
    priorities = [one.priority for one in found]
    assert priorities == sorted(set(priorities), reverse=True)
    assert all(0 < priority < 1 << 31 for priority in priorities)
    assert len({one.foundation for one in found}) == 4


def test_the_lines_are_those_of_the_rfcs() -> None:
    udp, tcp = listed([("192.0.2.1", 5000), ("tcp:192.0.2.1", 5000)])
    assert udp.line == f"candidate:1 1 udp {udp.priority} 192.0.2.1 5000 typ host"
    assert tcp.line == f"candidate:2 1 tcp {tcp.priority} 192.0.2.1 5000 typ host tcptype passive"
    assert tcp.priority >> 24 == 90
