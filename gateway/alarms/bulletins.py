"""Public warnings as alarms of this gateway.

One alarm per chain of messages and centre: an Update supersedes, a Cancel withdraws, expiry alone is not a cancel
(CAP 1.2). A repeat of the same message changes nothing. `Exercise` and `Test` carry the drill mark for ever.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, or_, select

from gateway.alarms.cap import parse
from gateway.alarms.needs import Area, Outgoing
from gateway.alarms.tables import cap_messages
from gateway.ports.store import Store, UnitOfWork
from protocols.alarm import CLEARED, RAISED, AlarmData, lane_for
from protocols.cap import CapInfo, CapMessage, CapStatus, CapType, division_codes, severity_of
from protocols.envelope import Event
from protocols.errors import BadSchemaError, NotFoundError


@dataclass(frozen=True, slots=True)
class _Chain:
    """What is known of the messages that this one belongs to."""

    root: str
    centres: tuple[str, ...] = ()


class Bulletins:
    """Takes CAP messages."""

    def __init__(self, store: Store, outgoing: Outgoing, area: Area) -> None:
        self._store = store
        self._outgoing = outgoing
        self._area = area

    async def take(self, xml: bytes) -> list[str]:
        """Take a CAP 1.2 message; returns the ids of the events it made.

        Raises BadInputError and its kind for what is not CAP, NotFoundError for a cancel of something unknown.
        """
        message = await asyncio.to_thread(parse, xml)
        _check(message)
        async with self._store.unit() as uow:
            known = await self._known(uow, message)
            if known is not None:
                return known
            chain = await self._chain(uow, message)
            centres = self._centres(message)
            events = self._events(uow, message, chain, centres)
            for event in events:
                await self._outgoing.emit(uow, event, lane_for(int(event.data["severity"])))
            ids = [event.id for event in events]
            await uow.execute(insert(cap_messages), [_row(message, chain, centres, ids)])
        return ids

    async def _known(self, uow: UnitOfWork, message: CapMessage) -> list[str] | None:
        same = (cap_messages.c.sender == message.sender, cap_messages.c.identifier == message.identifier)
        row = (await uow.execute(select(cap_messages.c.event_ids).where(*same))).one_or_none()
        return None if row is None else list(row.event_ids)

    async def _chain(self, uow: UnitOfWork, message: CapMessage) -> _Chain:
        """Find the alarm that the message speaks of; an update of something unknown begins its own."""
        named = [
            (cap_messages.c.sender == one.sender) & (cap_messages.c.identifier == one.identifier)
            for one in message.references
        ]
        found = (await uow.execute(select(cap_messages.c.root).where(or_(*named)))).first() if named else None
        if found is None:
            if message.type is CapType.CANCEL:
                raise NotFoundError("references: none of the messages to cancel is known here")
            return _Chain(message.identifier)
        chain = (cap_messages.c.sender == message.sender, cap_messages.c.root == found.root)
        newest = select(cap_messages.c.centres).where(*chain).order_by(cap_messages.c.sent.desc()).limit(1)
        row = (await uow.execute(newest)).one_or_none()
        return _Chain(found.root, tuple(row.centres) if row is not None else ())

    def _centres(self, message: CapMessage) -> tuple[str, ...]:
        """Return the centres of this subtree that the areas name, or the own one."""
        if message.info is None or message.type is CapType.CANCEL:
            return ()
        return tuple(code for code in division_codes(message.info) if self._area.subtree(code)) or (self._area.code,)

    def _events(self, uow: UnitOfWork, message: CapMessage, chain: _Chain, centres: tuple[str, ...]) -> list[Event]:
        info = message.info or CapInfo(event="预警解除", severity="Unknown", headline=message.note)
        gone = [centre for centre in chain.centres if centre not in centres]
        if message.type is CapType.CANCEL and not gone:
            raise NotFoundError("the warning to cancel was cancelled before")
        made = []
        for type_, codes in ((RAISED, centres), (CLEARED, gone)):
            for centre in codes:
                data = _data(message, info, chain.root, centre).model_dump(mode="json")
                made.append(uow.mint(type_, data, subject=data["alarm_key"], drill=message.drill))
        return made


def _check(message: CapMessage) -> None:
    if message.status in (CapStatus.DRAFT, CapStatus.SYSTEM):
        raise BadSchemaError(f"status {message.status} is no warning; send Actual, Exercise or Test")
    if message.type in (CapType.ACK, CapType.ERROR):
        raise BadSchemaError(f"msgType {message.type} is no warning; send Alert, Update or Cancel")
    if message.type is not CapType.CANCEL and message.info is None:
        raise BadSchemaError("alert.info is missing: a warning must say what it warns of")


def _data(message: CapMessage, info: CapInfo, root: str, centre: str) -> AlarmData:
    detail = "\n".join(part for part in (info.description, info.instruction, "、".join(info.areas)) if part)
    return AlarmData(
        alarm_key=_key(message.sender, root, centre),
        centre=centre,
        sensor=(info.sender_name or message.sender)[:64],
        event_type=(info.event_code or "cap")[:32],
        severity=severity_of(info),
        headline=(info.headline or info.event or message.identifier)[:200],
        detail=detail[:4000],
        observed_at=message.sent,
    )


def _key(sender: str, root: str, centre: str) -> str:
    digest = hashlib.sha256(f"{sender}\n{root}".encode()).hexdigest()[:8]
    return f"cap/{centre}/{root[:80]}/{digest}"


def _row(message: CapMessage, chain: _Chain, centres: tuple[str, ...], ids: list[str]) -> dict[str, Any]:
    return {
        "sender": message.sender[:256],
        "identifier": message.identifier[:256],
        "root": chain.root[:256],
        "sent": message.sent,
        "centres": list(centres),
        "event_ids": ids,
    }
