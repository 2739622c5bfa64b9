"""Warnings written here: drafted, reviewed by a second person, signed, dispatched; and what ends them.

What a dispatch does is one transaction: the state, the messages to outlets, the event for the tier above, the end of
what it replaces, and the calling of people.
"""

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from gateway.events import WarningChanged
from gateway.ports.notify import Channel, Letter, Receipt
from gateway.ports.store import UnitOfWork
from gateway.warning import machine, phrases, signing
from gateway.warning.calls import RED, Calls
from gateway.warning.document import Message, identifier_of, write
from gateway.warning.machine import Step
from gateway.warning.needs import WarningNeeds
from gateway.warning.rows import content_of, find, note
from gateway.warning.rules.calling import is_called, is_called_again
from gateway.warning.rules.issuing import Issuer, check_complete, issuer_of
from gateway.warning.rules.targets import check_polygon, outlets_of
from gateway.warning.tables import calls, runs, warning_rows
from protocols.aio.clock import new_ulid
from protocols.cap import CapType
from protocols.envelope import Lane
from protocols.errors import TooLargeError, WrongMomentError
from protocols.event_codes import classify
from protocols.warning import ISSUED, IssuedData, WarningContent, WarningOrigin, WarningState

logger = logging.getLogger(__name__)
LOOK_S = 2.0
DOCUMENT_BYTES = 40 * 1024
"""A record of a link is at most 64 KiB, and the document travels in one."""
OUTLET = "outlet"
ARRIVED = frozenset({Receipt.SENT, Receipt.ACCEPTED, Receipt.DELIVERED})


class Warnings:
    """The warnings of this gateway. `run` keeps the figures; run it as a supervised task."""

    def __init__(self, needs: WarningNeeds, calls_: Calls) -> None:
        self.needs = needs
        self.calls = calls_
        settings = needs.settings
        self.issuers = [
            Issuer(one.unit, f"{needs.area.code}{one.sender}", one.events, one.gravest) for one in settings.issuers
        ]
        self._states: dict[str, int] = {}
        self._ratio: float | None = None
        needs.metrics.live("warnings", lambda: [((state,), float(n)) for state, n in self._states.items()])
        needs.metrics.live("call_confirm_ratio", lambda: [] if self._ratio is None else [((), self._ratio)])

    # writing

    async def draft(self, unit: str, content: WarningContent, *, drill: bool, by: str) -> str:
        """Begin a draft; returns its id. Raises WeatherSignalError, NotIssuerError before anybody wrote a word."""
        async with self.needs.store.unit() as uow:
            return await self._draft(uow, unit, content, CapType.ALERT, drill=drill, by=by)

    async def follow_up(self, warning_id: str, kind: CapType, *, by: str, why: str = "") -> str:
        """Draft the update or cancellation of an own warning in force; returns the draft's id."""
        async with self.needs.store.unit() as uow:
            before = await self._own(uow, warning_id)
            if WarningState(before.state) not in machine.IN_FORCE or before.kind == CapType.CANCEL.value:
                raise WrongMomentError(f"a warning that is {before.state} is neither updated nor cancelled")
            open_ = select(warning_rows.c.id).where(
                warning_rows.c.replaces == warning_id,
                warning_rows.c.state.in_([state.value for state in machine.UNISSUED]),
            )
            if (await uow.execute(open_.limit(1))).one_or_none() is not None:
                raise WrongMomentError("a draft that follows this warning is open: finish or withdraw it first")
            content, drill = content_of(before), before.drill
            if kind is CapType.CANCEL:
                content = content.model_copy(update={"headline": f"{before.headline[:150]}解除"})
            return await self._draft(uow, before.unit, content, kind, drill=drill, by=by, replaces=before, note_=why)

    async def _draft(
        self,
        uow: UnitOfWork,
        unit: str,
        content: WarningContent,
        kind: CapType,
        *,
        drill: bool,
        by: str,
        replaces: Row[Any] | None = None,
        note_: str = "",
    ) -> str:
        issuer = self._checked(unit, content)
        id_ = new_ulid(self.needs.clock)
        row = {
            "id": id_,
            "origin": WarningOrigin.OWN.value,
            "kind": kind.value,
            "state": WarningState.DRAFTED.value,
            "drill": drill,
            "identifier": "",
            "sender": issuer.sender,
            "unit": unit,
            "root": replaces.root if replaces is not None else "",
            "replaces": replaces.id if replaces is not None else None,
            "flags": [],
            "note": note_,
            "created_at": uow.now,
            "authors": [by],
            "document": b"",
            "signature": "",
            "public_key": "",
        }
        await uow.execute(insert(warning_rows), [row | self._said(content)])
        await note(uow, id_, "drafted", by)
        return id_

    def _checked(self, unit: str, content: WarningContent) -> Issuer:
        for area in content.areas:
            check_polygon(area.polygon)
        return issuer_of(unit, content, self.issuers)

    def _said(self, content: WarningContent) -> dict[str, Any]:
        codes = [code[:6] for area in content.areas for code in area.codes]
        return {
            "colour": int(content.colour),
            "event_code": content.event_code,
            "event": content.event,
            "headline": content.headline,
            "content": content.model_dump(mode="json"),
            "centres": list(dict.fromkeys(codes)),
            "expires": content.expires,
        }

    async def edit(self, warning_id: str, content: WarningContent, *, by: str) -> None:
        """Write a draft anew; whoever does is an author too."""
        async with self.needs.store.unit() as uow:
            row = await self._own(uow, warning_id)
            if row.state != WarningState.DRAFTED.value:
                raise WrongMomentError("only a draft can be changed; return it to its author first")
            issuer = self._checked(row.unit, content)
            authors = list(dict.fromkeys([*row.authors, by]))
            said = self._said(content) | {"authors": authors, "sender": issuer.sender}
            await uow.execute(update(warning_rows).where(warning_rows.c.id == warning_id).values(**said))
            await note(uow, warning_id, "edited", by)

    # two persons

    async def review(self, warning_id: str, *, by: str) -> None:
        """Approve a draft (审核); raises WarningIncompleteError for what it lacks, NotAllowedError for its author."""
        async with self.needs.store.unit() as uow:
            row = await self._own(uow, warning_id)
            after = machine.moved(WarningState(row.state), Step.REVIEW)
            self._second(row, by)
            check_complete(content_of(row))
            await self._set(uow, warning_id, state=after.value, reviewed_by=by)
            await note(uow, warning_id, "reviewed", by)

    async def send_back(self, warning_id: str, why: str, *, by: str) -> None:
        """Return a reviewed draft to its author (退回)."""
        async with self.needs.store.unit() as uow:
            row = await self._own(uow, warning_id)
            after = machine.moved(WarningState(row.state), Step.RETURN)
            await self._set(uow, warning_id, state=after.value, reviewed_by=None)
            await note(uow, warning_id, "returned", by, why)

    async def sign(self, warning_id: str, *, by: str) -> None:
        """Sign a reviewed draft (签发): its document is written, and never changes afterwards."""
        async with self.needs.store.unit() as uow:
            row = await self._own(uow, warning_id)
            after = machine.moved(WarningState(row.state), Step.SIGN)
            self._second(row, by)
            content = content_of(row)
            issuer_of(row.unit, content, self.issuers)
            same = (
                select(func.count())
                .select_from(warning_rows)
                .where(warning_rows.c.identifier.startswith(_prefix(row, uow)))
            )
            identifier = identifier_of(row.sender, uow.now, int((await uow.execute(same)).scalar_one()))
            references = await self._references(uow, row)
            kind = CapType(row.kind)
            message = Message(identifier, row.sender, row.unit, uow.now, kind, row.drill, content, references, row.note)
            document = write(message)
            if len(document) > DOCUMENT_BYTES:
                raise TooLargeError(
                    f"the document has {len(document)} bytes, the limit is {DOCUMENT_BYTES}: shorten the texts"
                )
            signed = {"signature": signing.sign(self.needs.key, document)}
            signed |= {"public_key": signing.public_of(self.needs.key), "identifier": identifier}
            signed |= {"state": after.value, "signed_by": by, "root": row.root or identifier}
            await self._set(uow, warning_id, document=document, sent_at=uow.now, **signed)
            await note(uow, warning_id, "signed", by, identifier)

    @staticmethod
    async def _references(uow: UnitOfWork, row: Row[Any]) -> tuple[tuple[str, str, Any], ...]:
        if row.replaces is None:
            return ()
        before = await find(uow, row.replaces)
        return ((before.sender, before.identifier, before.sent_at),)

    @staticmethod
    def _second(row: Row[Any], by: str) -> None:
        for author in row.authors:
            machine.check_second(author, by)

    # out

    async def dispatch(self, warning_id: str, *, by: str) -> None:
        """Publish a signed warning (发布): feed, outlets, tier above, call-and-confirm."""
        async with self.needs.store.unit() as uow:
            row = await self._own(uow, warning_id)
            state = machine.moved(WarningState(row.state), Step.DISPATCH)
            before = await find(uow, row.replaces) if row.replaces is not None else None
            if before is not None:
                await self._replace(uow, before, CapType(row.kind))
            _, known = await self.calls.call_list(uow)
            letters = self._outlet_letters(row, outlets_of(known.outlets, drill=row.drill))
            await self.needs.letters.write(uow, letters)
            if not letters:
                state = machine.moved(state, Step.DELIVERED)
            await self._set(uow, warning_id, state=state.value, dispatched_at=uow.now)
            await note(uow, warning_id, "dispatched", by)
            await self._tell_above(uow, row)
            called = await self._called_before(uow, before)
            await self.consider(uow, await find(uow, warning_id), called)
        self.needs.metrics.count("warnings_dispatched_total", kind=row.kind, drill=str(row.drill).lower())
        logger.info("warning dispatched", extra={"warning": row.identifier, "kind": row.kind, "drill": row.drill})

    async def _replace(self, uow: UnitOfWork, before: Row[Any], kind: CapType) -> None:
        step, word = (Step.CANCEL, "cancelled") if kind is CapType.CANCEL else (Step.SUPERSEDE, "updated")
        after = machine.moved(WarningState(before.state), step)
        await self._set(uow, before.id, state=after.value)
        await note(uow, before.id, word)
        await self.calls.over(uow, before, "cancelled" if kind is CapType.CANCEL else "updated")

    async def _tell_above(self, uow: UnitOfWork, row: Row[Any]) -> None:
        said = {"document": row.document.decode(), "signature": row.signature, "key": row.public_key}
        data = IssuedData(centre=self.needs.area.code, **said).model_dump(mode="json")
        event = uow.mint(ISSUED, data, subject=row.identifier, drill=row.drill)
        await self.needs.outgoing.emit(uow, event, Lane.URGENT)

    async def _called_before(self, uow: UnitOfWork, before: Row[Any] | None) -> int | None:
        """Return the colour for which people were called before, None where nobody was."""
        if before is None:
            return None
        ran = select(calls.c.id).where(calls.c.warning_id == before.id).limit(1)
        return before.colour if (await uow.execute(ran)).one_or_none() is not None else None

    async def consider(self, uow: UnitOfWork, row: Row[Any], called: int | None) -> None:
        """Begin or offer call-and-confirm where the rules and the settings ask for it.

        `called` is the colour for which people were called before this update, None where nobody was.
        """
        policy = self.needs.settings.call_confirm
        event = classify(row.event_code, row.event)
        wanted = is_called(event, row.colour, tornado=bool(row.flags)) and is_called_again(row.colour, called)
        if policy == "off" or not wanted or row.kind == CapType.CANCEL.value:
            return
        # A drill of others is not ours to wake people with: a person decides.
        foreign_drill = row.drill and row.origin != WarningOrigin.OWN.value
        await self.calls.offer(uow, row, start=policy == "start" and not foreign_drill)

    def _outlet_letters(self, row: Row[Any], outlets: Sequence[Any]) -> list[Letter]:
        content = content_of(row)
        said = {"headline": row.headline, "description": content.description, "instruction": content.instruction}
        words = phrases.OUTLET.format(**said, unit=row.unit, at=phrases.clock(row.sent_at))
        subject = phrases.OUTLET_SUBJECT.format(colour=phrases.COLOURS[row.colour], event=row.event)
        letters = []
        for number, outlet in enumerate(outlets):
            ways = {Channel.SMS: outlet.phone, Channel.EMAIL: outlet.email, Channel.WEBHOOK: outlet.url}
            for channel, address in ways.items():
                if address is None:
                    continue
                cap = {"cap": row.document.decode(), "signature": row.signature} if channel is Channel.WEBHOOK else {}
                letters.append(
                    Letter(
                        topic=row.id,
                        ref=f"{OUTLET}{number}",
                        channel=channel,
                        person=outlet.name,
                        role=outlet.kind.value,
                        address=address,
                        severity=RED,
                        subject=phrases.marked(subject, drill=row.drill),
                        text=phrases.marked(words, drill=row.drill),
                        data={"warning": row.id, "drill": row.drill, "headline": row.headline} | cap,
                    )
                )
        return letters

    async def on_receipt(self, uow: UnitOfWork, topic: str) -> None:
        """Look whether all outlets have it; follows the post inside its transaction."""
        row = (await uow.execute(select(warning_rows).where(warning_rows.c.id == topic))).one_or_none()
        if row is None:
            return
        letters = [one for one in await self.needs.letters.of(uow, topic) if one.ref.startswith(OUTLET)]
        reached = {one.ref for one in letters if one.state in ARRIVED}
        if row.state == WarningState.DISPATCHED.value and reached == {one.ref for one in letters}:
            state = machine.heard(WarningState(row.state), Step.DELIVERED)
            await self._set(uow, topic, state=state.value)
            await note(uow, topic, "delivered")
        else:
            uow.tell(WarningChanged(topic))

    # the end

    async def archive(self, warning_id: str, *, by: str, why: str = "") -> None:
        """Put a warning away; one that was never issued is withdrawn (撤销). What is in force is cancelled first."""
        async with self.needs.store.unit() as uow:
            row = await find(uow, warning_id)
            state = WarningState(row.state)
            in_force = state in machine.IN_FORCE and row.kind != CapType.CANCEL.value
            if in_force and row.origin == WarningOrigin.OWN.value and (row.expires is None or row.expires > uow.now):
                raise WrongMomentError("this warning is in force: cancel it (解除), then archive it")
            run = (await uow.execute(select(runs).where(runs.c.warning_id == warning_id))).one_or_none()
            if run is not None and run.phase == "running":
                raise WrongMomentError("people are being called: end the call-and-confirm first")
            await self._set(uow, warning_id, state=machine.moved(state, Step.ARCHIVE).value)
            await note(uow, warning_id, "withdrawn" if state in machine.UNISSUED else "archived", by, why)

    # figures

    async def run(self) -> None:
        """Read the figures again and again."""
        while True:
            await self.measure()
            await self.needs.clock.sleep(LOOK_S)

    async def measure(self) -> None:
        """Read the figures once: warnings by state, and how many of the last call-and-confirm answered."""
        async with self.needs.store.reading() as reader:
            by_state = select(warning_rows.c.state, func.count().label("n")).group_by(warning_rows.c.state)
            self._states = {row.state: row.n for row in await reader.execute(by_state)}
            last = select(runs.c.warning_id).where(runs.c.started_at.is_not(None)).order_by(runs.c.started_at.desc())
            run = (await reader.execute(last.limit(1))).one_or_none()
            if run is None:
                return
            answered = func.count().filter(calls.c.confirmed_at.is_not(None)).label("answered")
            counted = select(func.count().label("total"), answered).where(calls.c.warning_id == run.warning_id)
            found = (await reader.execute(counted)).one()
        self._ratio = found.answered / found.total if found.total else None

    # rows

    @staticmethod
    async def _set(uow: UnitOfWork, warning_id: str, **values: Any) -> None:
        await uow.execute(update(warning_rows).where(warning_rows.c.id == warning_id).values(**values))

    @staticmethod
    async def _own(uow: UnitOfWork, warning_id: str) -> Row[Any]:
        row = await find(uow, warning_id)
        if row.origin != WarningOrigin.OWN.value:
            raise WrongMomentError("this warning is another's: only its issuer changes it")
        return row


def _prefix(row: Row[Any], uow: UnitOfWork) -> str:
    """Return how identifiers of this sender and second begin."""
    return identifier_of(row.sender, uow.now, 0)[:-1]
