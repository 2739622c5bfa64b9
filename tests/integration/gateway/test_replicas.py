"""Two real gateway processes on one PostgreSQL, one mosquitto and one NATS share the work, and either may die."""

import asyncio
import contextlib
import signal

import httpx
import pytest

from gateway.run import REPLACED
from protocols.envelope import Lane
from protocols.health import LinkStatus
from tests.integration.test_link import lower_end, settled
from tests.support.events import alarm
from tests.support.replicas import TwoReplicas

pytestmark = [pytest.mark.external, pytest.mark.slow, pytest.mark.timeout(400)]
BOXES = [f"{code}-box" for code in ("320612", "320623", "320681", "320682", "320684", "320685")]


async def eventually(ask, wanted, seconds=60):
    """Ask again and again until the answer is `wanted`; what cannot be reached meanwhile has no answer."""
    answer = None
    async with asyncio.timeout(seconds):
        while answer != wanted:
            with contextlib.suppress(httpx.HTTPError, KeyError):
                answer = await ask()
            if answer != wanted:
                await asyncio.sleep(0.1)


async def alarm_keys(client):
    """Return the keys of all alarms with how often each was counted."""
    found, cursor = [], None
    while True:
        page = (
            await client.get("/api/v1/alarms", params={"limit": 500} | ({"cursor": cursor} if cursor else {}))
        ).json()
        found += [(one["source"], one["alarm_key"], one["count"]) for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            return sorted(found)


class County:
    """The boxes of the counties, each a real uplink; `said` is what was promised to their sensors."""

    def __init__(self, boxes):
        self.boxes = boxes
        self.said = []

    async def say(self, count):
        for box in self.boxes:
            for _ in range(count):
                counter = len(self.said)
                await box.spool.put(Lane.LIVE, alarm(counter, source=box.node))
                self.said.append((box.node, f"k{counter}", 1))

    @property
    def expected(self):
        return sorted(self.said)


@contextlib.asynccontextmanager
async def county(folder, gateway):
    async with contextlib.AsyncExitStack() as stack:
        boxes = []
        for node in BOXES:
            box = await stack.enter_async_context(lower_end(folder, gateway.broker.address(), node, f"{node}.db"))
            boxes.append(box)
        yield County(boxes)


async def test_two_replicas_share_the_work_and_either_may_die(tmp_path):
    async with TwoReplicas(tmp_path) as gateway, county(tmp_path, gateway) as boxes:
        first, second = await gateway.leader()
        async with gateway.client(first) as at_first, gateway.client(second) as at_second:
            await _every_branch_has_one_owner(at_first)
            await boxes.say(5)
            for client in (at_first, at_second):
                await eventually(lambda client=client: alarm_keys(client), boxes.expected)
            await _an_alarm_anywhere_is_heard_at_both(gateway, boxes, first, second)

            second.kill()  # the one that consumes and does not lead
            await boxes.say(5)
            await eventually(lambda: alarm_keys(at_first), boxes.expected)
            second.start()
            await gateway.ready(second)
            await _every_branch_has_one_owner(at_first)

            first.signal(signal.SIGSTOP)  # the leader hangs, and wakes when another leads
            await boxes.say(5)
            await eventually(lambda: alarm_keys(at_second), boxes.expected)
            first.signal(signal.SIGCONT)
            await _ends_as_replaced(first)
            first.start()
            await gateway.ready(first)
            await _every_branch_has_one_owner(at_second)

            second.kill()  # the leader dies
            await boxes.say(5)
            await eventually(lambda: alarm_keys(at_first), boxes.expected)
            assert (await gateway.leader())[0] is first
            for box in boxes.boxes:
                await settled(box.spool)
                assert box.status.status is LinkStatus.UP
            await eventually(lambda: links_up(at_first), set(BOXES))


async def _ends_as_replaced(replica):
    async with asyncio.timeout(60):
        while replica.alive:
            await asyncio.sleep(0.1)
    assert replica.process.returncode == REPLACED


async def _every_branch_has_one_owner(client):
    async def shares():
        items = (await client.get("/api/v1/replicas")).json()["items"]
        alive = [one for one in items if one["alive"]]
        return len(alive), sum(one["branches"] for one in alive), sum(one["leads"] for one in alive)

    # How six boxes fall to two replicas is a matter of hashes: now and then all six to one.
    await eventually(shares, (2, len(BOXES), 1))


async def links_up(client):
    links = (await client.get("/api/v1/links")).json()["items"]
    return {one["node"] for one in links if one["status"] == "up"}


async def _an_alarm_anywhere_is_heard_at_both(gateway, boxes, *replicas):
    """Alarms whose branch one replica consumes come out of the event streams of both."""
    async with contextlib.AsyncExitStack() as stack:
        streams = []
        for replica in replicas:
            client = await stack.enter_async_context(gateway.client(replica))
            answer = await stack.enter_async_context(client.stream("GET", "/api/v1/events"))
            streams.append(answer.aiter_lines())
        for lines in streams:
            await _line(lines, "event: hello")
        await boxes.say(1)
        for lines in streams:
            heard = set()
            async with asyncio.timeout(30):
                while heard != set(BOXES):
                    text = await _line(lines, "data: ")
                    heard |= {node for node in BOXES if f'"source":"{node}"' in text}


async def _line(lines, start):
    async with asyncio.timeout(30):
        async for line in lines:
            if line.startswith(start):
                return line
    raise AssertionError("the stream ended")
