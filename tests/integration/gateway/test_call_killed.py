"""The gateway between caller and county killed with -9 in a dispatch call, as processes: the call goes on."""

import contextlib
import json
import os
import time

import httpx
import pytest

from gateway.bench.tiers import build
from tests.support.house import ROOT
from tests.support.media_tier import post_to
from tests.support.peers import publisher, viewer
from tests.support.two_boxes import PIN, RUNG, SEEN, TwoBoxes, until

pytestmark = [pytest.mark.external, pytest.mark.timeout(400)]
PROVINCE, CITY = "320000", "320600"


class Counties(TwoBoxes):
    """Two real boxes in one process: one answers by itself, in the other a person does."""

    async def call(self, code):
        """Return what the running call of a box sees and hears, None without one."""
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            return (await client.get(f"http://127.0.0.1:{self.management[code]}/debug/call")).json()["call"]

    async def turns(self):
        """Return what rings in the duty room."""
        async with self._room() as room:
            return (await room.get("/state")).json()["turns"]

    async def answer(self, turn):
        """Take a call in the duty room."""
        async with self._room() as room:
            (await room.post(f"/turns/{turn['id']}/answer", json={"answered_by": "李四"})).raise_for_status()

    @contextlib.asynccontextmanager
    async def _room(self):
        page = f"http://127.0.0.1:{self.pages[RUNG]}"
        async with httpx.AsyncClient(base_url=page, trust_env=False, timeout=20) as room:
            (await room.post("/session", json={"pin": PIN})).raise_for_status()
            yield room


@pytest.fixture
async def chain(tmp_path):
    """Province, city and two boxes, all of them processes."""
    nodes = {f"{code}-box": CITY for code in (SEEN, RUNG)}
    tiers = await build(tmp_path, {PROVINCE: None, CITY: PROVINCE}, nodes)
    counties = Counties(tmp_path, tiers)
    try:
        await tiers.start()
        await counties.program.start()
        province = tiers.tiers[PROVINCE]

        async def known():
            up = {link["node"] for link in (await province.get("/api/v1/links"))["items"] if link["status"] == "up"}
            return up >= {*nodes, CITY} and len((await province.get("/api/v1/cameras"))["items"]) == 2

        await until(known)
        yield province, tiers.tiers[CITY], counties
    finally:
        await counties.program.stop()
        await tiers.stop()


def reaches(gateway, call_id, state):
    async def look():
        found = await gateway.get(f"/api/v1/calls/{call_id}")
        assert found["state"] != "ended" or state == "ended", found
        return found if found["state"] == state else None

    return look


async def killed(city):
    """Kill the city with -9 and start it again; return when it was ready."""
    await city.program.kill()
    await city.program.start()
    await city.ready()
    return time.monotonic()


async def test_a_call_goes_on_and_its_end_reaches_the_county(chain):
    province, city, counties = chain
    made = await province.call("POST", "/api/v1/calls", {"centre": SEEN})
    own = made["publish"]
    async with publisher(post_to(own["whip_url"], own["token"]), PROVINCE, rate=8, audio=True):
        found = await until(reaches(province, made["id"], "connected"))
        async with viewer(post_to(found["watch"]["whep_url"], found["watch"]["token"]), audio=True) as seen:
            await seen.sees(SEEN, 5, 60)

            async def heard():
                said = await counties.call(SEEN)
                return said if said and said["frames"] and said["audio_s"] > 0.5 else None

            before = await until(heard)
            ready = await killed(city)

            async def heard_again():
                said = await counties.call(SEEN)
                goes_on = said["frames"] > before["frames"] + 5 and said["audio_s"] > before["audio_s"] + 0.5
                return said if goes_on and said["sessions"] > before["sessions"] else None

            again = await until(heard_again)
            county_s = time.monotonic() - ready
            await seen.sees(SEEN, 5, 60)
            caller_s = time.monotonic() - ready
            assert (again["call_id"], again["caller_stream"]) == (before["call_id"], before["caller_stream"])
            found = await province.get(f"/api/v1/calls/{made['id']}")
            assert (found["state"], found["answered_at"] is not None) == ("connected", True)
            assert county_s < 30, "nobody waited until an end was called dark"
            await province.call("POST", f"/api/v1/calls/{made['id']}/hangup")
            began = time.monotonic()

            async def over():
                return await counties.call(SEEN) is None

            await until(over)
            record = {
                "city_ready_to_county_hears_s": round(county_s, 1),
                "city_ready_to_caller_sees_s": round(caller_s, 1),
                "hang_up_to_county_s": round(time.monotonic() - began, 1),
                "load_average": os.getloadavg()[0],
            }
    (ROOT / "test-results").mkdir(exist_ok=True)
    (ROOT / "test-results" / "call-killed.json").write_text(json.dumps(record, indent=1))


async def test_a_ring_is_the_same_ring_after_the_kill_and_a_hang_up_meanwhile_is_not_lost(chain):
    province, city, counties = chain
    made = await province.call("POST", "/api/v1/calls", {"centre": RUNG})
    own = made["publish"]
    async with publisher(post_to(own["whip_url"], own["token"]), PROVINCE, rate=8, audio=True):
        (turn,) = await until(counties.turns)
        await killed(city)
        assert [one["id"] for one in await counties.turns()] == [turn["id"]], "it rings on, once"
        await counties.answer(turn)
        found = await until(reaches(province, made["id"], "connected"))
        assert found["callee"]["answered_by"] == "李四"
        await city.program.kill()
        await province.call("POST", f"/api/v1/calls/{made['id']}/hangup")
        await city.program.start()
        await city.ready()

        async def over():
            return await counties.call(RUNG) is None

        await until(over)
    ended = await province.get(f"/api/v1/calls/{made['id']}")
    assert (ended["state"], ended["reason"]) == ("ended", "hangup")
