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


async def listen(settings: SensorSettings, node: str, intake: Intake, clock: Clock) -> None:
    """Read until cancelled; a lost broker is tried again for ever."""
    attempt = 0
    while True:
        began = clock.monotonic()
        try:
            await _session(settings, node, intake, clock)
        except LinkError as error:
            reason = error.reason if isinstance(error, MqttError) else error.code
            logger.warning(
                "sensor broker lost", extra={"sensor": settings.name, "reason": reason, "detail": str(error)}
            )
        attempt = 0 if clock.monotonic() - began > 30 else attempt + 1
        await clock.sleep(RETRY.delay(attempt, random.random()))  # noqa: S311 - jitter, no secret


async def _session(settings: SensorSettings, node: str, intake: Intake, clock: Clock) -> None:
    password = settings.password_file.read_text("utf-8").strip() if settings.password_file else None
    address = BrokerAddress(settings.host, settings.port, username=settings.username or None, password=password)
    link = MqttLink(address, f"silian-{node}-{settings.name}", session_expiry_s=_SESSION_S)
    async with link:
        await link.subscribe(settings.topic, qos=1)
        logger.info("sensor broker connected", extra={"sensor": settings.name, "topic": settings.topic})
        async for message in link.messages():
            await _take(message.payload, settings.name, intake, clock)
            link.ack(message)


async def _take(payload: bytes, name: str, intake: Intake, clock: Clock) -> None:
    while True:
        try:
            await intake.take(read_reports(payload), name)
        except BadInputError as error:
            intake.refused(error.code, name, str(error))
            return
        except SpoolFullError as error:
            intake.refused(error.code, name, str(error))
            await clock.sleep(_FULL_PAUSE_S)  # not acknowledged: the broker keeps it and slows the sensor down
        else:
            return
