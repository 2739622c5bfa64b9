"""Sensor kind `modbus`: values polled over Modbus TCP and compared with limits.

**A device that does not answer never stops the round**: the others are read, the silent one is counted, and raises an
alarm of its own where `silent_after_s` says so. A change is believed only after its alarm is in the spool.
"""

import asyncio
import logging
import math
import random
from typing import Any

from edge_agent.intake import Intake
from edge_agent.sensors.keeper import Keeper
from edge_agent.sensors.limits import Change
from edge_agent.settings import PointSettings, SensorSettings
from protocols.aio.clock import Clock
from protocols.backoff import Backoff

logger = logging.getLogger(__name__)
RETRY = Backoff(base=1.0, cap=30.0)
ANSWER_S = 3.0


class DeviceError(Exception):
    """A device gave no value; `code` is the counter."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Modbus:
    """One address with its devices."""

    def __init__(self, settings: SensorSettings, intake: Intake, clock: Clock) -> None:
        self._settings = settings
        self._keeper = Keeper(settings, intake, clock)
        self._clock = clock
        self._turn = 0
        self._heard = False

    async def run(self) -> None:
        """Poll until cancelled; an address that cannot be reached is tried again for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keeper.watch(), name=f"silence[{self._settings.name}]")
            attempt = 0
            while True:
                try:
                    await self._connected()
                except (OSError, DeviceError) as error:
                    attempt = 0 if self._heard else attempt + 1
                    code = error.code if isinstance(error, DeviceError) else "unreachable"
                    self._keeper.refuse(code, str(error))
                else:
                    attempt = 0
                await self._clock.sleep(RETRY.delay(attempt, random.random()))  # noqa: S311 - jitter, no secret

    async def _connected(self) -> None:
        """Poll over one connection until it breaks."""
        from pymodbus.client import AsyncModbusTcpClient

        client: Any = AsyncModbusTcpClient(
            self._settings.host, port=self._settings.port, timeout=ANSWER_S, retries=1, reconnect_delay=0
        )
        self._heard = False
        try:
            if not await client.connect():
                raise DeviceError("unreachable", f"no Modbus at {self._settings.host}:{self._settings.port}")
            logger.info("modbus connected", extra={"sensor": self._settings.name})
            while client.connected:
                await self._round(client)
                await self._clock.sleep(self._settings.every_s)
            raise DeviceError("unreachable", f"{self._settings.host}:{self._settings.port} closed the connection")
        finally:
            client.close()

    async def _round(self, client: Any) -> None:
        """Read each point once, beginning behind the last one read: an answer that breaks the line costs no other."""
        for _ in self._settings.points:
            if not client.connected:
                return
            point = self._settings.points[self._turn % len(self._settings.points)]
            self._turn += 1
            try:
                value = await read(client, point)
            except DeviceError as error:
                self._keeper.refuse(error.code, str(error))
                continue
            self._heard = True
            await self._compare(point, value)

    async def _compare(self, point: PointSettings, value: float) -> None:
        keeper = self._keeper
        async with keeper.storing:
            now = self._clock.now()
            found: list[Change] = keeper.limits.heard(point.station, now)
            await keeper.store([*found, *keeper.limits.measured(point.station, point.element, value, now)])


async def read(client: Any, point: PointSettings) -> float:
    """Read one point; raises DeviceError (`no_answer`, `device_exception`, `bad_value`)."""
    from pymodbus.exceptions import ModbusException

    ways = {
        "holding": client.read_holding_registers,
        "input": client.read_input_registers,
        "coil": client.read_coils,
        "discrete": client.read_discrete_inputs,
    }
    bits = point.space in ("coil", "discrete")
    form = client.DATATYPE[point.form.upper()]
    where = f"{point.station} {point.element} (unit {point.unit_id}, {point.space} {point.address})"
    try:
        count = 1 if bits else form.value[1]
        answer = await ways[point.space](point.address, count=count, device_id=point.unit_id)
    except (ModbusException, TimeoutError, OSError) as error:
        raise DeviceError("no_answer", f"{where}: {error}") from error
    if answer.isError():
        raise DeviceError("device_exception", f"{where}: exception {getattr(answer, 'exception_code', '?')}")
    given: Any = getattr(answer, "bits" if bits else "registers", None) or []
    if len(given) < count or (not bits and len(given) > count):
        raise DeviceError("bad_value", f"{where}: {len(given)} values came, {count} were asked for")
    if bits:
        return float(given[0])
    raw = float(client.convert_from_registers(given, form, word_order="little" if point.swapped else "big"))
    if not math.isfinite(raw):
        raise DeviceError("bad_value", f"{where}: {raw} is no value")  # it must neither raise nor end an alarm
    return point.scale * raw + point.offset
