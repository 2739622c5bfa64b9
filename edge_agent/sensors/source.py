"""Port `sensor`: one source of alarms.

A source hands its reports to `Intake.take` and lets its sensor go only after that has returned. **It never gives up and
never drops**: a source that is away is tried again with a growing delay, a full spool is waited for or told to the
sensor. The webhook is no source of this kind: it is one listener for all its senders.
"""

from typing import Protocol


class SensorSource(Protocol):
    """Made by `edge_agent.sensors.make_sensor` from one table of the settings."""

    async def run(self) -> None:
        """Work until cancelled; what is not yet acknowledged to the sensor then comes again."""
        ...
