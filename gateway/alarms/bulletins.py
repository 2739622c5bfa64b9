"""Public warnings as alarms of this gateway.

One alarm per chain of messages and centre: an Update supersedes what it references, a Cancel withdraws it, expiry alone
is not a cancel (CAP 1.2). Only a sender's own messages can be referenced: nobody withdraws another's warning. A repeat
of the same message changes nothing. `Exercise` and `Test` carry the drill mark for ever.

A text that speaks of a tornado (龙卷) raises a second alarm, `tornado_mentioned`, orange whatever the warning's colour.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, or_, select, update

from gateway.alarms.cap import parse
from gateway.alarms.needs import Area, Outgoing, WarningFollower
from gateway.alarms.tables import alarms, cap_messages
from gateway.events import WarningTaken
from gateway.metrics import Metrics
from gateway.ports.store import Store, UnitOfWork
from protocols.alarm import CLEARED, RAISED, AlarmData, Condition, Severity, lane_for
from protocols.cap import CapInfo, CapMessage, CapStatus, CapType, division_codes, severity_of
from protocols.envelope import Event
from protocols.errors import BadSchemaError, NotFoundError, SilianError
from protocols.event_codes import TORNADO_MENTIONED, classify, mentions_tornado


@dataclass(frozen=True, slots=True)
class _Chain:
    """What is known of the messages that this one speaks of: the alarm of `root` goes on, `others` end."""

    root: str
    centres: tuple[str, ...] = ()
    others: tuple[tuple[str, tuple[str, ...]], ...] = ()


class Bulletins:
    """Takes CAP messages."""

    def __init__(self, store: Store, outgoing: Outgoing, area: Area, metrics: Metrics) -> None:
        self._store = store
        self._outgoing = outgoing
        self._area = area
        self._metrics = metrics
        self._followers: list[WarningFollower] = []

    def follow(self, follower: WarningFollower) -> None:
        """Let another room act on every message that is taken, inside its unit of work."""
        self._followers.append(follower)

    async def take(self, xml: bytes) -> list[str]:
        """Take a CAP 1.2 message; returns the ids of the events it made.

        Raises BadInputError and its kind for what is not CAP, NotFoundError for a cancel of something unknown.
        """
        try:
            message = await asyncio.to_thread(parse, xml)
            _check(message)
            async with self._store.unit() as uow:
                known = await self._known(uow, message)
                ids = await self._take(uow, message, xml) if known is None else known
        except SilianError as error:
            self._metrics.count("cap_messages_total", outcome=error.code)
            raise
        self._metrics.count("cap_messages_total", outcome="repeated" if known is not None else "taken")
        return ids

    async def _take(self, uow: UnitOfWork, message: CapMessage, xml: bytes) -> list[str]:
        chain = await self._chain(uow, message)
        centres = self._centres(message)
        events = await self._events(uow, message, chain, centres)
        for event in events:
            await self._outgoing.emit(uow, event, lane_for(int(event.data["severity"])))
        ids = [event.id for event in events]
        await uow.execute(insert(cap_messages), [_row(message, chain, centres, ids)])
        if chain.others:
            # What was one of several warnings is from now on part of this one.
            merged = [root for root, _ in chain.others]
            mine = (cap_messages.c.sender == message.sender, cap_messages.c.root.in_(merged))
            await uow.execute(update(cap_messages).where(*mine).values(root=chain.root[:256]))
        taken = WarningTaken(message, xml, chain.root, tuple(root for root, _ in chain.others), centres)
        for follower in self._followers:
            await follower(uow, taken)
        return ids

    async def _known(self, uow: UnitOfWork, message: CapMessage) -> list[str] | None:
        same = (cap_messages.c.sender == message.sender, cap_messages.c.identifier == message.identifier)
        row = (await uow.execute(select(cap_messages.c.event_ids).where(*same))).one_or_none()
        return None if row is None else list(row.event_ids)

    async def _chain(self, uow: UnitOfWork, message: CapMessage) -> _Chain:
        """Find the alarms that the message speaks of; an update of something unknown begins its own."""
        named = [
            cap_messages.c.identifier == one.identifier for one in message.references if one.sender == message.sender
        ]
        of_sender = cap_messages.c.sender == message.sender
        roots: list[str] = []
        if named:
            asked = select(cap_messages.c.root).where(of_sender, or_(*named)).order_by(cap_messages.c.sent)
            roots = list(dict.fromkeys(row.root for row in await uow.execute(asked)))
        if not roots:
            if message.type is CapType.CANCEL:
                raise NotFoundError("references: none of the messages to cancel is known here as this sender's")
            return _Chain(message.identifier)
        stands: list[tuple[str, tuple[str, ...]]] = []
        for root in roots:
            of_root = select(cap_messages.c.centres).where(of_sender, cap_messages.c.root == root)
            newest = (await uow.execute(of_root.order_by(cap_messages.c.sent.desc()).limit(1))).one()
            stands.append((root, tuple(newest.centres)))
        return _Chain(*stands[0], tuple(stands[1:]))

    def _centres(self, message: CapMessage) -> tuple[str, ...]:
        """Return the centres of this subtree that the areas name, or the own one."""
        if message.info is None or message.type is CapType.CANCEL:
            return ()
        return tuple(code for code in division_codes(message.info) if self._area.subtree(code)) or (self._area.code,)

    async def _events(
        self, uow: UnitOfWork, message: CapMessage, chain: _Chain, centres: tuple[str, ...]
    ) -> list[Event]:
        info = message.info or CapInfo(event="预警解除", severity="Unknown", headline=message.note)
        gone = [(chain.root, centre) for centre in chain.centres if centre not in centres]
        gone += [(root, centre) for root, stood in chain.others for centre in stood]
        if message.type is CapType.CANCEL and not gone:
            raise NotFoundError("the warning to cancel was cancelled before")
        stands = [(chain.root, centre) for centre in centres]
        told = [(RAISED, _data(message, info, *one)) for one in stands]
        told += [(CLEARED, _data(message, info, *one)) for one in gone]
        flagged = mentions_tornado(info.headline, info.description, info.instruction)
        told += [(RAISED, _flag(data)) for type_, data in told if flagged and type_ == RAISED]
        over = [_flag(data) for type_, data in told if type_ == CLEARED or (not flagged and type_ == RAISED)]
        standing = await self._standing(uow, [data.alarm_key for data in over])
        told += [(CLEARED, data) for data in over if data.alarm_key in standing]
        return [
            uow.mint(type_, data.model_dump(mode="json"), subject=data.alarm_key, drill=message.drill)
            for type_, data in told
        ]

    async def _standing(self, uow: UnitOfWork, keys: Sequence[str]) -> set[str]:
        """Return which of these alarms of this gateway stand."""
        mine = (alarms.c.source == self._area.code, alarms.c.condition == Condition.ACTIVE.value)
        found = await uow.execute(select(alarms.c.alarm_key).where(*mine, alarms.c.alarm_key.in_(keys)))
        return {row.alarm_key for row in found}


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
        event_type=(classify(info.event_code, info.event).code or "cap")[:32],
        severity=severity_of(info),
        headline=(info.headline or info.event or message.identifier)[:200],
        detail=detail[:4000],
        observed_at=message.sent,
    )


def _flag(data: AlarmData) -> AlarmData:
    said = {"alarm_key": f"{data.alarm_key}/tornado", "event_type": TORNADO_MENTIONED, "severity": Severity.ORANGE}
    return data.model_copy(update=said | {"headline": f"预警正文提到龙卷：{data.headline}"[:200]})


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
