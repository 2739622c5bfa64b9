"""Dispatch calls at the county: answered by policy or by a person, one at a time, and heard until somebody hangs up.

**Whoever answered a roll call has answered its caller**: a call while that turn goes on connects at once, so that the
named county can be spoken to.
"""

import logging
from typing import TYPE_CHECKING, Any

from edge_agent.media.listener import Listener
from edge_agent.rollcall.desk import AnswerDesk
from edge_agent.rollcall.machine import Details
from edge_agent.settings import AnswerSection
from protocols.aio.clock import Clock
from protocols.aio.tasks import Supervisor
from protocols.command import CallAnswer, CallEnd, CallRing
from protocols.errors import NotFoundError, RefusedError
from protocols.ids import stream_of

if TYPE_CHECKING:
    import ssl

logger = logging.getLogger(__name__)
_TASK = "call"


class Calls:
    """At most one call; a second caller is told `busy`, the same call again is answered again."""

    def __init__(
        self,
        streams: tuple[str, ...],
        answer: AnswerSection,
        output: str,
        clock: Clock,
        tasks: Supervisor,
        desk: AnswerDesk,
        verify: "ssl.SSLContext | None" = None,
    ) -> None:
        self._streams = streams
        self._answer = answer
        self._desk = desk
        self._output = output
        self._clock = clock
        self._tasks = tasks
        self.verify = verify
        """TLS context for WHEP over https; set once the agent is enrolled."""
        self._listener: Listener | None = None

    async def ring(self, ring: CallRing) -> CallAnswer:
        """Answer a call; raises NotFoundError, RefusedError (`declined`, `busy`)."""
        stream = stream_of(ring.centre, ring.camera)
        if stream not in self._streams:
            raise NotFoundError(f"no camera {stream} here")
        if self._answer.policy == "reject":
            raise RefusedError("this county does not take calls at this box", "declined")
        if not self._tasks.running(_TASK):
            self._listener = None
        if self._listener is not None and self._listener.ring.call_id != ring.call_id:
            raise RefusedError("this county is in another call", "busy")
        details = await self._admitted(ring)
        if self._listener is None:
            await self._desk.hush()
            self._listener = Listener(ring, self._output, self._clock, self.verify)
            self._tasks.start(_TASK, self._listener.run, restart=False)
            logger.info("call answered", extra={"call": ring.call_id, "caller": ring.caller_centre})
        return CallAnswer(answered_by=details.answered_by, answered_at=self._clock.now(), callee_stream=stream)

    async def _admitted(self, ring: CallRing) -> Details:
        """Return who answers. Raises RefusedError (`declined`), ExpiredError."""
        spoken_for = self._desk.turns.talks
        turn = self._desk.rung(ring)
        if self._answer.policy == "ring" and not spoken_for:
            turn = await self._desk.answered_by_person(turn.id)
        else:
            turn = self._desk.answer_by_box(turn.id, self._desk.turns.answerer or self._answer.answered_by)
        if turn.details is None:
            raise AssertionError("a turn that was answered has details")
        return turn.details

    async def end(self, end: CallEnd) -> None:
        """Hang up; a call that is over or was never here is fine."""
        self._desk.over(end.call_id, end.reason)
        if self._listener is None or self._listener.ring.call_id != end.call_id:
            return
        self._listener = None
        await self._tasks.cancel(_TASK)
        logger.info("call ended", extra={"call": end.call_id, "reason": end.reason})

    def trouble(self, camera: str) -> str | None:
        """Return why the call at this camera cannot be heard, by name; None while it can, and without a call."""
        listener = self._listener
        return listener.speaker.trouble if listener is not None and listener.ring.camera == camera else None

    def report(self) -> dict[str, Any] | None:
        """Return what the running call sees and hears; None without a call."""
        return None if self._listener is None else self._listener.report()
