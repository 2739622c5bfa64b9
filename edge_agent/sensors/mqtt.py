"""Sensor kind `mqtt`: reports from a local broker.

**A message is acknowledged only after the spool's commit**, so a broker with persistent sessions gives it again after
a crash; what does not fit is refused, counted and acknowledged.
"""

import logging
import random

from edge_agent.intake import Intake
from edge_agent.sensors.reports import read_reports
from edge_agent.settings import SensorSettings
from protocols.aio.clock import Clock
from protocols.aio.mqtt import BrokerAddress, MqttError, MqttLink
from protocols.backoff import Backoff
from protocols.errors import BadInputError, LinkError, SpoolFullError

logger = logging.getLogger(__name__)
RETRY = Backoff(base=0.5, cap=15.0)
_FULL_PAUSE_S = 5.0
_SESSION_S = 24 * 3600


class MqttSensor:
    """One subscription at one local broker."""

    def __init__(self, settings: SensorSettings, node: str, intake: Intake, clock: Clock) -> None:
        self._settings = settings
        self._node = node
        self._intake = intake
        self._clock = clock

    async def run(self) -> None:
        """Read until cancelled; a lost broker is tried again for ever."""
        attempt = 0
        while True:
            began = self._clock.monotonic()
            try:
                await self._session()
            except LinkError as error:
                reason = error.reason if isinstance(error, MqttError) else error.code
                fields = {"sensor": self._settings.name, "reason": reason, "detail": str(error)}
                logger.warning("sensor broker lost", extra=fields)
            attempt = 0 if self._clock.monotonic() - began > 30 else attempt + 1
            await self._clock.sleep(RETRY.delay(attempt, random.random()))  # noqa: S311 - jitter, no secret

    async def _session(self) -> None:
        chosen = self._settings
        password = chosen.password_file.read_text("utf-8").strip() if chosen.password_file else None
        address = BrokerAddress(chosen.host, chosen.port, username=chosen.username or None, password=password)
        link = MqttLink(address, f"silian-{self._node}-{chosen.name}", session_expiry_s=_SESSION_S)
        async with link:
            await link.subscribe(chosen.topic, qos=1)
            logger.info("sensor broker connected", extra={"sensor": chosen.name, "topic": chosen.topic})
            async for message in link.messages():
                await self._take(message.payload)
                link.ack(message)

    async def _take(self, payload: bytes) -> None:
        while True:
            try:
                await self._intake.take(read_reports(payload), self._settings.name)
            except BadInputError as error:
                self._intake.refused(error.code, self._settings.name, str(error))
                return
            except SpoolFullError as error:
                self._intake.refused(error.code, self._settings.name, str(error))
                await self._clock.sleep(_FULL_PAUSE_S)  # not acknowledged: the broker keeps it and slows the sensor
            else:
                return
