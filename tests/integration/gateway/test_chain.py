"""Alarms, acknowledgements, links and commands through chained gateways over real brokers."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from protocols.alarm import Condition
from protocols.command import CommandName, MediaUnpublish, Outcome
from protocols.errors import LinkError, NotAllowedError
from protocols.health import LinkReason, LinkStatus
from tests.support.chain import logged, node, tiers, until

pytestmark = pytest.mark.external


async def test_an_alarm_arrives_once_at_every_tier_and_its_acknowledgement_goes_up(tmp_path: Path) -> None:
    async with tiers(tmp_path, "320000", "320600") as (province, city), node(city, "320681-box", tmp_path) as box:
        raised = await box.raise_alarm("gas-1/high", severity=1)
        for gateway in (city, province):
            (line,) = await until(lambda g=gateway: logged(g))
            assert (line.event_id, line.applied) == (raised.id, True)
        assert [hop["node"] for hop in line.hops] == ["320600", "320000"]
        (alarm,) = (await city.alarms.page(_all()))["items"]
        await city.alarms.acknowledge(alarm["id"], by="duty", note="已派员")
        seen = await until(lambda: _acknowledged(province))
        assert (seen["by"], seen["centre"], seen["note"]) == ("duty", "320600", "已派员")
        assert (await province.alarms.page(_all()))["items"][0]["id"] == alarm["id"]


async def test_what_the_tier_above_acknowledges_comes_down_once_and_not_up_again(tmp_path: Path) -> None:
    async with tiers(tmp_path, "320000", "320600") as (province, city), node(city, "320681-box", tmp_path) as box:
        await box.announce("room")
        await box.raise_alarm("gas-1/high", severity=1)
        await until(lambda: province.registry.owner("320681/room"))
        (alarm,) = await until(lambda: _items(province))
        await province.alarms.acknowledge(alarm["id"], by="governor", note="省厅已掌握")
        seen = await until(lambda: _acknowledged(city))
        assert (seen["by"], seen["centre"], seen["note"]) == ("governor", "320000", "省厅已掌握")
        async with province.store.unit() as uow:
            await province.alarms.reopen(uow, alarm["id"])
        await until(lambda: _reopened(city))
        await city.alarms.acknowledge(alarm["id"], by="duty")
        await until(lambda: _acknowledged(province))
        for gateway in (city, province):
            types = [line.type.rpartition("alarm.")[2] for line in await logged(gateway)]
            assert types == ["raised.v1", "acknowledged.v1", "reopened.v1", "acknowledged.v1"]
            assert not await gateway.store.quarantined()


async def test_many_alarms_arrive_once_and_in_order_per_key(tmp_path: Path) -> None:
    async with tiers(tmp_path, "320000", "320600") as (province, city), node(city, "320681-box", tmp_path) as box:
        sent = []
        for number in range(600):
            condition = Condition.CLEARED if number % 3 == 2 else Condition.ACTIVE
            sent.append(await box.raise_alarm(f"key-{number % 7}", condition, severity=1 + number % 4))
        for gateway in (city, province):
            await until(lambda g=gateway: _count(g, 600))
            lines = await logged(gateway)
            assert sorted(line.event_id for line in lines) == sorted(event.id for event in sent)
            newest = {event.data["alarm_key"]: event for event in sent}
            for item in (await gateway.alarms.page(_all()))["items"]:
                last = newest[item["alarm_key"]]
                assert item["condition"] == ("cleared" if "cleared" in last.type else "active")


async def test_links_are_named_up_and_down_at_every_tier(tmp_path: Path) -> None:
    async with tiers(tmp_path, "320000", "320600") as (province, city):
        async with node(city, "320681-box", tmp_path):
            await until(lambda: _status(city, "320681-box") is LinkStatus.UP)
            await until(lambda: _status(province, "320681-box") is LinkStatus.UP)
            await until(lambda: _status(province, "320600") is LinkStatus.UP)
            upper = city.upper()
            assert upper is not None
            assert (upper.status, upper.node) == (LinkStatus.UP, "320000")
        for gateway in (city, province):
            link = await until(lambda g=gateway: _down(g, "320681-box"))
            assert link.reason is LinkReason.AGENT_STOPPED


async def test_a_command_reaches_a_node_two_tiers_below_and_its_reply_comes_back(tmp_path: Path) -> None:
    async with tiers(tmp_path, "320000", "320600") as (province, city), node(city, "320681-box", tmp_path) as box:
        box.answer = lambda _: (Outcome.DONE, {"said": "好"})
        await box.announce("room")
        await until(lambda: province.registry.owner("320681/room") == "320681-box")
        assert province.registry.next_hop("320681") == "320600"
        assert city.registry.next_hop("320681") == "320681-box"
        args = MediaUnpublish(stream="320681/room")
        reply = await province.links.ask("320681-box", CommandName.MEDIA_UNPUBLISH, args, within_s=20)
        assert (reply.outcome, reply.result) == (Outcome.DONE, {"said": "好"})
        assert len(box.commands) == 1


async def test_a_command_to_a_silent_node_expires(tmp_path: Path) -> None:
    async with tiers(tmp_path, "320600") as (city,), node(city, "320681-box", tmp_path, linked=False):
        args = MediaUnpublish(stream="320681/room")
        reply = await city.links.ask("320681-box", CommandName.MEDIA_UNPUBLISH, args, within_s=0.2)
        assert reply.outcome is Outcome.EXPIRED


def _all():
    from gateway.alarms.service import Wanted

    return Wanted(limit=500)


async def _acknowledged(gateway):
    items = (await gateway.alarms.page(_all()))["items"]
    return items[0]["acknowledged"] if items else None


async def _count(gateway, number):
    return len(await logged(gateway)) >= number


def _status(gateway, name):
    link = gateway.registry.link(name)
    return link.status if link else None


def _down(gateway, name):
    link = gateway.registry.link(name)
    return link if link and link.status is LinkStatus.DOWN else None


async def test_a_gateway_carries_out_what_the_tier_above_asks_of_itself(tmp_path: Path) -> None:
    async with tiers(tmp_path, "320000", "320600") as (province, city):
        ran: list[str] = []

        async def echo(command):
            ran.append(command.command_id)
            return {"heard": command.args["stream"]}

        async def refuse(_command):
            raise NotAllowedError("not here")

        async def crash(_command):
            raise ZeroDivisionError

        async def dawdle(_command):
            await asyncio.sleep(60)
            return {}

        for name, handler in (("test.echo", echo), ("test.no", refuse), ("test.crash", crash), ("test.slow", dawdle)):
            city.links.on_command(name, handler)
        await until(lambda: _status(province, "320600") is LinkStatus.UP)

        async def ask(name, within_s=20.0):
            return await province.links.ask("320600", name, MediaUnpublish(stream="320681/room"), within_s=within_s)

        done = await ask("test.echo")
        assert (done.outcome, done.result, ran) == (Outcome.DONE, {"heard": "320681/room"}, [done.command_id])
        said = [(await ask(name)) for name in ("test.no", "test.crash", "test.unknown")]
        assert [(one.outcome, one.code) for one in said] == [
            (Outcome.REFUSED, "not_allowed"),
            (Outcome.FAILED, "internal"),
            (Outcome.REFUSED, "not_found"),
        ]
        assert (await ask("test.slow", 1.0)).outcome is Outcome.EXPIRED
        with pytest.raises(LinkError):
            await province.links.ask("330100-box", "test.echo", MediaUnpublish(stream="320681/room"), within_s=1)


async def _items(gateway: Any) -> Any:
    return (await gateway.alarms.page(_all()))["items"]


async def _reopened(gateway: Any) -> bool:
    return bool([item for item in await _items(gateway) if item["reopened_at"] and not item["acknowledged"]])
