"""What is wrong is refused by name, reaches its sender's quarantine, and blocks nothing."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.app import Gateway
from gateway.web.auth import Role
from protocols import topics
from protocols.aio.clock import new_ulid
from protocols.aio.enrol import load_identity
from protocols.aio.mqtt import BrokerAddress, MqttLink, TlsFiles
from protocols.alarm import RAISED
from protocols.envelope import Event, Lane
from protocols.errors import RefusedError
from protocols.health import CATALOGUE, LINK_STATE
from protocols.topics import Direction
from tests.integration.gateway.test_api import client as person
from tests.support.bad_warnings import BAD
from tests.support.cap import alert
from tests.support.chain import CLOCK, Node, logged, node, settings, tiers, until

pytestmark = pytest.mark.external
CAP = {"Content-Type": "application/cap+xml"}


def bad_events(box: Node) -> dict[str, Event]:
    """One event of each kind that a gateway refuses, by the code it must be given."""
    good = box.report("gas-1/high")
    foreign = good.model_copy(update={"id": new_ulid(CLOCK), "source": "320682-box"})
    return {
        "bad_schema": box.mint(RAISED, {"alarm_key": "x"}),
        "unknown_centre": box.mint(RAISED, good.data | {"centre": "999999"}),
        "bad_clock": box.mint(RAISED, good.data, now=CLOCK.now() + timedelta(days=2)),
        "not_allowed": foreign,
        "internal": box.mint(RAISED, good.data).model_copy(update={"origincounter": 2**70}),
    }


async def test_each_kind_of_bad_record_reaches_the_senders_quarantine(tmp_path: Path) -> None:
    async with tiers(tmp_path, "320600") as (city,), node(city, "320681-box", tmp_path) as box:
        wrong = bad_events(box)
        for event in wrong.values():
            await box.spool.put(Lane.LIVE, event)
        good = await box.raise_alarm("gas-1/high")
        await until(lambda: logged(city))
        found = await until(lambda: _quarantined(box, len(wrong)))
        assert {one.event.id: one.code for one in found} == {event.id: code for code, event in wrong.items()}
        assert [line.event_id for line in await logged(city)] == [good.id]
        await until(lambda: _nothing_owed(box))
        for code in wrong:
            assert city.metrics.registry.get_sample_value(
                "silian_link_records_refused_total", {"centre": "320681", "code": code}
            )


async def test_a_foreign_centre_in_the_payload_is_refused(tmp_path: Path) -> None:
    async with tiers(tmp_path, "320600") as (city,), node(city, "320681-box", tmp_path) as box:
        event = box.report("gas-1/high")
        await box.spool.put(Lane.LIVE, event.model_copy(update={"data": event.data | {"centre": "320682"}}))
        (one,) = await until(lambda: _quarantined(box, 1))
        assert one.code == "not_allowed"


async def test_what_the_province_refuses_stands_in_the_citys_quarantine_and_can_be_sent_again(tmp_path: Path) -> None:
    async with tiers(tmp_path, "320000", "320600") as (province, city), node(city, "320681-box", tmp_path) as box:
        province.registry.table._by_code.pop("320681")  # the upper tier's table lacks the county
        raised = await box.raise_alarm("gas-1/high")
        refused = await until(lambda: _refused(city, raised.id))
        assert refused.code == "unknown_centre"
        province.registry.table._by_code["320681"] = city.registry.table["320681"]
        await city.links.resend(refused.id)
        (line,) = await until(lambda: logged(province))
        assert line.event_id == raised.id


async def test_bytes_that_are_no_frame_are_counted_and_block_nothing(tmp_path: Path) -> None:
    async with tiers(tmp_path, "320600") as (city,), node(city, "320681-box", tmp_path, linked=False) as box:
        address = _address(city, tmp_path / "320681-box")
        async with MqttLink(address, "320681-box") as link:
            topic = topics.records("320681-box", Direction.UP, Lane.LIVE)
            await link.publish(topic, b"{not json")
            await link.publish(topic, b'{"v":1,"records":' + b"[" * 200_000)
            await link.publish(topic, json.dumps({"v": 1, "node": "320682-box", "records": []}).encode())
            await until(lambda: city.links.downlink.counters["frames_bad"] >= 2)
            frame = {"v": 1, "node": "320681-box", "epoch": new_ulid(CLOCK), "lane": "live", "voids": [], "ask": False}
            big = box.report("big").model_dump(mode="json")
            big["data"]["detail"] = "x" * 60_000
            good = box.report("good").model_dump(mode="json")
            records = [{"seq": 1, "event": big}, {"seq": 2, "event": good}]
            await link.publish(topic, json.dumps(frame | {"records": records}).encode())
            (line,) = await until(lambda: logged(city))
            assert line.event_id == good["id"]
        assert city.metrics.registry.get_sample_value(
            "silian_link_records_refused_total", {"centre": "320681", "code": "too_large"}
        )


async def test_each_kind_of_bad_warning_is_a_problem_with_its_code(tmp_path: Path) -> None:
    async with Gateway(settings("320600", tmp_path)) as city, person(city, Role.DUTY_OFFICER) as officer:
        for number, (name, (body, code)) in enumerate(BAD.items()):
            answer = await officer.post("/api/v1/cap", content=body, headers=CAP)
            assert answer.headers["content-type"] == "application/problem+json", name
            assert answer.json()["code"] == code, name
            good = await officer.post("/api/v1/cap", content=alert(identifier=f"good-{number}"), headers=CAP)
            assert good.status_code == 202, name
        assert len(await logged(city)) == len(BAD)


async def test_a_node_cannot_write_another_nodes_branch(tmp_path: Path) -> None:
    foreign = (
        topics.records("320682-box", Direction.UP, Lane.URGENT),
        topics.records("320681-box", Direction.DOWN, Lane.URGENT),
        topics.receipts("320681-box", Direction.UP),
        topics.state("320682-box"),
    )
    async with (
        tiers(tmp_path, "320600") as (city,),
        node(city, "320681-box", tmp_path, linked=False),
        MqttLink(_address(city, tmp_path / "320681-box"), "320681-box") as link,
    ):
        for topic in foreign:
            with pytest.raises(RefusedError):
                await link.publish(topic, b"{}")


def _address(gateway: Gateway, folder: Path) -> BrokerAddress:
    identity = load_identity(folder / "identity")
    assert identity is not None
    tls = TlsFiles(identity.authority, identity.certificate, identity.key)
    return BrokerAddress(identity.broker_host, identity.broker_port, tls)


async def _quarantined(box: Node, count: int):
    found = await box.spool.quarantine()
    return found if len(found) >= count else None


async def test_a_gateway_cannot_speak_for_links_and_cameras_outside_its_subtree(tmp_path: Path) -> None:
    async with tiers(tmp_path, "320600") as (city,), node(city, "320623", tmp_path) as county:
        state = {"gateway": "320623", "status": "down", "reason": "timeout", "since": CLOCK.now().isoformat()}
        camera = {"centre": "320682", "name": "room", "title": "x", "kind": "testcard"}
        await county.spool.put(Lane.LIVE, county.mint(LINK_STATE, state | {"node": "320682-box"}))
        await county.spool.put(Lane.LIVE, county.mint(LINK_STATE, state | {"node": "320623-box", "gateway": "320600"}))
        await county.spool.put(Lane.LIVE, county.mint(CATALOGUE, {"node": "320623", "cameras": [camera]}))
        found = await until(lambda: _quarantined(county, 3))
        assert sorted(one.code for one in found) == ["bad_schema", "bad_schema", "not_allowed"]
        assert city.registry.link("320682-box") is None
        assert city.registry.cameras() == ()


async def _refused(city: Gateway, event_id: str) -> Any:
    """Find one event in a gateway's quarantine; what the links say of themselves may stand there too."""
    return next((one for one in await city.store.quarantine() if one.event["id"] == event_id), None)


async def _nothing_owed(box: Node) -> bool:
    return sum((await box.spool.depth()).values()) == 0
