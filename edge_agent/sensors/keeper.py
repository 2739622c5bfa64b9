"""Between measured values and the spool: limits compared, changes stored, and only then believed."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from edge_agent.intake import Intake
from edge_agent.sensors.limits import Change, Limit, Limits
from edge_agent.settings import LimitSettings, StationSettings
from protocols.aio.clock import Clock
from protocols.errors import BadInputError, SpoolFullError

FULL_PAUSE_S = 5.0
TICK_S = 5.0


class Table(Protocol):
    """What a keeper must know of a source: the settings of a sensor or of the webhook."""

    @property
    def name(self) -> str:
        """Name in logs and metrics."""
        ...

    @property
    def stations(self) -> tuple[StationSettings, ...]:
        """Who may speak, or must."""
        ...

    @property
    def limits(self) -> tuple[LimitSettings, ...]:
        """Limits of their values."""
        ...

    @property
    def silent_after_s(self) -> float:
        """Seconds of silence that raise an alarm; 0 = never."""
        ...

    @property
    def label(self) -> str | None:
        """Label on every alarm."""
        ...


class Keeper:
    """The limits of one sensor table. Hold `storing` from comparing to `store`: one value after the other."""

    def __init__(self, settings: Table, intake: Intake, clock: Clock) -> None:
        titles = {station.id: station.title for station in settings.stations}
        limits = (Limit(**limit.model_dump()) for limit in settings.limits)
        self.limits = Limits(limits, titles, settings.silent_after_s, settings.label)
        self.storing = asyncio.Lock()
        self.name = settings.name
        self._intake = intake
        self._clock = clock

    async def store(self, changes: list[Change]) -> bool:
        """Store what changed; False where it cannot be taken now: the same changes are found at the next value.

        Waits once for a full spool. Cancelling is safe: what is not believed yet comes again.
        """
        for patience in (FULL_PAUSE_S, 0.0):
            if not changes:
                return True
            try:
                await self._intake.take([change.report for change in changes], self.name)
            except SpoolFullError as error:
                self.refuse(error.code, str(error))
                await self._clock.sleep(patience)
            except BadInputError as error:
                self.refuse(error.code, str(error))
                return False
            else:
                self.limits.done(changes)
                return True
        return False

    async def watch(self) -> None:
        """Find stations that have fallen silent, until cancelled."""
        self.limits.begin(self._clock.now())
        while True:
            await self._clock.sleep(TICK_S)
            await self.keep(self.limits.tick)

    async def heard(self, stations: Iterable[str]) -> bool:
        """Note that stations of the table spoke; who is not in it is nobody's to miss."""
        known = [station for station in stations if station in self.limits.known]
        return await self.keep(lambda now: [change for one in known for change in self.limits.heard(one, now)])

    async def keep(self, find: Callable[[datetime], list[Change]]) -> bool:
        """Store what `find` finds at this moment."""
        async with self.storing:
            return await self.store(find(self._clock.now()))

    def refuse(self, code: str, detail: str) -> None:
        """Count and log what was refused."""
        self._intake.refused(code, self.name, detail)
