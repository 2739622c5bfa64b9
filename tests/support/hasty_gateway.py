"""A gateway that breaks the first rule on purpose: the receipt goes out before the commit. The bench must see it."""

import asyncio
from collections.abc import Sequence

from gateway.bench.chaos import clocked
from gateway.links import ingest
from gateway.links.ingest import Delivery, Ingest
from protocols.receiver import judge

HASTE_S = 1.5
_store_group = Ingest._store_group


async def hasty(self: Ingest, group: Sequence[Delivery]) -> None:
    """Say that the records are stored, and store them a moment later."""
    async with self._store.unit() as uow:
        held, _ = await self._look(uow, group)
    for delivery in group:
        intake = judge(delivery.frame, held[ingest._key(delivery)])
        delivery.done.set_result(intake.receipt(self._node, self._store.epoch, self._store._clock.now()))
    await asyncio.sleep(HASTE_S)
    await _store_group(self, group)


if __name__ == "__main__":
    Ingest._store_group = hasty
    clocked.main()
