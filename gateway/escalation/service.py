"""The escalation room: follows every change of an alarm in its own transaction, and acts when timers are due."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from sqlalchemy import Select, func, insert, select

from gateway.escalation import machine, timers
from gateway.escalation.chains import Chain, Contact, default_chain
from gateway.escalation.courier import Courier
from gateway.escalation.course import course_of
from gateway.escalation.letters import Letters
from gateway.escalation.machine import Effect, HandUp, Note, Phase, Reopen, Run, Stop, Tell
from gateway.escalation.needs import EscalationNeeds
from gateway.escalation.post import NOTICE, Line, Post, Wish, batched
from gateway.escalation.rows import load, load_many, row_of, seen_of
from gateway.escalation.stepping import Stepping, boot_id
from gateway.escalation.tables import chains, notices, runs
from gateway.escalation.tables import timers as timer_rows
from gateway.escalation.timers import LOOK_S, Timer
from gateway.events import AlarmStanding
from gateway.ports.notify import Channel, Receipt
from gateway.ports.store import Reader, UnitOfWork
from protocols.aio.tasks import Supervisor
from protocols.errors import StoreAwayError, WrongMomentError
from protocols.ids import is_gateway

logger = logging.getLogger(__name__)
RUN = "run"
"""Kind of a chain's timer."""
AUDIT_S = 2.0
AT_ONCE = 200
RING_AT_ONCE = 50
"""Chains that take a step in one unit of work."""


def _astray() -> Select[Any]:
    """Count chains and messages that wait without a timer, and timers of chains that do not wait."""
    timed = select(timer_rows.c.key)
    stalled = select(func.count()).select_from(runs).where(runs.c.due_at.is_not(None))
    stalled = stalled.where(runs.c.alarm_id.not_in(timed.where(timer_rows.c.kind == RUN)))
    mute = select(func.count()).select_from(notices).where(notices.c.state == Receipt.WAITING.value)
    mute = mute.where(notices.c.id.not_in(timed.where(timer_rows.c.kind == NOTICE)))
    orphans = select(func.count()).select_from(timer_rows).where(timer_rows.c.kind == RUN)
    orphans = orphans.where(timer_rows.c.key.not_in(select(runs.c.alarm_id).where(runs.c.due_at.is_not(None))))
    return select(stalled.scalar_subquery() + mute.scalar_subquery() + orphans.scalar_subquery())


_ASTRAY = _astray()


@dataclass(frozen=True, slots=True)
class Move:
    """How an alarm's run changes, and what follows."""

    alarm: AlarmStanding
    before: Run | None
    run: Run | None
    effects: Sequence[Effect]


class Escalation:
    """The room. Register `follow` with the alarms; use it with `async with`: entering takes up what a restart left."""

    def __init__(self, needs: EscalationNeeds, *, per_minute: int = 60) -> None:
        self._needs = needs
        self._post = Post(needs.clock)
        self.letters = Letters(needs.clock)
        self._courier = Courier(needs, per_minute, self.letters, self._within)
        self.watch = timers.Watch(needs.store, needs.clock)
        self._tasks = Supervisor("escalation", clock=needs.clock)
        self._stepping = Stepping(needs.clock, boot_id()) if needs.sole else None
        self._chain = default_chain(needs.area.own().tier)
        self.version = 0
        self._overdue = 0
        needs.metrics.live("escalation_overdue_timers", lambda: [((), float(self._overdue))])

    async def __aenter__(self) -> Self:
        await self.prepare()
        self._tasks.start("chains", self._run_chains)
        self._tasks.start("courier", self._run_courier)
        self._tasks.start("auditor", self._run_auditor)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._tasks.stop()

    async def prepare(self) -> None:
        """Read the chain in force, and bring the runs in line with the alarms as they stand."""
        async with self._needs.store.unit() as uow:
            if self._stepping is not None:
                await self._stepping.begin(uow)
            newest = select(chains).order_by(chains.c.version.desc()).limit(1)
            row = (await uow.execute(newest)).one_or_none()
            if row is not None:
                self._chain, self.version = Chain.model_validate(row.chain), row.version
            await self.follow(uow, await self._needs.alarms.active(uow))

    async def read_again(self) -> None:
        """Read the chain in force: another replica may have set it."""
        async with self._needs.store.reading() as reader:
            row = (await reader.execute(select(chains).order_by(chains.c.version.desc()).limit(1))).one_or_none()
        if row is not None:
            self._in_force(Chain.model_validate(row.chain), row.version)

    # the chain as data

    @property
    def chain(self) -> Chain:
        """The chain in force; version 0 is the one that was shipped."""
        return self._chain

    async def set_chain(self, chain: Chain, *, by: str, base: int | None = None) -> int:
        """Put a new version in force, for what happens from now on; returns its number.

        `base` is the version that the editor has seen: raises WrongMomentError where another is in force by now.
        """
        async with self._needs.store.unit() as uow:
            newest = (await uow.execute(select(func.max(chains.c.version)))).scalar_one() or 0
            if base is not None and newest != base:
                raise WrongMomentError(f"the chain has version {newest} by now, not {base}; read it anew and put again")
            row = {"at": uow.now, "by": by, "chain": chain.model_dump(mode="json")}
            await uow.execute(insert(chains), [row])
            version = int((await uow.execute(select(func.max(chains.c.version)))).scalar_one())
            uow.after_commit(lambda: self._in_force(chain, version))
        return version

    def _in_force(self, chain: Chain, version: int) -> None:
        self._chain, self.version = chain, version

    async def versions(self, limit: int = 50) -> list[dict[str, Any]]:
        """Return the versions, newest first."""
        async with self._needs.store.reading() as reader:
            rows = (await reader.execute(select(chains).order_by(chains.c.version.desc()).limit(limit))).all()
        return [{"version": row.version, "at": row.at, "by": row.by, "chain": row.chain} for row in rows]

    @property
    def channels(self) -> list[Channel]:
        """The channels that this centre has set up."""
        return sorted(self._needs.channels)

    async def course(self, alarm_id: str) -> dict[str, Any]:
        """Return what happened in the chain of an alarm, who was told, and what comes next."""
        async with self._needs.store.reading() as reader:
            return await course_of(reader, alarm_id, self._chain)

    # alarms change

    async def follow(self, uow: UnitOfWork, standings: Sequence[AlarmStanding]) -> None:
        """Take part in the unit of work that changes alarms."""
        await self._within(uow)
        for some in batched(standings, AT_ONCE):
            known = await load_many(uow, {alarm.id for alarm in some})
            moves = [move for alarm in some if (move := self._look(alarm, known.get(alarm.id), uow.now)) is not None]
            await self._carry_out(uow, moves)

    def _look(self, alarm: AlarmStanding, before: Run | None, now: datetime) -> "Move | None":
        home = self._home(alarm.source)
        if before is None and not self._chain.ladder(alarm.severity, handed=not home).steps:
            return None
        run, effects = machine.see(before, seen_of(alarm, self._own, home=home), self._chain, now)
        return None if run == before and not effects else Move(alarm, before, run, effects)

    @property
    def _own(self) -> str:
        return self._needs.area.own().code

    def _home(self, source: str) -> bool:
        """Tell whether no gateway below has this alarm too."""
        hop = self._needs.area.hop_to(source)
        return source == self._own or hop is None or not is_gateway(hop)

    async def _carry_out(self, uow: UnitOfWork, moves: Sequence["Move"]) -> None:
        """Write what the moves change: all of them in a few statements, handing up and reopening one by one."""
        moved = {move.alarm.id: move.run for move in moves if move.run is not None and move.run != move.before}
        # Stored before the effects: handing up changes the alarm and comes back here with this very run.
        await uow.put(runs, [row_of(alarm_id, run) for alarm_id, run in moved.items()])
        await timers.arm_all(uow, RUN, {id_: run.due_at for id_, run in moved.items() if run.due_at is not None})
        await timers.disarm(uow, RUN, [id_ for id_, run in moved.items() if run.due_at is None])
        stopped = [move.alarm.id for move in moves if any(isinstance(one, Stop) for one in move.effects)]
        # Withdrawn first, so that nobody joins a message that is cancelled in this very moment.
        await self._post.withdraw(uow, stopped)
        await self._post.lines(uow, [line for move in moves for line in _lines(move)])
        wishes = [wish for move in moves for wish in self._wishes(move)] + await self._closings(uow, moves)
        if wishes:
            await self._post.write(uow, wishes)
        for move in moves:
            for effect in move.effects:
                match effect:
                    case HandUp(by, why):
                        await self._hand_up(uow, move.alarm, by, why)
                    case Reopen():
                        await self._needs.alarms.reopen(uow, move.alarm.id)
                    case Tell() | Stop() | Note():
                        pass

    def _wishes(self, move: "Move") -> list[Wish]:
        return [
            Wish(move.alarm, contact, channel, step=effect.number, round=effect.round)
            for effect in move.effects
            if isinstance(effect, Tell)
            for target in effect.step.targets
            for contact in self._chain.people(target)
            for channel in target.channels
        ]

    async def _closings(self, uow: UnitOfWork, moves: Sequence["Move"]) -> list[Wish]:
        """Tell those who were called that it is over."""
        ended = {move.alarm.id: (move.alarm, move.before.began_at) for move in moves if move.before and _closes(move)}
        told = await self._post.told(uow, {id_: began for id_, (_, began) in ended.items()})
        return [
            Wish(ended[id_][0], _contact_of(row), Channel(row.channel), purpose="cleared")
            for id_, rows in told.items()
            for row in rows
        ]

    async def _hand_up(self, uow: UnitOfWork, alarm: AlarmStanding, by: str, why: str) -> None:
        own = self._needs.area.own()
        if not self._needs.has_upper or own.parent is None:
            await self._post.line(uow, alarm.id, "at_the_top", by=by, detail=why)
            return
        await self._post.line(uow, alarm.id, "handed_up", by=by, detail=why)
        self._needs.metrics.count("escalation_handed_up_total", severity=str(alarm.severity))
        await self._needs.alarms.hand_up(uow, alarm.id, to=own.parent, by=by, why=why)

    # people act

    async def escalate(self, alarm_id: str, *, by: str, why: str) -> None:
        """Hand an alarm up at once; at the top, take the next step. Raises NotFoundError, WrongMomentError."""
        async with self._needs.store.unit() as uow:
            alarm = await self._waiting(uow, alarm_id)
            run = (await load(uow, [alarm_id])).get(alarm_id)
            if run is None and self._needs.has_upper:
                await self._hand_up(uow, alarm, by, why)
                return
            if run is None:
                raise WrongMomentError("there is no tier above, and the chain of this severity has no steps")
            top = not self._needs.has_upper
            forced, effects = machine.force(run, self._chain, uow.now, by=by, why=why, top=top)
            if not effects:
                raise WrongMomentError("there is no tier above, and all steps of the chain are done")
            if top:
                await self._post.line(uow, alarm_id, "forced", by=by, detail=why)
            await self._carry_out(uow, [Move(alarm, run, forced, effects)])

    async def assign(self, alarm_id: str, contact: Contact, channels: Sequence[Channel], *, by: str) -> None:
        """Name a person who is to see to an alarm, and tell them at once. The chain goes on until they acknowledge."""
        async with self._needs.store.unit() as uow:
            alarm = await self._waiting(uow, alarm_id)
            await self._post.line(uow, alarm_id, "assigned", by=by, detail=contact.name)
            wishes = [Wish(alarm, contact, channel, purpose="assigned", by=by) for channel in channels]
            await self._post.write(uow, wishes)

    async def _waiting(self, uow: UnitOfWork, alarm_id: str) -> AlarmStanding:
        alarm = await self._needs.alarms.standing(uow, alarm_id)
        if not alarm.active or alarm.acknowledged_at is not None:
            raise WrongMomentError("the alarm is cleared or somebody has taken it in hand")
        return alarm

    # time passes

    async def act_due(self) -> int:
        """Act on the chains' timers that are due; returns how many."""
        await self._notice_step()
        async with self._needs.store.reading() as reader:
            due = await timers.due(reader, RUN, self._needs.clock.now(), AT_ONCE)
        for some in batched(due, RING_AT_ONCE):
            try:
                await self._ring(some)
            except StoreAwayError:
                raise
            except Exception:
                # One alarm that cannot be served must not hold up the others; the auditor counts its timer.
                logger.exception("chains failed", extra={"alarms": len(some)})
                await self._ring_each(some)
        return len(due)

    async def _ring_each(self, due: Sequence[Timer]) -> None:
        for timer in due if len(due) > 1 else ():
            try:
                await self._ring([timer])
            except StoreAwayError:
                raise
            except Exception:
                logger.exception("chain failed", extra={"alarm": timer.key})

    async def _ring(self, due: Sequence[Timer]) -> None:
        """Act on timers in one unit of work: a storm's chains are due in the same moment."""
        async with self._needs.store.unit() as uow:
            await self._within(uow)
            keys = [timer.key for timer in due if await timers.take(uow, timer)]
            known = await load_many(uow, keys)
            moves = []
            for alarm in await self._needs.alarms.standings(uow, keys):
                run = known.get(alarm.id)
                if run is None:
                    continue
                seen = seen_of(alarm, self._own, home=self._home(alarm.source))
                after, effects = machine.ring(run, seen, self._chain, uow.now)
                if after == run:
                    raise AssertionError("a chain's timer that is due always changes its run")
                moves.append(Move(alarm, run, after, effects))
            await self._carry_out(uow, moves)

    async def audit(self) -> int:
        """Count what should have happened and did not, and chains and messages that wait without a timer."""
        async with self._needs.store.reading() as reader:
            return await self._count_overdue(reader, self._needs.clock.now())

    async def _count_overdue(self, reader: Reader, now: datetime) -> int:
        late = await timers.overdue(reader, now)
        return late + int((await reader.execute(_ASTRAY)).scalar_one())

    async def deliver_due(self) -> int:
        """Send the messages that are due; returns how many were tried."""
        await self._notice_step()
        return await self._courier.deliver_due()

    async def _notice_step(self) -> None:
        if self._stepping is not None:
            await self._stepping.look(self._needs.store)

    async def _within(self, uow: UnitOfWork) -> None:
        if self._stepping is not None:
            await self._stepping.within(uow)

    async def _run_chains(self) -> None:
        while True:
            await self._notice_step()
            if await self.watch.due(RUN):
                await self.act_due()
            await self._needs.clock.sleep(LOOK_S)

    async def _run_courier(self) -> None:
        while True:
            await self._notice_step()
            if await self.watch.due(NOTICE):
                await self.deliver_due()
            await self._needs.clock.sleep(LOOK_S)

    async def _run_auditor(self) -> None:
        while True:
            self._overdue = await self.audit()
            if self._overdue:
                logger.error("timers overdue or orphaned", extra={"count": self._overdue})
            await self._needs.clock.sleep(AUDIT_S)


def _lines(move: Move) -> list[Line]:
    lines = []
    for effect in move.effects:
        match effect:
            case Reopen():
                lines.append(Line(move.alarm.id, "time_out"))
            case Stop(why):
                by = (move.alarm.acknowledged_by or "") if why == "acknowledged" else ""
                lines.append(Line(move.alarm.id, why, by))
            case Note(what):
                lines.append(Line(move.alarm.id, what))
            case Tell() | HandUp():
                pass
    return lines


def _closes(move: Move) -> bool:
    held = move.before is not None and move.before.phase is Phase.HELD
    return not held and any(isinstance(one, Stop) and one.why == "cleared" for one in move.effects)


def _contact_of(row: Any) -> Contact:
    """Return the person as they were told."""
    contact = Contact(name=row.person, role=row.role)
    if row.channel == Channel.SOUND:
        return contact
    known = {Channel.SMS: "phone", Channel.EMAIL: "email", Channel.WEBHOOK: "url"}[Channel(row.channel)]
    return contact.model_copy(update={known: row.address})
