"""A gateway killed with -9, as a process: who was muted is so before it answers, and is heard when it is taken back."""

import asyncio
import json

import pytest

from gateway.bench.tiers import build
from gateway.ports.media import SessionAnswer
from tests.support.media_tier import post_to
from tests.support.peers import publisher
from tests.support.two_boxes import RUNG, SEEN, TwoBoxes, until
from tests.support.walls import wall

pytestmark = [pytest.mark.external, pytest.mark.timeout(400)]
CITY = "320600"
MUTED, OTHER = f"{SEEN}/room", f"{RUNG}/room"
PLACES = 2


class Screen:
    """A wall of one gateway over its HTTP, as a console opens it."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.session = ""

    async def wall(self, offer):
        granted = await self.gateway.call("POST", "/api/v1/wall")
        head = {"authorization": f"Bearer {granted['token']}", "content-type": "application/sdp"}
        answer = await self.gateway.http().post(granted["wall_url"], content=offer, headers=head)
        assert answer.status_code == 201, answer.text
        self.session = answer.headers["location"].rpartition("/")[2]
        return SessionAnswer(self.session, "", answer.text, answer.headers["etag"])

    async def events(self):
        """Tell nothing: this test reads the slots."""
        await asyncio.Event().wait()
        yield

    async def show(self, *slots):
        wishes = [{"kind": kind, "index": at, "stream": stream} for kind, at, stream in slots]
        await self.gateway.call("PUT", f"/wall/{self.session}/slots", wishes)

    async def slots(self):
        """Return (stream, what is shown) by kind and place."""
        items = (await self.gateway.get(f"/wall/{self.session}/slots"))["items"]
        return {(one["kind"], one["index"]): (one["stream"], one["showing"]) for one in items}

    async def heard(self):
        """Return whose voices the floor has put into the sound slots."""
        slots = await self.slots()
        return {slots["audio", at][0] for at in range(PLACES)} - {None}


@pytest.fixture
async def city(tmp_path):
    """A city and the boxes of two counties, all of them processes."""
    tiers = await build(tmp_path, {CITY: None}, {f"{code}-box": CITY for code in (SEEN, RUNG)})
    counties = TwoBoxes(tmp_path, tiers, audio="tone")
    gateway = tiers.tiers[CITY]
    try:
        await tiers.start()
        await counties.program.start()
        await until(lambda: linked(gateway))
        yield gateway
    finally:
        await counties.program.stop()
        await tiers.stop()


async def linked(gateway):
    links, cameras = await gateway.get("/api/v1/links"), await gateway.get("/api/v1/cameras")
    return [link["status"] for link in links["items"]] == ["up"] * 2 and len(cameras["items"]) == 2


async def mute(gateway, stream, *, muted=True):
    return (await gateway.call("PUT", f"/api/v1/floor/{stream}", {"muted": muted}))["muted"]


async def told_of(gateway, session):
    """Return what the event stream says first of a wall's floor."""
    head = {"authorization": gateway.http().headers["authorization"]}
    async with gateway.http().stream("GET", "/api/v1/events", headers=head) as events:
        lines = events.aiter_lines()
        assert await anext(lines) == "event: hello"
        await gateway.call("PUT", f"/wall/{session}/floor", {"voices": [MUTED, OTHER], "places": PLACES})
        async for line in lines:
            if line == "event: floor.changed":
                return json.loads((await anext(lines)).removeprefix("data: "))
    raise AssertionError("the event stream ended")


async def killed(gateway):
    """Kill the gateway, start it again and return whom its first answer has muted."""
    await gateway.program.kill()
    await gateway.program.start()
    first = await until(lambda: gateway.get("/api/v1/floor"))
    await gateway.ready()
    return first["muted"]


async def test_a_muted_county_stays_muted_and_a_call_takes_its_mute_with_it(city):
    made = await city.call("POST", "/api/v1/calls", {"centre": SEEN})
    own = made["publish"]
    voice = own["whip_url"].partition("/whip/")[2]
    async with publisher(post_to(own["whip_url"], own["token"]), CITY, rate=8, audio=True):
        assert await until(lambda: mute(city, voice)) == [voice]
        assert await mute(city, MUTED) == [voice, MUTED]
        first = await killed(city)
    assert MUTED in first
    ended = await city.get(f"/api/v1/calls/{made['id']}")
    assert (ended["state"], ended["reason"]) == ("ended", "restart")
    assert (await city.get("/api/v1/floor"))["muted"] == [MUTED]


async def test_after_the_kill_it_stands_in_no_sound_slot_until_it_is_taken_back(city):
    await mute(city, MUTED)
    assert await killed(city) == [MUTED]
    await until(lambda: linked(city))
    screen = Screen(city)
    async with wall(screen, 2, sounds=PLACES + 1):
        told = await told_of(city, screen.session)
        assert (told["of"], told["muted"]) == (screen.session, [MUTED])
        # The last slot is none of the floor's: it shows that the sound of the muted county does arrive.
        await screen.show(("video", 0, MUTED), ("video", 1, OTHER), ("audio", PLACES, MUTED))

        async def arrives():
            return (await screen.slots()).get(("audio", PLACES)) == (MUTED, "sound")

        await until(arrives)

        async def only_the_other():
            return await screen.heard() == {OTHER}

        await until(only_the_other)
        # The floor has looked again once this is done, and a place was free all the time.
        await mute(city, OTHER)

        async def nobody():
            return await screen.heard() == set()

        await until(nobody)
        assert await mute(city, MUTED, muted=False) == [OTHER]

        async def it_is_heard():
            return await screen.heard() == {MUTED}

        await until(it_is_heard)
    assert await killed(city) == [OTHER]
    assert await mute(city, OTHER, muted=False) == []
    assert await killed(city) == []
