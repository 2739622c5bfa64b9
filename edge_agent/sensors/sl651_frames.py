"""SL 651-2014 frames (水文监测数据通信规约), hexadecimal coding: read from a byte stream, confirmed downwards. Pure.

`7E7E`, centre, station (5 bytes BCD), password, function, direction and length, STX or SYN, body, ETX or ETB, CRC-16.
**Nothing is believed whose CRC does not fit**, and reading goes on at the next `7E7E`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

BEIJING = timezone(timedelta(hours=8))
START = b"\x7e\x7e"
STX, ETX, EOT, SYN, ETB, ESC = 0x02, 0x03, 0x04, 0x16, 0x17, 0x1B
HEADER, TRAILER = 14, 3
LINK = 0x2F
"""Link upkeep (链路维持报): never answered (6.6.4.2)."""
REPORTS = frozenset({0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36})
"""Test, even interval, timed, additional (an alarm), hourly, by hand, picture."""
STATUS = "45"
_ADDRESS, _OBSERVED, _TEXT, _PICTURE = b"\xf1\xf1", b"\xf0\xf0", b"\xf2\xf2", b"\xf3\xf3"


@dataclass(frozen=True, slots=True)
class Fault:
    """Bytes that are no frame; `code` is the counter: crc, header, segment or noise."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Element:
    """One element: `name` in two or four hexadecimal digits (`39` river level); `value` None where it is missing."""

    name: str
    value: float | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Packet:
    """One uplink frame. `last` is False while more packets of the same message follow; `status` is element 45."""

    station: str
    centre: int
    password: int
    function: int
    serial: int
    sent_at: datetime | None
    last: bool
    elements: tuple[Element, ...]
    status: int | None
    text: str

    @property
    def wants_answer(self) -> bool:
        """Everything but link upkeep is confirmed (mode M2)."""
        return self.function != LINK


def crc(data: bytes) -> int:
    """CRC-16 with polynomial A001 reflected, from all ones; sent with its high byte first."""
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ 0xA001 if register & 1 else register >> 1
    return register


def sealed(data: bytes) -> bytes:
    """Append the CRC."""
    return data + crc(data).to_bytes(2, "big")


def answer(packet: Packet, now: datetime) -> bytes:
    """Confirm an uplink frame; `now` sets the station's idea of time. ESC keeps the station's line open."""
    local = now.astimezone(BEIJING)
    stamp = bytes.fromhex(local.strftime("%y%m%d%H%M%S"))
    body = packet.serial.to_bytes(2, "big") + stamp
    head = START + bytes.fromhex(packet.station) + bytes([packet.centre]) + packet.password.to_bytes(2, "big")
    head += bytes([packet.function]) + (0x8000 | len(body)).to_bytes(2, "big") + bytes([STX])
    return sealed(head + body + bytes([ESC]))


class Frames:
    """Cuts a byte stream into packets; keeps at most one unfinished frame (4 KiB). Never raises."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def feed(self, data: bytes) -> list[Packet | Fault]:
        """Take what came; returns whole packets and faults in their order."""
        self._kept += data
        found: list[Packet | Fault] = []
        while (one := self._next()) is not None:
            found.append(one)
        return found

    def _next(self) -> Packet | Fault | None:
        kept = self._kept
        begin = kept.find(START)
        if begin != 0:
            noise = begin if begin > 0 else len(kept) - (kept[-1:] == START[:1])
            del kept[:noise]
            return Fault("noise", f"{noise} bytes outside a frame") if noise else None
        if len(kept) < HEADER:
            return None
        told = int.from_bytes(kept[11:13], "big")
        if told & 0xF000 or kept[13] not in {STX, SYN}:
            return self._skip("header", "not an uplink header")
        size = HEADER + told + TRAILER
        if len(kept) < size:
            return None
        whole = bytes(kept[:size])
        if crc(whole[:-2]) != int.from_bytes(whole[-2:], "big"):
            return self._skip("crc", f"CRC {whole[-2:].hex()} does not fit")
        del kept[:size]
        return read(whole)

    def _skip(self, code: str, detail: str) -> Fault:
        """Go on behind this frame's head: its length cannot be believed."""
        kept = self._kept
        del kept[:1]
        begin = kept.find(START)
        del kept[: begin if begin >= 0 else len(kept) - (kept[-1:] == START[:1])]
        return Fault(code, detail)


def read(whole: bytes) -> Packet | Fault:
    """Read one frame whose CRC fits."""
    station = whole[3:8].hex()
    if not station.isdigit() or whole[-3] not in {ETX, ETB}:
        return Fault("segment", "the station's address is no BCD, or the frame does not end with ETX or ETB")
    body = whole[HEADER:-TRAILER]
    number = total = 1
    if whole[13] == SYN:
        if len(body) < 3:
            return Fault("segment", "a packet of several has no number")
        total, number = body[0] << 4 | body[1] >> 4, (body[1] & 15) << 8 | body[2]
        body = body[3:]
    serial, sent_at, rest = 0, None, b""
    if number == 1:
        if len(body) < 8:
            return Fault("segment", "serial number and time are missing")
        serial, sent_at, rest = int.from_bytes(body[:2], "big"), moment(body[2:8]), body[8:]
    function = whole[10]
    elements, status, text = _elements(rest, sent_at) if function in REPORTS | {0x46} else ((), None, "")
    password = int.from_bytes(whole[8:10], "big")
    return Packet(station, whole[2], password, function, serial, sent_at, number >= total, elements, status, text)


def _elements(data: bytes, sent_at: datetime | None) -> tuple[tuple[Element, ...], int | None, str]:
    """Read elements until the end, or until one whose length cannot be known."""
    found: list[Element] = []
    status, observed, at = None, sent_at, 0
    while at + 2 <= len(data):
        mark = data[at : at + 2]
        if mark == _ADDRESS:
            at += 8 if data[at + 8 : at + 10] == _OBSERVED else 7  # the class of the station stands in reports only
            continue
        if mark == _OBSERVED:
            observed = moment(data[at + 2 : at + 7] + b"\0") or sent_at
            at += 7
            continue
        if mark == _TEXT:
            return tuple(found), status, data[at + 2 :].decode("gb18030", "replace")
        if mark == _PICTURE:
            break
        width = 2 if data[at] == 0xFF else 1
        name, size, decimals = data[at : at + width].hex(), data[at + width] >> 3, data[at + width] & 7
        value = data[at + width + 1 : at + width + 1 + size]
        if len(value) < size:
            break
        if name == STATUS and size == 4:
            status = int.from_bytes(value, "big")
        elif size <= 6:  # longer ones are series of an hour or a day (F4, F5): history, not a present value
            found.append(Element(name, number(value, decimals), observed))
        at += width + 1 + size
    return tuple(found), status, ""


def number(value: bytes, decimals: int) -> float | None:
    """Read BCD digits; a leading FF means minus; all FF or AA, or what is no BCD, means that there is no value."""
    if not value or value.strip(b"\xff") == b"" or value.strip(b"\xaa") == b"":
        return None
    sign, digits = (-1, value[1:].hex()) if value[0] == 0xFF else (1, value.hex())
    return sign * int(digits) / 10**decimals if digits.isdigit() else None


def moment(value: bytes) -> datetime | None:
    """Read `YYMMDDhhmmss` in BCD, Beijing time; None where it is none."""
    try:
        return datetime.strptime(value.hex(), "%y%m%d%H%M%S").replace(tzinfo=BEIJING)
    except ValueError:
        return None
