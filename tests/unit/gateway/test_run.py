"""The start of `silian serve`: a database that goes away meanwhile is waited for, all else ends it."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from gateway import app, run
from gateway.settings import Settings
from protocols.errors import ConfigError, StoreAwayError

SETTINGS = Settings.model_validate({"centre": {"code": "320600"}})


class Starting:
    """A gateway whose starts fail as planned; the next one works."""

    plan: list[BaseException]

    def __init__(self, _settings: Settings) -> None:
        pass

    async def __aenter__(self) -> "Starting":
        if self.plan:
            raise self.plan.pop(0)
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass


@pytest.fixture
def starting(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(app, "Gateway", Starting)
    monkeypatch.setattr(run, "AGAIN_S", 0.0)
    Starting.plan = []
    return Starting


async def test_a_start_begins_anew_while_the_database_is_away(starting: Any) -> None:
    away = StoreAwayError("the database is away: planted")
    starting.plan = [away, BaseExceptionGroup("start", [away]), away]
    async with AsyncExitStack() as stack:
        assert isinstance(await run._started(stack, SETTINGS, asyncio.Event()), Starting)


@pytest.mark.parametrize("error", [ConfigError("wrong"), ZeroDivisionError()])
async def test_whatever_else_is_wrong_ends_the_start(starting: Any, error: Exception) -> None:
    starting.plan = [ExceptionGroup("start", [StoreAwayError("away"), error])]
    async with AsyncExitStack() as stack:
        with pytest.raises(ExceptionGroup):
            await run._started(stack, SETTINGS, asyncio.Event())
    starting.plan = [error]
    async with AsyncExitStack() as stack:
        with pytest.raises(type(error)):
            await run._started(stack, SETTINGS, asyncio.Event())


async def test_a_signal_ends_the_waiting(starting: Any) -> None:
    ended = asyncio.Event()
    ended.set()
    starting.plan = [StoreAwayError("away")]
    async with AsyncExitStack() as stack:
        assert await run._started(stack, SETTINGS, ended) is None
