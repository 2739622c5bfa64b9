"""Calls that pass through this gateway on their way down: nobody below is told an address above his own gateway.

The caller's stream is pulled once from the tier above and offered here to the next hop; the callee's side comes up on
demand like every picture.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from gateway.dispatch.machine import EndReason
from gateway.dispatch.needs import DispatchNeeds
from gateway.events import CallPasses
from protocols.command import CallEnd, CallRing, Command, CommandName, Outcome, Reply
from protocols.errors import ExpiredError, LinkError, RefusedError
from protocols.ids import centre_of

logger = logging.getLogger(__name__)
RING_TOKEN_LIFE = timedelta(hours=2)
"""The callee may have to open the caller's stream again during the whole call."""
END_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Passing:
    """One call that passes: where it goes, and the stream that is pulled for it."""

    target: str
    stream: str
    centre: str


class Transit:
    """The calls that pass here, by their ids. Kept in memory: after a restart the callee's side goes on alone."""

    def __init__(self, needs: DispatchNeeds, base_url: Callable[[], str]) -> None:
        self._needs = needs
        self._base_url = base_url
        self._passing: dict[str, Passing] = {}

    def target_of(self, centre: str) -> str | None:
        """Return the node to ring for a centre below: the gateway on the way, else who rings people there."""
        duty = self._needs.ways.duty_node(centre)
        return self._needs.ways.hop_to(duty) if duty is not None else None

    def local(self, ring: CallRing, listener: str) -> CallRing:
        """Return the ring with this gateway as the place where the caller's stream is fetched."""
        granted = self._needs.streams.play_pass(ring.caller_stream, listener, RING_TOKEN_LIFE)
        return ring.model_copy(update={"whep_url": f"{self._base_url()}{granted.path}", "token": granted.token})

    async def ring(self, ring: CallRing, command: Command) -> dict[str, Any]:
        """Pass a ring on and return the callee's answer. Raises RefusedError, ExpiredError, LinkError."""
        target = self.target_of(ring.centre)
        if target is None:
            raise LinkError(f"no way leads from here to {ring.centre}")
        self._passing[ring.call_id] = Passing(target, ring.caller_stream, ring.centre)
        self._needs.bus.publish(CallPasses(ring.call_id, ring.centre))
        self._needs.streams.keep_pulled(ring.caller_stream, ring.whep_url, ring.token)
        answered = False
        try:
            left = (command.deadline - self._needs.clock.now()).total_seconds()
            local = self.local(ring, target)
            reply = await self._needs.commands.ask(target, CommandName.CALL_RING, local, within_s=max(left, 0.1))
            answered = reply.outcome is Outcome.DONE
        finally:
            if not answered:
                self.forget(ring.call_id)
        logger.info("call passed on", extra={"call": ring.call_id, "target": target, "outcome": reply.outcome.value})
        return _result(reply)

    async def end(self, end: CallEnd) -> bool:
        """Pass a hang-up on; returns whether the call passes here."""
        passing = self._passing.get(end.call_id)
        if passing is None:
            return False
        self.forget(end.call_id)
        await self._needs.commands.tell(passing.target, CommandName.CALL_END, end, within_s=END_WITHIN_S)
        return True

    def ended_by(self, source: str, call_id: str) -> None:
        """Take that the callee ended a call; the word of any other node is ignored."""
        passing = self._passing.get(call_id)
        if passing is not None and centre_of(source) == passing.centre:
            self.forget(call_id)

    def forget(self, call_id: str) -> None:
        """Let the pulled stream of a call go; an unknown call is ignored."""
        passing = self._passing.pop(call_id, None)
        if passing is not None:
            self._needs.streams.drop_pulled(passing.stream)
            self._needs.bus.publish(CallPasses(call_id, passing.centre, over=True))


def _result(reply: Reply) -> dict[str, Any]:
    match reply.outcome:
        case Outcome.DONE:
            return reply.result
        case Outcome.EXPIRED:
            raise ExpiredError("nobody answered below")
        case Outcome.REFUSED | Outcome.FAILED:
            default = EndReason.DECLINED if reply.outcome is Outcome.REFUSED else EndReason.LINK
            raise RefusedError(reply.detail or "the call was not taken below", reply.code or default)
