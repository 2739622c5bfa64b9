"""The course of one alarm's chain as people read it: what happened, who was told with which receipt, what comes."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from gateway.escalation.chains import Chain
from gateway.escalation.machine import Phase, Run
from gateway.escalation.rows import load
from gateway.escalation.tables import lines, noticed, notices
from gateway.ports.store import Reader

SHOWN = ("id", "purpose", "channel", "person", "role", "address", "step", "round", "state", "reason", "reference")
TIMES = ("created_at", "sent_at", "settled_at")


async def course_of(reader: Reader, alarm_id: str, chain: Chain) -> dict[str, Any]:
    """Return the course; an alarm without a chain has an empty one with phase None."""
    run = (await load(reader, [alarm_id])).get(alarm_id)
    said = await reader.execute(select(lines).where(lines.c.alarm_id == alarm_id).order_by(lines.c.number))
    mine = select(noticed.c.notice_id).where(noticed.c.alarm_id == alarm_id)
    told = await reader.execute(select(notices).where(notices.c.id.in_(mine)).order_by(notices.c.id))
    return {
        "phase": run.phase.value if run is not None else None,
        "handed": run.handed if run is not None else False,
        "round": run.round if run is not None else 0,
        "due_at": run.due_at if run is not None else None,
        "lines": [{key: getattr(row, key) for key in ("at", "what", "by", "detail")} for row in said],
        "notices": [{key: getattr(row, key) for key in (*SHOWN, *TIMES, "attempts", "text")} for row in told],
        "coming": coming(run, chain) if run is not None else [],
    }


def coming(run: Run, chain: Chain) -> list[dict[str, Any]]:
    """Return the steps of this round that are still to come, with their times."""
    if run.phase is Phase.WATCHING and run.due_at is not None:
        return [_entry(run.due_at, [], upward=False, what="below_silent")]
    if run.phase is Phase.HELD and run.due_at is not None:
        return [_entry(run.due_at, [], upward=False, what="time_out")]
    if run.phase is not Phase.CLIMBING:
        return []
    found = []
    for step in chain.ladder(run.severity, handed=run.handed).steps[run.step :]:
        at = run.began_at + timedelta(seconds=step.after_s)
        people = [
            {"person": contact.name, "role": contact.role, "channel": channel.value}
            for target in step.targets
            for contact in chain.people(target)
            for channel in target.channels
        ]
        found.append(_entry(at, people, upward=step.upward and not run.upward_done, what="step"))
    return found


def _entry(at: datetime, people: list[dict[str, str]], *, upward: bool, what: str) -> dict[str, Any]:
    return {"at": at, "what": what, "people": people, "upward": upward}
