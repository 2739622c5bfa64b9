"""Sensor kinds `hj212` and `sl651`: one TCP listener for stations that report by themselves.

**A frame is answered only after its alarms are in the spool**; a station repeats what was not answered. What is no
frame, comes from an unknown station or bears a wrong password is refused, counted and not answered.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from edge_agent.intake import Intake
from edge_agent.sensors import hj212_frames, sl651_frames
from edge_agent.sensors.keeper import Keeper
from edge_agent.sensors.limits import Change, Limits
from edge_agent.settings import SensorSettings
from protocols.aio.clock import Clock
from protocols.alarm import Severity

logger = logging.getLogger(__name__)
CONNECTIONS = 256
IDLE_S = 1800.0
"""A line without a byte for half an hour is a dead one: stations report at least hourly or keep their line up."""
CLOCK_OFF = timedelta(hours=12)
"""A station's time that is further off is not taken over: its alarm must not be lost for its clock."""
STATUS_BITS = {
    0: ("power", "交流电停电", Severity.YELLOW),
    1: ("battery", "蓄电池电压低", Severity.YELLOW),
    2: ("level", "水位超限", Severity.ORANGE),
    3: ("flow", "流量超限", Severity.ORANGE),
    4: ("quality", "水质超限", Severity.ORANGE),
    5: ("flow-meter", "流量仪表故障", Severity.BLUE),
    6: ("level-meter", "水位仪表故障", Severity.BLUE),
    8: ("memory", "存储器异常", Severity.BLUE),
}
"""Alarm bits of element 45 (SL 651-2014 table 58); the door of bit 7 is open at 0 and no alarm of ours."""
_HJ212_FAULT = "D"
_HJ212_OVER = "T"


@dataclass(frozen=True, slots=True)
class Heard:
    """One frame that can be believed: its station, its alarms, and the answer that is due once they are stored."""

    station: str
    password: str
    changes: list[Change]
    answer: bytes


class Fault(Protocol):
    """What a codec could not read."""

    @property
    def code(self) -> str:
        """Name of the counter."""
        ...

    @property
    def detail(self) -> str:
        """Sentence for the log."""
        ...


class Codec(Protocol):
    """One connection's bytes to frames."""

    def feed(self, data: bytes, now: datetime) -> Iterator[Heard | Fault]:
        """Take what came; a frame is compared with the limits only when it is asked for."""
        ...


class Hj212:
    """HJ 212-2017: values of real time and of minutes against the limits, the instrument's own flags as alarms."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._frames = hj212_frames.Frames()

    def feed(self, data: bytes, now: datetime) -> Iterator[Heard | Fault]:
        """See Codec."""
        for found in self._frames.feed(data):
            yield found if isinstance(found, hj212_frames.Fault) else self._one(found, now)

    def _one(self, packet: hj212_frames.Packet, now: datetime) -> Heard:
        changes: list[Change] = []
        at = believable(packet.at, now)
        if packet.command in {hj212_frames.REAL_TIME, hj212_frames.MINUTES}:
            for one in packet.values:
                if one.flag in {"N", _HJ212_OVER}:
                    changes += self._limits.measured(packet.station, one.factor, one.value, at)
                for flag, key, said in ((_HJ212_FAULT, "fault", "仪表故障"), (_HJ212_OVER, "over", "超测量上限")):
                    changes += self._limits.flagged(
                        packet.station, f"{one.factor}/{key}", f"{one.factor} {said}", Severity.BLUE,
                        raised=one.flag == flag,
                    )  # fmt: skip
        answer = hj212_frames.answer(packet) if packet.wants_answer else b""
        return Heard(packet.station, packet.password, changes, answer)


class Sl651:
    """SL 651-2014: elements against the limits, the station's status bits as alarms."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._frames = sl651_frames.Frames()

    def feed(self, data: bytes, now: datetime) -> Iterator[Heard | Fault]:
        """See Codec."""
        for found in self._frames.feed(data):
            yield found if isinstance(found, sl651_frames.Fault) else self._one(found, now)

    def _one(self, packet: sl651_frames.Packet, now: datetime) -> Heard:
        changes: list[Change] = []
        for element in packet.elements:
            if element.value is not None:
                changes += self._limits.measured(
                    packet.station, element.name, element.value, believable(element.at, now)
                )
        if packet.status is not None:
            for bit, (key, said, severity) in STATUS_BITS.items():
                raised = bool(packet.status >> bit & 1)
                changes += self._limits.flagged(packet.station, f"status/{key}", said, severity, raised=raised)
        answer = sl651_frames.answer(packet, now) if packet.wants_answer and packet.last else b""
        return Heard(packet.station, f"{packet.password:04x}", changes, answer)


def believable(at: datetime | None, now: datetime) -> datetime | None:
    """Return the station's time, or None (the time of arrival stands) where its clock cannot be right."""
    return at if at is not None and abs(at - now) < CLOCK_OFF else None


CODECS: dict[str, Callable[[Limits], Codec]] = {"hj212": Hj212, "sl651": Sl651}


class Stations:
    """The listener of one table of the settings."""

    def __init__(self, settings: SensorSettings, intake: Intake, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._passwords = {station.id: station.password for station in settings.stations}
        self._keeper = Keeper(settings, intake, clock)
        self._lines = 0
        self.port = settings.port

    async def run(self) -> None:
        """Listen until cancelled; raises OSError where the port is taken."""
        server = await asyncio.start_server(self._line, self._settings.host, self._settings.port, limit=1 << 16)
        self.port = server.sockets[0].getsockname()[1]
        logger.info("stations awaited", extra={"sensor": self._settings.name, "port": self.port})
        try:
            async with server:
                await self._keeper.watch()
        finally:
            server.close()

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._lines >= CONNECTIONS:
            self._keeper.refuse("too_many_lines", f"more than {CONNECTIONS} stations at once")
            writer.close()
            return
        self._lines += 1
        codec = CODECS[self._settings.kind](self._keeper.limits)
        try:
            while True:
                async with asyncio.timeout(IDLE_S):
                    data = await reader.read(4096)
                if not data:
                    return
                await self._take(codec, data, writer)
        except (TimeoutError, ConnectionError) as error:
            extra = {"sensor": self._settings.name, "reason": type(error).__name__}
            logger.info("station's line ended", extra=extra)
        finally:
            self._lines -= 1
            writer.close()

    async def _take(self, codec: Codec, data: bytes, writer: asyncio.StreamWriter) -> None:
        # One frame after the other: what a frame changes must be stored before the next one is compared.
        async with self._keeper.storing:
            for one in codec.feed(data, self._clock.now()):
                if not isinstance(one, Heard):
                    self._keeper.refuse(one.code, one.detail)
                    continue
                wanted = self._passwords.get(one.station)
                if wanted is None or (wanted and wanted != one.password):
                    reason = "unknown_station" if wanted is None else "wrong_password"
                    self._keeper.refuse(reason, f"station {one.station}: compare with the stations of this sensor")
                    continue
                back = self._keeper.limits.heard(one.station, self._clock.now())
                if await self._keeper.store([*back, *one.changes]):
                    writer.write(one.answer)
        await writer.drain()
