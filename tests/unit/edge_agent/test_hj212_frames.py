from hypothesis import given
from hypothesis import strategies as st

from edge_agent.sensors.hj212_frames import Fault, Frames, Measured, Packet, answer, crc, frame

STANDARD = b"QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&"
DATA = (
    "QN=20261124083000123;ST=31;CN=2011;PW=123456;MN=A320623000000001;Flag=5;CP=&&DataTime=20261124083000;"
    "a21026-Rtd=35.6,a21026-Flag=N;a34013-Rtd=bad,a34013-Flag=N;a00000-Rtd=1000.2,a00000-Flag=D&&"
)


def test_the_crc_is_that_of_the_standards_example():
    assert (len(STANDARD), crc(STANDARD)) == (101, 0x1C80)
    assert frame(STANDARD.decode()) == b"##0101" + STANDARD + b"1C80\r\n"


def test_real_time_data_are_read():
    (packet,) = Frames().feed(frame(DATA))
    assert isinstance(packet, Packet)
    assert (packet.command, packet.station, packet.password) == (2011, "A320623000000001", "123456")
    assert packet.at is not None
    assert packet.at.isoformat() == "2026-11-24T08:30:00+08:00"
    assert packet.values == (Measured("a21026", 35.6, "N"), Measured("a00000", 1000.2, "D"))
    assert packet.wants_answer


def test_the_answer_bears_the_requests_number_and_is_a_frame():
    (packet,) = Frames().feed(frame(DATA))
    assert isinstance(packet, Packet)
    (back,) = Frames().feed(answer(packet))
    assert isinstance(back, Packet)
    assert (back.request, back.command, back.system, back.station) == (packet.request, 9014, "91", packet.station)


def test_a_wrong_crc_costs_that_frame_only():
    good = frame(DATA)
    broken = good.replace(b"35.6", b"35.7")
    found = Frames().feed(broken + good)
    assert [one.code if isinstance(one, Fault) else one.command for one in found] == ["crc", 2011]


def test_faults_are_named():
    def codes(data: bytes) -> list[str]:
        return [one.code for one in Frames().feed(data) if isinstance(one, Fault)]

    assert codes(b"hello" + frame(DATA)) == ["noise"]
    assert codes(b"##99999999" + frame(DATA)) == ["length"]
    assert codes(frame("QN=1;ST=31;Flag=5;CP=&&&&")) == ["segment"]
    assert codes(frame("QN=1;ST=31;CN=2011;MN=1;Flag=5;CP=&&open")) == ["segment"]


@given(
    st.lists(st.sampled_from([frame(DATA), b"#", b"##", b"\r\n", b"##0007", b"noise"]), max_size=8), st.integers(1, 9)
)
def test_cuts_do_not_matter(parts, step):
    stream = b"".join(parts)
    whole = Frames().feed(stream)
    reader = Frames()
    cut = [one for at in range(0, len(stream), step) for one in reader.feed(stream[at : at + step])]
    assert [one for one in cut if isinstance(one, Packet)] == [one for one in whole if isinstance(one, Packet)]


@given(st.binary(max_size=600))
def test_no_bytes_make_it_fail_or_keep_more_than_a_frame(data):
    reader = Frames()
    for _ in range(20):
        reader.feed(data)
    assert len(reader._kept) <= 4200
