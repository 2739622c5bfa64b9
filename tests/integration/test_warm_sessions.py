"""What a click over four tiers finds: handshakes side by side the first time, sessions still standing the second."""

import asyncio
import itertools
import logging
import time
from contextlib import AsyncExitStack

import pytest

from gateway.media import machine
from gateway.ports.media import SessionKind
from tests.support.media_tier import AgentPeer, Tier, until_true
from tests.support.rooms import OneLink, Ways

logger = logging.getLogger(__name__)
ROOM = "320623/room"
CODES = ("000000", "320000", "320600", "320623")


@pytest.fixture
async def chain(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "LINGER_S", 0.3)
    async with AsyncExitStack() as stack:
        tiers: list[Tier] = []
        for code in CODES:
            ways = Ways.city(("320623",), here=code)
            ways.nodes.update({below: OneLink(below) for below in CODES[CODES.index(code) + 1 :][:1]})
            tiers.append(await stack.enter_async_context(Tier(ways, tmp_path / code)))
        for upper, lower in itertools.pairwise(tiers):
            lower.under(upper)
        box = await stack.enter_async_context(AgentPeer("320623"))
        box.under(tiers[-1])
        yield tiers, box


async def relays(tier: Tier) -> int:
    return (await tier.engine.stats()).sessions.get(SessionKind.RELAY, 0)


async def arrived(tier: Tier) -> int:
    return sum(stream.packets_in for stream in (await tier.engine.stats()).streams)


async def click(nation: Tier) -> float:
    """View until the first picture is decoded; returns its seconds."""
    began = time.monotonic()
    async with nation.views(ROOM) as seen:
        await seen.sees("320623")
        return time.monotonic() - began


async def test_a_second_click_finds_silent_sessions_standing(chain):
    tiers, box = chain
    nation, *below = tiers
    logger.info("first click took %.3f s", await click(nation))
    dialled = [tier.media.relays.session(ROOM) for tier in below]
    assert all(dialled)

    async def given_back() -> bool:
        return box.stopped > 0

    await until_true(given_back)
    assert [await relays(tier) for tier in below] == [1, 1, 1]
    before = [await arrived(tier) for tier in tiers[:-1]]
    async with tiers[-1].views(ROOM) as near:
        # The source runs again, for the county alone: nothing of it goes up.
        await near.sees("320623", 20)
        assert [await arrived(tier) for tier in tiers[:-1]] == before
    await until_true(lambda: _is(box, 2))
    logger.info("second click took %.3f s", await click(nation))
    assert [tier.media.relays.session(ROOM) for tier in below] == dialled, "no session was made anew"
    hops = (await nation.ask("GET", f"/cameras/{ROOM}/path"))["hops"]
    assert hops[0]["node"] == "000000"
    assert hops[0]["packet_ms"] is not None


async def _is(box: AgentPeer, times: int) -> bool:
    await asyncio.sleep(0)
    return box.stopped >= times
