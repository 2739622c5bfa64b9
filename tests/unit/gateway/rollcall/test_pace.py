"""Counties are rung as fast as their pictures come, and nobody who does not answer holds the others up."""

import asyncio

from gateway.rollcall.pace import FRESH_S, MOST_S, SLOW_S, Pace
from protocols.aio.clock import ManualClock
from tests.support.until import until


async def test_so_many_are_let_in_and_the_next_when_a_picture_came():
    clock, let_in = ManualClock(), []
    pace = Pace(clock, 2)

    async def come(number):
        turn = await pace.turn()
        let_in.append((number, turn))
        await pace.give_up(turn)

    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(come(number))
        await until(lambda: len(let_in) == 2)
        let_in[1][1].seen.set()
        await until(lambda: len(let_in) == 3)
        assert [number for number, _ in let_in] == [0, 1, 2]
        began = clock.monotonic()
        while len(let_in) < 5:
            await clock.advance(MOST_S / 4)
        assert clock.monotonic() - began >= MOST_S
        for _, turn in let_in:
            turn.seen.set()


async def test_who_goes_away_while_waiting_takes_no_place_and_a_place_is_given_back_once():
    pace = Pace(ManualClock(), 1)
    first = await pace.turn()
    waiting = asyncio.ensure_future(pace.turn())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    first.leave()
    first.leave()
    second = await pace.turn()
    third = asyncio.ensure_future(pace.turn())
    await asyncio.sleep(0)
    assert not third.done()
    second.leave()
    (await third).leave()


async def test_nobody_is_let_in_while_pictures_are_decoded_late():
    clock = ManualClock()
    pace = Pace(clock, 3)
    pace.tell(SLOW_S * 20)
    assert pace.slow
    waiting = asyncio.ensure_future(pace.turn())
    for _ in range(30):
        await clock.advance(FRESH_S / 10)
        pace.tell(SLOW_S * 20)
    assert not waiting.done()
    while pace.slow:
        await clock.advance(FRESH_S / 10)
        pace.tell(0.0)
    while not waiting.done():
        await clock.advance(FRESH_S / 10)
    waiting.result().leave()


async def test_a_lag_of_long_ago_keeps_nobody_waiting_and_who_goes_away_gives_its_place_back():
    clock = ManualClock()
    pace = Pace(clock, 1)
    pace.tell(SLOW_S * 20)
    gone = asyncio.ensure_future(pace.turn())
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    waiting = asyncio.ensure_future(pace.turn())
    await asyncio.sleep(0)
    assert not waiting.done()
    await clock.advance(FRESH_S + 1)
    (await waiting).leave()
