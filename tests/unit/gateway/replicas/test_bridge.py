"""Events between replicas: what travels, what stays, and that memory is read again first."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest

from gateway.adapters.bus_memory import Hub, MemoryBus
from gateway.events import (
    AlarmChanged,
    CameraChanged,
    CommandReplied,
    EventBus,
    LinkChanged,
    Overflowed,
    ReportChanged,
    WallSlotChanged,
)
from gateway.metrics import Metrics
from gateway.replicas.bridge import SHARED, Bridge, Codec
from protocols.aio.clock import SystemClock
from protocols.command import Outcome, Reply
from protocols.health import LinkReason, LinkStatus
from tests.support.until import until

REPLY = Reply(
    command_id="01J00000000000000000000000",
    name="media.publish",
    target="320623-box",
    origin="320600",
    outcome=Outcome.DONE,
    result={"hops": [1, 2]},
)


class Side:
    """One replica's end: its events, and those it published."""

    def __init__(self, hub, **options):
        self.events, self.seen, self.metrics = EventBus(), [], Metrics()
        self.events.listen(object, self.seen.append)
        self.bus = MemoryBus(hub)
        self.bridge = Bridge(self.bus, self.events, SystemClock(), self.metrics, **options)


@pytest.fixture
async def sides():
    hub = Hub()
    async with AsyncExitStack() as stack:
        found = [Side(hub), Side(hub)]
        for side in found:
            await stack.enter_async_context(side.bus)
            await stack.enter_async_context(side.bridge)
        yield found


@pytest.mark.parametrize(
    "event",
    [
        AlarmChanged("01A"),
        LinkChanged("320623-box", LinkStatus.DOWN, LinkReason.NO_HEARTBEAT),
        LinkChanged("320623-box", LinkStatus.UP),
        ReportChanged("r", 50),
        CommandReplied(REPLY),
    ],
    ids=lambda one: type(one).__name__,
)
async def test_an_event_arrives_as_it_was_told(sides, event):
    one, two = sides
    one.bridge.tell(event)
    assert one.seen == [event], "at home it is told once and at once"
    await until(lambda: two.seen == [event])
    assert one.seen == [event]


async def test_what_speaks_of_sessions_stays_at_home(sides):
    one, two = sides
    one.bridge.tell(CameraChanged("320623/room"))
    one.bridge.tell(WallSlotChanged("s", "video", 0, None, "empty", None, datetime(2026, 1, 1, tzinfo=UTC)))
    one.bridge.tell(AlarmChanged("x"))
    await until(lambda: two.seen == [AlarmChanged("x")])
    assert len(one.seen) == 3


async def test_memory_is_read_again_before_the_event_is_told():
    hub, order = Hub(), []

    async def refresh():
        order.append("read")

    async def fails():
        raise OSError("away")

    far = Side(hub)
    near = Side(hub, before={LinkChanged: refresh, AlarmChanged: fails})
    near.events.listen(LinkChanged, lambda event: order.append(event.node))
    async with far.bus, near.bus, near.bridge:
        for node in ("a", "b"):
            far.bridge.tell(LinkChanged(node, LinkStatus.UP))
        await until(lambda: order == ["read", "a", "b"])
        far.bridge.tell(AlarmChanged("x"))
        await until(lambda: AlarmChanged("x") in near.seen)


async def test_whoever_missed_something_reads_everything_anew():
    hub, order = Hub(), []

    async def refresh():
        order.append("read")

    side = Side(hub, before={LinkChanged: refresh})
    async with side.bus, side.bridge:
        side.bus._ears[0].missed(0)
        await until(lambda: side.seen == [Overflowed(1)])
        assert order == ["read"]


async def test_what_is_not_understood_is_counted_and_hinders_nothing(sides):
    one, two = sides
    for body in (b"", b"[]", b'["Unknown", {}]', b'["AlarmChanged", {"x": 1}]', b"\xff", b'{"a": 1}'):
        one.bus.announce("01", body)
    one.bridge.tell(AlarmChanged("good"))
    await until(lambda: two.seen == [AlarmChanged("good")])
    two.metrics.take_snapshot()
    assert b"silian_bus_unknown_total 6.0" in two.metrics.render()


def test_every_shared_event_has_its_own_name():
    assert len({one.__name__ for one in SHARED}) == len(SHARED)
    assert Codec(SHARED).encode(object()) is None
