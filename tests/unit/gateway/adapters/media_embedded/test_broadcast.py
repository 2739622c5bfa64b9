"""Events to listeners, slow ones too."""

import asyncio

from gateway.adapters.media_embedded.broadcast import SHELF, Broadcast
from gateway.ports.media import StreamChanged, StreamState


def event(number: int) -> StreamChanged:
    return StreamChanged(str(number), StreamState.LIVE)


async def test_everybody_hears_from_his_coming_on() -> None:
    source = Broadcast()
    source.publish(event(0))
    one, two = source.listen(), source.listen()
    source.publish(event(1))
    assert await anext(one) == await anext(two) == event(1)
    waiting = asyncio.ensure_future(anext(one))
    await asyncio.sleep(0)
    source.publish(event(2))
    assert await waiting == event(2)


async def test_a_slow_listener_loses_the_oldest_and_it_is_counted() -> None:
    source = Broadcast()
    slow = source.listen()
    for number in range(SHELF + 3):
        source.publish(event(number))
    assert source.lost == 3
    assert await anext(slow) == event(3)


async def test_who_leaves_hears_no_more() -> None:
    source = Broadcast()
    gone = source.listen()
    await gone.aclose()
    source.publish(event(1))
    forgotten = source.listen()
    del forgotten
    for number in range(SHELF * 2):
        source.publish(event(number))
    assert source.lost == 0
