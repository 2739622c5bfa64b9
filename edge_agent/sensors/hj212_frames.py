"""HJ 212-2017 frames (污染物在线监控系统数据传输标准): read from a byte stream, answered as the standard asks. Pure.

`##`, four digits of length, the data segment, four hexadecimal digits of CRC, CR LF. **Nothing is believed whose CRC
does not fit**, and reading goes on at the next `##`.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

LONGEST = 4096
"""Bytes of a data segment; the standard allows 1024, some stations send more."""
_HEAD = b"##"
_FRAME = len(_HEAD) + 4 + 4
BEIJING = timezone(timedelta(hours=8))
REAL_TIME, MINUTES, HOURS, DAYS = 2011, 2051, 2061, 2031
DATA_COMMANDS = frozenset({REAL_TIME, MINUTES, HOURS, DAYS})
DATA_ANSWER = 9014
SYSTEM_INTERACTION = 91
_FIELD = re.compile(r"([A-Za-z]+)=([^;]*)")
_VALUE = re.compile(r"[A-Za-z0-9_]+")
_VALUE_OF = {REAL_TIME: "Rtd", MINUTES: "Avg", HOURS: "Avg", DAYS: "Avg"}


@dataclass(frozen=True, slots=True)
class Fault:
    """Bytes that are no frame; `code` is the counter: length, crc, tail, segment or noise."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One factor of one frame: `flag` is N where the instrument calls its value good (table 8 of the standard)."""

    factor: str
    value: float
    flag: str


@dataclass(frozen=True, slots=True)
class Packet:
    """One data segment. `at` is the station's time of the data, None where it named none that can be read."""

    request: str
    system: str
    command: int
    password: str
    station: str
    flag: int
    at: datetime | None
    values: tuple[Measured, ...]

    @property
    def wants_answer(self) -> bool:
        """Bit 0 of the flag (6.3.3): the station repeats the packet until it is answered."""
        return bool(self.flag & 1)


def crc(data: bytes) -> int:
    """Return the CRC of appendix A (it is not the CRC of Modbus: the register is shifted before each byte)."""
    register = 0xFFFF
    for byte in data:
        register = (register >> 8) ^ byte
        for _ in range(8):
            register = (register >> 1) ^ 0xA001 if register & 1 else register >> 1
    return register


def frame(segment: str) -> bytes:
    """Wrap a data segment."""
    body = segment.encode("gb18030")
    return b"##%04d" % len(body) + body + b"%04X\r\n" % crc(body)


def answer(packet: Packet) -> bytes:
    """Return the data answer 9014 (6.6.4) with the packet's own request number."""
    return frame(
        f"QN={packet.request};ST={SYSTEM_INTERACTION};CN={DATA_ANSWER};PW={packet.password};"
        f"MN={packet.station};Flag=4;CP=&&&&"
    )


class Frames:
    """Cuts a byte stream into packets; keeps at most one unfinished frame. Never raises."""

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
        begin = kept.find(_HEAD)
        if begin != 0:
            noise = len(kept) - (kept[-1:] == b"#") if begin < 0 else begin
            dropped = bytes(kept[:noise])
            del kept[:noise]
            if dropped.strip(b"\r\n"):
                return Fault("noise", f"{len(dropped)} bytes outside a frame")
            return self._next() if begin > 0 else None
        if len(kept) < len(_HEAD) + 4:
            return None
        digits = bytes(kept[2:6])
        if not digits.isdigit() or int(digits) > LONGEST:
            return self._skip("length", f"length {digits!r}; at most {LONGEST}")
        return self._whole(int(digits))

    def _whole(self, size: int) -> Packet | Fault | None:
        kept = self._kept
        if len(kept) < _FRAME + size:
            return None
        body, told = bytes(kept[6 : 6 + size]), bytes(kept[6 + size : 10 + size])
        if told.upper() != b"%04X" % crc(body):
            return self._skip("crc", f"CRC {told!r} does not fit")
        del kept[: _FRAME + size]
        return read(body)

    def _skip(self, code: str, detail: str) -> Fault:
        """Go on behind this frame's head: its length cannot be believed."""
        kept = self._kept
        del kept[:1]
        begin = kept.find(_HEAD)
        del kept[: begin if begin >= 0 else len(kept) - (kept[-1:] == b"#")]
        return Fault(code, detail)


def read(body: bytes) -> Packet | Fault:
    """Read one data segment."""
    try:
        text = body.decode("gb18030")
    except UnicodeDecodeError:
        return Fault("segment", "the data segment is neither ASCII nor GB 18030")
    head, found, rest = text.partition("CP=&&")
    parameters, closed, _ = rest.partition("&&")
    fields = dict(_FIELD.findall(head))
    try:
        command, flag = int(fields["CN"]), int(fields.get("Flag", "0"))
        station, system = fields["MN"], fields["ST"]
    except (KeyError, ValueError):
        return Fault("segment", "ST, CN, MN and Flag are needed")
    if not found or not closed or not station:
        return Fault("segment", "CP=&&…&& is missing or not closed")
    at, values = _parameters(parameters, command)
    return Packet(fields.get("QN", ""), system, command, fields.get("PW", ""), station, flag, at, values)


def _parameters(text: str, command: int) -> tuple[datetime | None, tuple[Measured, ...]]:
    at: datetime | None = None
    wanted = _VALUE_OF.get(command, "")
    values: dict[str, float] = {}
    flags: dict[str, str] = {}
    for group in text.split(";"):
        for item in group.split(","):
            name, _, value = item.partition("=")
            if name == "DataTime":
                at = moment(value)
                continue
            factor, _, what = name.partition("-")
            if not _VALUE.fullmatch(factor):
                continue
            if what == wanted and (number := _number(value)) is not None:
                values[factor] = number
            elif what == "Flag":
                flags[factor] = value
    return at, tuple(Measured(factor, value, flags.get(factor, "N")) for factor, value in values.items())


def moment(text: str) -> datetime | None:
    """Read `YYYYMMDDhhmmss` of Beijing time; None where it is none."""
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=BEIJING)
    except ValueError:
        return None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if -1e12 < value < 1e12 else None
