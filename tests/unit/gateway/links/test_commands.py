"""Commands of the tier above: carried out once, and where the store is away tried again, never answered `failed`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gateway.adapters.store_sqlite import SqliteStore
from gateway.links.arrival import Arrival
from gateway.links.commands import Commands
from gateway.links.tables import commands
from gateway.ports.store import UnitOfWork
from protocols.aio.clock import ManualClock, new_ulid
from protocols.aio.tasks import Supervisor
from protocols.command import COMMAND, Command
from protocols.envelope import Event, Lane
from protocols.errors import NotFoundError, SilianError, StoreAwayError
from tests.support.databases import at_newest_schema
from tests.support.until import until

HERE = "320623"


class Away:
    """A store that cannot be reached while `away`."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.away = False

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[UnitOfWork]:
        if self.away:
            raise StoreAwayError("the database is away: planted")
        async with self.store.unit() as uow:
            yield uow


class Bench:
    def __init__(self, store: SqliteStore, clock: ManualClock, tasks: Supervisor) -> None:
        self.store, self.clock, self.line = store, clock, Away(store)
        self.emitted: list[Event] = []
        self.calls = 0
        self.room = Commands(self.line, HERE, clock, None, tasks, self.emit)

    async def emit(self, _uow: UnitOfWork, event: Event, _lane: Lane) -> None:
        self.emitted.append(event)

    def handler(self, work: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        async def carry_out(_command: Command) -> dict[str, Any]:
            self.calls += 1
            return await work()

        self.room.on_command("test", carry_out)

    async def take(self, within_s: float = 60) -> Command:
        """Let the command arrive."""
        deadline = self.clock.now() + timedelta(seconds=within_s)
        command = Command(command_id=new_ulid(self.clock), name="test", target=HERE, origin="320600", deadline=deadline)
        event = Event(
            id=new_ulid(self.clock),
            source="320600",
            type=COMMAND,
            time=self.clock.now(),
            data=command.model_dump(mode="json"),
            origincounter=1,
        )
        async with self.store.unit() as uow:
            await self.room.apply(uow, [Arrival(event, "320600", Lane.URGENT, (), uow.now)])
        return command

    async def reply(self, command: Command) -> dict[str, Any] | None:
        async with self.store.reading() as reader:
            mine = select(commands.c.reply).where(commands.c.command_id == command.command_id)
            return (await reader.execute(mine)).scalar_one()

    async def answered(self, command: Command) -> dict[str, Any]:
        """Let time pass until the reply is stored."""
        while (found := await self.reply(command)) is None:
            await self.clock.advance(1)
        return found


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    clock = ManualClock()
    path = at_newest_schema(tmp_path / "g.db")
    async with SqliteStore(path, HERE, clock, lambda _: None) as store, Supervisor("links", clock=clock) as tasks:
        yield Bench(store, clock, tasks)


async def test_a_handler_that_meets_a_store_that_is_away_is_called_again(bench: Bench) -> None:
    async def work() -> dict[str, Any]:
        async with bench.line.unit():
            return {"done": True}

    bench.handler(work)
    bench.line.away = True
    command = await bench.take()
    await until(lambda: bench.calls == 1)
    await bench.clock.advance(3)
    assert bench.calls > 1
    assert await bench.reply(command) is None
    bench.line.away = False
    assert (await bench.answered(command))["outcome"] == "done"
    assert len(bench.emitted) == 1


async def test_what_was_done_while_the_store_went_away_is_answered_later_and_not_done_again(bench: Bench) -> None:
    async def work() -> dict[str, Any]:
        bench.line.away = True
        return {"done": True}

    bench.handler(work)
    command = await bench.take()
    await until(lambda: bench.calls == 1)
    await bench.clock.advance(120)  # even past the deadline: it was done in time
    bench.line.away = False
    assert (await bench.answered(command))["outcome"] == "done"
    assert bench.calls == 1


async def test_a_store_that_stays_away_past_the_deadline_makes_the_command_expire(bench: Bench) -> None:
    async def work() -> dict[str, Any]:
        raise StoreAwayError("the database is away: planted")

    bench.handler(work)
    command = await bench.take(within_s=20)
    await until(lambda: bench.calls == 1)
    assert (await bench.answered(command))["outcome"] == "expired"


@pytest.mark.parametrize(("error", "code"), [(NotFoundError("none"), "not_found"), (ZeroDivisionError(), "internal")])
async def test_a_failure_that_stays_is_answered_at_once(bench: Bench, error: Exception, code: str) -> None:
    async def work() -> dict[str, Any]:
        raise error

    bench.handler(work)
    reply = await bench.answered(await bench.take())
    assert (reply["outcome"], reply["code"], bench.calls) == ("failed", code, 1)
    assert isinstance(error, SilianError) == (code == "not_found")
