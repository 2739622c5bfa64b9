"""The audit log on the store: append, read, verify. Implements `gateway.web.journal.Journal`."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, select

from gateway.audit.machine import GENESIS, Record, Verdict, digest, verify
from gateway.audit.tables import AUDIT
from gateway.metrics import Metrics
from gateway.ports.store import Reader, Store
from gateway.web.journal import AuditEntry

logger = logging.getLogger(__name__)
PAGE = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


class Audit:
    """The append-only log of one gateway."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    async def record(self, entry: AuditEntry) -> None:
        """Append one deed; it is on the disk on return. Writers queue in the store, so the chain has no forks."""
        async with self._store.unit() as unit:
            last = (await unit.execute(select(AUDIT.c.seq, AUDIT.c.hash).order_by(AUDIT.c.seq.desc()).limit(1))).first()
            seq, previous = (last.seq + 1, last.hash) if last is not None else (1, GENESIS)
            record = Record(
                seq=seq,
                at_us=(unit.now - _EPOCH) // _US,
                actor=entry.actor[:64],
                action=entry.action[:128],
                target=entry.target[:512],
                outcome=entry.outcome,
                address=entry.address[:64],
                previous=previous,
            )
            record = replace(record, hash=digest(record))
            await unit.execute(insert(AUDIT), _row(record))
        self._metrics.count("audit_records_total")
        # The head in the log is a second witness: it shows a chain that was cut at its end.
        logger.info("audited", extra={"seq": seq, "actor": record.actor, "action": record.action, "head": record.hash})

    async def records(self, after: int, limit: int) -> list[Record]:
        """Return records with seq > `after`, oldest first."""
        async with self._store.reading() as reader:
            return await _page(reader, after, limit)

    async def verify(self) -> Verdict:
        """Check the whole chain, page by page."""
        found: list[Record] = []
        async with self._store.reading() as reader:
            while page := await _page(reader, found[-1].seq if found else 0, PAGE):
                found.extend(page)
        return verify(found)


async def _page(reader: Reader, after: int, limit: int) -> list[Record]:
    rows = await reader.execute(select(AUDIT).where(AUDIT.c.seq > after).order_by(AUDIT.c.seq).limit(limit))
    return [_record(dict(row)) for row in rows.mappings()]


def _row(record: Record) -> dict[str, Any]:
    names = ("seq", "actor", "action", "target", "outcome", "address", "previous", "hash")
    return {name: getattr(record, name) for name in names} | {"at": _EPOCH + record.at_us * _US}


def _record(row: Mapping[str, Any]) -> Record:
    values = {key: value for key, value in row.items() if key != "at"}
    return Record(at_us=(row["at"] - _EPOCH) // _US, **values)
