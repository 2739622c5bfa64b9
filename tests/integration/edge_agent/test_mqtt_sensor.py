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


async def test_reports_are_taken_and_what_does_not_fit_is_counted(tmp_path):
    spool = await Spool.open(tmp_path / "spool.sqlite3", clock=CLOCK)
    intake = Intake("320623-box", spool, CLOCK)
    async with mosquitto(tmp_path) as broker, Supervisor("test") as tasks:
        address = broker.address()
        settings = SensorSettings(kind="mqtt", name="plc", host=address.host, port=address.port, topic="alarms/#")
        tasks.start("sensor", make_sensor(settings, "320623-box", intake, CLOCK).run)
        async with MqttLink(address, "plc-1") as plc:
            await _subscribed(plc, intake)
            for number in range(20):
                await plc.publish("alarms/gas", report(f"k{number}"))
            await plc.publish("alarms/gas", b"not json")
            await until(lambda: intake.counters["taken"] >= 21)
            assert intake.counters["refused_bad_schema"] == 1
            intake_store, intake._store = intake._store, Full(spool)
            await plc.publish("alarms/gas", report("late"))
            await until(lambda: intake.counters["refused_spool_full"] >= 1)
            intake._store = intake_store
            await until(lambda: intake.counters["taken"] == 22)
    await spool.close()


class Full:
    """A spool without room."""

    def __init__(self, spool):
        self.next_origin_counter = spool.next_origin_counter

    async def put_many(self, items):
        raise SpoolFullError("full")


async def _subscribed(plc, intake):
    """Publish until the sensor has heard one: its subscription has no other sign."""
    for _ in range(200):
        await plc.publish("alarms/gas", report("first"))
        if intake.counters["taken"]:
            break
        await CLOCK.sleep(0.1)
    await until(lambda: intake.counters["taken"])
    intake.counters["taken"] = 1
