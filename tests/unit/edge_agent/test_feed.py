import pytest

from edge_agent.cameras.feed import QUEUE_UNITS, Feed
from protocols.aio.h264 import Unit
from tests.support.until import until


def unit(number, *, key=False):
    return Unit(bytes([number % 256]), key, number, float(number))


async def test_a_reader_starts_at_the_kept_group_and_then_gets_everything():
    feed = Feed("room", keep_group=True)
    for number in range(5):
        feed.put(unit(number, key=number == 2))
    await until(lambda: len(feed.group) == 3)
    reader = feed.subscribe()
    assert feed.wanted
    assert [(await reader.next()).pts for _ in range(3)] == [2, 3, 4]
    feed.put(unit(5))
    assert (await reader.next()).pts == 5
    reader.close()
    assert not feed.wanted
    assert await reader.next() is None


async def test_without_a_kept_group_nothing_comes_before_the_next_key_frame():
    feed = Feed("room", keep_group=False)
    reader = feed.subscribe()
    assert feed.take_key_request()
    assert not feed.take_key_request()
    for number in range(4):
        feed.put(unit(number, key=number == 2))
    assert (await reader.next()).pts == 2
    assert feed.group == ()


async def test_a_slow_reader_loses_whole_groups_counted_and_asks_for_a_key_frame(caplog):
    feed = Feed("room", keep_group=False)
    reader = feed.subscribe()
    feed.take_key_request()
    for number in range(QUEUE_UNITS + 5):
        feed.put(unit(number, key=number == 0))
    await until(lambda: feed.lost)
    assert reader.dropped == QUEUE_UNITS
    assert feed.take_key_request()
    assert "too slow" in caplog.text
    feed.put(unit(1000, key=True))
    assert (await reader.next()).pts == 1000


async def test_a_group_without_end_is_not_kept():
    feed = Feed("room", keep_group=True)
    feed.put(unit(0, key=True))
    for number in range(1, 400):
        feed.put(unit(number))
    feed.put(unit(400, key=True))
    await until(lambda: feed.group and feed.group[0].pts == 400)
    assert len(feed.group) == 1


@pytest.mark.parametrize("keep", [True, False])
async def test_put_after_the_loops_end_is_harmless(keep):
    feed = Feed("room", keep_group=keep)

    class Closed:
        @staticmethod
        def is_closed():
            return True

    feed._loop = Closed()
    feed.put(unit(1))
