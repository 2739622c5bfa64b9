"""A gateway that breaks the first rule on purpose: the receipt goes out before the commit. The bench must see it.

What it holds is noted with the receipt, and the records come later: else a gateway that was killed between the two
would ask for them again, and the node below, which keeps what was receipted, would heal the fault.
"""

import asyncio
from collections.abc import Sequence

from gateway.bench.chaos import clocked
from gateway.links.ingest import Arrival, Delivery, Ingest, Policy, _key, inbox
from protocols.envelope import Hop
from protocols.receiver import judge

HASTE_S = 1.5


async def hasty(self: Ingest, group: Sequence[Delivery]) -> None:
    """Say that the records are stored, and store them a moment later."""
    arrivals: list[tuple[Policy, Arrival]] = []
    async with self._store.unit() as uow:
        now = uow.now
        held, known = await self._look(uow, group)
        intakes = [judge(delivery.frame, held[_key(delivery)]) for delivery in group]
        here = Hop(node=self._node, at=now)
        for delivery, intake in zip(group, intakes, strict=True):
            for record in self._acceptable(delivery, intake):
                arrival = Arrival(record.event, delivery.node, delivery.frame.lane, (*record.hops, here), now)
                arrivals.append((delivery.policy, arrival))
        await self._note_gaps(uow, group, intakes)
        rows = [{"node": k[0], "epoch": k[1], "lane": k[2].value, "held": h.to_json()} for k, h in held.items()]
        await uow.put(inbox, rows)
    for delivery, intake in zip(group, intakes, strict=True):
        delivery.done.set_result(intake.receipt(self._node, self._store.epoch, now))
    await asyncio.sleep(HASTE_S)
    async with self._store.unit() as uow:
        await self._take_new(uow, arrivals, known)


if __name__ == "__main__":
    Ingest._store_group = hasty
    clocked.main()
