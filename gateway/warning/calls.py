"""Call-and-confirm (叫应) as rows: who is called, until when, who answered. Rules decide, letters and timers carry out.

Everything that a moment changes (posts, timers, messages, the warning's state) is one transaction, so a restart finds
either all of it or nothing, and goes on.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, Literal

from sqlalchemy import Row, func, insert, select, update

from gateway.ports.notify import Channel, Letter
from gateway.ports.store import Reader, UnitOfWork
from gateway.warning import machine, phrases
from gateway.warning.links import DOOR, ConfirmLinks
from gateway.warning.machine import Step
from gateway.warning.needs import WarningNeeds
from gateway.warning.rows import call_of, find, note, values_of, within_of
from gateway.warning.rules import calling
from gateway.warning.rules.calling import Call, CallPhase, Confirmation, Ring, SendSomebody, Way
from gateway.warning.rules.targets import CallList, Person, targets_of
from gateway.warning.tables import call_lists, calls, runs, warning_rows
from protocols.aio.clock import new_ulid
from protocols.errors import NotFoundError, WrongMomentError
from protocols.warning import WarningState

logger = logging.getLogger(__name__)
TIMER: Final = "warning-call"
SYSTEM: Final = "system"
RED: Final = 1
"""Messages of a call-and-confirm leave at once, whatever the colour: the post delays only milder ones."""


class Calls:
    """The calling of all warnings of this gateway."""

    def __init__(self, needs: WarningNeeds) -> None:
        self.needs = needs
        self.links = ConfirmLinks(needs.key)

    # the list

    async def call_list(self, reader: Reader) -> tuple[int, CallList]:
        """Return the list in force and its version; version 0 is empty."""
        newest = select(call_lists).order_by(call_lists.c.version.desc()).limit(1)
        row = (await reader.execute(newest)).one_or_none()
        return (0, CallList()) if row is None else (row.version, CallList.model_validate(row.content))

    async def set_call_list(self, wanted: CallList, *, by: str) -> int:
        """Put a new version in force, for what is called from now on; returns its number."""
        async with self.needs.store.unit() as uow:
            row = {"at": uow.now, "by": by, "content": wanted.model_dump(mode="json")}
            await uow.execute(insert(call_lists), [row])
            return int((await uow.execute(select(func.max(call_lists.c.version)))).scalar_one())

    # beginning

    async def offer(self, uow: UnitOfWork, warning: Row[Any], *, start: bool) -> None:
        """Offer to call the persons concerned, or call them at once."""
        row = {"warning_id": warning.id, "phase": "offered", "offered_at": uow.now, "started_at": None}
        row |= {"started_by": "", "ended_at": None, "ended_by": "", "why": "", "list_version": 0}
        await uow.execute(insert(runs), [row | {"within_s": self.needs.settings.answer_within_s}])
        if start:
            await self._start(uow, warning, by=SYSTEM)
        else:
            await note(uow, warning.id, "offered")

    async def start(self, warning_id: str, *, by: str) -> None:
        """Call the persons concerned by a warning in force; raises WrongMomentError where they are called already."""
        async with self.needs.store.unit() as uow:
            warning = await find(uow, warning_id)
            run = await self._run(uow, warning_id)
            if run is not None and run.phase != "offered":
                raise WrongMomentError("this warning's persons are called already, or were")
            if run is None:
                await self.offer(uow, warning, start=False)
            await self._start(uow, warning, by=by)

    async def _start(self, uow: UnitOfWork, warning: Row[Any], *, by: str) -> None:
        version, known = await self.call_list(uow)
        areas = warning.content.get("areas", ())
        codes = [code for area in areas for code in area["codes"]]
        polygons = [area["polygon"] for area in areas if area["polygon"]]
        targets = targets_of(known.targets, codes, polygons)
        if not targets:
            await note(uow, warning.id, "unlisted", by)
            if by != SYSTEM:
                raise NotFoundError(
                    "nobody on the call list stands in the warned area; see PUT /api/v1/warnings/call-list"
                )
            return
        state = machine.moved(WarningState(warning.state), Step.CALL)
        await uow.execute(update(warning_rows).where(warning_rows.c.id == warning.id).values(state=state.value))
        within = timedelta(seconds=self.needs.settings.answer_within_s)
        rows, letters = [], []
        for target in targets:
            for position, post in enumerate(target.responsible):
                call, _ = calling.begin(len(post.chain), uow.now, within)
                row = _row(new_ulid(self.needs.clock), warning.id, target.name, position, call)
                row["chain"] = [person.model_dump(mode="json") for person in post.chain]
                row["neighbour"] = target.neighbour.model_dump(mode="json") if target.neighbour else None
                rows.append(row)
                letters += self._call_letters(warning, row["id"], target.name, 0, post.chain[0])
                await self.needs.timers.set(uow, TIMER, row["id"], uow.now + within)
        await uow.execute(insert(calls), rows)
        begun = {"phase": "running", "started_at": uow.now, "started_by": by, "list_version": version}
        await uow.execute(update(runs).where(runs.c.warning_id == warning.id).values(**begun))
        said = phrases.STARTED.format(headline=warning.headline, total=len(rows), minutes=int(within.seconds / 60))
        await self.needs.letters.write(uow, [*letters, self._sound(warning, "start", said)])
        await note(uow, warning.id, "called", by, str(len(rows)))

    # time passes

    async def ring(self, uow: UnitOfWork, call_id: str) -> None:
        """Act on a timer: the next person, or somebody goes there."""
        row = (await uow.execute(select(calls).where(calls.c.id == call_id))).one_or_none()
        if row is None:
            return
        run = await self._run(uow, row.warning_id)
        warning = await find(uow, row.warning_id)
        if run is None or run.phase != "running":
            return
        after, effect = calling.ring(call_of(row), uow.now, within_of(run))
        await self._put(uow, row.id, after)
        chain = [Person.model_validate(one) for one in row.chain]
        match effect:
            case Ring(step):
                letters = self._call_letters(warning, row.id, row.target, step, chain[step])
                await self.needs.letters.write(uow, letters)
                await note(uow, row.warning_id, "next", SYSTEM, f"{row.target} {chain[step].name}")
            case SendSomebody():
                await self.needs.letters.write(uow, self._door_letters(warning, row, chain))
                await note(uow, row.warning_id, "door", SYSTEM, row.target)
            case None:
                pass

    async def _put(self, uow: UnitOfWork, call_id: str, call: Call) -> None:
        await uow.execute(update(calls).where(calls.c.id == call_id).values(**values_of(call)))
        if call.due_at is not None:
            await self.needs.timers.set(uow, TIMER, call_id, call.due_at)
        else:
            await self.needs.timers.drop(uow, TIMER, [call_id])

    # people answer

    async def by_link(self, token: str) -> Row[Any]:
        """Return the call that a link means; raises NotFoundError."""
        link = self.links.read(token)
        async with self.needs.store.reading() as reader:
            return await self._call(reader, link.call_id)

    async def confirm_by_link(self, token: str) -> None:
        """Take the press of the button behind a link; a repeat changes nothing."""
        link = self.links.read(token)
        async with self.needs.store.unit() as uow:
            row = await self._call(uow, link.call_id)
            neighbour = (row.neighbour or {}).get("name", "")
            by = neighbour if link.step == DOOR else row.chain[link.step]["name"]
            way = Way.DOOR if link.step == DOOR else Way.LINK
            await self._confirm(uow, row, Confirmation(by or phrases.NOBODY, uow.now, way))

    async def confirm(self, call_id: str, *, by: str, way: Way, noted_by: str, note_: str = "") -> str:
        """Write down that somebody answered; returns the warning's id."""
        async with self.needs.store.unit() as uow:
            row = await self._call(uow, call_id)
            await self._confirm(uow, row, Confirmation(by, uow.now, way, noted_by, note_))
        return str(row.warning_id)

    async def _confirm(self, uow: UnitOfWork, row: Row[Any], said: Confirmation) -> None:
        before = call_of(row)
        after = calling.confirm(before, said)
        if after == before:
            return
        await self._put(uow, row.id, after)
        refs = [_ref(row.id, step) for step in (DOOR, *range(len(row.chain)))]
        await self.needs.letters.withdraw(uow, row.warning_id, refs)
        run = await self._run(uow, row.warning_id)
        late = run is not None and calling.late_by(after, within_of(run)) is not None
        what = "answered_late" if late else "answered"
        await note(uow, row.warning_id, what, said.noted_by or said.by, f"{row.target} {said.by}")
        took = (said.at - row.began_at).total_seconds()
        uow.after_commit(lambda: self.needs.metrics.observe("call_confirm_seconds", max(0.0, took)))
        waiting = select(func.count()).select_from(calls).where(calls.c.warning_id == row.warning_id)
        waiting = waiting.where(calls.c.phase.in_([phase.value for phase in calling.UNANSWERED]))
        if (await uow.execute(waiting)).scalar_one() == 0:
            await self._close(uow, row.warning_id, SYSTEM, "", "confirmed")
            warning = await find(uow, row.warning_id)
            state = machine.heard(WarningState(warning.state), Step.CONFIRMED)
            await uow.execute(update(warning_rows).where(warning_rows.c.id == row.warning_id).values(state=state.value))

    async def end(self, warning_id: str, *, by: str, why: str) -> None:
        """End a run with people unanswered; the record names them. Raises WrongMomentError where none runs."""
        async with self.needs.store.unit() as uow:
            run = await self._run(uow, warning_id)
            if run is None or run.phase == "done":
                raise WrongMomentError("no call-and-confirm of this warning is offered or running")
            await self._end_calls(uow, warning_id)
            await self._close(uow, warning_id, by, why, "ended")

    async def over(self, uow: UnitOfWork, warning: Row[Any], why: Literal["updated", "cancelled"]) -> None:
        """End what runs of a warning that no longer holds, and tell those who were called where it was cancelled."""
        run = await self._run(uow, warning.id)
        if run is None:
            return
        if run.phase != "done":
            await self._end_calls(uow, warning.id)
            await self._close(uow, warning.id, SYSTEM, why, "ended")
        if why == "cancelled" and run.started_at is not None:
            found = (await uow.execute(select(calls).where(calls.c.warning_id == warning.id))).all()
            words = phrases.OVER.format(headline=warning.headline)
            letters = []
            for row in found:
                for step, one in enumerate(row.chain[: row.step + 1]):
                    person, ref = Person.model_validate(one), f"{row.id}/over{step}"
                    letters += self._to(warning, person, ref, phrases.OVER_SUBJECT, words)
            await self.needs.letters.write(uow, letters)

    async def _end_calls(self, uow: UnitOfWork, warning_id: str) -> None:
        for row in (await uow.execute(select(calls).where(calls.c.warning_id == warning_id))).all():
            after = calling.end(call_of(row))
            if after.phase is CallPhase.ENDED:
                await self._put(uow, row.id, after)
        await self.needs.letters.withdraw(uow, warning_id)

    async def _close(self, uow: UnitOfWork, warning_id: str, by: str, why: str, what: str) -> None:
        ended = {"phase": "done", "ended_at": uow.now, "ended_by": by, "why": why}
        await uow.execute(update(runs).where(runs.c.warning_id == warning_id).values(**ended))
        await note(uow, warning_id, what, by, why)

    # words

    def _call_letters(self, warning: Row[Any], call_id: str, target: str, step: int, person: Person) -> list[Letter]:
        url = f"{self.needs.base_url()}/confirm/{self.links.token(call_id, step)}"
        words = phrases.CALL.format(
            unit=warning.unit,
            headline=warning.headline,
            target=target,
            post=person.post,
            person=person.name,
            link=phrases.CONFIRM_AT.format(url=url),
            instruction=warning.content.get("instruction", "")[:200],
        )
        subject = phrases.CALL_SUBJECT.format(colour=phrases.COLOURS[warning.colour])
        return self._to(warning, person, _ref(call_id, step), subject, words)

    def _door_letters(self, warning: Row[Any], row: Row[Any], chain: Sequence[Person]) -> list[Letter]:
        neighbour = Person.model_validate(row.neighbour) if row.neighbour else None
        url = f"{self.needs.base_url()}/confirm/{self.links.token(row.id, DOOR)}"
        persons = "、".join(person.name for person in chain)
        said = {"headline": warning.headline, "target": row.target, "persons": persons}
        own = phrases.DOOR.format(**said, person=phrases.NOBODY, link="")
        letters = [self._sound(warning, _ref(row.id, DOOR), own)]
        if neighbour is not None:
            words = phrases.DOOR.format(**said, person=neighbour.name, link=phrases.CONFIRM_AT.format(url=url))
            letters += self._to(warning, neighbour, _ref(row.id, DOOR), phrases.DOOR_SUBJECT, words)
        return letters

    def _to(self, warning: Row[Any], person: Person, ref: str, subject: str, words: str) -> list[Letter]:
        """Write to a person on all channels at once; one without any way stands as a message that failed."""
        ways = ((Channel.SMS, person.phone), (Channel.EMAIL, person.email), (Channel.WEBHOOK, person.url))
        used = [way for way in ways if way[1]] or [(Channel.SMS, None)]
        return [self._letter(warning, ref, way, person.name, address, subject, words) for way, address in used]

    def _sound(self, warning: Row[Any], ref: str, words: str) -> Letter:
        subject = phrases.CALL_SUBJECT.format(colour=phrases.COLOURS[warning.colour])
        return self._letter(warning, ref, Channel.SOUND, phrases.NOBODY, "duty_officer", subject, words)

    def _letter(
        self, warning: Row[Any], ref: str, channel: Channel, person: str, address: str | None, subject: str, words: str
    ) -> Letter:
        return Letter(
            topic=warning.id,
            ref=ref,
            channel=channel,
            person=person,
            role="duty_officer" if channel is Channel.SOUND else "responsible",
            address=address,
            severity=RED,
            subject=phrases.marked(subject, drill=warning.drill),
            text=phrases.marked(words, drill=warning.drill),
            data={"warning": warning.id, "drill": warning.drill, "headline": warning.headline},
        )

    # rows

    @staticmethod
    async def _run(reader: Reader, warning_id: str) -> Row[Any] | None:
        return (await reader.execute(select(runs).where(runs.c.warning_id == warning_id))).one_or_none()

    @staticmethod
    async def _call(reader: Reader, call_id: str) -> Row[Any]:
        row = (await reader.execute(select(calls).where(calls.c.id == call_id))).one_or_none()
        if row is None:
            raise NotFoundError(f"no call {call_id}")
        return row


def _ref(call_id: str, step: int) -> str:
    return f"{call_id}/{'door' if step == DOOR else step}"


def _row(id_: str, warning_id: str, target: str, position: int, call: Call) -> dict[str, Any]:
    head = {"id": id_, "warning_id": warning_id, "target": target, "position": position}
    return head | {"persons": call.persons, "began_at": call.began_at} | values_of(call)
