"""Calls that pass through this gateway on their way down: nobody below is told an address above his own gateway.

The caller's stream is pulled once from the tier above and offered here to the next hop; the callee's side comes up on
demand like every picture. **What passes is a row**: a gateway that was killed pulls the caller again, and still knows
where a hang-up has to go. Its tokens stay good, and the callee comes again by itself.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import delete, select, update

from gateway.dispatch.machine import EndReason
from gateway.dispatch.needs import DispatchNeeds
from gateway.dispatch.rules.passing import Passing
from gateway.dispatch.tables import PASSING
from gateway.events import CallPasses
from gateway.ports.store import UPPER, UnitOfWork
from protocols.command import CALL_ENDED, CallEnd, CallRing, Command, CommandName, Outcome, Reply
from protocols.envelope import Lane
from protocols.errors import ExpiredError, LinkError, RefusedError, SilianError
from protocols.ids import centre_of

logger = logging.getLogger(__name__)
RING_TOKEN_LIFE = timedelta(hours=2)
"""The callee may have to open the caller's stream again during the whole call."""
END_WITHIN_S: Final = 3600.0
"""A hang-up that comes late harms nobody; one that never comes leaves a county in a call."""
RING_GRACE_S: Final = 30.0
"""Who gave up a ring says so; until then it is known where that has to go."""


@dataclass(frozen=True, slots=True)
class Way:
    """Where a call goes that passes, and the stream that is pulled for it."""

    target: str
    stream: str
    centre: str
    by_centre: str
    rule: Passing


class Transit:
    """The calls that pass here, by their ids: as rows, and in memory what is known of their sides."""

    def __init__(self, needs: DispatchNeeds, base_url: Callable[[], str]) -> None:
        self._needs = needs
        self._base_url = base_url
        self._passing: dict[str, Way] = {}

    async def load(self) -> None:
        """Go on with what passed before a restart."""
        clock = self._needs.clock
        async with self._needs.store.reading() as reader:
            rows = (await reader.execute(select(PASSING))).all()
        for row in rows:
            left = (row.ring_until - clock.now()).total_seconds()
            rule = Passing(clock.monotonic() + left)
            if row.answered:
                rule.take_answer(clock.monotonic())
            self._begin(row.call_id, Way(row.target, row.stream, row.centre, row.by_centre, rule))
            self._needs.streams.keep_pulled(row.stream, row.whep_url, row.token)
            logger.info("passing call found again", extra={"call": row.call_id, "answered": row.answered})

    def target_of(self, centre: str) -> str | None:
        """Return the node to ring for a centre below: the gateway on the way, else who rings people there."""
        duty = self._needs.ways.duty_node(centre)
        return self._needs.ways.hop_to(duty) if duty is not None else None

    def local(self, ring: CallRing, listener: str) -> CallRing:
        """Return the ring with this gateway as the place where the caller's stream is fetched."""
        granted = self._needs.streams.play_pass(ring.caller_stream, listener, RING_TOKEN_LIFE)
        return ring.model_copy(update={"whep_url": f"{self._base_url()}{granted.path}", "token": granted.token})

    async def ring(self, ring: CallRing, command: Command) -> dict[str, Any]:
        """Pass a ring on and return the callee's answer. Raises RefusedError, ExpiredError, LinkError.

        Cancelled, the call stays known: the command comes again after a restart, and past its deadline `look` ends it.
        """
        target = self.target_of(ring.centre)
        if target is None:
            raise LinkError(f"no way leads from here to {ring.centre}")
        await self._enter(ring, target, command)
        try:
            left = (command.deadline - self._needs.clock.now()).total_seconds()
            local = self.local(ring, target)
            reply = await self._needs.commands.ask(target, CommandName.CALL_RING, local, within_s=max(left, 0.1))
        except SilianError:
            await self._forget(ring.call_id)
            raise
        logger.info("call passed on", extra={"call": ring.call_id, "target": target, "outcome": reply.outcome.value})
        if reply.outcome is Outcome.DONE:
            await self._answered(ring.call_id)
        elif reply.outcome is not Outcome.EXPIRED:
            await self._forget(ring.call_id)
        return _result(reply)

    async def _enter(self, ring: CallRing, target: str, command: Command) -> None:
        clock = self._needs.clock
        until = command.deadline + timedelta(seconds=RING_GRACE_S)
        row = {
            "call_id": ring.call_id,
            "target": target,
            "stream": ring.caller_stream,
            "centre": ring.centre,
            "by_centre": ring.caller_centre,
            "whep_url": ring.whep_url,
            "token": ring.token,
            "ring_until": until,
            "answered": False,
        }
        async with self._needs.store.unit() as uow:
            await uow.put(PASSING, [row])
        rule = Passing(clock.monotonic() + (until - clock.now()).total_seconds())
        self._begin(ring.call_id, Way(target, ring.caller_stream, ring.centre, ring.caller_centre, rule))
        self._needs.streams.keep_pulled(ring.caller_stream, ring.whep_url, ring.token)

    def _begin(self, call_id: str, way: Way) -> None:
        self._passing[call_id] = way
        self._needs.bus.publish(CallPasses(call_id, way.centre, way.by_centre))

    async def _answered(self, call_id: str) -> None:
        async with self._needs.store.unit() as uow:
            await uow.execute(update(PASSING).where(PASSING.c.call_id == call_id).values(answered=True))
        way = self._passing.get(call_id)
        if way is not None:
            way.rule.take_answer(self._needs.clock.monotonic())

    # its end

    async def end(self, end: CallEnd) -> bool:
        """Pass a hang-up on and forget the call; returns whether it passes here. Raises LinkError."""
        way = self._passing.get(end.call_id)
        if way is None:
            return False
        try:
            async with self._needs.store.unit() as uow:
                await self._owe_end(uow, way, end)
                await _drop(uow, end.call_id)
        except LinkError:
            await self._forget(end.call_id)
            raise
        self._leave(end.call_id)
        return True

    async def ended_in(self, uow: UnitOfWork, source: str, call_id: str) -> None:
        """Take in a unit of work that a node below ended a call; the word of one that has no part in it is ignored."""
        row = (await uow.execute(select(PASSING).where(PASSING.c.call_id == call_id))).one_or_none()
        if row is not None and self.on_the_way(source, row.centre):
            await _drop(uow, call_id)

    def ended_by(self, source: str, call_id: str) -> None:
        """Let go what `ended_in` dropped."""
        way = self._passing.get(call_id)
        if way is not None and self.on_the_way(source, way.centre):
            self._leave(call_id)

    def on_the_way(self, node: str, centre: str) -> bool:
        """Tell whether a node stands at a centre, or at a gateway between it and us."""
        parents = {one.code: one.parent for one in self._needs.ways.centres()}
        own, at = self._needs.ways.own().code, centre
        while at != own:
            if at == centre_of(node):
                return True
            above = parents.get(at)
            if above is None:
                return False
            at = above
        return False

    async def look(self) -> None:
        """End what neither end speaks of any more; call it now and then."""
        for call_id, way in tuple(self._passing.items()):
            now = self._needs.clock.monotonic()
            way.rule.look(live=self._needs.streams.live(way.stream), now=now)
            reason = way.rule.over(now)
            if reason is not None:
                await self._give_up(call_id, way, reason)

    async def _give_up(self, call_id: str, way: Way, reason: EndReason) -> None:
        logger.warning("passing call ended here", extra={"call": call_id, "reason": reason.value})
        end = CallEnd(call_id=call_id, reason=reason)
        async with self._needs.store.unit() as uow:
            await _drop(uow, call_id)
            if way.rule.answered:
                await uow.owe(UPPER, Lane.URGENT, uow.mint(CALL_ENDED, end.model_dump(mode="json"), subject=call_id))
        self._leave(call_id)
        try:
            async with self._needs.store.unit() as uow:
                await self._owe_end(uow, way, end)
        except LinkError as error:
            logger.warning("callee not told", extra={"call": call_id, "error": str(error)})

    async def _owe_end(self, uow: UnitOfWork, way: Way, end: CallEnd) -> None:
        await self._needs.commands.owe_command(uow, way.target, CommandName.CALL_END, end, within_s=END_WITHIN_S)

    async def _forget(self, call_id: str) -> None:
        async with self._needs.store.unit() as uow:
            await _drop(uow, call_id)
        self._leave(call_id)

    def _leave(self, call_id: str) -> None:
        way = self._passing.pop(call_id, None)
        if way is not None:
            self._needs.streams.drop_pulled(way.stream)
            self._needs.bus.publish(CallPasses(call_id, way.centre, way.by_centre, over=True))


async def _drop(uow: UnitOfWork, call_id: str) -> None:
    await uow.execute(delete(PASSING).where(PASSING.c.call_id == call_id))


def _result(reply: Reply) -> dict[str, Any]:
    match reply.outcome:
        case Outcome.DONE:
            return reply.result
        case Outcome.EXPIRED:
            raise ExpiredError("nobody answered below")
        case Outcome.REFUSED | Outcome.FAILED:
            default = EndReason.DECLINED if reply.outcome is Outcome.REFUSED else EndReason.LINK
            raise RefusedError(reply.detail or "the call was not taken below", reply.code or default)
