"""The outbox of one peer on the store: what is owed, what is history, what the peer refused."""

import asyncio
import json
import logging
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, cast, delete, insert, literal, select, update

from gateway.adapters.store_tables import outbox, quarantine
from gateway.ports.store import Quarantined, Reader
from protocols.aio.uplink import Settled
from protocols.envelope import DURABLE_LANES, Lane
from protocols.errors import NotFoundError, WrongMomentError
from protocols.ranges import Ranges
from protocols.uplink import Parcel, Receipt, Refusal, VoidRange, void_parcel

if TYPE_CHECKING:
    from gateway.adapters.store_sql import SqlStore
    from gateway.adapters.store_unit import LaneState, SqlUnit

logger = logging.getLogger(__name__)
HISTORY = timedelta(hours=72)
HISTORY_ROWS = 300_000
"""Own quota of the history, about 300 MB of alarms; beyond it the oldest go first."""
RECENT, RECENT_SIZE = 512, 1 << 20
"""Parcels, and characters of them, that one lane keeps in memory after their commit."""


class Recent:
    """The newest parcels of one lane: all that were committed since the first of them, so they need not be read."""

    def __init__(self) -> None:
        self._parcels: deque[Parcel] = deque()
        self._size = 0

    def add(self, parcel: Parcel) -> None:
        """Take what was committed under the newest number of the lane."""
        if self._parcels and parcel.first != self._parcels[-1].last + 1:
            self.forget()
        self._parcels.append(parcel)
        self._size += len(parcel.body)
        while len(self._parcels) > RECENT or self._size > RECENT_SIZE:
            self._drop()

    def after(self, number: int, limit: int, settled: Ranges) -> list[Parcel] | None:
        """Return parcels beyond a number that are not settled, None where there may be others than are known here."""
        while self._parcels and self._parcels[0].first in settled:
            self._drop()
        if not self._parcels or self._parcels[0].first > number + 1:
            return None
        beyond = (one for one in self._parcels if one.first > number and one.first not in settled)
        return list(islice(beyond, limit))

    def forget(self) -> None:
        """Know nothing: what was owed has changed."""
        self._parcels.clear()
        self._size = 0

    def _drop(self) -> None:
        self._size -= len(self._parcels.popleft().body)


class StoreOutbox:
    """What is owed to one peer (`protocols.aio.uplink.Outbox`); records enter it by `UnitOfWork.owe` only."""

    def __init__(self, store: "SqlStore", peer: str) -> None:
        self._store = store
        self._peer = peer
        self._recent: defaultdict[Lane, Recent] = defaultdict(Recent)
        self._added = asyncio.Event()
        self._added.set()

    @property
    def epoch(self) -> str:
        """ULID of the database that counts the numbers."""
        return self._store.epoch

    async def pending(self, lane: Lane, after: int, limit: int) -> Sequence[Parcel]:
        """Return at most `limit` parcels with `first` > `after` that have no receipt yet, in order."""
        if self._store.sole_writer:
            known = self._store.state.lanes[self._peer, lane]
            if known.waiting == 0:
                return ()
            if (recent := self._recent[lane].after(after, limit, known.settled)) is not None:
                return recent
        mine = (outbox.c.peer == self._peer, outbox.c.lane == lane.value, outbox.c.settled_at.is_(None))
        columns = select(outbox.c.seq, outbox.c.last, outbox.c.body, outbox.c.void)
        statement = columns.where(*mine, outbox.c.seq > after).order_by(outbox.c.seq).limit(limit)
        async with self._store.reading() as reader:
            return [Parcel(row.seq, row.last, row.body, row.void) for row in await reader.execute(statement)]

    async def settle(self, receipt: Receipt) -> Settled:
        """Move receipted records into the history and refused ones into the quarantine. Idempotent."""
        if receipt.epoch != self.epoch or receipt.lane not in DURABLE_LANES:
            return Settled()
        known = self._store.state.lanes[self._peer, receipt.lane]
        if receipt.high < known.next_seq and not receipt.refused and not _news(receipt, known):
            return Settled()
        async with self._store.unit() as uow:
            state = uow.lane(self._peer, receipt.lane)
            if receipt.epoch != self.epoch:
                return Settled()  # another replica renewed it since
            if receipt.high >= state.next_seq:
                self._recent.clear()
                await self._store.renew(uow)
                uow.after_commit(self.changed)
                return Settled()
            news = _news(receipt, state)
            stored = await self._settle(uow, receipt.lane, news)
            if receipt.refused:
                self._recent[receipt.lane].forget()
            refused = [await self._refuse(uow, receipt.lane, refusal) for refusal in receipt.refused]
            done = Settled(stored, sum(refused))
            state.settled = state.settled.copy()
            state.settled.merge(news)
            state.waiting -= done.stored + done.refused
        return done

    async def _settle(self, uow: "SqlUnit", lane: Lane, news: Ranges) -> int:
        moved = 0
        for first, last in news:
            rows = (*self._rows(lane, first, last), outbox.c.settled_at.is_(None))
            moved += (await uow.execute(update(outbox).where(*rows).values(settled_at=uow.now))).rowcount
        return moved

    async def _refuse(self, uow: "SqlUnit", lane: Lane, refusal: Refusal) -> int:
        where = (*self._rows(lane, refusal.seq, refusal.seq), outbox.c.settled_at.is_(None), outbox.c.void.is_(False))
        row = (await uow.execute(select(outbox.c.body).where(*where))).one_or_none()
        if row is None:
            return 0
        values = {"peer": self._peer, "lane": lane.value, "seq": refusal.seq, "body": row.body, "resent": False}
        values |= {"code": refusal.code, "detail": refusal.detail, "refused_at": uow.now}
        await uow.execute(insert(quarantine), [values])
        await uow.execute(delete(outbox).where(*where))
        logger.warning(
            "record refused", extra={"peer": self._peer, "lane": lane, "code": refusal.code, "detail": refusal.detail}
        )
        return 1

    async def settled(self, lane: Lane) -> Ranges:
        """Return every number of `lane` ever receipted as stored and not replayed since."""
        return self._store.state.lanes[self._peer, lane].settled.copy()

    async def replay(self, lane: Lane, lost: Ranges) -> Ranges:
        """Owe `lost` again from the history; what is no longer there is owed as named gaps and returned."""
        async with self._store.unit(long=True) as uow:
            state = uow.lane(self._peer, lane)
            lost = lost.within(1, state.next_seq - 1)
            held, revived = Ranges(), 0
            for first, last in lost:
                rows = self._rows(lane, first, last)
                for row in await uow.execute(select(outbox.c.seq, outbox.c.last).where(*rows)):
                    held.add(row.seq, row.last)
                again = update(outbox).where(*rows, outbox.c.settled_at.is_not(None)).values(settled_at=None)
                revived += (await uow.execute(again)).rowcount
            gone = lost.minus(held)
            for first, last in gone:
                uow.add_row(self._peer, lane, first, last, _void(first, last), void=True)
            state.settled = state.settled.minus(lost)
            state.waiting += revived
        self.changed()
        logger.warning("replaying", extra={"peer": self._peer, "lane": lane, "records": revived, "gone": gone.count})
        return gone

    async def depth(self) -> Mapping[Lane, int]:
        """Return how many parcels are owed per lane."""
        return {lane: self._store.state.lanes[self._peer, lane].waiting for lane in DURABLE_LANES}

    async def wait_changed(self) -> None:
        """Return when something was added since the last call returned (at once if so)."""
        await self._added.wait()
        self._added.clear()

    def changed(self) -> None:
        """Wake the waiter; called by the store after a commit."""
        self._added.set()

    def remember(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take rows that were just committed; called by a store whose database nobody else writes."""
        for row in rows:
            recent = self._recent[Lane(row["lane"])]
            if row["void"] or row["expires_at"] is not None:  # an old number, or what may still be withdrawn
                recent.forget()
            else:
                recent.add(Parcel(row["seq"], row["last"], row["body"]))

    def _rows(self, lane: Lane, first: int, last: int) -> tuple[Any, ...]:
        return (outbox.c.peer == self._peer, outbox.c.lane == lane.value, outbox.c.seq.between(first, last))


def _news(receipt: Receipt, lane: "LaneState") -> Ranges:
    """Return the numbers of a receipt that were given and are not settled yet."""
    return receipt.ranges().within(1, lane.next_seq - 1).minus(lane.settled)


def _void(first: int, last: int) -> str:
    return void_parcel(VoidRange(first=first, last=last, by=None)).body


async def quarantined(reader: Reader, limit: int) -> list[Quarantined]:
    """Return refused records, newest first."""
    rows = await reader.execute(select(quarantine).order_by(quarantine.c.id.desc()).limit(limit))
    return [
        Quarantined(
            id=row.id,
            peer=row.peer,
            lane=Lane(row.lane),
            event=json.loads(row.body)["event"],
            code=row.code,
            detail=row.detail,
            refused_at=row.refused_at,
            resent=row.resent,
        )
        for row in rows
    ]


async def resend(uow: "SqlUnit", quarantine_id: int) -> None:
    """Owe a refused record again under a new number."""
    row = (await uow.execute(select(quarantine).where(quarantine.c.id == quarantine_id))).one_or_none()
    if row is None:
        raise NotFoundError(f"no record {quarantine_id} in quarantine")
    if row.resent:
        raise WrongMomentError(f"record {quarantine_id} was sent again already")
    lane = Lane(row.lane)
    seq = uow.take_seq(row.peer, lane)
    record = json.loads(row.body) | {"seq": seq}
    body = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    uow.add_row(row.peer, lane, seq, seq, body, void=False)
    await uow.execute(update(quarantine).where(quarantine.c.id == quarantine_id).values(resent=True))


async def tidy(uow: "SqlUnit") -> None:
    """Withdraw what expired before it was receipted, and drop history past its time or quota."""
    number = cast(outbox.c.seq, Text)
    body = literal('{"first":') + number + literal(',"last":') + number + literal(',"by":') + number + literal("}")
    expired = (outbox.c.expires_at < uow.now, outbox.c.settled_at.is_(None), outbox.c.void.is_(False))
    await uow.execute(update(outbox).where(*expired).values(void=True, body=body, expires_at=None))
    await uow.execute(delete(outbox).where(outbox.c.settled_at < uow.now - HISTORY))
    beyond = select(outbox.c.settled_at).where(outbox.c.settled_at.is_not(None)).order_by(outbox.c.settled_at.desc())
    limit = (await uow.execute(beyond.offset(HISTORY_ROWS).limit(1))).scalar_one_or_none()
    if limit is not None:
        await uow.execute(delete(outbox).where(outbox.c.settled_at <= limit))
        logger.warning("history over its quota", extra={"rows": HISTORY_ROWS, "dropped_until": limit.isoformat()})
