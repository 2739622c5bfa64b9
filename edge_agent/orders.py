"""Commands from above: each is carried out once, answered once, and never after its deadline.

Nothing here trusts the wire: a bad argument is a refusal with a code, an exception a failure with its name. **Whatever
happens, a reply is owed**, so that nobody above waits in vain.
"""

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import BaseModel

from edge_agent.journal import Journal
from protocols.aio.clock import Clock
from protocols.command import Command, CommandName, Outcome, Reply
from protocols.errors import ExpiredError, RefusedError, SilianError

logger = logging.getLogger(__name__)
Handler = Callable[[dict[str, Any]], Awaitable[BaseModel | None]]
REMEMBERED = 1000
_ROUTINE = frozenset({CommandName.MEDIA_PUBLISH})
"""Comes every 20 s per watched camera; the publisher logs what changes."""


class Orders:
    """Runs commands by name. `answer(command)` returns the reply; a repeated command gets the same reply again."""

    def __init__(self, handlers: Mapping[str, Handler], clock: Clock, journal: Journal) -> None:
        self.counters: Counter[str] = Counter()
        self.journal = journal
        """Where the link keeps commands that last, from their arrival until their reply is on disk."""
        self._handlers = handlers
        self._clock = clock
        self._replies: OrderedDict[str, asyncio.Future[Reply]] = OrderedDict()

    async def answer(self, command: Command) -> Reply:
        """Carry out one command. Cancelling is safe and leaves it unanswered."""
        known = self._replies.get(command.command_id)
        if known is not None and not known.cancelled():
            self.counters["repeated"] += 1
            return await asyncio.shield(known)
        promise: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._replies[command.command_id] = promise
        while len(self._replies) > REMEMBERED:
            self._replies.popitem(last=False)
        try:
            reply = await self._run(command)
        except BaseException:
            promise.cancel()
            raise
        promise.set_result(reply)
        self.counters[f"{command.name}_{reply.outcome}"] += 1
        fields = {"command": command.name, "outcome": reply.outcome, "code": reply.code, "detail": reply.detail}
        done = logging.DEBUG if command.name in _ROUTINE else logging.INFO
        logger.log(done if reply.outcome is Outcome.DONE else logging.WARNING, "command answered", extra=fields)
        return reply

    async def _run(self, command: Command) -> Reply:
        left = (command.deadline - self._clock.now()).total_seconds()
        if left <= 0:
            return _reply(command, Outcome.EXPIRED, ExpiredError.code, f"arrived {-left:.1f} s after its deadline")
        handler = self._handlers.get(command.name)
        if handler is None:
            return _reply(command, Outcome.REFUSED, "unknown_command", f"this node does not know {command.name}")
        try:
            async with asyncio.timeout(left):
                result = await handler(command.args)
        except TimeoutError:
            return _reply(command, Outcome.EXPIRED, ExpiredError.code, "not finished at its deadline")
        except SilianError as error:
            outcome = Outcome.EXPIRED if isinstance(error, ExpiredError) else Outcome.REFUSED
            code = error.reason if isinstance(error, RefusedError) else error.code
            return _reply(command, outcome, code, str(error))
        except Exception as error:  # the asker must be told
            logger.exception("command failed", extra={"command": command.name})
            return _reply(command, Outcome.FAILED, "internal", f"{type(error).__name__}: {error}")
        return _reply(command, Outcome.DONE, None, "", result)


def _reply(command: Command, outcome: Outcome, code: str | None, detail: str, result: BaseModel | None = None) -> Reply:
    return Reply(
        command_id=command.command_id,
        name=command.name,
        target=command.target,
        origin=command.origin,
        outcome=outcome,
        code=code,
        detail=detail[:1000],
        result=result.model_dump(mode="json") if result is not None else {},
    )
