"""Receiving: one unit of work for all frames at hand, and a receipt for each only after the commit.

While one commit runs, the frames that arrive wait for the next: that is the group commit, without a timer. A record
that no unit of work can take is found by trying one at a time, and refused by name: it never blocks its neighbours.
"""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.links.arrival import STORE_FAILS, Arrival, EventHandler, told
from gateway.links.needs import Branches
from gateway.links.tables import events, gaps, inbox
from gateway.ports.store import Store, UnitOfWork, Wanted
from protocols.command import COMMAND, REPLY
from protocols.envelope import Event, Hop, Lane, Record
from protocols.errors import BadInputError, LinkError, NotAllowedError, SilianError
from protocols.receiver import Held, Intake, judge
from protocols.uplink import Frame, Receipt

logger = logging.getLogger(__name__)
GROUP_RECORDS = 500
FLEETING = frozenset({COMMAND, REPLY})
"""Types whose events leave no row of their own for ever: commands are remembered by their id (`links.commands`)."""
Key = tuple[str, str, Lane]
Identity = tuple[str, str]


class Counts(Protocol):
    """Where the metrics go."""

    def count(self, name: str, by: float = 1.0, /, **labels: str) -> None:
        """Add to a counter."""
        ...


@dataclass(frozen=True, slots=True)
class Policy:
    """How records of one direction are judged (raise BadInputError or NotAllowedError), handled and sent on."""

    check: Callable[[str, Event], None]
    handlers: Mapping[str, EventHandler]
    forward: Callable[[UnitOfWork, Arrival], Awaitable[None]]
    leased: bool = False
    """Whether its records come from a node's branch, which replicas share by lease."""


@dataclass(slots=True)
class Delivery:
    """One frame that waits for its receipt. `condemned` names records found to be poison, with the reason."""

    node: str
    frame: Frame
    policy: Policy
    done: asyncio.Future[Receipt]
    condemned: dict[int, str] = field(default_factory=dict)


class Ingest:
    """Feed `take`; `run` does the work in a task of its own."""

    def __init__(self, store: Store, node: str, counts: Counts, branches: Branches | None = None) -> None:
        self._branches = branches
        self._store = store
        self._node = node
        self._counts = counts
        self._queue: deque[Delivery] = deque()
        self._filled = asyncio.Event()

    async def take(self, node: str, frame: Frame, policy: Policy) -> Receipt:
        """Store a frame's records and return the receipt after the commit; an exception means nothing was stored."""
        delivery = Delivery(node, frame, policy, asyncio.get_running_loop().create_future())
        self._queue.append(delivery)
        self._filled.set()
        return await delivery.done

    async def run(self) -> None:
        """Work for ever; whatever fails is answered to whoever waits for it."""
        while True:
            await self._filled.wait()
            group: list[Delivery] = []
            while self._queue and sum(len(one.frame.records) for one in group) < GROUP_RECORDS:
                group.append(self._queue.popleft())
            if not self._queue:
                self._filled.clear()
            try:
                await self._serve(group)
            finally:
                for delivery in group:
                    if not delivery.done.done():
                        delivery.done.set_exception(LinkError("the gateway is stopping; send again"))
                        delivery.done.exception()

    async def _serve(self, group: Sequence[Delivery]) -> None:
        try:
            await self._store_group(group)
        except STORE_FAILS as error:
            said = told(error)
            logger.error("store failed", extra={"frames": len(group), "error": said})
            for delivery in group:
                if not delivery.done.done():
                    delivery.done.set_exception(LinkError(f"the store failed: {said}"))
        except Exception as error:
            logger.exception("frames failed", extra={"frames": len(group)})
            await self._isolate(group, error)

    async def _isolate(self, group: Sequence[Delivery], error: Exception) -> None:
        """Find what cannot be stored: frame by frame, then record by record."""
        if len(group) > 1:
            for delivery in group:
                await self._serve([delivery])
            return
        delivery = group[0]
        records = [record for record in delivery.frame.records if record.seq not in delivery.condemned]
        if len(records) <= 1:
            if not records:
                delivery.done.set_exception(LinkError(f"internal: {error}"))
                return
            delivery.condemned[records[0].seq] = f"{type(error).__name__}: {error}"
        else:
            await self._try_each(delivery, records)
        await self._serve([delivery])

    async def _try_each(self, delivery: Delivery, records: Sequence[Record]) -> None:
        for record in records:
            alone = delivery.frame.model_copy(update={"records": (record,), "voids": (), "faults": ()})
            probe = Delivery(delivery.node, alone, delivery.policy, asyncio.get_running_loop().create_future())
            try:
                await self._store_group([probe])
            except STORE_FAILS:
                raise
            except Exception as error:
                logger.exception("record failed", extra={"node": delivery.node, "event": record.event.id})
                delivery.condemned[record.seq] = f"{type(error).__name__}: {error}"

    async def _store_group(self, group: Sequence[Delivery]) -> None:
        async with self._store.unit() as uow:
            now = uow.now
            group = await self._own(uow, group)
            held, known = await self._look(uow, group)
            intakes = [judge(delivery.frame, held[_key(delivery)]) for delivery in group]
            arrivals: list[tuple[Policy, Arrival]] = []
            here = Hop(node=self._node, at=now)
            for delivery, intake in zip(group, intakes, strict=True):
                for record in self._acceptable(delivery, intake):
                    arrival = Arrival(record.event, delivery.node, delivery.frame.lane, (*record.hops, here), now)
                    arrivals.append((delivery.policy, arrival))
            await self._take_new(uow, arrivals, known)
            await self._note_gaps(uow, group, intakes)
            rows = [{"node": k[0], "epoch": k[1], "lane": k[2].value, "held": h.to_json()} for k, h in held.items()]
            await uow.put(inbox, rows)
        for delivery, intake in zip(group, intakes, strict=True):
            self._count(delivery, intake)
            if not delivery.done.done():
                delivery.done.set_result(intake.receipt(self._node, self._store.epoch, now))

    async def _own(self, uow: UnitOfWork, group: Sequence[Delivery]) -> Sequence[Delivery]:
        """Leave out the frames of branches that another replica has taken: it asks for them itself."""
        if self._branches is None:
            return group
        below = {delivery.node for delivery in group if delivery.policy.leased}
        lost = await self._branches.lost(uow, below) if below else frozenset()
        for delivery in group:
            if delivery.node in lost and not delivery.done.done():
                delivery.done.set_exception(LinkError(f"another replica takes the records of {delivery.node}"))
                delivery.done.exception()
        return [delivery for delivery in group if delivery.node not in lost]

    @staticmethod
    async def _look(uow: UnitOfWork, group: Sequence[Delivery]) -> tuple[dict[Key, Held], set[Identity]]:
        """Return what is held of each frame's lane, and which of the records' events are known."""
        keys = {_key(delivery) for delivery in group}
        identities = {(record.event.source, record.event.id) for one in group for record in one.frame.records}
        found, known = await uow.find(
            Wanted(inbox, [(node, epoch, lane.value) for node, epoch, lane in keys]), Wanted(events, identities)
        )
        texts = {(row.node, row.epoch, Lane(row.lane)): row.held for row in found}
        return {key: Held.from_json(texts.get(key)) for key in keys}, {(row.source, row.id) for row in known}

    def _acceptable(self, delivery: Delivery, intake: Intake) -> list[Record]:
        kept = []
        for record in intake.fresh:
            if record.seq in delivery.condemned:
                intake.refuse(record.seq, SilianError.code, delivery.condemned[record.seq])
                continue
            try:
                delivery.policy.check(delivery.node, record.event)
                handler = delivery.policy.handlers.get(record.event.type)
                if handler is not None:
                    handler.check(record.event)
            except (BadInputError, NotAllowedError) as error:
                intake.refuse(record.seq, error.code, str(error))
            else:
                kept.append(record)
        return kept

    async def _take_new(
        self, uow: UnitOfWork, arrivals: Sequence[tuple[Policy, Arrival]], known: set[Identity]
    ) -> None:
        """Dedupe by event identity (`known` are stored), hand the new ones to their rooms and send them on."""
        identities = [(arrival.event.source, arrival.event.id) for _, arrival in arrivals]
        fresh: list[tuple[Policy, Arrival]] = []
        for identity, pair in zip(identities, arrivals, strict=True):
            if identity not in known:
                known.add(identity)
                fresh.append(pair)
        if len(fresh) < len(arrivals):
            self._counts.count("alarms_duplicates_total", len(arrivals) - len(fresh))
        await self.admit(uow, fresh)

    async def admit(self, uow: UnitOfWork, fresh: Sequence[tuple[Policy, Arrival]]) -> None:
        """Store new events, let their rooms apply them (in order, a batch per room) and send them on."""
        if not fresh:
            return
        rows = [_row(policy, arrival) for policy, arrival in fresh if arrival.event.type not in FLEETING]
        if rows:
            await uow.add(events, rows)
        batches: defaultdict[int, list[Arrival]] = defaultdict(list)
        handlers: dict[int, EventHandler] = {}
        for policy, arrival in fresh:
            handler = policy.handlers.get(arrival.event.type)
            if handler is not None:
                handlers[id(handler)] = handler
                batches[id(handler)].append(arrival)
        for number, batch in batches.items():
            await handlers[number].apply(uow, batch)
        for policy, arrival in fresh:
            await policy.forward(uow, arrival)

    async def _note_gaps(self, uow: UnitOfWork, group: Sequence[Delivery], intakes: Sequence[Intake]) -> None:
        rows = [
            {
                "node": delivery.node,
                "epoch": delivery.frame.epoch,
                "lane": delivery.frame.lane.value,
                "first": gap.first,
                "last": gap.last,
                "found_at": uow.now,
            }
            for delivery, intake in zip(group, intakes, strict=True)
            for gap in intake.gaps
        ]
        if rows:
            await uow.add(gaps, rows)

    def _count(self, delivery: Delivery, intake: Intake) -> None:
        centre, lane = delivery.node[:6], delivery.frame.lane.value
        refused = {refusal.seq for refusal in intake.refusals}
        stored = sum(record.seq not in refused for record in intake.fresh)
        if stored:
            self._counts.count("link_records_received_total", stored, centre=centre, lane=lane)
        if intake.duplicates:
            self._counts.count("link_records_duplicate_total", intake.duplicates, centre=centre)
        for refusal in intake.refusals:
            self._counts.count("link_records_refused_total", centre=centre, code=refusal.code)
            said = {"code": refusal.code, "detail": refusal.detail}
            logger.warning("record refused", extra={"node": delivery.node, "seq": refusal.seq, **said})
        for gap in intake.gaps:
            self._counts.count("link_gaps_total", gap.last - gap.first + 1, centre=centre)
            logger.warning("gap", extra={"node": delivery.node, "lane": lane, "first": gap.first, "last": gap.last})


def _key(delivery: Delivery) -> Key:
    return delivery.node, delivery.frame.epoch, delivery.frame.lane


def _row(policy: Policy, arrival: Arrival) -> dict[str, object]:
    event = arrival.event
    return {
        "source": event.source,
        "id": event.id,
        "type": event.type,
        "origincounter": event.origincounter,
        "sender": arrival.sender,
        "received_at": arrival.received_at,
        "body": None if event.type in policy.handlers else event.model_dump_json(),
    }
