import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel

from edge_agent.journal import Journal
from edge_agent.orders import Orders
from protocols.aio.clock import ManualClock, SystemClock, new_ulid
from protocols.command import Command, Outcome
from protocols.errors import NotFoundError, RefusedError


class Result(BaseModel):
    answer: int


def command(clock, name="do", seconds=5.0, **args):
    return Command(
        command_id=new_ulid(clock),
        name=name,
        target="320623-box",
        origin="320600",
        deadline=clock.now() + timedelta(seconds=seconds),
        args=args,
    )


NO_JOURNAL = Journal(Path("/nonexistent"))
"""The commands of these tests are over within the test."""


def orders(clock, handler):
    return Orders({"do": handler}, clock, NO_JOURNAL)


async def test_a_command_is_done_once_and_answered_again():
    clock, ran = SystemClock(), []

    async def handler(args):
        ran.append(args)
        await asyncio.sleep(0.05)
        return Result(answer=42)

    desk, order = orders(clock, handler), command(clock, where="here")
    first, second = await asyncio.gather(desk.answer(order), desk.answer(order))
    third = await desk.answer(order)
    assert ran == [{"where": "here"}]
    assert first == second == third
    assert (first.outcome, first.result, first.origin) == (Outcome.DONE, {"answer": 42}, "320600")
    assert desk.counters == {"do_done": 1, "repeated": 2}


async def test_an_expired_command_is_never_carried_out():
    clock, ran = ManualClock(), []

    async def handler(args):
        ran.append(args)

    order = command(clock, seconds=3)
    await clock.advance(3.5)
    reply = await orders(clock, handler).answer(order)
    assert (reply.outcome, reply.code, ran) == (Outcome.EXPIRED, "expired", [])
    assert "0.5 s after" in reply.detail


async def test_what_is_not_finished_at_the_deadline_is_expired():
    clock = SystemClock()

    async def handler(_):
        await asyncio.sleep(60)

    reply = await orders(clock, handler).answer(command(clock, seconds=0.05))
    assert reply.outcome is Outcome.EXPIRED


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (NotFoundError("no camera"), Outcome.REFUSED, "not_found"),
        (RefusedError("in another call", "busy"), Outcome.REFUSED, "busy"),
        (ZeroDivisionError(), Outcome.FAILED, "internal"),
    ],
)
async def test_every_ending_is_answered_by_name(error, outcome, code):
    clock = SystemClock()

    async def handler(_):
        raise error

    reply = await orders(clock, handler).answer(command(clock))
    assert (reply.outcome, reply.code) == (outcome, code)


async def test_an_unknown_command_is_refused():
    clock = SystemClock()
    reply = await Orders({}, clock, NO_JOURNAL).answer(command(clock, name="dance"))
    assert (reply.outcome, reply.code) == (Outcome.REFUSED, "unknown_command")


async def test_a_cancelled_command_is_carried_out_when_it_comes_again():
    clock, tries = SystemClock(), []

    async def handler(_):
        tries.append(1)
        if len(tries) == 1:
            await asyncio.sleep(60)

    desk, order = orders(clock, handler), command(clock, seconds=30)
    running = asyncio.ensure_future(desk.answer(order))
    await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (await desk.answer(order)).outcome is Outcome.DONE
