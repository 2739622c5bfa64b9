"""What reading and writing of reports share: finding rows, the log, and the view of one report."""

from collections import defaultdict
from typing import Any

from sqlalchemy import Row, insert, select

from gateway.events import ReportChanged
from gateway.ports.store import Reader, UnitOfWork
from gateway.reports import rows
from gateway.reports.needs import ReportNeeds
from gateway.reports.tables import clocks, deliveries, log, reports, versions
from protocols.errors import NotFoundError

LISTED = 200


async def find(reader: Reader, report_id: str) -> Row[Any]:
    """Return a report's row; raises NotFoundError."""
    row = (await reader.execute(select(reports).where(reports.c.id == report_id))).one_or_none()
    if row is None:
        raise NotFoundError(f"no report {report_id}; see GET /api/v1/reports")
    return row


async def versions_of(reader: Reader, report_id: str) -> list[Row[Any]]:
    """Return a report's versions in order."""
    mine = select(versions).where(versions.c.report_id == report_id).order_by(versions.c.version)
    return list((await reader.execute(mine)).all())


async def note(uow: UnitOfWork, report_id: str, what: str, by: str, detail: str = "") -> None:
    """Write a line of the report's log and wake the screens."""
    line = {"report_id": report_id, "at": uow.now, "what": what, "by": by, "detail": detail}
    await uow.execute(insert(log), [line])
    uow.tell(ReportChanged(report_id))


class Desk:
    """Reads reports for people."""

    def __init__(self, needs: ReportNeeds) -> None:
        self._needs = needs

    async def get(self, report_id: str) -> dict[str, Any]:
        """Return a whole report; raises NotFoundError. A report that passes another on shows that one's clocks."""
        async with self._needs.store.reading() as reader:
            report = await find(reader, report_id)
            found = await versions_of(reader, report_id)
            timed = select(clocks).where(clocks.c.report_id == (report.based_on or report.id)).order_by(clocks.c.due)
            sent = select(deliveries).where(deliveries.c.report_id == report_id).order_by(deliveries.c.id)
            lines = select(log).where(log.c.report_id == report_id).order_by(log.c.number)
            parts = [(await reader.execute(one)).all() for one in (sent, timed, lines)]
        return rows.detail(report, found, parts[0], parts[1], parts[2], self._needs.clock.now())

    async def list(self) -> list[dict[str, Any]]:
        """Return the newest reports, the newest first."""
        async with self._needs.store.reading() as reader:
            found = (await reader.execute(select(reports).order_by(reports.c.id.desc()).limit(LISTED))).all()
            ids = {row.id for row in found} | {row.based_on for row in found if row.based_on}
            grouped: list[dict[str, list[Row[Any]]]] = []
            for table, order in ((versions, versions.c.version), (deliveries, deliveries.c.id), (clocks, clocks.c.due)):
                by: dict[str, list[Row[Any]]] = defaultdict(list)
                for row in (
                    await reader.execute(select(table).where(table.c.report_id.in_(ids)).order_by(order))
                ).all():
                    by[row.report_id].append(row)
                grouped.append(by)
        said, sent, timed = grouped
        now = self._needs.clock.now()
        return [rows.summary(r, said[r.id], sent[r.id], timed[r.based_on or r.id], now) for r in found]
