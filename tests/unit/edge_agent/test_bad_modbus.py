"""Bad answers of a Modbus device, one table: counted, the other points still read, no alarm made or lost by them."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from edge_agent.sensors import modbus
from edge_agent.sensors.modbus import Modbus
from edge_agent.settings import SensorSettings
from protocols.aio.clock import SystemClock
from protocols.aio.tasks import Supervisor
from protocols.alarm import CLEARED, RAISED
from tests.support.sensor_spool import sensor_spool
from tests.support.until import until

CLOCK = SystemClock()
LEVEL, BAD_ONE = 0, 9
Answer = Callable[[bytes], bytes]
"""What a device sends for one request: header of 7 bytes (MBAP), then function and data."""


def framed(request: bytes, body: bytes, *, transaction: bytes | None = None, unit: int | None = None) -> bytes:
    """Return an answer with a true header (Modbus Messaging on TCP/IP, 3.1.3)."""
    where = request[6] if unit is None else unit
    return (transaction or request[:2]) + b"\0\0" + struct.pack(">HB", len(body) + 1, where) + body


def registers(request: bytes, *values: int, **more: int | bytes) -> bytes:
    data = struct.pack(f">{len(values)}H", *values)
    return framed(request, bytes([request[7], len(data)]) + data, **more)


def float32(value: float) -> Answer:
    return lambda request: registers(request, *struct.unpack(">2H", struct.pack(">f", value)))


BAD: dict[str, tuple[Answer, str]] = {
    "no answer": (lambda _: b"", "no_answer"),
    "half a header": (lambda request: request[:4], "no_answer"),
    "truncated": (lambda request: registers(request, 1, 2)[:-2], "no_answer"),
    "noise": (lambda _: bytes(range(256)) * 4, "no_answer"),
    "another protocol": (lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n", "no_answer"),
    "an exception": (lambda request: framed(request, bytes([request[7] | 0x80, 2])), "device_exception"),
    "a count that lies": (lambda request: framed(request, bytes([request[7], 200]) + b"\0\1"), "no_answer"),
    "too few registers": (lambda request: registers(request, 1), "bad_value"),
    "too many registers": (lambda request: registers(request, *range(100)), "bad_value"),
    "no register": (registers, "bad_value"),
    "another function": (lambda request: framed(request, b"\x10\0\0\0\1"), "bad_value"),
    "of another transaction": (lambda request: registers(request, 1, 2, transaction=b"\xee\xee"), "no_answer"),
    "of another unit": (lambda request: registers(request, 1, 2, unit=77), "no_answer"),
    "not a number": (float32(float("nan")), "bad_value"),
    "infinite": (float32(float("inf")), "bad_value"),
}


class Device:
    """Answers a good level at LEVEL, and what is planted at BAD_ONE."""

    def __init__(self) -> None:
        self.level = 1.0
        self.bad: Answer = lambda _: b""
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            while True:
                request = await reader.readexactly(12)
                (address,) = struct.unpack(">H", request[8:10])
                writer.write(float32(self.level)(request) if address == LEVEL else self.bad(request))
                await writer.drain()


@pytest.fixture
async def device() -> AsyncIterator[Device]:
    made = Device()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made


@pytest.fixture
async def told(tmp_path: Path, device: Device, monkeypatch: pytest.MonkeyPatch):
    """Return the intake, and the events that it stored: the level is watched, the other point only disturbs."""
    monkeypatch.setattr(modbus, "ANSWER_S", 0.05)
    point = {"station": "tank-1", "form": "float32"}
    settings = SensorSettings(
        name="s",
        kind="modbus",
        port=device.port,
        every_s=0.05,
        stations=[{"id": "tank-1", "title": "1 号储罐"}],
        points=[
            point | {"element": "bad", "address": BAD_ONE},
            point | {"element": "level", "address": LEVEL},
        ],
        limits=[
            {"element": "level", "name": "液位", "severity": 1, "unit": "m", "high": 8.0},
            {"element": "bad", "name": "压力", "severity": 1, "unit": "MPa", "low": 0.5},
        ],
    )
    async with sensor_spool(tmp_path, CLOCK) as (intake, events), Supervisor("test") as tasks:
        tasks.start("sensor", Modbus(settings, intake, CLOCK).run)
        yield intake, events, tasks


def course(events, element: str) -> list[str]:
    """Return what became of an element's alarm; the first good value clears it once."""
    return [event.type for event in events if event.data["alarm_key"].split("/")[1] == element]


@pytest.mark.parametrize("name", list(BAD))
async def test_a_bad_answer_is_counted_and_costs_no_alarm_of_the_others(device: Device, told, name: str) -> None:
    intake, events, tasks = told
    device.bad, code = BAD[name]
    await until(lambda: intake.counters["refused_" + code] >= 2, what=f"{code}: {dict(intake.counters)}")
    device.level = 9.5
    await until(lambda: course(events, "level")[-1:] == [RAISED])
    device.level = 2.0
    await until(lambda: course(events, "level")[-2:] == [RAISED, CLEARED])
    assert course(events, "bad") == [], "no value, no change"
    assert tasks.counters["restarted"] == 0


async def test_an_alarm_stands_through_bad_answers_and_ends_by_a_value(device: Device, told) -> None:
    intake, events, _ = told
    device.bad = float32(0.1)
    await until(lambda: course(events, "bad") == [RAISED])
    device.bad = float32(float("nan"))
    before = intake.counters["refused_bad_value"]
    await until(lambda: intake.counters["refused_bad_value"] >= before + 3)
    assert course(events, "bad") == [RAISED]
    device.bad = float32(0.9)
    await until(lambda: course(events, "bad") == [RAISED, CLEARED])


async def test_answers_that_come_twice_are_taken_once(device: Device, told) -> None:
    _, events, tasks = told
    device.bad = lambda request: float32(0.9)(request) * 2
    device.level = 9.5
    await until(lambda: RAISED in course(events, "level"))
    device.level = 2.0
    await until(lambda: course(events, "level")[-2:] == [RAISED, CLEARED])
    assert course(events, "level").count(RAISED) == 1
    assert tasks.counters["restarted"] == 0
