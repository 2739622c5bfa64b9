import asyncio
import json

from gateway.events import AlarmChanged, EventBus
from gateway.web.stream import EventStream, Message, encode
from protocols.errors import NotFoundError


async def say(event):
    return Message("alarm.changed", {"id": event.alarm_id, "headline": "水位超警戒"})


def a_stream(bus, renderer=say, ping_s=30.0):
    return EventStream(bus, {AlarmChanged: renderer}, lambda: {"centre": "320600"}, ping_s)


async def yes():
    return True


async def no():
    return False


async def test_a_subscriber_hears_hello_then_changes_and_ends_with_the_drain():
    bus = EventBus()
    stream = a_stream(bus)
    messages = stream.messages(yes)
    assert (await anext(messages)).event == "hello"
    bus.publish(AlarmChanged("A"))
    assert await anext(messages) == Message("alarm.changed", {"id": "A", "headline": "水位超警戒"})
    stream.close()
    assert [m async for m in messages] == []
    assert stream.subscribers == 0


async def test_a_subscriber_that_lags_is_told_to_read_anew():
    bus = EventBus()
    stream = a_stream(bus)
    messages = stream.messages(yes)
    await anext(messages)
    for number in range(2000):
        bus.publish(AlarmChanged(str(number)))
    first = await anext(messages)
    assert first.event == "resync"
    assert first.data["lost"] > 0
    assert stream.resyncs == 1
    await messages.aclose()


async def test_a_thing_that_has_gone_is_a_resync():
    async def gone(_event):
        raise NotFoundError("gone")

    bus = EventBus()
    messages = a_stream(bus, gone).messages(yes)
    await anext(messages)
    bus.publish(AlarmChanged("A"))
    assert (await anext(messages)).event == "resync"
    await messages.aclose()


async def test_pings_come_even_while_events_flow_and_a_revoked_login_ends_the_stream():
    bus = EventBus()
    messages = a_stream(bus, ping_s=0.05).messages(yes)
    await anext(messages)
    seen = []
    while "ping" not in seen:
        bus.publish(AlarmChanged("A"))
        await asyncio.sleep(0.01)
        seen.append((await anext(messages)).event)
    await messages.aclose()

    revoked = a_stream(bus, ping_s=0.01).messages(no)
    assert [m.event async for m in revoked] == ["hello"]


def test_chinese_stays_readable_on_the_wire():
    wire = encode(Message("alarm.changed", {"headline": "水位"})).decode()
    assert wire.startswith("event: alarm.changed\ndata: ")
    assert wire.endswith("\n\n")
    assert json.loads(wire.split("data: ")[1]) == {"headline": "水位"}
    assert "水位" in wire
