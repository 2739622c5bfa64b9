"""Modbus against a real server, and files in a real folder, into the real spool."""

import json
from contextlib import asynccontextmanager

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from edge_agent.sensors import folder, make_sensor
from edge_agent.sensors.keeper import Keeper
from edge_agent.settings import SensorSettings
from protocols.aio.clock import SystemClock
from protocols.aio.tasks import Supervisor
from tests.support.sensor_spool import sensor_spool
from tests.support.until import until

CLOCK = SystemClock()


@asynccontextmanager
async def running(tmp_path, **settings):
    async with sensor_spool(tmp_path, CLOCK) as (intake, events), Supervisor("test") as tasks:
        source = make_sensor(SensorSettings(name="s", **settings), "320623-box", intake, CLOCK)
        tasks.start("sensor", source.run)
        yield events, intake


@asynccontextmanager
async def device(level):
    registers = [SimData(0, values=[level], datatype=DataType.UINT16)]
    server = ModbusTcpServer(SimDevice(1, simdata=registers), address=("127.0.0.1", 0))
    await server.listen()
    try:
        yield server
    finally:
        await server.shutdown()


def plant(port):
    return {
        "kind": "modbus",
        "port": port,
        "every_s": 0.05,
        "stations": [{"id": "tank-1", "title": "1 号储罐"}],
        "points": [
            {"element": "level", "station": "tank-1", "address": 0, "form": "uint16", "scale": 0.01},
            {"element": "missing", "station": "tank-1", "address": 9},
        ],
        "limits": [{"element": "level", "name": "液位", "severity": 1, "unit": "m", "high": 8.0}],
    }


async def test_a_value_over_its_limit_is_one_alarm_and_a_missing_register_is_counted(tmp_path):
    async with device(850) as server:
        port = server.transport.sockets[0].getsockname()[1]
        async with running(tmp_path, **plant(port)) as (events, intake):
            await until(lambda: intake.counters["refused_device_exception"] >= 3)
            assert [event.data["headline"] for event in events] == ["1 号储罐液位 8.5m,超上限 8m"]


async def test_an_address_that_is_away_is_tried_again(tmp_path, unused_tcp_port):
    async with running(tmp_path, **plant(unused_tcp_port)) as (events, intake):
        await until(lambda: intake.counters["refused_unreachable"] >= 1)
        assert events == []


def report(key, **fields):
    return {"alarm_key": key, "sensor": "gas-1", "severity": 3, "headline": "超限", **fields}


async def test_files_are_taken_once_and_bad_ones_are_set_aside_with_their_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "EVERY_S", 0.02)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "1.json").write_text(json.dumps([report("a"), report("b")]))
    (inbox / "2.json").write_text("{not json")
    (inbox / "3.json").write_bytes(b" " * (2 << 20))
    (inbox / "4.tmp").write_text("half written")
    async with running(tmp_path, kind="folder", folder=inbox) as (events, intake):
        await until(lambda: not list(inbox.glob("*.json")))
        await until(lambda: len(list((inbox / "refused").glob("*.json"))) == 2)
        assert [event.data["alarm_key"] for event in events] == ["a", "b"]
        assert "JSON" in (inbox / "refused" / "2.json.reason").read_text()
        assert intake.counters["refused_bad_schema"] == intake.counters["refused_too_large"] == 1
        assert (inbox / "4.tmp").exists()
        (inbox / "1.json").write_text(json.dumps([report("a"), report("b")]))
        await until(lambda: len(events) == 4)
        assert len({event.id for event in events}) == 4


async def test_the_same_file_after_a_crash_has_the_same_ids(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "EVERY_S", 0.02)
    monkeypatch.setattr(folder, "_move", lambda *_: None)  # as if the process had died before it
    (tmp_path / "1.json").write_text(json.dumps(report("a")))
    async with running(tmp_path, kind="folder", folder=tmp_path) as (events, _):
        await until(lambda: len(events) >= 3)
        assert len({event.id for event in events}) == 1


async def test_a_folder_that_is_away_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "EVERY_S", 0.02)
    inbox = tmp_path / "share"
    async with running(tmp_path, kind="folder", folder=inbox) as (events, _):
        inbox.mkdir()
        (inbox / "1.json").write_text(json.dumps(report("a")))
        await until(lambda: len(events) == 1)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "modbus"}, "needs its stations"),
        ({"kind": "modbus", "stations": [{"id": "1"}]}, "needs its points"),
        ({"kind": "folder"}, "needs its folder"),
        (
            {"kind": "modbus", "stations": [{"id": "1"}], "points": [{"element": "x", "station": "2", "address": 1}]},
            "2",
        ),
    ],
)
def test_settings_that_cannot_work_say_why(settings, said):
    with pytest.raises(ValueError, match=said):
        SensorSettings(name="s", **settings)


async def test_a_full_spool_is_waited_for_once(tmp_path):
    class Full:
        refused_count = 0

        def refused(self, *_):
            self.refused_count += 1

        async def take(self, *_):
            from protocols.errors import SpoolFullError

            raise SpoolFullError("full")

    from protocols.aio.clock import ManualClock

    clock, intake = ManualClock(), Full()
    settings = SensorSettings(
        kind="hj212", name="s", stations=[{"id": "1"}],
        limits=[{"element": "x", "name": "x", "severity": 1, "high": 1}],
    )  # fmt: skip
    keeper = Keeper(settings, intake, clock)
    async with Supervisor("test", clock=clock) as tasks:
        stored = []

        async def keep():
            stored.append(await keeper.keep(lambda _: keeper.limits.measured("1", "x", 2.0, None)))

        tasks.start("keep", keep, restart=False)
        await until(lambda: intake.refused_count == 1)
        await clock.advance(6)
        await until(lambda: stored == [False])
        assert keeper.limits.measured("1", "x", 2.0, None)
