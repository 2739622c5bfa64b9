"""Two real gateways on one PostgreSQL carry the pictures of real agents between them, and either may die."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from edge_agent.app import Agent
from edge_agent.settings import parse as agent_settings
from tests.support.media_tier import post_to
from tests.support.peers import Viewer, viewer
from tests.support.replicas import Replica, TwoReplicas

pytestmark = [pytest.mark.external, pytest.mark.slow, pytest.mark.timeout(400)]
CODES = ("320612", "320623")
NAMES = tuple(f"room{number}" for number in range(6))
STREAMS = [f"{code}/{name}" for name in NAMES for code in CODES]


@contextlib.asynccontextmanager
async def box(folder: Path, gateway: TwoReplicas, code: str) -> AsyncIterator[Agent]:
    """Run a county's agent with six cameras until the context ends."""
    async with gateway.client(gateway.replicas[0]) as client:
        answer = await client.post("/api/v1/enrolments", json={"node": f"{code}-box"})
        answer.raise_for_status()
    settings = agent_settings(
        {
            "node": {"id": f"{code}-box"},
            "gateway": {
                "url": gateway.replicas[0].url,
                "enrolment_token": answer.json()["token"],
                "broker": f"127.0.0.1:{gateway.box_port}",
            },
            "state": {"dir": folder / f"box-{code}", "quota_mb": 16, "ballast_mb": 1},
            "management": {"port": 0},
            "cameras": [{"name": name, "title": name, "kind": "testcard"} for name in NAMES],
        }
    )
    agent = Agent(settings)
    running = asyncio.ensure_future(agent.run())
    try:
        await agent.ready.wait()
        yield agent
    finally:
        agent.stop()
        await running


async def ask(client: httpx.AsyncClient, path: str) -> dict:
    """Ask until it is answered: on a busy machine a beat is late, and for a moment nobody leads."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(httpx.HTTPError):
                return (await client.get(f"/api/v1/{path}")).raise_for_status().json()
            await asyncio.sleep(0.2)


async def cameras_known(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while {one["id"] for one in (await ask(client, "cameras"))["items"]} < set(STREAMS):
            await asyncio.sleep(0.2)


async def shares(client: httpx.AsyncClient) -> dict[str, int | None]:
    return {one["name"]: one["streams"] for one in (await ask(client, "replicas"))["items"] if one["alive"]}


async def both_take_streams(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while None in (found := await shares(client)).values() or len(found) < 2:
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def views(client: httpx.AsyncClient, stream: str) -> AsyncIterator[Viewer]:
    """View as a browser does; whoever is refused meanwhile asks again."""
    async with AsyncExitStack() as stack:
        async with asyncio.timeout(90):
            while True:
                try:
                    granted = (await client.post(f"/api/v1/cameras/{stream}/play")).raise_for_status().json()
                    url = httpx.URL(granted["whep_url"]).raw_path.decode()
                    post = post_to(f"{client.base_url}".rstrip("/") + url, granted["token"])
                    seen = await stack.enter_async_context(viewer(post))
                    break
                except (httpx.HTTPError, AssertionError):
                    await asyncio.sleep(0.2)
        await seen.sees(stream.partition("/")[0], 3, within_s=60)
        yield seen


async def carried(client: httpx.AsyncClient, count: int) -> dict[str, int]:
    """Wait until the replicas carry so many streams together; return how many each."""
    async with asyncio.timeout(90):
        while None in (found := await shares(client)).values() or sum(found.values()) != count:
            await asyncio.sleep(0.2)
    return found


async def one_of_each(
    stack: AsyncExitStack, asked: httpx.AsyncClient, through: httpx.AsyncClient
) -> dict[str, tuple[str, Viewer]]:
    """View cameras until each replica carries one; return for each replica's name a stream and its viewer."""
    found: dict[str, tuple[str, Viewer]] = {}
    before = await carried(asked, 0)  # what others viewed has ended
    for count, stream in enumerate(STREAMS, 1):
        seen = await stack.enter_async_context(views(through, stream))
        after = await carried(asked, count)
        (grown,) = (name for name in after if after[name] > before[name])
        found.setdefault(grown, (stream, seen))
        before = after
        if len(found) == 2:
            return found
    raise AssertionError(f"one replica carries all: {before}")


async def restarted(lines: AsyncIterator[str]) -> None:
    """Wait for the word of the event stream that viewers must come again."""
    async with asyncio.timeout(60):
        async for line in lines:
            if line == "event: media.restart":
                return


async def test_streams_are_spread_over_replicas_and_move_when_one_is_killed(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(TwoReplicas(tmp_path))
        for code in CODES:
            await stack.enter_async_context(box(tmp_path, gateway, code))
        first, second = await gateway.leader()
        at_first = await stack.enter_async_context(gateway.client(first))
        at_second = await stack.enter_async_context(gateway.client(second))
        await cameras_known(at_first)
        await both_take_streams(at_second)

        # Viewers ask the replica that does not lead; each is served where the stream lives.
        async with AsyncExitStack() as watching:
            found = await one_of_each(watching, at_first, at_second)
            near, far = found[first.name], found[second.name]
            events = await watching.enter_async_context(at_first.stream("GET", "/api/v1/events"))
            lines = events.aiter_lines()
            second.kill()
            await restarted(lines)
            async with views(at_first, far[0]):
                assert near[1].connection.connectionState == "connected"
                await near[1].sees(near[0].partition("/")[0], 3)
                assert (await shares(at_first))[first.name] >= 2
        assert "replica takes no streams any more" in log_of(first)

        second.start()
        await gateway.ready(second)
        await both_take_streams(at_first)
        async with AsyncExitStack() as watching:
            found = await one_of_each(watching, at_first, at_first)
            quiet = found[second.name][0]
            chair = await gateway.person("dispatcher")
            answer = await at_second.put(f"/api/v1/floor/{quiet}", json={"muted": True}, headers=chair)
            answer.raise_for_status()
            first.kill()  # the one that leads: all that it knew of viewers and demands is gone
            for stream, _ in found.values():
                await watching.enter_async_context(views(at_second, stream))
            assert (await gateway.leader())[0] is second
            assert (await shares(at_second))[second.name] >= 2
            assert (await ask(at_second, "floor"))["muted"] == [quiet], "who leads now mutes whom the other muted"


def log_of(replica: Replica) -> str:
    return (replica.folder / "log").read_text()
