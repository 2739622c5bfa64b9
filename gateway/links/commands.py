"""Commands down and replies up.

**An expired command is answered `expired`, never carried out late**, and a command id is carried out once. What a
command owes is a row, so neither the command nor its reply is lost with the process.
"""

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from sqlalchemy import delete, insert, select, update

from gateway.events import CommandReplied
from gateway.links.arrival import STORE_FAILS, Arrival, told
from gateway.links.needs import Directory
from gateway.links.tables import commands
from gateway.ports.store import Store, UnitOfWork
from protocols.aio.clock import Clock, new_ulid
from protocols.aio.tasks import Supervisor
from protocols.backoff import Backoff
from protocols.command import COMMAND, REPLY, Command, Outcome, Reply, parse_command, parse_reply
from protocols.envelope import Event, Lane
from protocols.errors import LinkError, NotAllowedError, RefusedError, SilianError, StoreAwayError

logger = logging.getLogger(__name__)
KEPT = timedelta(days=7)
"""Commands are remembered so long after their deadline; an older one is expired anyway."""


@dataclass(frozen=True, slots=True)
class Answered:
    """How a command ended; becomes a Reply."""

    outcome: Outcome = Outcome.DONE
    code: str | None = None
    detail: str = ""
    result: dict[str, Any] = field(default_factory=dict)


CommandHandler = Callable[[Command], Awaitable[dict[str, Any]]]
"""Carries a command out and returns its result. A SilianError becomes a `refused` or `failed` reply with its code.

It is called again, until the deadline, where the store was away, and after a restart: it must bear that.
"""
AGAIN = Backoff(base=0.5, cap=5.0, floor=0.2)
Emit = Callable[[UnitOfWork, Event, Lane], Awaitable[None]]


class Commands:
    """Both ends of commands: asking nodes below, and carrying out what the tier above asks of this gateway."""

    def __init__(
        self,
        store: Store,
        node: str,
        clock: Clock,
        directory: Directory,
        tasks: Supervisor,
        emit: Emit,
        *,
        look_s: float = math.inf,
    ) -> None:
        """Look for a reply in the store every `look_s` too: another replica may take it."""
        self._look_s = look_s
        self._store = store
        self._node = node
        self._clock = clock
        self._directory = directory
        self._tasks = tasks
        self._emit = emit
        self._handlers: dict[str, CommandHandler] = {}
        self._waiting: dict[str, asyncio.Event] = {}
        self._replies: dict[str, Reply] = {}

    def on_command(self, name: str, handler: CommandHandler) -> None:
        """Let `handler` carry out one kind of command that addresses this gateway."""
        self._handlers[name] = handler

    async def ask(self, target: str, name: str, args: BaseModel, *, within_s: float) -> Reply:
        """Send a command and wait for its reply; `Outcome.EXPIRED` after the deadline. Raises LinkError."""
        command = self._command(target, name, args, within_s)
        if target == self._node:
            return _reply(command, await self._run(command))
        bell = self._waiting[command.command_id] = asyncio.Event()
        try:
            await self._send(command)
            await self._wait(command, bell, within_s)
            return self._replies.get(command.command_id) or _reply(command, Answered(Outcome.EXPIRED))
        finally:
            self._waiting.pop(command.command_id, None)
            self._replies.pop(command.command_id, None)

    async def _wait(self, command: Command, bell: asyncio.Event, within_s: float) -> None:
        """Wait for the bell; where a replica may take the reply and its word be lost, look into the store too."""
        end = self._clock.monotonic() + within_s
        while not await self._clock.wait(bell, min(self._look_s, max(0.0, end - self._clock.monotonic()))):
            if self._clock.monotonic() >= end:
                return
            async with self._store.reading() as reader:
                mine = select(commands.c.reply).where(commands.c.command_id == command.command_id)
                stored = (await reader.execute(mine)).scalar_one_or_none()
            if stored is not None:
                self.ring(parse_reply(stored))

    async def tell(self, target: str, name: str, args: BaseModel, *, within_s: float) -> str:
        """Send a command without waiting for its reply; returns its id. Raises LinkError."""
        command = self._command(target, name, args, within_s)
        await self._send(command)
        return command.command_id

    def _command(self, target: str, name: str, args: BaseModel, within_s: float) -> Command:
        return Command(
            command_id=new_ulid(self._clock),
            name=str(name),
            target=target,
            origin=self._node,
            deadline=self._clock.now() + timedelta(seconds=within_s),
            args=args.model_dump(mode="json"),
        )

    async def owe(self, uow: UnitOfWork, target: str, name: str, args: BaseModel, *, within_s: float) -> str:
        """Owe a command as part of a unit of work; returns its id. Raises LinkError."""
        command = self._command(target, name, args, within_s)
        await self._put(uow, command)
        return command.command_id

    async def _send(self, command: Command) -> None:
        async with self._store.unit() as uow:
            await self._put(uow, command)

    async def _put(self, uow: UnitOfWork, command: Command) -> None:
        hop = self._directory.hop_to(command.target)
        if hop is None:
            raise LinkError(f"no way leads to {command.target}: no node below has announced it")
        await uow.execute(insert(commands), [_row(command, uow, own=True)])
        event = uow.mint(COMMAND, command.model_dump(mode="json"), subject=command.target)
        await uow.owe(hop, Lane.URGENT, event, expires_at=command.deadline)
        logger.info("command given", extra={"command": command.name, "target": command.target, "hop": hop})

    # replies from below

    def check(self, event: Event) -> None:
        """Judge a reply, or a command from above; raises BadSchemaError."""
        if event.type == REPLY:
            parse_reply(event.data)
        else:
            parse_command(event.data)

    async def apply(self, uow: UnitOfWork, arrivals: Sequence[Arrival]) -> None:
        """Take replies from below and commands from above."""
        for arrival in arrivals:
            if arrival.event.type == REPLY:
                await self._take_reply(uow, parse_reply(arrival.event.data))
            else:
                await self._take_command(uow, arrival, parse_command(arrival.event.data))

    async def _take_reply(self, uow: UnitOfWork, reply: Reply) -> None:
        if reply.origin != self._node:
            return
        mine = commands.c.command_id == reply.command_id
        await uow.execute(update(commands).where(mine).values(reply=reply.model_dump(mode="json")))
        uow.after_commit(lambda: self.ring(reply))
        uow.tell(CommandReplied(reply))

    def ring(self, reply: Reply) -> None:
        """Wake whoever waits for this reply here; anybody else's is fine."""
        bell = self._waiting.get(reply.command_id)
        if bell is not None:
            self._replies[reply.command_id] = reply
            bell.set()

    # commands from above

    async def _take_command(self, uow: UnitOfWork, arrival: Arrival, command: Command) -> None:
        if command.target == self._node:
            known = select(commands.c.command_id).where(commands.c.command_id == command.command_id)
            if (await uow.execute(known)).one_or_none() is None:
                await uow.execute(insert(commands), [_row(command, uow, own=False)])
                uow.after_commit(lambda: self._start(command))
            return
        hop = self._directory.hop_to(command.target)
        if command.expired(uow.now):
            await self._answer(uow, command, Answered(Outcome.EXPIRED, "expired"))
        elif hop is None:
            await self._answer(uow, command, Answered(Outcome.FAILED, LinkError.code, "no way leads to the node"))
        else:
            await uow.owe(hop, Lane.URGENT, arrival.event, arrival.hops, expires_at=command.deadline)

    def _start(self, command: Command) -> None:
        self._tasks.start(f"command[{command.command_id}]", lambda: self._carry_out(command), restart=False)

    async def resume(self) -> None:
        """Carry out what a restart interrupted; what expired meanwhile is answered so."""
        async with self._store.reading() as uow:
            open_ = (commands.c.own.is_(False), commands.c.reply.is_(None))
            rows = (await uow.execute(select(commands).where(*open_))).all()
        for row in rows:
            self._start(parse_command(row.args))

    async def forget(self) -> None:
        """Drop commands whose deadline is long past; call it now and then."""
        async with self._store.unit() as uow:
            await uow.execute(delete(commands).where(commands.c.deadline < uow.now - KEPT))

    async def _carry_out(self, command: Command) -> None:
        answered = await self._run(command, patient=True)
        attempt = 0
        while not await self._answered(command, answered):
            await self._pause(attempt)  # what was done is not done again: only its answer is still to be written
            attempt += 1
        outcome = {"outcome": answered.outcome, "code": answered.code}
        logger.info("command done", extra={"command": command.name, "origin": command.origin, **outcome})

    async def _answered(self, command: Command, answered: Answered) -> bool:
        try:
            async with self._store.unit() as uow:
                await self._answer(uow, command, answered)
        except STORE_FAILS as error:
            logger.warning("answer not stored yet", extra={"command": command.name, "error": told(error)})
            return False
        return True

    async def _pause(self, attempt: int) -> None:
        await self._clock.sleep(AGAIN.delay(attempt, random.random()))  # noqa: S311 - jitter, no secret

    async def _run(self, command: Command, *, patient: bool = False) -> Answered:
        """Carry a command out; where the store is away, again and again until its deadline if `patient`."""
        attempt = 0
        while True:
            try:
                return await self._attempt(command)
            except STORE_FAILS as error:
                said = told(error)
                if not patient:
                    return Answered(Outcome.FAILED, StoreAwayError.code, said[:1000])
                if not attempt:
                    logger.warning("command waits for the store", extra={"command": command.name, "error": said})
            await self._pause(attempt)
            attempt += 1

    async def _attempt(self, command: Command) -> Answered:
        """Carry a command out once; raises STORE_FAILS, all other errors are its answer."""
        left = (command.deadline - self._clock.now()).total_seconds()
        handler = self._handlers.get(command.name)
        if handler is None:
            return Answered(Outcome.REFUSED, "not_found", f"{self._node} does not know {command.name}")
        if left <= 0:
            return Answered(Outcome.EXPIRED, "expired")
        try:
            async with asyncio.timeout(left):
                return Answered(result=await handler(command))
        except TimeoutError:
            return Answered(Outcome.EXPIRED, "expired")
        except STORE_FAILS:
            raise
        except SilianError as error:
            refused = isinstance(error, NotAllowedError | RefusedError)
            code = error.reason if isinstance(error, RefusedError) else error.code
            return Answered(Outcome.REFUSED if refused else Outcome.FAILED, code, str(error)[:1000])
        except Exception as error:
            logger.exception("command failed", extra={"command": command.name})
            return Answered(Outcome.FAILED, SilianError.code, f"{type(error).__name__}: {error}"[:1000])

    async def _answer(self, uow: UnitOfWork, command: Command, answered: Answered) -> None:
        reply = _reply(command, answered)
        data = reply.model_dump(mode="json")
        await uow.execute(update(commands).where(commands.c.command_id == command.command_id).values(reply=data))
        await self._emit(uow, uow.mint(REPLY, data, subject=command.origin), Lane.URGENT)


def _reply(command: Command, answered: Answered) -> Reply:
    return Reply(
        command_id=command.command_id,
        name=command.name,
        target=command.target,
        origin=command.origin,
        outcome=answered.outcome,
        code=answered.code,
        detail=answered.detail,
        result=answered.result,
    )


def _row(command: Command, uow: UnitOfWork, *, own: bool) -> dict[str, Any]:
    return {
        "command_id": command.command_id,
        "own": own,
        "deadline": command.deadline,
        "taken_at": uow.now,
        "args": command.model_dump(mode="json"),
        "reply": None,
    }
