"""A real gateway and a real box: evidence, the number, and whose fault it was when the line or the power went."""

import asyncio
from contextlib import asynccontextmanager
from functools import partial

import pytest

from edge_agent import diary
from edge_agent.app import Agent
from edge_agent.settings import parse as agent_settings
from gateway.app import Gateway
from gateway.rollcall.rules.chain import EvidenceKind
from gateway.settings import Settings as GatewaySettings
from protocols.health import LinkStatus
from protocols.rollcall import PRESENT, Cause, CheckName, CheckResult, PointState
from tests.support.cut_line import cut_line
from tests.support.media_tier import until_true
from tests.support.until import until

pytestmark = [pytest.mark.external, pytest.mark.timeout(300)]
NODE, COUNTY = "320623-box", "320623"


@asynccontextmanager
async def gateway(folder):
    free = {"port": 0}
    settings = {
        "centre": {"code": "320600"},
        "state": {"dir": folder / "gateway"},
        "http": free,
        "management": free,
        "broker": free,
        "rollcall": {"carriers": ["320623=电信"], "presence_s": 3, "makeup_every_s": 1},
    }
    async with Gateway(GatewaySettings.model_validate(settings)) as made:
        yield made


async def agent_of(made, folder, broker=""):
    token = (await made.enrolment.invite(NODE, "test")).token
    return Agent(
        agent_settings(
            {
                "node": {"id": NODE},
                "gateway": {"url": made.base_url, "enrolment_token": str(token), "broker": broker},
                "state": {"dir": folder / "agent", "quota_mb": 16, "ballast_mb": 1},
                "management": {"port": 0},
                "cameras": [{"name": "room", "title": "指挥大厅", "kind": "testcard"}],
            }
        )
    )


def up(made):
    link = made.registry.link(NODE)
    return link is not None and link.status is LinkStatus.UP


async def missed(made):
    """Hold a roll call that the county misses, and return its id once it has ended."""
    call = await made.rollcall.start(by="li", centres=[COUNTY])

    async def ended():
        return (await made.rollcall.get(call.record.id)).record.ended_at

    async with asyncio.timeout(60):
        while not await ended():
            await asyncio.sleep(0.1)
    (point,) = (await made.rollcall.get(call.record.id)).points
    assert point.state in {PointState.UNREACHABLE, PointState.ABSENT}
    assert point.cause in {None, Cause.UNKNOWN}
    return call.record.id


async def revised(made, roll_call_id):
    async with asyncio.timeout(90):
        while True:
            (point,) = (await made.rollcall.get(roll_call_id)).points
            if point.revision:
                return point
            await asyncio.sleep(0.1)


async def ended_of(made, roll_call_id):
    async with asyncio.timeout(90):
        while (call := await made.rollcall.get(roll_call_id)).record.ended_at is None:
            await asyncio.sleep(0.1)
    return call.points[0]


@asynccontextmanager
async def county(folder):
    async with gateway(folder) as made:
        agent = await agent_of(made, folder)
        running = asyncio.ensure_future(agent.run())
        try:
            await until(partial(up, made), 60)
            await until(lambda: any(camera.centre == COUNTY for camera in made.registry.cameras()))
            yield made
        finally:
            agent.stop()
            await running


async def test_a_county_that_is_there_passes_and_leaves_its_evidence(tmp_path):
    async with county(tmp_path) as made:
        call = await made.rollcall.start(by="li", centres=[COUNTY])
        point = await ended_of(made, call.record.id)
        checks = {check.name: check for check in point.checks}
        assert point.state in PRESENT, point
        assert point.cause is None
        assert checks[CheckName.PICTURE].result is CheckResult.GOOD
        assert checks[CheckName.SCENE].result is CheckResult.GOOD, "the test card's clock goes right"
        kept = await made.proofs.evidence.of(call.record.id, COUNTY)
        kinds = [link.kind for link in kept]
        assert kinds.count(EvidenceKind.STILL) >= 2
        assert {EvidenceKind.CLIP, EvidenceKind.SERIES, EvidenceKind.RECORD} <= set(kinds)
        assert set(checks[CheckName.PICTURE].evidence) <= {link.sha256 for link in kept}


async def test_the_number_that_a_person_asks_for_is_burnt_in_at_the_county_and_read_here(tmp_path):
    async with county(tmp_path) as made:
        call = await made.rollcall.start(by="li", centres=[COUNTY])

        async def verifying():
            return (await made.rollcall.get(call.record.id)).points[0].state is PointState.VERIFYING

        await until_true(verifying)
        await made.rollcall.challenge(call.record.id, COUNTY, confirmed=None, by="li")
        point = await ended_of(made, call.record.id)
        checks = {check.name: check for check in point.checks}
        assert point.challenge
        assert point.state in PRESENT, point
        assert checks[CheckName.SCENE].note == "画面中读到口令"
        assert any("口令" in link.note for link in await made.proofs.evidence.of(call.record.id, COUNTY))


async def test_a_cut_line_is_told_by_the_county_afterwards(tmp_path):
    async with gateway(tmp_path) as made, cut_line("127.0.0.1", made.broker.address.port) as line:
        agent = await agent_of(made, tmp_path, line.address)
        running = asyncio.ensure_future(agent.run())
        try:
            await until(partial(up, made), 60)
            line.cut()
            await until(lambda: not up(made), 60)
            roll_call = await missed(made)
            line.mend()
            point = await revised(made, roll_call)
            assert (point.state, point.cause, point.revision) == (PointState.UNREACHABLE, Cause.LINE, 1)
            kept = [link.kind for link in await made.proofs.evidence.of(roll_call, COUNTY)]
            assert EvidenceKind.RECORD in kept
        finally:
            line.mend()
            agent.stop()
            await running


async def test_a_box_that_lost_its_power_tells_it_when_it_is_back(tmp_path, monkeypatch):
    boot = tmp_path / "boot_id"
    boot.write_text("before")
    monkeypatch.setattr(diary, "_BOOT", boot)
    async with gateway(tmp_path) as made:
        running = asyncio.ensure_future((await agent_of(made, tmp_path)).run())
        await until(partial(up, made), 60)
        await until((tmp_path / "agent" / diary.FILE).exists)
        running.cancel()  # no goodbye, no note: as when the power goes
        await asyncio.gather(running, return_exceptions=True)
        await until(lambda: not up(made), 60)
        roll_call = await missed(made)
        boot.write_text("after")
        agent = await agent_of(made, tmp_path)
        running = asyncio.ensure_future(agent.run())
        try:
            point = await revised(made, roll_call)
            assert (point.state, point.cause) == (PointState.ABSENT, Cause.COUNTY_POWER)
        finally:
            agent.stop()
            await running
