"""Reports from a real local broker: acknowledged after the disk, refusals counted, a full spool waited for."""

import json

import pytest

from edge_agent.intake import Intake
from edge_agent.sensors import make_sensor
from edge_agent.settings import SensorSettings
from protocols.aio.clock import SystemClock
from protocols.aio.mqtt import MqttLink
from protocols.aio.spool import Spool
from protocols.aio.tasks import Supervisor
from protocols.errors import SpoolFullError
from tests.support.brokers import mosquitto
from tests.support.until import until

pytestmark = pytest.mark.external
CLOCK = SystemClock()


def report(key):
    return json.dumps({"alarm_key": key, "sensor": "gas-1", "severity": 3, "headline": "超限"}).encode()


class Store:
    """The real spool; remembers the keys that it took, and can be without room."""

    def __init__(self, spool):
        self.next_origin_counter = spool.next_origin_counter
        self.keys = []
        self.full = False
        self._spool = spool

    async def put_many(self, items):
        if self.full:
            raise SpoolFullError("full")
        numbers = await self._spool.put_many(items)
        self.keys += [event.data["alarm_key"] for _, event in items]
        return numbers


async def test_reports_are_taken_and_what_does_not_fit_is_counted(tmp_path):
    spool = await Spool.open(tmp_path / "spool.sqlite3", clock=CLOCK)
    store = Store(spool)
    intake = Intake("320623-box", store, CLOCK)
    async with mosquitto(tmp_path) as broker, Supervisor("test") as tasks:
        address = broker.address()
        settings = SensorSettings(kind="mqtt", name="plc", host=address.host, port=address.port, topic="alarms/#")
        tasks.start("sensor", make_sensor(settings, "320623-box", intake, CLOCK).run)
        async with MqttLink(address, "plc-1") as plc:
            await _subscribed(plc, store)
            for number in range(20):
                await plc.publish("alarms/gas", report(f"k{number}"))
            await plc.publish("alarms/gas", b"not json")
            await until(lambda: intake.counters["refused_bad_schema"] == 1)
            assert [key for key in store.keys if key != "first"] == [f"k{number}" for number in range(20)]
            store.full = True
            await plc.publish("alarms/gas", report("late"))
            await until(lambda: intake.counters["refused_spool_full"] >= 1)
            store.full = False
            await until(lambda: "late" in store.keys)
    await spool.close()
    assert store.keys.count("late") == 1


MAPPING = """
[[rule]]
topic = "alarms/+/state"
when = { kind = ["gas"] }
alarm_key = "{topic.1}/gas"
sensor = "{topic.1}"
headline = "可燃气体 {value} %LEL"
value = "value"
severity = { path = "level", map = { HH = 1, H = 2 } }
cleared = { path = "level", values = ["ok"] }
[[rule]]
topic = "alarms/+/alive"
sensor = "{topic.1}"
heartbeat = true
"""


async def test_foreign_payloads_are_explained_by_a_file_and_a_silent_sensor_is_missed(tmp_path):
    (tmp_path / "gas.toml").write_text(MAPPING)
    spool = await Spool.open(tmp_path / "spool.sqlite3", clock=CLOCK)
    store = Store(spool)
    intake = Intake("320623-box", store, CLOCK)
    async with mosquitto(tmp_path) as broker, Supervisor("test") as tasks:
        address = broker.address()
        settings = SensorSettings(
            kind="mqtt", name="plc", host=address.host, port=address.port, topic="alarms/#",
            mapping=tmp_path / "gas.toml", stations=({"id": "gas-7", "title": "加气站"},), silent_after_s=1.0,
        )  # fmt: skip
        tasks.start("sensor", make_sensor(settings, "320623-box", intake, CLOCK).run)
        async with MqttLink(address, "plc-1") as plc:
            await until(lambda: "gas-7/silent" in store.keys)  # nothing was heard of it since the start
            body = json.dumps({"kind": "gas", "level": "HH", "value": 31.5}).encode()
            while "gas-7/gas" not in store.keys:  # its subscription has no other sign
                await plc.publish("alarms/gas-7/state", body)
                await CLOCK.sleep(0.1)
            await until(lambda: store.keys.count("gas-7/silent") >= 2, what="being heard ends the silence")
            refused = intake.counters["refused_bad_schema"]
            await plc.publish("alarms/gas-7/other", b"{}")
            await until(lambda: intake.counters["refused_bad_schema"] == refused + 1)
    await spool.close()


async def _subscribed(plc, store):
    """Publish until the sensor has heard one: its subscription has no other sign."""
    for _ in range(200):
        await plc.publish("alarms/gas", report("first"))
        if store.keys:
            return
        await CLOCK.sleep(0.1)
    raise AssertionError("the sensor never subscribed")
