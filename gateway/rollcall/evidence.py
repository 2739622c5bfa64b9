"""Evidence of roll calls: files in the blob store, one chained row for each, and their end with a deletion log.

**A file is on the disk before its row**, so whatever the chain names is there. Rows are never changed or removed
(the migration's triggers see to it); `silian doctor` checks the chain and every file.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from gateway.metrics import Metrics
from gateway.ports.blob import BlobStore
from gateway.ports.store import Reader, Store, UnitOfWork
from gateway.rollcall.rules.chain import GENESIS, ChainCheck, ChainVerdict, EvidenceKind, Link, digest
from gateway.rollcall.tables import EVIDENCE
from protocols.aio.clock import Clock
from protocols.errors import NotFoundError, SilianError

logger = logging.getLogger(__name__)
PAGE = 2000
TIDY_S = 3600.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of evidence to keep."""

    kind: EvidenceKind
    content: bytes
    media_type: str
    taken_at: datetime
    note: str = ""


class Evidence:
    """The evidence of one gateway."""

    def __init__(self, store: Store, blobs: BlobStore, clock: Clock, metrics: Metrics, *, retention_days: int) -> None:
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._metrics = metrics
        self._retention = timedelta(days=retention_days)

    async def keep(self, roll_call_id: str, centre: str, items: Sequence[Item]) -> list[str]:
        """Store files and their rows; returns their names. Raises SpoolFullError where the disk is full.

        What is the same file of the same point and kind is kept once. Cancelling is safe: files without a row are no
        evidence.
        """
        names = list(await asyncio.gather(*(self._blobs.put(item.content) for item in items)))
        async with self._store.unit() as uow:
            links = await self._links(uow, roll_call_id, centre, list(zip(items, names, strict=True)))
            await uow.add(EVIDENCE, [_row(link) for link in links])
        self._count(links)
        return names

    async def _links(
        self, uow: UnitOfWork, roll_call_id: str, centre: str, items: Sequence[tuple[Item, str]]
    ) -> list[Link]:
        """Return the new links of the chain."""
        seq, head = await _head(uow)
        mine = (EVIDENCE.c.roll_call_id == roll_call_id) & (EVIDENCE.c.centre == centre)
        known: dict[str, list[str]] = {}
        for row in await uow.execute(select(EVIDENCE.c.kind, EVIDENCE.c.sha256).where(mine)):
            known.setdefault(row.kind, []).append(row.sha256)
        links: list[Link] = []
        for item, name in items:
            of_kind = known.setdefault(item.kind.value, [])
            if name in of_kind:
                continue
            of_kind.append(name)
            link = Link(
                seq=seq + 1 + len(links),
                roll_call_id=roll_call_id,
                centre=centre,
                kind=item.kind,
                number=len(of_kind),
                sha256=name,
                octets=len(item.content),
                media_type=item.media_type,
                taken_us=(item.taken_at - _EPOCH) // _US,
                at_us=(uow.now - _EPOCH) // _US,
                note=item.note[:200],
                previous=head,
            )
            links.append(replace(link, hash=digest(link)))
            head = links[-1].hash
        return links

    def _count(self, links: Sequence[Link]) -> None:
        for link in links:
            self._metrics.count("rollcall_evidence_total", kind=link.kind.value)

    async def of(self, roll_call_id: str, centre: str | None = None) -> list[Link]:
        """Return the evidence of a roll call or of one of its points, in order; deleted files are left out."""
        wanted = select(EVIDENCE).where(EVIDENCE.c.roll_call_id == roll_call_id).order_by(EVIDENCE.c.seq)
        if centre is not None:
            wanted = wanted.where(EVIDENCE.c.centre == centre)
        async with self._store.reading() as reader:
            links = [_link(row) for row in (await reader.execute(wanted)).mappings().all()]
        gone = {link.sha256 for link in links if link.kind is EvidenceKind.DELETION}
        return [link for link in links if link.sha256 not in gone]

    async def content(self, roll_call_id: str, centre: str, name: str) -> tuple[Link, bytes]:
        """Return one file of a point; raises NotFoundError, and BadInputError where it was changed on the disk."""
        for link in await self.of(roll_call_id, centre):
            if link.sha256 == name:
                return link, await self._blobs.get(name)
        raise NotFoundError(f"no evidence {name[:12]} of {centre} in roll call {roll_call_id}, or its time is over")

    async def verify(self) -> ChainVerdict:
        """Check the whole chain; the files are checked by `silian doctor`."""
        check, after = ChainCheck(), 0
        async with self._store.reading() as reader:
            while page := await _page(reader, after):
                after = page[-1].seq
                for link in page:
                    check.take(link)
        return check.verdict

    async def tidy(self) -> int:
        """Delete files whose time is over; the deletion log is the same chain. Returns how many."""
        over = await self._over(self._clock.now() - self._retention)
        for link in over:
            # The row first: a file without its row is lost evidence, a row without its file is a deletion half done.
            async with self._store.unit() as uow:
                seq, head = await _head(uow)
                at_us = (uow.now - _EPOCH) // _US
                note = f"retention of {self._retention.days} days is over"
                gone = replace(link, seq=seq + 1, kind=EvidenceKind.DELETION, at_us=at_us, note=note, previous=head)
                gone = replace(gone, hash=digest(gone))
                await uow.add(EVIDENCE, [_row(gone)])
            self._count([gone])
            await self._blobs.remove(link.sha256)
            fields = {"roll_call": link.roll_call_id, "centre": link.centre, "sha256": link.sha256}
            logger.info("evidence deleted", extra=fields)
        return len(over)

    async def _over(self, before: datetime) -> list[Link]:
        """Return the last link of each file that nobody mentioned since `before` and that is still there."""
        younger = select(EVIDENCE.c.sha256).where(
            (EVIDENCE.c.at >= before) | (EVIDENCE.c.kind == EvidenceKind.DELETION.value)
        )
        wanted = (
            select(EVIDENCE)
            .where(EVIDENCE.c.at < before, EVIDENCE.c.sha256.not_in(younger))
            .order_by(EVIDENCE.c.seq)
            .limit(PAGE)
        )
        async with self._store.reading() as reader:
            links = [_link(row) for row in (await reader.execute(wanted)).mappings().all()]
        return list({link.sha256: link for link in links}.values())

    async def keep_tidy(self) -> None:
        """Delete what is over, hourly, for ever."""
        while True:
            try:
                await self.tidy()
            except SilianError as error:
                logger.error("evidence not tidied: %s", error)
            await self._clock.sleep(TIDY_S)


async def _head(reader: Reader) -> tuple[int, str]:
    last = select(EVIDENCE.c.seq, EVIDENCE.c.hash).order_by(EVIDENCE.c.seq.desc()).limit(1)
    row = (await reader.execute(last)).first()
    return (row.seq, row.hash) if row is not None else (0, GENESIS)


async def _page(reader: Reader, after: int) -> list[Link]:
    wanted = select(EVIDENCE).where(EVIDENCE.c.seq > after).order_by(EVIDENCE.c.seq).limit(PAGE)
    return [_link(row) for row in (await reader.execute(wanted)).mappings().all()]


def _row(link: Link) -> dict[str, Any]:
    names = ("seq", "roll_call_id", "centre", "kind", "number", "sha256", "octets", "media_type", "note", "previous")
    values = {name: getattr(link, name) for name in (*names, "hash")}
    return values | {"taken_at": _EPOCH + link.taken_us * _US, "at": _EPOCH + link.at_us * _US}


def _link(row: Any) -> Link:
    values = {name: value for name, value in row.items() if name not in {"at", "taken_at"}}
    values["kind"] = EvidenceKind(values["kind"])
    return Link(taken_us=(row["taken_at"] - _EPOCH) // _US, at_us=(row["at"] - _EPOCH) // _US, **values)


def when(us: int) -> datetime:
    """Return a time of a link."""
    return _EPOCH + us * _US
