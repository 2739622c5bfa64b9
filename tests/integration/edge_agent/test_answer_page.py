"""A county where a person answers: a real agent process at a real gateway, rung, killed in mid ring, and answered."""

import asyncio
import subprocess
import sys
import time

import httpx
import pytest

from gateway.app import Gateway
from gateway.demo.ports import free_ports
from gateway.settings import Settings as GatewaySettings
from protocols.command import CommandName, Outcome, RollCallAnswer, RollCallRing, RollCallStage, parse_args
from protocols.health import LinkStatus, Verdict
from tests.support.house import ROOT
from tests.support.until import until

pytestmark = pytest.mark.external
NODE, ROLL_CALL = "320623-box", "01JD8Z5W3K4M5N6P7Q8R9S0T1V"
PIN = "246810"


class County:
    """The agent's process and the duty room's browser."""

    def __init__(self, folder, gateway, token):
        self.port, management = free_ports(2)
        (folder / "pin").write_text(PIN)
        self.settings = folder / "agent.toml"
        self.settings.write_text(f"""
node = {{ id = "{NODE}" }}
gateway = {{ url = "{gateway.base_url}", enrolment_token = "{token}" }}
state = {{ dir = "{folder}/agent", quota_mb = 16, ballast_mb = 1 }}
answer = {{ policy = "ring", announce = "tone" }}
answer_page = {{ enabled = true, port = {self.port}, pin_file = "{folder}/pin" }}
management = {{ port = {management} }}
cameras = [{{ name = "room", title = "指挥大厅", kind = "testcard" }}]
""")
        self.log = folder / "agent.log"
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=10)
        self.child = None

    def start(self):
        command = [sys.executable, "-m", "edge_agent", "run", "-c", str(self.settings)]
        with self.log.open("a") as out:
            self.child = subprocess.Popen(
                command, stderr=out, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
            )  # fmt: skip

    def kill(self):
        self.child.kill()
        self.child.wait()

    async def ask(self, path, body=None):
        """Ask until the page answers; a process that starts needs a while."""
        end = time.monotonic() + 60
        while True:
            try:
                answer = await (self.http.get(path) if body is None else self.http.post(path, json=body))
            except httpx.TransportError:
                assert time.monotonic() < end, self.log.read_text()[-3000:]
                await asyncio.sleep(0.1)
            else:
                answer.raise_for_status()
                return answer.json()

    async def turn(self):
        turns = (await self.ask("/state"))["turns"]
        return turns[0] if turns else None

    async def seen(self, stage):
        end = time.monotonic() + 60
        while (turn := await self.turn()) is None or turn["stage"] != stage:
            assert time.monotonic() < end, (turn, self.log.read_text()[-3000:])
            await asyncio.sleep(0.1)
        return turn


@pytest.fixture
async def gateway(tmp_path):
    settings = GatewaySettings.model_validate(
        {
            "centre": {"code": "320600"},
            "state": {"dir": tmp_path / "gateway"},
            "http": {"port": 0},
            "management": {"port": 0},
            "broker": {"port": 0},
        }
    )
    async with Gateway(settings) as made:
        yield made


@pytest.fixture
async def county(gateway, tmp_path):
    token = (await gateway.enrolment.invite(NODE, "test")).token
    made = County(tmp_path, gateway, token)
    made.start()
    try:
        await made.ask("/session", {"pin": PIN})
        await until(lambda: (link := gateway.registry.link(NODE)) and link.status is LinkStatus.UP, 60)
        yield made
    finally:
        made.kill()
        await made.http.aclose()


async def test_a_person_answers_and_a_restart_in_mid_ring_loses_nothing(gateway, county):
    ring = RollCallRing(
        roll_call_id=ROLL_CALL, centre="320623", camera="room", caller="张三", caller_centre="320600", challenge="4729"
    )
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(gateway.links.ask(NODE, CommandName.ROLLCALL_RING, ring, within_s=90))
        before = await county.seen("ringing")
        county.kill()
        county.start()
        after = await county.seen("ringing")
        assert (after["id"], after["rung_at"], after["challenge"]) == (ROLL_CALL, before["rung_at"], "4729")
        who = {"answered_by": "王芳", "leader": "李强", "people": 3, "note": "无突发情况"}
        await county.ask(f"/turns/{ROLL_CALL}/answer", who)
        reply = await asked
    assert reply.outcome is Outcome.DONE, reply
    answer = parse_args(RollCallAnswer, reply.result)
    assert (answer.answered_by, answer.leader, answer.people, answer.note) == ("王芳", "李强", 3, "无突发情况")
    assert answer.by == "person"
    assert answer.camera.verdict in {Verdict.LIVE, Verdict.UNPROVEN}

    again = await gateway.links.ask(NODE, CommandName.ROLLCALL_RING, ring, within_s=20)
    assert parse_args(RollCallAnswer, again.result).answered_by == "王芳", "an answered county is not rung again"
    stage = RollCallStage(roll_call_id=ROLL_CALL, centre="320623", camera="room", stage="on", muted=False)
    await gateway.links.ask(NODE, CommandName.ROLLCALL_STAGE, stage, within_s=20)
    assert (await county.seen("on_stage"))["muted"] is False
    over = stage.model_copy(update={"stage": "over", "state": "passed"})
    await gateway.links.ask(NODE, CommandName.ROLLCALL_STAGE, over, within_s=20)
    assert (await county.seen("over"))["ending"] == "passed"


async def test_nobody_answers_until_the_deadline(gateway, county):
    ring = RollCallRing(roll_call_id=ROLL_CALL, centre="320623", camera="room")
    reply = await gateway.links.ask(NODE, CommandName.ROLLCALL_RING, ring, within_s=2)
    assert reply.outcome is Outcome.EXPIRED
    assert (await county.turn())["stage"] == "ringing", "it rings on for the next attempt"
    await county.seen("missed")


async def test_a_roll_call_keeps_who_answered_and_what_was_corrected(gateway, county):
    await until(lambda: any(camera.stream == "320623/room" for camera in gateway.registry.cameras()), 60)
    call = await gateway.rollcall.start(by="caller", centres=["320623"])
    turn = await county.seen("ringing")
    assert (turn["id"], turn["caller"], turn["caller_centre_name"]) == (call.record.id, "caller", "南通市")
    path = f"/turns/{call.record.id}/answer"
    await county.ask(path, {"answered_by": "王芳", "leader": "李强", "people": 2})
    await county.ask(path, {"answered_by": "王芳", "leader": "李强", "people": 3, "note": "风力七级"})

    async def point():
        return (await gateway.rollcall.get(call.record.id)).points[0]

    end = time.monotonic() + 90
    while ((found := await point()).answer or {}).get("people") != 3:
        assert time.monotonic() < end, found
        await asyncio.sleep(0.2)
    assert (found.answered_by, found.attempts) == ("王芳", 1)
    assert (found.answer["leader"], found.answer["note"], found.answer["by"]) == ("李强", "风力七级", "person")
