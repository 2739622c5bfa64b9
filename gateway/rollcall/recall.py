"""Remembers the pictures of each camera over calls, and names one that comes back; gathers around another gathering."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from gateway.ports.media import Still
from gateway.ports.store import Store
from gateway.rollcall import phrases
from gateway.rollcall.needs import Gathering
from gateway.rollcall.records import PointRecord
from gateway.rollcall.rules.recall import recalled
from gateway.rollcall.tables import PRINTS
from protocols.aio.clock import Clock
from protocols.command import RollCallAnswer
from protocols.errors import SilianError
from protocols.grain import compare
from protocols.rollcall import Check, CheckName, CheckResult, Defect

logger = logging.getLogger(__name__)


class Recall:
    """A `needs.Gathering` that passes everything on, and judges the pictures of the round at its end."""

    def __init__(self, inner: Gathering, store: Store, clock: Clock, *, keep_days: int) -> None:
        self._inner = inner
        self._store = store
        self._clock = clock
        self._keep = timedelta(days=keep_days)
        self._rounds: dict[tuple[str, str], set[str]] = {}

    async def begin(self, point: PointRecord, *, drill: bool) -> None:
        """Begin a round."""
        self._rounds[point.roll_call_id, point.centre] = set()
        await self._inner.begin(point, drill=drill)

    async def answered(self, point: PointRecord, answer: RollCallAnswer) -> None:
        """Pass it on."""
        await self._inner.answered(point, answer)

    async def seen(self, point: PointRecord, still: Still) -> None:
        """Remember the picture, where it has grain that is never the same twice."""
        sample = still.sample
        if sample.exact is not None and sample.grain is not None and compare(sample.grain, sample.grain).seen:
            self._rounds.setdefault((point.roll_call_id, point.centre), set()).add(sample.exact)
        await self._inner.seen(point, still)

    async def read_back(self, point: PointRecord, number: str) -> bool:
        """Pass it on."""
        return await self._inner.read_back(point, number)

    async def end(self, point: PointRecord) -> Sequence[Check]:
        """Return the checks; a picture that was seen in an earlier call is a replay."""
        checks = await self._inner.end(point)
        prints = self._rounds.pop((point.roll_call_id, point.centre), set())
        if not prints or point.stream is None:
            return checks
        try:
            before = await self._met(point.stream, prints)
        except SilianError as error:  # what cannot be looked up takes nobody's verdict
            logger.warning("pictures not recalled", extra={"stream": point.stream, "error": str(error)})
            return checks
        if before is None:
            return checks
        logger.warning("picture of an earlier call", extra={"stream": point.stream, "seen_at": before.isoformat()})
        return [_replay(one, before) if one.name is CheckName.PICTURE else one for one in checks]

    async def broken_off(self, point: PointRecord) -> None:
        """Pass it on; pictures that no verdict rests on are not remembered."""
        self._rounds.pop((point.roll_call_id, point.centre), None)
        await self._inner.broken_off(point)

    async def _met(self, stream: str, prints: set[str]) -> datetime | None:
        """Return when one of the pictures was seen before, and remember them all; the first time counts."""
        async with self._store.unit() as uow:
            await uow.execute(delete(PRINTS).where(PRINTS.c.stream == stream, PRINTS.c.at < uow.now - self._keep))
            mine = select(PRINTS.c.exact, PRINTS.c.at).where(PRINTS.c.stream == stream, PRINTS.c.exact.in_(prints))
            known = {row.exact: row.at for row in await uow.execute(mine)}
            fresh = [{"stream": stream, "exact": one, "at": uow.now} for one in sorted(prints - set(known))]
            if fresh:
                await uow.put(PRINTS, fresh)
            return recalled(prints, known, uow.now)


def _replay(check: Check, before: datetime) -> Check:
    note = phrases.SEEN_BEFORE.format(at=before.strftime("%Y-%m-%d %H:%M UTC"))
    return check.model_copy(update={"result": CheckResult.BAD, "defect": Defect.REPLAY, "note": note})
