"""Stations over real TCP into the real spool: answered after the disk, refusals counted and unanswered."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from edge_agent.intake import Intake
from edge_agent.sensors import make_sensor
from edge_agent.sensors.hj212_frames import BEIJING, Frames, Packet, frame
from edge_agent.sensors.sl651_frames import sealed
from edge_agent.settings import SensorSettings
from protocols.aio.clock import SystemClock
from protocols.aio.spool import Spool
from protocols.aio.tasks import Supervisor
from protocols.errors import SpoolFullError
from tests.support.until import until

CLOCK = SystemClock()
STATION = "A320623000000001"


class Store:
    """The real spool; remembers what it took, and can be without room."""

    def __init__(self, spool):
        self.next_origin_counter = spool.next_origin_counter
        self.events = []
        self.full = False
        self._spool = spool

    async def put_many(self, items):
        if self.full:
            raise SpoolFullError("full")
        numbers = await self._spool.put_many(items)
        self.events += [event for _, event in items]
        return numbers


@asynccontextmanager
async def listening(tmp_path, **settings):
    store = Store(await Spool.open(tmp_path / "spool.sqlite3", clock=CLOCK))
    intake = Intake("320623-box", store, CLOCK)
    source = make_sensor(SensorSettings(name="s", port=0, **settings), "320623-box", intake, CLOCK)
    async with Supervisor("test") as tasks:
        tasks.start("sensor", source.run)
        await until(lambda: source.port != 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", source.port)
        try:
            yield store, intake, reader, writer
        finally:
            writer.close()
    await store._spool.close()


def hj212(value, *, station=STATION, password="123456", at=None):
    moment = (at or CLOCK.now().astimezone(BEIJING)).strftime("%Y%m%d%H%M%S")
    return frame(
        f"QN={moment}001;ST=31;CN=2011;PW={password};MN={station};Flag=5;"
        f"CP=&&DataTime={moment};a21026-Rtd={value},a21026-Flag=N&&"
    )


HJ212 = {
    "kind": "hj212",
    "stations": [{"id": STATION, "title": "洋口化工园", "password": "123456"}],
    "limits": [{"element": "a21026", "name": "二氧化硫", "severity": 2, "unit": "mg/m³", "high": 35.0}],
}


async def answers(reader, count):
    frames, found = Frames(), []
    while len(found) < count:
        found += frames.feed(await asyncio.wait_for(reader.read(4096), 10))
    return found


async def test_an_hj212_station_is_answered_and_its_alarm_is_stored_once(tmp_path):
    async with listening(tmp_path, **HJ212) as (store, _, reader, writer):
        writer.write(hj212(36) + hj212(37) + hj212(20))
        found = await answers(reader, 3)
        assert all(isinstance(one, Packet) and one.command == 9014 for one in found)
        kinds = [event.type.rsplit(".", 2)[-2] for event in store.events]
        assert len(store.events) == 2, kinds
        assert store.events[0].data["headline"] == "洋口化工园二氧化硫 36mg/m³,超上限 35mg/m³"


async def test_strangers_wrong_passwords_and_noise_are_counted_and_not_answered(tmp_path):
    async with listening(tmp_path, **HJ212) as (store, intake, reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n\r\n" + hj212(99, station="other") + hj212(99, password="000000"))
        broken = hj212(99).replace(b"a21026-Rtd=99", b"a21026-Rtd=98")
        writer.write(broken + hj212(10))
        (only,) = await answers(reader, 1)
        assert only.station == STATION
        assert {code for code in intake.counters if code.startswith("refused_")} == {
            "refused_noise", "refused_unknown_station", "refused_wrong_password", "refused_crc",
        }  # fmt: skip
        assert [event.data["value"] for event in store.events] == [10]


async def test_a_station_with_a_wrong_clock_still_raises_its_alarm(tmp_path):
    async with listening(tmp_path, **HJ212) as (store, _, reader, writer):
        writer.write(hj212(99, at=CLOCK.now().astimezone(BEIJING) - timedelta(days=400)))
        await answers(reader, 1)
        assert abs((CLOCK.now() - store.events[0].time).total_seconds()) < 60


async def test_a_full_spool_leaves_the_frame_unanswered_until_there_is_room(tmp_path):
    async with listening(tmp_path, **HJ212) as (store, intake, reader, writer):
        store.full = True
        writer.write(hj212(99))
        await until(lambda: intake.counters["refused_spool_full"] >= 1)
        assert not store.events
        store.full = False
        await answers(reader, 1)
        assert len(store.events) == 1


async def test_an_sl651_station_is_confirmed_and_its_status_is_an_alarm(tmp_path):
    settings = {
        "kind": "sl651",
        "stations": [{"id": "0012345678", "title": "如东水文站"}],
        "limits": [{"element": "39", "name": "水位", "severity": 1, "unit": "m", "high": 3.5}],
    }
    moment = CLOCK.now().astimezone(BEIJING)
    body = b"\x00\x09" + bytes.fromhex(moment.strftime("%y%m%d%H%M%S"))
    body += bytes.fromhex("f1f1001234567848f0f0" + moment.strftime("%y%m%d%H%M") + "3923000037254520" + "00000005")
    head = bytes.fromhex("7e7e010012345678123433") + len(body).to_bytes(2, "big") + b"\x02"
    async with listening(tmp_path, **settings) as (store, _, reader, writer):
        writer.write(sealed(head + body + b"\x03"))
        back = await asyncio.wait_for(reader.readexactly(25), 10)
        assert back[:2] == b"\x7e\x7e"
        assert sealed(back[:-2]) == back
        said = sorted(event.data["headline"] for event in store.events)
        assert said == ["如东水文站交流电停电", "如东水文站水位 3.725m,超上限 3.5m", "如东水文站水位超限"]


def test_a_listener_without_stations_is_refused():
    with pytest.raises(ValueError, match="needs its stations"):
        SensorSettings(kind="hj212", name="s")
