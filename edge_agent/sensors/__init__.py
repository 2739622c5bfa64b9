"""Sensors: where alarms come from; a port and one file per kind."""

from edge_agent.intake import Intake
from edge_agent.sensors.source import SensorSource
from edge_agent.settings import SensorSettings
from protocols.aio.clock import Clock


def make_sensor(settings: SensorSettings, node: str, intake: Intake, clock: Clock) -> SensorSource:
    """Make the source of one table of the settings; its name is unique within the agent."""
    match settings.kind:
        case "mqtt":
            from edge_agent.sensors.mqtt import MqttSensor

            return MqttSensor(settings, node, intake, clock)
        case "hj212" | "sl651":
            from edge_agent.sensors.stations import Stations

            return Stations(settings, intake, clock)
        case "modbus":
            from edge_agent.sensors.modbus import Modbus

            return Modbus(settings, intake, clock)
        case "folder":
            from edge_agent.sensors.folder import Folder

            return Folder(settings, intake, clock)
        case "simulator":
            from edge_agent.sensors.simulator import Simulator

            return Simulator(settings, intake, clock)
