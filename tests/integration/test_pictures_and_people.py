"""Pictures, roll calls and calls over real engines, real stores and HTTP; only the links are in-process."""

import os
import signal
from contextlib import AsyncExitStack

import httpx
import pytest

from gateway.ports.media import SessionKind
from gateway.rollcall.rules.profiles import Profile
from protocols.health import Verdict
from tests.support.media_tier import AgentPeer, Tier, black, post_to, until_true
from tests.support.peers import publisher, until, viewer
from tests.support.rooms import OneLink, Ways

COUNTIES = ("320612", "320613", "320614", "320685")
ROOM = "320612/room"
PROFILE = Profile(
    answer_within_s=10,
    picture_within_s=20,
    observe_s=4.0,
    look_every_s=1.0,
    least_looks=4,
    grace_s=5.0,
    challenge_within_s=1.0,
    presence_s=0,
)


@pytest.fixture
async def stack():
    async with AsyncExitStack() as made:
        yield made


@pytest.fixture
async def city(stack, tmp_path):
    ways = Ways.city(COUNTIES)
    return await stack.enter_async_context(Tier(ways, tmp_path / "city", PROFILE))


@pytest.fixture
async def province(stack, tmp_path, city):
    ways = Ways.city(COUNTIES, here="320000")
    ways.nodes["320600"] = OneLink("320600")
    made = await stack.enter_async_context(Tier(ways, tmp_path / "province", PROFILE))
    city.under(made)
    return made


async def agent(stack, code: str, *tiers: Tier, **how) -> AgentPeer:
    made = await stack.enter_async_context(AgentPeer(code, **how))
    made.under(*tiers)
    return made


async def test_one_picture_for_two_tiers_crosses_the_county_link_once(stack, city, province):
    box = await agent(stack, "320612", city, province)
    async with province.views(ROOM, audio=True) as above, city.views(ROOM) as here:
        await above.sees("320612", 5)
        await here.sees("320612", 5)
        await above.hears()
        figures = await city.engine.stats()
        assert figures.sessions.get(SessionKind.WHIP) == 1
        assert figures.sessions.get(SessionKind.RELAY) == 1
        assert not any(asked.fresh for asked in box.asked)
        listed = await province.ask("GET", f"/cameras/{ROOM}")
        assert listed["stream"]["state"] == "live"
        assert listed["stream"]["viewers"] == 1


async def test_a_dead_media_worker_in_the_middle_is_survived(stack, city, province):
    box = await agent(stack, "320612", city, province)
    async with province.views(ROOM) as above:
        await above.sees("320612", 5)
        os.kill(city.engine.worker_pid, signal.SIGKILL)
        await until(lambda: any(asked.fresh for asked in box.asked), 30)
        await above.sees("320612", 10, 40)


async def test_publishers_without_an_agent_are_judged_here(stack, city):
    for name in ("dark", "live"):
        granted = city.media.publish_pass(f"320600/{name}", "desk")
        sending = await stack.enter_async_context(publisher(post_to(city.url + granted.path, granted.token), "320600"))
        if name == "dark":
            black(sending.video)

    async def verdicts():
        items = (await city.ask("GET", "/publishers"))["items"]
        found = {item["id"]: item["picture"]["verdict"] for item in items}
        return found == {"320600/dark": "black", "320600/live": "live"}

    await until_true(verdicts)


async def test_a_roll_call_tells_live_frozen_black_and_cut_apart(stack, city):
    await agent(stack, "320612", city, told=Verdict.LIVE)
    await agent(stack, "320613", city, story="frozen")
    await agent(stack, "320614", city, story="black")
    city.ways.cut("320685-box")
    named = {"centres": list(COUNTIES)}
    call = await city.ask("POST", "/roll-calls", **named)

    async def over():
        found = await city.ask("GET", f"/roll-calls/{call['id']}")
        return found if found["ended_at"] else None

    found = await until_true(over, 60)
    reasons = {point["centre"]: point["reason"] for point in found["points"]}
    assert reasons["320612"] is None
    assert reasons["320613"] in {"frozen", "unproven"}
    assert reasons["320614"] == "black"
    assert reasons["320685"] == "no_link"
    assert (found["due"], found["present"], found["absent"]) == (4, 1, 3)
    present = found["points"][0]
    assert present["frame_age_ms"] is not None
    assert present["first_frame_s"] is not None
    still = await city.http.get(f"{city.url}{present['still']}")
    assert still.headers["content-type"] == "image/jpeg"
    sheet = await city.http.get(f"{city.url}/api/v1/roll-calls/{call['id']}/sheet.csv")
    assert sheet.content.startswith(b"\xef\xbb\xbf")
    assert "链路故障" in sheet.text


async def test_a_roll_call_of_the_province_reaches_the_county_through_the_city(stack, city, province):
    await agent(stack, "320612", city, province, told=Verdict.LIVE)
    call = await province.ask("POST", "/roll-calls", centres=["320612"])

    async def over():
        found = await province.ask("GET", f"/roll-calls/{call['id']}")
        return found if found["ended_at"] else None

    found = await until_true(over, 60)
    assert found["points"][0]["state"] == "passed"


async def test_a_call_with_a_county_box_is_seen_and_heard_on_both_sides(stack, city):
    box = await agent(stack, "320612", city)
    call = await city.ask("POST", "/calls", centre="320612")
    assert call["state"] == "ringing"
    own = call["publish"]
    async with publisher(post_to(own["whip_url"], own["token"]), "320600", "VP8", rate=8, audio=True):

        async def connected():
            found = await city.ask("GET", f"/calls/{call['id']}")
            return found if found["state"] == "connected" else None

        found = await until_true(connected)
        assert found["callee"]["answered_by"] == "自动应答"
        async with viewer(post_to(found["watch"]["whep_url"], found["watch"]["token"]), audio=True) as seen:
            await seen.sees("320612", 5, 40)
            await seen.hears(within_s=40)
            assert box.heard is not None
            await box.heard.sees("320600", 5, 40)
            await box.heard.hears(within_s=40)
        ended = await city.ask("POST", f"/calls/{call['id']}/hangup")
        assert (ended["state"], ended["reason"], ended["publish"]) == ("ended", "hangup", None)
    await until(lambda: city.commands.count("call.end"))
    assert city.journal.deeds[-2:] == ["call.ended.hangup", "POST /api/v1/calls/{call_id}/hangup"]


async def test_a_call_with_a_staffed_county_rings_its_own_console(stack, city, tmp_path):
    county = await stack.enter_async_context(Tier(Ways.city(("320623",), here="320623"), tmp_path / "county"))
    city.ways.nodes["320623"] = OneLink("320623")
    county.under(city)
    call = await city.ask("POST", "/calls", centre="320623")

    async def ringing():
        return (await county.ask("GET", "/calls"))["items"]

    (rung,) = await until_true(ringing)
    assert (rung["direction"], rung["state"], rung["publish"]) == ("in", "ringing", None)
    taken = await county.ask("POST", f"/calls/{rung['id']}/answer")
    up, down = call["publish"], taken["publish"]
    async with (
        publisher(post_to(up["whip_url"], up["token"]), "320600", rate=8, audio=True),
        publisher(post_to(down["whip_url"], down["token"]), "320623", rate=8, audio=True),
    ):

        async def connected():
            found = await city.ask("GET", f"/calls/{call['id']}")
            return found if found["state"] == "connected" else None

        found = await until_true(connected)
        async with (
            viewer(post_to(found["watch"]["whep_url"], found["watch"]["token"]), audio=True) as at_city,
            viewer(post_to(taken["watch"]["whep_url"], taken["watch"]["token"]), audio=True) as at_county,
        ):
            await at_city.sees("320623", 5, 40)
            await at_county.sees("320600", 5, 40)
            await at_city.hears(within_s=40)
            await at_county.hears(within_s=40)
    await county.ask("POST", f"/calls/{rung['id']}/hangup")


async def test_a_call_from_the_province_is_carried_by_the_city(stack, city, province):
    box = await agent(stack, "320612", city)
    call = await province.ask("POST", "/calls", centre="320612")
    own = call["publish"]
    async with publisher(post_to(own["whip_url"], own["token"]), "320000", rate=8, audio=True):

        async def connected():
            found = await province.ask("GET", f"/calls/{call['id']}")
            return found if found["state"] == "connected" else None

        found = await until_true(connected)
        async with viewer(post_to(found["watch"]["whep_url"], found["watch"]["token"]), audio=True) as seen:
            await seen.sees("320612", 5, 40)
            await seen.hears(within_s=40)
            assert box.heard is not None
            await box.heard.sees("320000", 5, 40)
            await box.heard.hears(within_s=40)

        async def fetched_once():
            # The viewer's own session is gone when the engine has heard its good-bye.
            return (await province.engine.stats()).sessions.get(SessionKind.WHEP) == 1

        await until_true(fetched_once)
        await province.ask("POST", f"/calls/{call['id']}/hangup")
    await until(lambda: city.commands.count("call.end", "320612-box"))


async def test_bad_offers_and_wrong_tokens_leave_nothing_behind(stack, city):
    await agent(stack, "320612", city)
    granted = await city.ask("POST", f"/cameras/{ROOM}/play")
    async with httpx.AsyncClient(trust_env=False) as http:
        for body, token, status in (
            ("v=0\r\nnonsense", granted["token"], 422),
            ("", granted["token"], 400),
            ("v=0", "forged", 401),
            ("x" * 300_000, granted["token"], 413),
        ):
            head = {"content-type": "application/sdp", "authorization": f"Bearer {token}"}
            answer = await http.post(granted["whep_url"], content=body, headers=head)
            assert answer.status_code == status, answer.text
    figures = await city.engine.stats()
    assert figures.sessions.get(SessionKind.WHEP, 0) == 0
