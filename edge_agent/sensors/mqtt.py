"""Sensor kind `mqtt`: reports from a local broker.

**A message is acknowledged only after the spool's commit**, so a broker with persistent sessions gives it again after
a crash; what does not fit is refused, counted and acknowledged. Payloads are our own JSON, or foreign ones that a
mapping file explains. Sensors named in `stations` raise an alarm when nothing is heard of them for `silent_after_s`.
"""

import asyncio
import logging
import random
from pathlib import Path

from edge_agent.intake import Intake
from edge_agent.sensors.keeper import Keeper
from edge_agent.sensors.mapping import Heard, Rules, load_rules, read_foreign
from edge_agent.sensors.reports import read_reports
from edge_agent.settings import SensorSettings
from protocols.aio.clock import Clock
from protocols.aio.mqtt import BrokerAddress, MqttError, MqttLink
from protocols.backoff import Backoff
from protocols.errors import BadInputError, ConfigError, LinkError, SpoolFullError

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
        self._keeper = Keeper(settings, intake, clock)
        self._rules = None if settings.mapping is None else read_rules(settings.mapping)

    async def run(self) -> None:
        """Read until cancelled; a lost broker is tried again for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keeper.watch(), name="silence")
            group.create_task(self._sessions(), name="sessions")

    async def _sessions(self) -> None:
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
                await self._take(message.topic, message.payload)
                link.ack(message)

    async def _take(self, topic: str, payload: bytes) -> None:
        while True:
            try:
                heard = self._read(topic, payload)
                if heard.reports:
                    await self._intake.take(heard.reports, self._settings.name)
            except BadInputError as error:
                self._intake.refused(error.code, self._settings.name, str(error))
                return
            except SpoolFullError as error:
                self._intake.refused(error.code, self._settings.name, str(error))
                await self._clock.sleep(_FULL_PAUSE_S)  # not acknowledged: the broker keeps it and slows the sensor
            else:
                await self._keeper.heard(heard.sensors)
                return

    def _read(self, topic: str, payload: bytes) -> Heard:
        if self._rules is not None:
            return read_foreign(self._rules, topic, payload)
        reports = read_reports(payload)
        return Heard(tuple(report.sensor for report in reports), tuple(reports))


def read_rules(file: Path) -> Rules:
    """Read a mapping file; raises ConfigError naming it."""
    try:
        return load_rules(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"mapping {file}: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"mapping {file}: {error}") from None
