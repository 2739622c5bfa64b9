"""One agent at one gateway, both real: enrolment, link, alarm, picture, roll call, a call, a goodbye."""

import asyncio
import re
import time

import httpx
import pytest

from edge_agent.app import Agent
from edge_agent.settings import parse as agent_settings
from gateway.app import Gateway
from gateway.enrolment.authority import Authority
from gateway.media.machine import Kind, Phase
from gateway.ports.media import Layer
from gateway.settings import Settings as GatewaySettings
from protocols.aio.clock import SystemClock, new_ulid
from protocols.alarm import RAISED, SensorReport
from protocols.command import (
    CallAnswer,
    CallRing,
    CommandName,
    Outcome,
    RollCallAnswer,
    RollCallRing,
    parse_args,
)
from protocols.envelope import Event, Lane
from protocols.health import LinkReason, LinkStatus, Verdict
from tests.support.until import until

pytestmark = pytest.mark.external
NODE, STREAM = "320623-box", "320623/room"
CALL = "01JD8Z5W3K4M5N6P7Q8R9S0T1V"


def settings_of(tmp_path, **http):
    return GatewaySettings.model_validate(
        {
            "centre": {"code": "320600"},
            "state": {"dir": tmp_path / "gateway"},
            "http": {"port": 0, **http},
            "management": {"port": 0},
            "broker": {"port": 0},
        }
    )


@pytest.fixture(params=["http", "https"])
async def gateway(request, tmp_path):
    settings = settings_of(tmp_path)
    if request.param == "https":
        now = SystemClock().now()
        authority = Authority.load(settings.pki_dir, "320600", now)
        files = authority.server_files("https", ("127.0.0.1",), now)
        settings = settings_of(tmp_path, tls_certificate=files.certificate, tls_key=files.key)
    async with Gateway(settings) as made:
        yield made


@pytest.fixture
async def agent(gateway, tmp_path):
    token = (await gateway.enrolment.invite(NODE, "test")).token
    settings = agent_settings(
        {
            "node": {"id": NODE},
            "gateway": {"url": gateway.base_url, "enrolment_token": str(token)},
            "state": {"dir": tmp_path / "agent", "quota_mb": 16, "ballast_mb": 1},
            "management": {"port": 0},
            "cameras": [{"name": "room", "title": "指挥大厅", "kind": "testcard", "audio": "tone"}],
        }
    )
    made = Agent(settings)
    running = asyncio.ensure_future(made.run())
    await made.ready.wait()
    try:
        await until(lambda: linked(gateway), 30)
        yield made
    finally:
        made.stop()
        await running


async def encoded(agent):
    """Read from its metrics how many pictures the agent has coded."""
    async with httpx.AsyncClient(trust_env=False) as http:
        text = (await http.get(f"http://127.0.0.1:{agent.management.port}/metrics")).text
    found = re.findall(r'^silian_box_media_encoded_frames_total{.*camera="room".*layer="(\w+)".*} (\S+)$', text, re.M)
    return {layer: float(pictures) for layer, pictures in found}


def link_of(gateway):
    return gateway.registry.link(NODE)


def linked(gateway):
    return link_of(gateway) is not None and link_of(gateway).status is LinkStatus.UP


@pytest.mark.parametrize("gateway", ["http"], indirect=True)
async def test_link_catalogue_and_health_arrive(gateway, agent):
    await until(lambda: any(camera.stream == STREAM for camera in gateway.registry.cameras()))
    assert gateway.registry.owner(STREAM) == NODE
    await until(lambda: link_of(gateway).box is not None and link_of(gateway).box.disk_free_bytes)
    assert agent.link.up
    assert agent.certificate_ends > time.time()


@pytest.mark.parametrize("gateway", ["http"], indirect=True)
async def test_an_alarm_is_receipted_and_leaves_the_spool(gateway, agent):
    report = SensorReport(alarm_key="gas-1/high", sensor="gas-1", severity=1, headline="可燃气体超限")
    (id_,) = await agent.intake.take([report], "test")
    async with asyncio.timeout(20):
        while sum((await agent.spool.figures()).depth.values()):
            await asyncio.sleep(0.05)
    assert agent.link.uplink.counters["records_stored"] >= 1
    assert agent.link.uplink.counters["records_refused"] == 0
    assert id_


async def test_a_picture_comes_while_it_is_wanted_and_only_then(gateway, agent):
    await until(lambda: any(camera.stream == STREAM for camera in gateway.registry.cameras()))
    assert agent.publisher.names() == ()
    assert await encoded(agent) == {"main": 0, "thumb": 0}
    gateway.media.want(STREAM, "test", Kind.VIEWER)
    await until(lambda: gateway.media.holding(Kind.VIEWER).live(STREAM))
    still = await gateway.media.still(STREAM, timeout_s=5)
    assert still.deviation > 20
    gateway.media.release(STREAM, "test")
    assert (await encoded(agent))["main"] > 0
    await until(lambda: not agent.publisher.names(), 40)
    await until(lambda: not any(camera.wanted for camera in agent.cameras.values()))
    await until(lambda: not any(layer.running for layer in agent.cameras[STREAM].layers))
    rest = await encoded(agent)
    samples = agent.cameras[STREAM].health(time.monotonic(), agent.clock.now()).frame_age_ms
    await until(lambda: agent.cameras[STREAM].health(time.monotonic(), agent.clock.now()).frame_age_ms < samples)
    assert await encoded(agent) == rest


@pytest.mark.parametrize("gateway", ["http"], indirect=True)
async def test_an_agent_that_begins_anew_is_asked_for_what_lingered(gateway, agent):
    await until(lambda: any(camera.stream == STREAM for camera in gateway.registry.cameras()))
    gateway.media.want(STREAM, "one", Kind.VIEWER)
    await until(lambda: gateway.media.holding(Kind.VIEWER).live(STREAM))
    gateway.media.release(STREAM, "one")
    agent.stop()
    await until(lambda: not linked(gateway), 30)
    again = Agent(agent.settings)
    running = asyncio.ensure_future(again.run())
    try:
        await until(lambda: linked(gateway), 30)
        gateway.media.want(STREAM, "other", Kind.ROLL_CALL)
        assert gateway.media._demands[STREAM].phase is Phase.ASKING, "at once, not at the renewal"
        await until(lambda: gateway.media.holding(Kind.ROLL_CALL).live(STREAM))
        assert again.publisher.names() == ("room",)
    finally:
        again.stop()
        await running


@pytest.mark.parametrize("gateway", ["http"], indirect=True)
async def test_a_layer_is_coded_only_while_the_gateway_names_it(gateway, agent):
    await until(lambda: any(camera.stream == STREAM for camera in gateway.registry.cameras()))
    main, thumb = agent.cameras[STREAM].layers
    gateway.media.want(STREAM, "wall", Kind.VIEWER, frozenset({Layer.THUMB}))
    await until(lambda: thumb.encoded > 5)
    assert main.encoded == 0
    gateway.media.want(STREAM, "stage", Kind.VIEWER, frozenset({Layer.MAIN}))
    await until(lambda: main.encoded > 5)
    gateway.media.release(STREAM, "stage")
    await until(lambda: not main.running, 40)
    assert thumb.running
    assert agent.publisher.counters == {"sessions": 1}


@pytest.mark.parametrize("gateway", ["http"], indirect=True)
async def test_a_roll_call_is_answered_with_the_owners_own_view(gateway, agent):
    ring = RollCallRing(roll_call_id=CALL, centre="320623", camera="room")
    reply = await gateway.links.ask(NODE, CommandName.ROLLCALL_RING, ring, within_s=10)
    assert reply.outcome is Outcome.DONE, reply
    answer = parse_args(RollCallAnswer, reply.result)
    assert answer.camera.verdict in {Verdict.LIVE, Verdict.UNPROVEN}
    assert answer.camera.frame_age_ms < 3000
    assert answer.answered_by == "自动应答"


@pytest.mark.parametrize("gateway", ["http"], indirect=True)
async def test_a_call_is_answered_and_an_unknown_camera_is_refused(gateway, agent):
    def ring(camera):
        return CallRing(
            call_id=CALL,
            centre="320623",
            camera=camera,
            caller="张三",
            caller_centre="320600",
            caller_stream=f"320600/call-{CALL.lower()}",
            whep_url=f"{gateway.base_url}/whep/320600/call-{CALL.lower()}",
            token="none",
        )

    reply = await gateway.links.ask(NODE, CommandName.CALL_RING, ring("none"), within_s=10)
    assert (reply.outcome, reply.code) == (Outcome.REFUSED, "not_found")
    reply = await gateway.links.ask(NODE, CommandName.CALL_RING, ring("room"), within_s=10)
    assert parse_args(CallAnswer, reply.result).callee_stream == STREAM


@pytest.mark.parametrize("gateway", ["http"], indirect=True)
async def test_a_clean_stop_is_a_goodbye(gateway, agent):
    agent.stop()
    await until(lambda: link_of(gateway).status is LinkStatus.DOWN, 30)
    assert link_of(gateway).reason is LinkReason.AGENT_STOPPED


@pytest.mark.parametrize("gateway", ["http"], indirect=True)
async def test_what_the_gateway_refuses_is_shown_and_can_be_sent_again(gateway, agent):
    event = Event(
        id=new_ulid(agent.clock),
        source=NODE,
        type=RAISED,
        time=agent.clock.now(),
        data={"alarm_key": "gas-1/high", "severity": "bad"},
        origincounter=await agent.spool.next_origin_counter(),
    )
    await agent.spool.put(Lane.LIVE, event)
    await until(lambda: agent.link.uplink.counters["records_refused"] == 1, 30)
    base = f"http://127.0.0.1:{agent.management.port}"
    async with httpx.AsyncClient(trust_env=False, timeout=20, base_url=base) as http:
        (item,) = (await http.get("/quarantine")).json()["items"]
        assert (item["code"], item["alarm_key"], item["event_id"]) == ("bad_schema", "gas-1/high", event.id)
        assert (await http.post(f"/quarantine/{item['id']}/resend")).status_code == 202
        await until(lambda: agent.link.uplink.counters["records_refused"] == 2, 30)
        assert (await http.post("/quarantine/999999/resend")).json()["code"] == "not_found"
        assert "silian_box_spool_quarantined" in (await http.get("/metrics")).text
