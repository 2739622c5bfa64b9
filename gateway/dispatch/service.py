"""Dispatch calls: ring, answer, hang up, and end honestly whatever happens.

A running call lives in memory, its row in the store; a restart cannot save the streams of its own side, so what was
running is ended as `restart` at the next start, and the other side is told. What only passed through here goes on.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from sqlalchemy import insert, select, update

from gateway.dispatch.machine import Call, CallState, Close, Connect, Direction, Effect, EndReason, TellPeer, reason_of
from gateway.dispatch.needs import Arrived, DispatchNeeds
from gateway.dispatch.records import CallRecord
from gateway.dispatch.tables import CALLS
from gateway.dispatch.transit import END_WITHIN_S, Transit
from gateway.events import CallChanged
from gateway.ports.store import UPPER, UnitOfWork
from gateway.web.journal import AuditEntry
from protocols.aio.clock import new_ulid
from protocols.aio.tasks import Supervisor, Work
from protocols.command import (
    CALL_ENDED,
    CallAnswer,
    CallEnd,
    CallRing,
    Command,
    CommandName,
    Outcome,
    Reply,
    parse_args,
)
from protocols.envelope import Event, Lane
from protocols.errors import LinkError, NotFoundError, RefusedError, SilianError, WrongMomentError
from protocols.health import LinkStatus
from protocols.ids import split_stream

logger = logging.getLogger(__name__)
LOOK_S = 1.0
DUTY_ROOM = "room"
PAGE = 50


@dataclass(frozen=True, slots=True)
class DispatchRules:
    """Settings. `answers` False declines every call from above; `ring_s` is the time until `no_answer`."""

    ring_s: float = 60.0
    answer_s: float = 30.0
    answers: bool = True


@dataclass(frozen=True, slots=True)
class EndTold:
    """Told by `node` below: it ended a call of this gateway, or one that passes through. Fires after the commit."""

    node: str
    call_id: str
    reason: EndReason


@dataclass(slots=True)
class _Live:
    record: CallRecord
    call: Call
    ring: CallRing | None = None
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class DispatchService:
    """The dispatch room. Use it with `async with`."""

    def __init__(
        self, needs: DispatchNeeds, *, base_url: Callable[[], str], rules: DispatchRules | None = None
    ) -> None:
        """`base_url` is where nodes below reach this gateway."""
        self._needs = needs
        self._rules = rules or DispatchRules()
        self._transit = Transit(needs, base_url)
        self._live: dict[str, _Live] = {}
        self._supervisor = Supervisor("dispatch", clock=needs.clock)
        self._works = 0
        needs.bus.listen(EndTold, self._end_told)
        needs.metrics.live("dispatch_calls", self._figures)

    async def __aenter__(self) -> Self:
        await self._transit.load()
        await self._end_interrupted()
        self._supervisor.start("sides", self._watch_sides)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._supervisor.stop()

    # Calling.

    async def call(self, centre: str, *, camera: str | None, by: str) -> CallRecord:
        """Ring a county; returns at once with the ringing call, or one that ended as `busy` or `link`.

        Raises NotFoundError for a centre that is not below this one.
        """
        needs, own = self._needs, self._needs.ways.own().code
        if centre == own or centre not in {one.code for one in needs.ways.centres()}:
            raise NotFoundError(f"no centre {centre} below {own}")
        call_id = new_ulid(needs.clock)
        record = CallRecord(
            call_id,
            Direction.OUT,
            CallState.RINGING,
            caller_centre=own,
            caller_user=by,
            caller_stream=f"{own}/call-{call_id.lower()}",
            callee_centre=centre,
            started_at=needs.clock.now(),
            callee_node=needs.ways.duty_node(centre),
        )
        live = _Live(record, Call(Direction.OUT, now=needs.clock.monotonic(), ring_s=self._rules.ring_s))
        refused = self._obstacle(record)
        self._live[call_id] = live
        await self._insert(record, by)
        if refused is not None:
            await self._step(live, lambda: live.call.refused(refused))
        else:
            self._spawn(f"ring[{centre}]", partial(self._ring, live, camera or self._camera(centre)))
        return record

    def _obstacle(self, record: CallRecord) -> EndReason | None:
        if any(one.record.callee_centre == record.callee_centre for one in self._live.values()):
            return EndReason.BUSY
        ways, node = self._needs.ways, record.callee_node
        hop = ways.hop_to(node) if node is not None else None
        if node is None or hop is None:
            return EndReason.LINK
        links = [link for link in (ways.link(hop), ways.link(node)) if link is not None]
        return EndReason.LINK if any(link.status is not LinkStatus.UP for link in links) else None

    def _camera(self, centre: str) -> str:
        names = [camera.name for camera in self._needs.ways.cameras() if camera.centre == centre]
        return DUTY_ROOM if DUTY_ROOM in names or not names else names[0]

    async def _ring(self, live: _Live, camera: str) -> None:
        record = live.record
        node = self._transit.target_of(record.callee_centre)
        if node is None:
            raise AssertionError("a call without a way ends before it rings")
        args = CallRing(
            call_id=record.id,
            centre=record.callee_centre,
            camera=camera,
            caller=record.caller_user,
            caller_centre=record.caller_centre,
            caller_centre_name=self._needs.ways.own().name,
            caller_stream=record.caller_stream,
            whep_url="",
            token="",
        )
        try:
            local = self._transit.local(args, node)
            reply = await self._needs.commands.ask(node, CommandName.CALL_RING, local, within_s=self._rules.ring_s)
            await self._step(live, lambda: self._take_reply(live, reply))
        except SilianError as error:
            logger.warning("ring failed", extra={"call": record.id, "node": node, "error": str(error)})
            await self._step(live, lambda: live.call.refused(EndReason.LINK))

    def _take_reply(self, live: _Live, reply: Reply) -> list[Effect]:
        if live.call.state is not CallState.RINGING:
            return []
        now = self._needs.clock.monotonic()
        match reply.outcome:
            case Outcome.DONE:
                answer = parse_args(CallAnswer, reply.result)
                if split_stream(answer.callee_stream)[0] != live.record.callee_centre:
                    raise RefusedError(f"{reply.target} answered with another centre's stream", "foreign_stream")
                live.record.answered_by, live.record.callee_stream = answer.answered_by, answer.callee_stream
                return live.call.connected(now)
            case Outcome.EXPIRED:
                return live.call.tick(max(now, live.call.deadline or now))
            case Outcome.REFUSED:
                return live.call.refused(reason_of(reply.code, EndReason.DECLINED))
            case Outcome.FAILED:
                return live.call.refused(reason_of(reply.code, EndReason.LINK))

    # Being called.

    async def on_ring(self, command: Command) -> dict[str, Any]:
        """Carry out `call.ring`: ring the own console and wait for its answer, or pass it on to a centre below.

        Raises RefusedError with the reason, ExpiredError, LinkError.
        """
        args = parse_args(CallRing, command.args)
        own = self._needs.ways.own().code
        if args.centre != own:
            return await self._transit.ring(args, command)
        if not self._rules.answers:
            raise RefusedError("this centre takes no calls by its settings", EndReason.DECLINED)
        live = self._live.get(args.call_id)  # rung again by a gateway between that was started anew
        if live is None:
            if self._live:
                raise RefusedError("this centre is in another call", EndReason.BUSY)
            await self._refuse_known(args.call_id)
            live = await self._rung(args, own, command)
        try:
            await live.settled.wait()
        except asyncio.CancelledError:
            # At the deadline nobody waits for the answer any more; before it, this gateway is being stopped.
            if command.expired(self._needs.clock.now()):
                self._spawn("unanswered", partial(self._peer_ended, live, EndReason.NO_ANSWER))
            raise
        record = live.record
        if record.answered_at is None or record.callee_stream is None or record.answered_by is None:
            raise RefusedError(f"the call was not taken: {record.reason}", str(record.reason))
        answer = CallAnswer(
            answered_by=record.answered_by, answered_at=record.answered_at, callee_stream=record.callee_stream
        )
        return answer.model_dump(mode="json")

    async def _refuse_known(self, call_id: str) -> None:
        # A ring that a restart of this gateway interrupted is given to us again: the call itself is over.
        try:
            known = await self.get(call_id)
        except NotFoundError:
            return
        raise RefusedError(f"the call was here and ended: {known.reason}", str(known.reason))

    async def _rung(self, args: CallRing, own: str, command: Command) -> _Live:
        clock = self._needs.clock
        record = CallRecord(
            args.call_id,
            Direction.IN,
            CallState.RINGING,
            caller_centre=args.caller_centre,
            caller_user=args.caller,
            caller_stream=args.caller_stream,
            callee_centre=own,
            started_at=clock.now(),
            callee_node=own,
        )
        left = max(0.0, (command.deadline - clock.now()).total_seconds() - 1.0)
        live = _Live(
            record, Call(Direction.IN, now=clock.monotonic(), ring_s=min(left, self._rules.answer_s)), ring=args
        )
        self._live[record.id] = live
        await self._insert(record, f"{args.caller}@{args.caller_centre}")
        return live

    async def on_end(self, command: Command) -> dict[str, Any]:
        """Carry out `call.end` of the tier above; an unknown call is fine."""
        args = parse_args(CallEnd, command.args)
        if await self._transit.end(args):
            return {}
        live = self._live.get(args.call_id)
        if live is not None and live.record.direction is Direction.IN:
            await self._peer_ended(live, reason_of(args.reason, EndReason.HANGUP))
        return {}

    async def answer(self, call_id: str, *, by: str) -> CallRecord:
        """Take an incoming call; raises NotFoundError, WrongMomentError."""
        live = await self._running(call_id)
        if live.record.direction is not Direction.IN:
            raise WrongMomentError("this centre made the call itself")

        def take() -> list[Effect]:
            effects = live.call.connected(self._needs.clock.monotonic())
            live.record.answered_by = by
            live.record.callee_stream = f"{live.record.callee_centre}/call-{call_id.lower()}"
            return effects

        await self._step(live, take, by=by)
        return live.record

    async def hang_up(self, call_id: str, *, by: str) -> CallRecord:
        """End or decline a call; raises NotFoundError, WrongMomentError when it has ended."""
        live = await self._running(call_id)
        await self._step(live, live.call.hang_up, by=by)
        return live.record

    # Reading.

    async def get(self, call_id: str) -> CallRecord:
        """Return one call; raises NotFoundError."""
        live = self._live.get(call_id)
        if live is not None:
            return live.record
        async with self._needs.store.reading() as reader:
            row = (await reader.execute(select(CALLS).where(CALLS.c.id == call_id))).mappings().first()
        if row is None:
            raise NotFoundError(f"no call {call_id}")
        return CallRecord.read(row)

    async def page(self, before: str | None = None, limit: int = PAGE) -> list[CallRecord]:
        """Return the newest calls, or those older than the one named `before`."""
        newest = select(CALLS).order_by(CALLS.c.id.desc()).limit(limit)
        if before is not None:
            newest = newest.where(CALLS.c.id < before)
        async with self._needs.store.reading() as reader:
            return [CallRecord.read(row) for row in (await reader.execute(newest)).mappings().all()]

    # What comes from below.

    def check(self, event: Event) -> None:
        """Refuse a `call.ended` that does not parse; raises BadSchemaError."""
        parse_args(CallEnd, event.data)

    async def apply(self, uow: UnitOfWork, arrivals: Sequence[Arrived]) -> None:
        """Take `call.ended` of callees below. The call may live at another replica, which hears what is told."""
        for arrived in arrivals:
            end = parse_args(CallEnd, arrived.event.data)
            await self._transit.ended_in(uow, arrived.event.source, end.call_id)
            uow.tell(EndTold(arrived.event.source, end.call_id, reason_of(end.reason, EndReason.HANGUP)))

    def _end_told(self, told: EndTold) -> None:
        """Let go what passes through here, and end the own call if its callee says so."""
        self._transit.ended_by(told.node, told.call_id)
        live = self._live.get(told.call_id)
        if live is None or live.record.direction is not Direction.OUT:
            return
        if live.record.callee_node == told.node or self._transit.on_the_way(told.node, live.record.callee_centre):
            self._spawn("end told", partial(self._peer_ended, live, told.reason))

    # Inside.

    async def _peer_ended(self, live: _Live, reason: EndReason) -> None:
        await self._step(live, lambda: live.call.peer_ended(reason))

    async def _running(self, call_id: str) -> _Live:
        live = self._live.get(call_id)
        if live is None:
            ended = await self.get(call_id)
            raise WrongMomentError(f"the call ended: {ended.reason}")
        return live

    async def _step(self, live: _Live, step: Callable[[], list[Effect]], *, by: str = "") -> None:
        # One step after the other: a hang-up that meets an answer must not be written down before it.
        async with live.lock:
            effects = step()
            if effects:
                await self._perform(live, effects, by)

    async def _perform(self, live: _Live, effects: list[Effect], by: str) -> None:
        record, streams = live.record, self._needs.streams
        self._note(live)
        for effect in effects:
            match effect:
                case Connect():
                    if live.ring is not None:
                        streams.keep_pulled(record.caller_stream, live.ring.whep_url, live.ring.token)
                    if record.far_stream is not None:
                        streams.hold(record.far_stream, f"call-{record.id}")
                    streams.converse(record.id, [side for side in (record.own_stream, record.far_stream) if side])
                case Close():
                    self._let_go(live)
                case TellPeer():
                    pass  # after the row is written, below
        await self._update(record, by)
        live.settled.set()
        for effect in effects:
            if isinstance(effect, TellPeer):
                await self._tell_peer(record, effect.reason)

    def _note(self, live: _Live) -> None:
        record, now = live.record, self._needs.clock.now()
        record.state, record.reason = live.call.state, live.call.reason
        if record.state is CallState.CONNECTED:
            record.answered_at = record.answered_at or now
        if record.state is CallState.ENDED:
            record.ended_at = now

    def _let_go(self, live: _Live) -> None:
        record, streams = live.record, self._needs.streams
        self._live.pop(record.id, None)
        streams.part(record.id)
        if record.far_stream is not None:
            streams.release(record.far_stream, f"call-{record.id}")
        if record.direction is Direction.IN:
            streams.drop_pulled(record.caller_stream)
        self._needs.metrics.count("dispatch_calls_total", reason=str(record.reason))

    async def _tell_peer(self, record: CallRecord, reason: EndReason) -> None:
        end = CallEnd(call_id=record.id, reason=reason)
        if record.direction is Direction.IN:
            async with self._needs.store.unit() as uow:
                data = end.model_dump(mode="json")
                await uow.owe(UPPER, Lane.URGENT, uow.mint(CALL_ENDED, data, subject=record.id))
        elif (node := self._transit.target_of(record.callee_centre)) is not None:
            try:
                await self._needs.commands.tell(node, CommandName.CALL_END, end, within_s=END_WITHIN_S)
            except LinkError as error:
                logger.warning("callee not told", extra={"call": record.id, "error": str(error)})

    async def _insert(self, record: CallRecord, by: str) -> None:
        async with self._needs.store.unit() as uow:
            await uow.execute(insert(CALLS), record.row())
            uow.tell(CallChanged(record.id))
        await self._write_down(record, by)

    async def _update(self, record: CallRecord, by: str) -> None:
        async with self._needs.store.unit() as uow:
            await uow.execute(update(CALLS).where(CALLS.c.id == record.id).values(**record.row()))
            uow.tell(CallChanged(record.id))
        await self._write_down(record, by)

    async def _write_down(self, record: CallRecord, by: str) -> None:
        reason = str(record.reason or "")
        fields = {"call": record.id, "direction": record.direction.value, "state": record.state.value, "reason": reason}
        logger.info("call", extra=fields)
        deed = f"call.{record.state.value}" + (f".{reason}" if reason else "")
        target = f"{record.id} {record.caller_centre}>{record.callee_centre}"
        await self._needs.journal.record(AuditEntry(by or "system", deed, target, 200))

    async def _end_interrupted(self) -> None:
        async with self._needs.store.reading() as reader:
            rows = await reader.execute(select(CALLS).where(CALLS.c.state != CallState.ENDED))
            left = [CallRecord.read(row) for row in rows.mappings().all()]
        for record in left:
            record.state, record.reason = CallState.ENDED, EndReason.RESTART
            record.ended_at = self._needs.clock.now()
            await self._update(record, "")
            self._spawn("tell", partial(self._tell_peer, record, EndReason.RESTART))

    async def _watch_sides(self) -> None:
        clock, streams = self._needs.clock, self._needs.streams
        while True:
            for live in tuple(self._live.values()):
                far, own = live.record.far_stream, live.record.own_stream
                heard = {"far": far is not None and streams.live(far), "own": own is not None and streams.live(own)}
                await self._step(live, partial(self._look, live.call, **heard))
            await self._transit.look()
            await clock.sleep(LOOK_S)

    def _look(self, call: Call, *, far: bool, own: bool) -> list[Effect]:
        now = self._needs.clock.monotonic()
        return call.sides(far=far, own=own, now=now) or call.tick(now)

    def _figures(self) -> list[tuple[tuple[str, ...], float]]:
        states = [live.record.state for live in self._live.values()]
        return [((state.value,), float(states.count(state))) for state in (CallState.RINGING, CallState.CONNECTED)]

    def _spawn(self, name: str, work: Work) -> None:
        self._works += 1
        self._supervisor.start(f"{name} {self._works}", work, restart=False)
