"""Warnings that others issued: from outside, as the alarms room takes them, and from gateways below, signed.

A document from below is believed by its signature and by the key first seen of its gateway: a tier on the way cannot
write another's warning. A key that changed is shown, with the words to check by phone, never believed silently.
"""

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, insert, or_, select, update

from gateway.events import WarningTaken
from gateway.ports.store import UnitOfWork
from gateway.warning import machine, signing
from gateway.warning.machine import Step
from gateway.warning.needs import Arrival, WarningNeeds
from gateway.warning.rows import note
from gateway.warning.service import Warnings
from gateway.warning.tables import keys, runs, warning_rows
from protocols.aio.clock import new_ulid
from protocols.cap import CapInfo, CapMessage, CapType, division_codes, severity_of
from protocols.envelope import Event
from protocols.errors import BadInputError, NotAllowedError
from protocols.event_codes import TORNADO_MENTIONED, classify, mentions_tornado
from protocols.ids import centre_of
from protocols.warning import WarningOrigin, WarningState, issued_data

logger = logging.getLogger(__name__)
KEY_CHANGED = "key_changed"


class WarningInbox:
    """Register `on_taken` with the alarms room, and the inbox itself for `warning.issued` with the links."""

    def __init__(self, needs: WarningNeeds, room: Warnings) -> None:
        self._needs = needs
        self._room = room

    async def on_taken(self, uow: UnitOfWork, taken: WarningTaken) -> None:
        """Take part in the transaction that takes a CAP message in."""
        roots = (taken.root, *taken.merged)
        await self._take(uow, taken.message, taken.document, roots, centres=taken.centres)

    def check(self, event: Event) -> None:
        """Judge a document from below; raises BadInputError, NotAllowedError."""
        data = issued_data(event)
        if data.centre != centre_of(event.source):
            raise NotAllowedError(f"{event.source} may not issue a warning of {data.centre}")
        signing.verify(data.document.encode(), data.signature, data.key)
        message = self._needs.parse(data.document.encode())
        if not message.sender.startswith(data.centre):
            raise NotAllowedError(f"{data.centre} may not issue a warning as {message.sender}")
        if message.type is not CapType.CANCEL and message.info is None:
            raise BadInputError("alert.info is missing: a warning must say what it warns of")
        if message.drill != event.drill:
            raise BadInputError("the mark of the drill in the document and of the record differ")

    async def apply(self, uow: UnitOfWork, arrivals: Sequence[Arrival]) -> None:
        """Store what gateways below issued; own warnings are rows already."""
        for arrival in arrivals:
            event = arrival.event
            if event.source == self._needs.area.code:
                continue
            data = issued_data(event)
            message = self._needs.parse(data.document.encode())
            roots = await self._roots(uow, message)
            signed = {"signature": data.signature, "public_key": data.key}
            known = await self._known_key(uow, event.source, data.key)
            below = {"origin": WarningOrigin.BELOW.value, "flags": [] if known else [KEY_CHANGED]} | signed
            info = message.info
            centres = division_codes(info) if info is not None else ()
            id_ = await self._take(uow, message, data.document.encode(), roots, centres=centres, more=below)
            if not known and id_ is not None:
                logger.error("signing key changed", extra={"node": event.source, "warning": message.identifier})
                await note(uow, id_, KEY_CHANGED, event.source)

    async def _known_key(self, uow: UnitOfWork, node: str, key: str) -> bool:
        row = (await uow.execute(select(keys).where(keys.c.node == node))).one_or_none()
        if row is None:
            await uow.execute(insert(keys), [{"node": node, "public_key": key, "first_seen_at": uow.now}])
        return row is None or row.public_key == key

    async def _roots(self, uow: UnitOfWork, message: CapMessage) -> tuple[str, ...]:
        named = [
            warning_rows.c.identifier == one.identifier for one in message.references if one.sender == message.sender
        ]
        if named:
            wanted = select(warning_rows.c.root).where(warning_rows.c.sender == message.sender, or_(*named))
            roots = tuple(dict.fromkeys(row.root for row in await uow.execute(wanted.order_by(warning_rows.c.sent_at))))
            if roots:
                return roots
        return (message.identifier,)

    async def _take(
        self,
        uow: UnitOfWork,
        message: CapMessage,
        document: bytes,
        roots: tuple[str, ...],
        *,
        centres: tuple[str, ...],
        more: dict[str, Any] | None = None,
    ) -> str | None:
        same = (warning_rows.c.sender == message.sender, warning_rows.c.identifier == message.identifier)
        if (await uow.execute(select(warning_rows.c.id).where(*same).limit(1))).one_or_none() is not None:
            return None
        before = await self._in_force(uow, message.sender, roots)
        called = [row.colour for row in before if await self._was_called(uow, row.id)]
        for row in before:
            await self._replace(uow, row, message.type)
        values = self._values(message, document, roots[0], centres) | (more or {})
        id_ = new_ulid(self._needs.clock)
        await uow.execute(insert(warning_rows), [values | {"id": id_, "created_at": uow.now}])
        stored = (await uow.execute(select(warning_rows).where(warning_rows.c.id == id_))).one()
        await note(uow, id_, "below" if stored.origin == WarningOrigin.BELOW.value else "received", "", message.sender)
        if stored.origin == WarningOrigin.RECEIVED.value:
            await self._room.consider(uow, stored, min(called, default=None))
        return id_

    @staticmethod
    async def _in_force(uow: UnitOfWork, sender: str, roots: tuple[str, ...]) -> Sequence[Row[Any]]:
        states = [state.value for state in machine.IN_FORCE]
        mine = (warning_rows.c.sender == sender, warning_rows.c.root.in_([root[:256] for root in roots]))
        wanted = select(warning_rows).where(
            *mine, warning_rows.c.state.in_(states), warning_rows.c.kind != CapType.CANCEL.value
        )
        return (await uow.execute(wanted)).all()

    @staticmethod
    async def _was_called(uow: UnitOfWork, warning_id: str) -> bool:
        ran = select(runs.c.warning_id).where(runs.c.warning_id == warning_id, runs.c.started_at.is_not(None))
        return (await uow.execute(ran)).one_or_none() is not None

    async def _replace(self, uow: UnitOfWork, row: Row[Any], kind: CapType) -> None:
        cancelled = kind is CapType.CANCEL
        after = machine.moved(WarningState(row.state), Step.CANCEL if cancelled else Step.SUPERSEDE)
        await uow.execute(update(warning_rows).where(warning_rows.c.id == row.id).values(state=after.value))
        await note(uow, row.id, "cancelled" if cancelled else "updated")
        await self._room.calls.over(uow, row, "cancelled" if cancelled else "updated")

    @staticmethod
    def _values(message: CapMessage, document: bytes, root: str, centres: tuple[str, ...]) -> dict[str, Any]:
        info = message.info or CapInfo(event="预警解除", severity="Unknown", headline=message.note)
        event = classify(info.event_code, info.event)
        tornado = mentions_tornado(info.headline, info.description, info.instruction)
        over = message.type is CapType.CANCEL
        return {
            "origin": WarningOrigin.RECEIVED.value,
            "kind": message.type.value,
            "state": (WarningState.ARCHIVED if over else WarningState.RECEIVED).value,
            "drill": message.drill,
            "identifier": message.identifier[:256],
            "sender": message.sender[:256],
            "unit": (info.sender_name or message.sender)[:256],
            "root": root[:256],
            "colour": int(severity_of(info)),
            "event_code": (event.code or "")[:32],
            "event": event.name[:128],
            "headline": (info.headline or info.event)[:500],
            "content": _content(info),
            "flags": [TORNADO_MENTIONED] if tornado else [],
            "centres": list(centres),
            "note": message.note[:2000],
            "sent_at": message.sent,
            "expires": info.expires,
            "authors": [],
            "document": document,
            "signature": "",
            "public_key": "",
        }


def _content(info: CapInfo) -> dict[str, Any]:
    """Return what it says in the form of an own warning's content; codes and polygons stand as they came."""
    area = {"name": "、".join(info.areas), "codes": list(info.geocodes), "polygon": ""}
    drawn = [{"name": "", "codes": [], "polygon": polygon} for polygon in info.polygons]
    return {
        "description": info.description,
        "instruction": info.instruction,
        "contact": "",
        "areas": [area, *drawn],
        "onset": info.onset.isoformat() if info.onset else None,
        "expires": info.expires.isoformat() if info.expires else None,
    }
