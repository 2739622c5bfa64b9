from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.sensors.sl651_frames import BEIJING, Element, Fault, Frames, Packet, answer, number, sealed

UPKEEP = bytes.fromhex("7E7E01001234567812342F0008020003591011155111036BCA")
"""Link upkeep, the standard's own example."""


def report(function: int, elements: str, station: str = "0012345678", serial: int = 7, stx: int = 2) -> bytes:
    body = serial.to_bytes(2, "big") + bytes.fromhex("261124083000")
    body += bytes.fromhex("f1f1" + station + "48" + "f0f0" + "2611240830" + elements)
    head = b"\x7e\x7e\x01" + bytes.fromhex(station) + b"\x12\x34" + bytes([function])
    return sealed(head + len(body).to_bytes(2, "big") + bytes([stx]) + body + b"\x03")


def test_the_standards_example_is_read_and_not_answered():
    (packet,) = Frames().feed(UPKEEP)
    assert isinstance(packet, Packet)
    assert (packet.station, packet.function, packet.serial, packet.password) == ("0012345678", 0x2F, 3, 0x1234)
    assert packet.sent_at == datetime(2059, 10, 11, 15, 51, 11, tzinfo=BEIJING)
    assert not packet.wants_answer


def test_elements_of_an_alarm_report_are_read():
    (packet,) = Frames().feed(report(0x33, "3923" + "00003725" + "2019" + "000005" + "3812" + "1115"))
    assert isinstance(packet, Packet)
    at = datetime(2026, 11, 24, 8, 30, tzinfo=BEIJING)
    assert packet.elements == (Element("39", 3.725, at), Element("20", 0.5, at), Element("38", 11.15, at))
    assert packet.last
    assert packet.wants_answer


def test_status_bits_and_series_and_missing_values():
    (packet,) = Frames().feed(report(0x33, "4520" + "00000004" + "f460" + "00" * 12 + "3923" + "ffffffff"))
    assert isinstance(packet, Packet)
    assert packet.status == 4
    assert packet.elements == (Element("39", None, packet.elements[0].at),)


def test_manual_text_and_an_element_that_is_cut_off():
    (packet,) = Frames().feed(report(0x35, "f2f2" + "水位正常".encode("gb18030").hex()))
    assert isinstance(packet, Packet)
    assert packet.text == "水位正常"
    (cut,) = Frames().feed(report(0x32, "3923" + "0000"))
    assert isinstance(cut, Packet)
    assert cut.elements == ()


@pytest.mark.parametrize(
    ("value", "decimals", "wanted"),
    [("000005", 1, 0.5), ("ff0123", 1, -12.3), ("ffffff", 1, None), ("aaaaaa", 0, None), ("00a0", 0, None)],
)
def test_numbers(value, decimals, wanted):
    assert number(bytes.fromhex(value), decimals) == wanted


def test_the_answer_keeps_the_line_and_sets_the_clock():
    (packet,) = Frames().feed(report(0x32, "3923" + "00003725"))
    assert isinstance(packet, Packet)
    sent = answer(packet, datetime(2026, 11, 24, 0, 30, tzinfo=UTC))
    assert sent.hex().startswith("7e7e" + "0012345678" + "01" + "1234" + "32" + "8008" + "02" + "0007" + "261124083000")
    assert sent[-3] == 0x1B
    assert sealed(sent[:-2]) == sent


def test_a_wrong_crc_costs_that_frame_only():
    good = report(0x32, "3923" + "00003725")
    broken = good.replace(bytes.fromhex("00003725"), bytes.fromhex("00003726"))
    found = Frames().feed(broken + good)
    assert [one.code if isinstance(one, Fault) else one.function for one in found] == ["crc", 0x32]


@given(
    st.lists(st.sampled_from([UPKEEP, b"\x7e", b"\x7e\x7e", b"\x00", b"\x7e\x7e\x01\x00\x12"]), max_size=8),
    st.integers(1, 9),
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


@given(st.binary(max_size=80), st.integers(0, 255))
def test_a_body_of_rubbish_with_a_right_crc_is_read_or_named(body, function):
    head = b"\x7e\x7e\x01" + bytes.fromhex("0012345678") + b"\x12\x34" + bytes([function])
    found = Frames().feed(sealed(head + len(body).to_bytes(2, "big") + b"\x02" + body + b"\x03"))
    assert len(found) == 1
