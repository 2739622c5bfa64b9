"""Port `bus`: one suite for the adapters, JetStream with three real servers; and what only dying servers can show."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from gateway.adapters.bus_memory import Hub, MemoryBus
from gateway.adapters.bus_nats import WAITING_LIMIT, NatsBus, NatsPlace
from gateway.ports.bus import Ears
from protocols.aio.clock import SystemClock, new_ulid
from tests.support.brokers import free_port
from tests.support.nats import NatsCluster
from tests.support.until import until

pytestmark = pytest.mark.external
CLOCK = SystemClock()


class Member:
    """A bus and what it was told."""

    def __init__(self, bus):
        self.bus = bus
        self.heard: list[str] = []
        self.missed: list[int] = []
        bus.listen(Ears(lambda body: self.heard.append(body.decode()), self.missed.append))

    def say(self, *texts):
        for text in texts:
            self.bus.announce(new_ulid(CLOCK), text.encode())

    async def up(self):
        await until(lambda: self.bus.health.up, 30, f"the bus: {self.bus.health}")


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """Three servers for the module; each test takes a centre of its own, hence a stream of its own."""
    with NatsCluster(tmp_path_factory.mktemp("nats")) as cluster:
        yield cluster


@pytest.fixture(params=["memory", "nats"])
async def members(request):
    """Three members of one centre."""
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            hub = Hub()
            buses = [MemoryBus(hub) for _ in range(3)]
        else:
            place = NatsPlace(request.getfixturevalue("servers").urls)
            centre = f"c{abs(hash(request.node.name)) % 10**8}"
            buses = [NatsBus(place, centre=centre, clock=CLOCK) for _ in range(3)]
        found = [Member(bus) for bus in buses]
        for member in found:
            await stack.enter_async_context(member.bus)
            await member.up()
        yield found


async def test_everybody_else_hears_it_once_and_in_order(members):
    first, second, third = members
    texts = [f"a{i}" for i in range(50)]
    first.say(*texts)
    await until(lambda: len(second.heard) == 50 and len(third.heard) == 50)
    assert second.heard == third.heard == texts
    assert first.heard == []
    assert first.missed == second.missed == third.missed == []


async def test_all_members_speak(members):
    for number, member in enumerate(members):
        member.say(f"from {number}")
    await until(lambda: all(len(member.heard) == 2 for member in members))
    assert sorted(members[0].heard) == ["from 1", "from 2"]


async def test_one_who_left_hears_nothing_and_hinders_nobody(members):
    first, second, third = members
    async with AsyncExitStack() as stack:
        late = Member(type(third.bus)(*_alike(third.bus)[0], **_alike(third.bus)[1]))
        await stack.enter_async_context(late.bus)
        await late.up()
        first.say("before")
        await until(lambda: late.heard == ["before"] and third.heard == ["before"])
    first.say("after")
    await until(lambda: second.heard == ["before", "after"])
    assert late.heard == ["before"]


def _alike(bus):
    if isinstance(bus, MemoryBus):
        return (bus._hub,), {}
    return (bus._place,), {"centre": bus._stream.removeprefix("silian_"), "clock": CLOCK}


async def test_a_listener_that_fails_is_passed_over(members):
    first, second, _ = members
    second.bus.listen(Ears(lambda body: 1 / 0, lambda count: None))
    first.say("x", "y")
    await until(lambda: second.heard == ["x", "y"])
    assert second.bus.health.up


async def test_whoever_joins_hears_what_comes_not_what_was(servers):
    place = NatsPlace(servers.urls)
    async with NatsBus(place, centre="join", clock=CLOCK) as first:
        one = Member(first)
        await one.up()
        one.say("old")
        await until(lambda: first.health.waiting == 0)
        async with NatsBus(place, centre="join", clock=CLOCK) as second:
            two = Member(second)
            await two.up()
            one.say("new")
            await until(lambda: two.heard == ["new"])
            assert two.missed == []


async def test_a_server_dies_in_the_middle_and_comes_back(tmp_path):
    async with AsyncExitStack() as stack:
        cluster = stack.enter_context(NatsCluster(tmp_path))
        place = NatsPlace(cluster.urls)
        members = [Member(NatsBus(place, centre="320600", clock=CLOCK)) for _ in range(3)]
        for member in members:
            await stack.enter_async_context(member.bus)
        for member in members:
            await member.up()
        said = [[f"{number}-{i}" for i in range(300)] for number in range(3)]
        await _say(members, said, 0, 100)
        cluster.servers[1].kill()
        await _say(members, said, 100, 200)
        await until(lambda: all(len(member.heard) == 400 for member in members), 60, "everybody woken with one away")
        cluster.servers[1].start()
        await asyncio.to_thread(cluster.wait_healthy, cluster.servers[1])
        await _say(members, said, 200, 300)
        await until(lambda: all(len(member.heard) == 600 for member in members), 60, "everybody woken")
        for number, member in enumerate(members):
            others = [n for n in range(3) if n != number]
            for other in others:
                mine = [text for text in member.heard if text.startswith(f"{other}-")]
                assert mine == said[other], "each once and in the order of its sender"
            assert member.missed == []


async def _say(members, said, first, last):
    for i in range(first, last):
        for member, texts in zip(members, said, strict=True):
            member.say(texts[i])
        await asyncio.sleep(0)


async def test_a_bus_that_is_away_stops_nothing_and_hears_later(tmp_path):
    cluster = NatsCluster(tmp_path, count=1)
    place = NatsPlace(cluster.urls, copies=1)
    async with NatsBus(place, centre="320600", clock=CLOCK) as bus, NatsBus(place, centre="320600", clock=CLOCK) as far:
        one, two = Member(bus), Member(far)
        await until(lambda: "127.0.0.1" in bus.health.detail, 20, "a sentence that names the server")
        assert not bus.health.up
        with cluster:
            await one.up()
            await two.up()
            one.say("a")
            await until(lambda: two.heard == ["a"])
            cluster.servers[0].kill()
            await until(lambda: not bus.health.up and not far.health.up)
            one.say("b", "c")
            assert bus.health.waiting == 2
            cluster.servers[0].start()
            await until(lambda: two.heard == ["a", "b", "c"], 30)
            assert two.missed == []


async def test_what_does_not_fit_is_given_up_and_told(tmp_path):
    with NatsCluster(tmp_path, count=1) as cluster:
        place = NatsPlace(cluster.urls, copies=1)
        one, two = (Member(NatsBus(place, centre="320600", clock=CLOCK)) for _ in range(2))
        async with two.bus:
            await two.up()
            for i in range(WAITING_LIMIT + 3):  # before the bus was joined
                one.bus.announce(new_ulid(CLOCK), b"%d" % i)
            assert one.bus.health.given_up == 3
            async with one.bus:
                await until(lambda: len(two.heard) == WAITING_LIMIT and two.missed == [3], 60)


async def test_a_stream_that_was_lost_is_made_anew_and_told(tmp_path):
    with NatsCluster(tmp_path, count=1) as cluster:
        place = NatsPlace(cluster.urls, copies=1)
        one, two = (Member(NatsBus(place, centre="320600", clock=CLOCK)) for _ in range(2))
        async with one.bus, two.bus:
            await one.up()
            await two.up()
            import nats

            client = await nats.connect(cluster.urls[0])
            await client.jetstream().delete_stream("silian_320600")
            await client.close()
            await until(lambda: two.missed == [0], 30)
            one.say("again")
            await until(lambda: two.heard == ["again"], 30)


async def test_too_few_servers_for_the_copies_is_said_in_a_sentence(tmp_path):
    with NatsCluster(tmp_path, count=1) as cluster:
        bus = NatsBus(NatsPlace(cluster.urls, copies=3), centre="320600", clock=CLOCK)
        async with bus:
            await until(lambda: "bus.copies = 3 needs" in bus.health.detail, 20, bus.health.detail)
            assert not bus.health.up


async def test_a_wrong_password_is_said_and_the_right_one_joins(tmp_path):
    extra = "authorization { user: silian, password: rudong }"
    with NatsCluster(tmp_path, count=1, extra=extra) as cluster:
        wrong = NatsBus(NatsPlace(cluster.urls, login=("silian", "x"), copies=1), centre="320600", clock=CLOCK)
        right = Member(
            NatsBus(NatsPlace(cluster.urls, login=("silian", "rudong"), copies=1), centre="320600", clock=CLOCK)
        )
        async with wrong, right.bus:
            await right.up()
            await until(lambda: "uthorization" in wrong.health.detail, 20)
            assert not wrong.health.up


async def test_nobody_listens_where_no_server_stands():
    bus = NatsBus(NatsPlace((f"nats://127.0.0.1:{free_port()}",)), centre="320600", clock=CLOCK)
    async with bus:
        bus.announce(new_ulid(CLOCK), b"x")
        await until(lambda: "127.0.0.1" in bus.health.detail)
    assert bus.health.waiting == 1
