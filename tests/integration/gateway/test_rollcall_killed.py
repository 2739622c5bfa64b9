"""A gateway killed with -9 in mid roll call, at the level of processes: the call goes on where it was."""

import asyncio
import contextlib
import json
import os
import re
import time

import httpx
import pytest

from gateway.bench.tiers import build
from protocols.errors import LinkError
from tests.support.house import ROOT
from tests.support.two_boxes import PIN, RUNG, SEEN, TwoBoxes

pytestmark = [pytest.mark.external, pytest.mark.timeout(300)]
CITY = "320600"
# Long enough that no time of the call decides on a machine that is slow: what is asked twice is asked by mistake.
PATIENT = {"answer_within_s": 240, "picture_within_s": 120, "observe_s": 6, "presence_s": 280}


class Counties(TwoBoxes):
    """Two real boxes in one process: one answers by itself, in the other nobody comes until the test does."""

    async def answer(self):
        """Enter the duty room and answer."""
        page = f"http://127.0.0.1:{self.pages[RUNG]}"
        async with httpx.AsyncClient(base_url=page, trust_env=False, timeout=20) as room:
            (await room.post("/session", json={"pin": PIN})).raise_for_status()
            (turn,) = (await room.get("/state")).json()["turns"]
            assert (turn["stage"], turn["attempts"]) == ("ringing", 1), turn
            (await room.post(f"/turns/{turn['id']}/answer", json={"answered_by": "李四"})).raise_for_status()

    async def rings(self, code):
        """Return what a box counted of its rings, by name."""
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            text = (await client.get(f"http://127.0.0.1:{self.management[code]}/metrics")).text
        found = re.findall(r'box_ring_events_total\{[^}]*event="(\w+)"[^}]*\} ([\d.]+)', text)
        return {name: int(float(value)) for name, value in found if float(value)}


async def until(city, condition, counties):
    """Ask the city until its answer is as wanted; a gateway that is being started does not answer."""
    while True:
        with contextlib.suppress(LinkError):
            if (found := await condition()) is not None:
                return found
        assert None not in {city.program.pid, counties.program.pid}, "a program ended by itself"
        await asyncio.sleep(0.1)


async def killed(city):
    """Kill the city with -9 and start it again; return when it listened."""
    await city.program.kill()
    await city.program.start()
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", city.settings.http.port)
        except OSError:
            assert city.program.pid, city.program.log.read_text()[-3000:]
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return time.monotonic()


async def test_a_call_goes_on_where_it_was_and_asks_nobody_twice(tmp_path):
    nodes = {f"{code}-box": CITY for code in (SEEN, RUNG)}
    tiers = await build(tmp_path, {CITY: None}, nodes, adjust={CITY: {"rollcall": PATIENT}})
    city, counties = tiers.tiers[CITY], Counties(tmp_path, tiers)
    record = {"load_average_before": os.getloadavg()[0]}
    try:
        await tiers.start()
        await counties.program.start()

        async def known():
            up = {link["node"] for link in (await city.get("/api/v1/links"))["items"] if link["status"] == "up"}
            return True if up >= set(nodes) and len(await city.get("/api/v1/cameras")) == 2 else None

        await until(city, known, counties)
        id_ = (await city.call("POST", "/api/v1/roll-calls", {"centres": [SEEN, RUNG]}))["id"]
        point = f"/api/v1/roll-calls/{id_}/points/{SEEN}"

        def reached(**wanted):
            async def look():
                call = await city.get(f"/api/v1/roll-calls/{id_}")
                states = {f"_{one['centre']}": one["state"] for one in call["points"]} | {"state": call["state"]}
                return call if all(states[name] in values for name, values in wanted.items()) else None

            return look

        async def kept():
            items = (await city.get(f"{point}/evidence"))["items"]
            return {one["sha256"]: one["file"] for one in items} if items else None

        under_way = {f"_{SEEN}": {"verifying"}, f"_{RUNG}": {"ringing"}}
        await until(city, reached(**under_way), counties)
        before = await until(city, kept, counties)

        listening = await killed(city)
        await until(city, reached(state={"running", "makeup"}), counties)
        record["listening_to_resumed_s"] = round(time.monotonic() - listening, 2)
        await until(city, reached(**{f"_{SEEN}": {"passed", "passed_with_issues"}}), counties)
        record["listening_to_verdict_s"] = round(time.monotonic() - listening, 2)

        paused = await city.call("POST", f"/api/v1/roll-calls/{id_}/pause", {})
        listening = await killed(city)
        await until(city, reached(state={"paused"}, **{f"_{RUNG}": {"ringing"}}), counties)
        record["listening_to_paused_s"] = round(time.monotonic() - listening, 2)
        await city.call("POST", f"/api/v1/roll-calls/{id_}/resume", {})
        await until(city, known, counties)
        await counties.answer()
        call = await until(city, reached(state={"reviewing"}), counties)

        points = {one["centre"]: one for one in call["points"]}
        assert {code: (one["state"], one["attempts"]) for code, one in points.items()} == {
            SEEN: ("passed", 1), RUNG: ("passed", 1)
        }, points  # fmt: skip
        assert points[RUNG]["answered_by"] == "李四"
        first = {one["centre"]: one["rung_at"] for one in paused["points"]}
        assert {code: one["rung_at"] for code, one in points.items()} == first, "the presence deadline counts from it"
        for code in (SEEN, RUNG):
            rings = await counties.rings(code)
            assert (rings["rung"], rings.get("rung_again", 0)) == (1, 0), (code, rings)
        assert before.keys() <= (await kept()).keys(), "what was kept before the kill is there"
        for name, file in before.items():
            assert (await city.http().get(file)).is_success, name
        chain = await city.get("/api/v1/roll-calls/evidence/verdict")
        assert chain["fault"] is None
        assert chain["links"] >= len(before)
    finally:
        await counties.program.stop()
        await tiers.stop()
        record["load_average_after"] = os.getloadavg()[0]
        (ROOT / "test-results").mkdir(exist_ok=True)
        (ROOT / "test-results" / "rollcall-killed.json").write_text(json.dumps(record, indent=1))
        print(record)
