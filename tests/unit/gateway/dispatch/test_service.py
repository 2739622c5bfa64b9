"""Calls between two gateways, each with its own store: rung, answered, ended, and honest about why."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import pytest

from gateway.dispatch.machine import CallState, EndReason
from gateway.dispatch.service import DispatchService
from gateway.events import CallPasses
from protocols.aio.clock import ManualClock, SystemClock
from protocols.command import CallAnswer, CallRing, Command
from protocols.envelope import Event, Lane, Record
from protocols.errors import NotFoundError, RefusedError, WrongMomentError
from tests.support.dispatch_stage import Centre, agent_answers, reached
from tests.support.rooms import OneLink, Ways, until


@pytest.fixture
async def city(tmp_path):
    ways = Ways.city(("320612", "320623"))
    ways.nodes["320623"] = OneLink("320623")
    centre = Centre(tmp_path / "city.db", ways, SystemClock())
    async with centre.store:
        yield centre


@pytest.fixture
async def county(tmp_path):
    centre = Centre(tmp_path / "county.db", Ways.city(("320623",), here="320623"), SystemClock())
    async with centre.store:
        yield centre


async def test_an_agent_answers_by_policy(city):
    rung = agent_answers(city)
    async with city.service() as service:
        made = await service.call("320612", camera=None, by="wang")
        assert made.state is CallState.RINGING
        call = await reached(service, made.id, CallState.CONNECTED)
        assert call.answered_by == "自动应答"
        assert (call.own_stream, call.far_stream) == (f"320600/call-{call.id.lower()}", "320612/room")
        assert rung[0].whep_url == f"http://320600/whep/{call.own_stream}"
        assert rung[0].camera == "room"
        await until(lambda: city.streams.held == {"320612/room": f"call-{call.id}"})
        assert city.streams.talking == {call.id: (call.caller_stream, "320612/room")}
        await service.hang_up(call.id, by="wang")
        ended = await service.get(call.id)
        assert (ended.state, ended.reason) == (CallState.ENDED, EndReason.HANGUP)
        await until(lambda: city.commands.count("call.end"))
        await until(lambda: city.streams.held == {})
        assert city.streams.talking == {}
        deeds = ["call.ringing", "call.connected", "call.ended.hangup"]
        await until(lambda: [deed for _, deed in city.journal.deeds] == deeds)
        await until(lambda: city.changes == [call.id] * 3)


async def test_one_county_is_in_one_call_at_a_time(city):
    agent_answers(city)
    async with city.service() as service:
        first = await service.call("320612", camera=None, by="wang")
        second = await service.call("320612", camera=None, by="li")
        assert (second.state, second.reason) == (CallState.ENDED, EndReason.BUSY)
        await reached(service, first.id, CallState.CONNECTED)
        await service.hang_up(first.id, by="wang")
        third = await service.call("320612", camera=None, by="li")
        await reached(service, third.id, CallState.CONNECTED)


async def test_a_cut_county_is_not_rung(city):
    city.ways.cut("320612-box")
    async with city.service() as service:
        call = await service.call("320612", camera=None, by="wang")
    assert (call.state, call.reason) == (CallState.ENDED, EndReason.LINK)
    assert city.commands.asked == []


@pytest.mark.parametrize(("code", "reason"), [("busy", EndReason.BUSY), ("declined", EndReason.DECLINED)])
async def test_what_the_callee_says_is_the_reason(city, code, reason):
    async def refuse(command: Command) -> dict[str, object]:
        raise RefusedError("no", code)

    city.commands.on("320612-box", "call.ring", refuse)
    async with city.service() as service:
        made = await service.call("320612", camera=None, by="wang")
        assert (await reached(service, made.id, CallState.ENDED)).reason is reason


async def test_nobody_answers(city):
    async with city.service() as service:
        made = await service.call("320612", camera=None, by="wang")
        assert (await reached(service, made.id, CallState.ENDED)).reason is EndReason.NO_ANSWER


async def test_an_answer_with_another_countys_stream_is_no_answer(city):
    async def ring(command: Command) -> dict[str, object]:
        answer = CallAnswer(answered_by="x", answered_at=SystemClock().now(), callee_stream="320613/room")
        return answer.model_dump(mode="json")

    city.commands.on("320612-box", "call.ring", ring)
    async with city.service() as service:
        made = await service.call("320612", camera=None, by="wang")
        assert (await reached(service, made.id, CallState.ENDED)).reason is EndReason.LINK


@pytest.mark.parametrize("code", ["320600", "320000", "999999"])
async def test_only_centres_below_are_called(city, code):
    async with city.service() as service:
        with pytest.raises(NotFoundError):
            await service.call(code, camera=None, by="wang")


def join(city: Centre, county: Centre, service: DispatchService) -> None:
    city.commands.on("320623", "call.ring", service.on_ring)
    city.commands.on("320623", "call.end", service.on_end)


async def incoming(service: DispatchService) -> str:
    async with asyncio.timeout(20):
        while not (calls := await service.page()):
            await asyncio.sleep(0.01)
    return calls[0].id


async def test_a_county_gateway_rings_its_own_console(city, county):
    async with city.service() as above, county.service() as below:
        join(city, county, below)
        made = await above.call("320623", camera=None, by="wang")
        assert made.callee_node == "320623"
        assert await incoming(below) == made.id
        rung = await below.get(made.id)
        assert (rung.direction, rung.state, rung.caller_user) == ("in", CallState.RINGING, "wang")
        await below.answer(made.id, by="如东值班")
        call = await reached(above, made.id, CallState.CONNECTED)
        assert call.answered_by == "如东值班"
        assert call.far_stream == f"320623/call-{made.id.lower()}"
        assert county.streams.pulled == {call.caller_stream: f"http://320600/whep/{call.caller_stream}"}
        with pytest.raises(WrongMomentError):
            await below.answer(made.id, by="another")
        await above.hang_up(made.id, by="wang")
        ended = await reached(below, made.id, CallState.ENDED)
        assert ended.reason is EndReason.HANGUP
        assert county.streams.pulled == {}


async def test_the_county_declines(city, county):
    async with city.service() as above, county.service() as below:
        join(city, county, below)
        made = await above.call("320623", camera=None, by="wang")
        await incoming(below)
        await below.hang_up(made.id, by="如东值班")
        assert (await reached(above, made.id, CallState.ENDED)).reason is EndReason.DECLINED
        assert (await below.get(made.id)).reason is EndReason.DECLINED


async def test_the_county_does_not_answer_and_stops_ringing(city, county):
    async with city.service() as above, county.service() as below:
        join(city, county, below)
        made = await above.call("320623", camera=None, by="wang")
        assert (await reached(above, made.id, CallState.ENDED)).reason is EndReason.NO_ANSWER
        assert (await reached(below, made.id, CallState.ENDED)).reason is EndReason.NO_ANSWER


async def test_the_county_hangs_up_and_the_caller_hears_of_it(city, county):
    async with city.service() as above, county.service() as below:
        join(city, county, below)
        made = await above.call("320623", camera=None, by="wang")
        await incoming(below)
        await below.answer(made.id, by="如东值班")
        await reached(above, made.id, CallState.CONNECTED)
        await below.hang_up(made.id, by="如东值班")
        event = await owed(county)
        above.check(event)
        await deliver(city, above, event)
        assert (await reached(above, made.id, CallState.ENDED)).reason is EndReason.HANGUP


async def test_a_stranger_below_cannot_end_a_call(city):
    agent_answers(city)
    async with city.service() as service:
        made = await service.call("320612", camera=None, by="wang")
        await reached(service, made.id, CallState.CONNECTED)
        forged = Event(
            id=made.id, source="320623", type="cn.silian.call.ended.v1", time=SystemClock().now(),
            data={"call_id": made.id, "reason": "hangup"}, origincounter=1,
        )  # fmt: skip
        await deliver(city, service, forged)
        assert (await service.get(made.id)).state is CallState.CONNECTED


async def test_a_restart_ends_the_call_honestly_and_tells_the_other_side(city):
    agent_answers(city)
    async with city.service() as service:
        made = await service.call("320612", camera=None, by="wang")
        await reached(service, made.id, CallState.CONNECTED)
    async with city.service() as service:
        call = await service.get(made.id)
        assert (call.state, call.reason) == (CallState.ENDED, EndReason.RESTART)
        await until(lambda: city.commands.count("call.end"))
        with pytest.raises(WrongMomentError):
            await service.hang_up(made.id, by="wang")


async def test_a_ring_repeated_after_the_countys_restart_rings_nobody(county):
    ring = CallRing(
        call_id="01JB0000000000000000000000", centre="320623", camera="room", caller="wang", caller_centre="320600",
        caller_stream="320600/call-x", whep_url="http://up/whep/x", token="t",
    )  # fmt: skip
    command = Command(
        command_id="01JB0000000000000000000001", name="call.ring", target="320623", origin="320600",
        deadline=SystemClock().now() + timedelta(seconds=60), args=ring.model_dump(mode="json"),
    )  # fmt: skip
    async with county.service() as service, asyncio.TaskGroup() as group:
        asked = group.create_task(service.on_ring(command))
        await incoming(service)
        asked.cancel()
    async with county.service() as service:
        with pytest.raises(RefusedError):
            await service.on_ring(command)


async def test_a_far_side_that_goes_dark_ends_the_call(tmp_path):
    clock = ManualClock()
    centre = Centre(tmp_path / "city.db", Ways.city(("320612",)), clock)
    agent_answers(centre)
    async with centre.store, centre.service() as service:
        made = await service.call("320612", camera=None, by="wang")
        await reached(service, made.id, CallState.CONNECTED)
        await until(lambda: len(centre.journal.deeds) == 2)
        centre.streams.lives |= {"320612/room", made.caller_stream}
        for _ in range(40):
            await clock.advance(1.0)
        assert (await service.get(made.id)).state is CallState.CONNECTED
        centre.streams.lives.discard("320612/room")
        for _ in range(32):
            await clock.advance(1.0)
        assert (await reached(service, made.id, CallState.ENDED)).reason is EndReason.LINK


@pytest.fixture
async def province(tmp_path):
    ways = Ways.city(("320612", "320623"), here="320000")
    ways.nodes["320600"] = OneLink("320600")
    centre = Centre(tmp_path / "province.db", ways, SystemClock())
    async with centre.store:
        yield centre


def passes(above: Centre, node: str, below: DispatchService) -> None:
    above.commands.on(node, "call.ring", below.on_ring)
    above.commands.on(node, "call.end", below.on_end)


async def test_a_call_from_two_tiers_above_goes_from_gateway_to_gateway(province, city):
    rung = agent_answers(city)
    async with province.service() as top, city.service() as middle:
        passes(province, "320600", middle)
        made = await top.call("320612", camera=None, by="zhao")
        call = await reached(top, made.id, CallState.CONNECTED)
        assert call.far_stream == "320612/room"
        assert rung[0].whep_url == f"http://320600/whep/{call.caller_stream}", "the county knows its own gateway only"
        assert city.streams.pulled == {call.caller_stream: f"http://320000/whep/{call.caller_stream}"}
        assert await middle.page() == [], "a call that passes is not the city's own"
        await top.hang_up(made.id, by="zhao")
        await until(lambda: city.commands.count("call.end", "320612-box"))
        assert city.streams.pulled == {}


async def test_what_the_county_says_passes_up_and_leaves_nothing(province, city):
    async def refuse(command: Command) -> dict[str, object]:
        raise RefusedError("no", "busy")

    city.commands.on("320612-box", "call.ring", refuse)
    async with province.service() as top, city.service() as middle:
        passes(province, "320600", middle)
        made = await top.call("320612", camera=None, by="zhao")
        assert (await reached(top, made.id, CallState.ENDED)).reason is EndReason.BUSY
        assert city.streams.pulled == {}


async def test_a_hang_up_from_two_tiers_below_frees_the_stream_on_the_way(province, city, county):
    city.ways.nodes["320623"] = OneLink("320623")
    province.ways.nodes["320623"] = OneLink("320623")
    async with province.service() as top, city.service() as middle, county.service() as below:
        passes(province, "320600", middle)
        join(city, county, below)
        made = await top.call("320623", camera=None, by="zhao")
        await incoming(below)
        await below.answer(made.id, by="如东值班")
        await reached(top, made.id, CallState.CONNECTED)
        assert list(city.streams.pulled) == [made.caller_stream]
        assert county.streams.pulled == {made.caller_stream: f"http://320600/whep/{made.caller_stream}"}
        await below.hang_up(made.id, by="如东值班")
        event = await owed(county)
        await deliver(city, middle, event)
        await deliver(province, top, event)
        assert city.streams.pulled == {}
        assert (await reached(top, made.id, CallState.ENDED)).reason is EndReason.HANGUP


def passed(bus) -> list[CallPasses]:
    told: list[CallPasses] = []
    bus.listen(CallPasses, told.append)
    return told


async def test_a_call_goes_on_though_the_gateway_between_was_killed(province, city):
    agent_answers(city)
    async with province.service() as top:
        async with city.service() as middle:
            passes(province, "320600", middle)
            made = await top.call("320612", camera=None, by="zhao")
            call = await reached(top, made.id, CallState.CONNECTED)
        pulled, city.streams.pulled = city.streams.pulled, {}  # what is in memory goes with the process
        told = passed(city.bus)
        async with city.service() as middle:
            assert city.streams.pulled == pulled, "the caller is fetched again"
            assert told == [CallPasses(made.id, "320612", "320000")], "the county is still taken"
            passes(province, "320600", middle)
            assert (await top.get(call.id)).state is CallState.CONNECTED
            await top.hang_up(made.id, by="zhao")
            await until(lambda: city.commands.count("call.end", "320612-box"))
            assert (city.streams.pulled, told[-1].over) == ({}, True)
    city.streams.pulled = {}
    async with city.service():
        assert city.streams.pulled == {}, "what is over is not found again"


async def test_a_county_that_hangs_up_while_the_gateway_between_is_away_is_heard_by_all(province, city, county):
    city.ways.nodes["320623"] = OneLink("320623")
    province.ways.nodes["320623"] = OneLink("320623")
    async with province.service() as top, county.service() as below:
        async with city.service() as middle:
            passes(province, "320600", middle)
            join(city, county, below)
            made = await top.call("320623", camera=None, by="zhao")
            await incoming(below)
            await below.answer(made.id, by="如东值班")
            await reached(top, made.id, CallState.CONNECTED)
        await below.hang_up(made.id, by="如东值班")
        event = await owed(county)
        async with city.service() as middle:
            assert city.streams.pulled
            await deliver(city, middle, event)
            assert city.streams.pulled == {}
        await deliver(province, top, event)
        assert (await reached(top, made.id, CallState.ENDED)).reason is EndReason.HANGUP
    async with city.service():
        assert city.streams.pulled == {}


async def test_a_ring_that_the_gateway_between_repeats_after_its_restart_is_the_same_ring(province, city, county):
    city.ways.nodes["320623"] = OneLink("320623")
    province.ways.nodes["320623"] = OneLink("320623")
    async with province.service() as top, county.service() as below:
        async with city.service() as middle:
            join(city, county, below)
            again: list[Command] = []

            async def rung(command: Command) -> dict[str, object]:
                again.append(command)
                return await middle.on_ring(command)

            province.commands.on("320600", "call.ring", rung)
            made = await top.call("320623", camera=None, by="zhao")
            await incoming(below)
        async with city.service() as middle:
            # The links carry a command out anew that a restart interrupted.
            asked = asyncio.ensure_future(middle.on_ring(again[0]))
            await until(lambda: city.commands.count("call.ring", "320623") == 2)
            await below.answer(made.id, by="如东值班")
            assert (await asked)["answered_by"] == "如东值班"
            assert len(await below.page()) == 1, "it rang once"
            assert city.streams.pulled == {made.caller_stream: f"http://320000/whep/{made.caller_stream}"}


async def test_a_call_whose_end_nobody_told_is_ended_at_both_ends_by_the_gateway_between(tmp_path):
    clock = ManualClock()
    centre = Centre(tmp_path / "city.db", Ways.city(("320612",)), clock)
    agent_answers(centre)
    ring = CallRing(
        call_id="01JB0000000000000000000000", centre="320612", camera="room", caller="zhao", caller_centre="320000",
        caller_stream="320000/call-x", whep_url="http://up/whep/x", token="t",
    )  # fmt: skip
    command = Command(
        command_id="01JB0000000000000000000001", name="call.ring", target="320600", origin="320000",
        deadline=clock.now() + timedelta(seconds=60), args=ring.model_dump(mode="json"),
    )  # fmt: skip
    async with centre.store, centre.service() as service:
        await service.on_ring(command)
        centre.streams.lives.add(ring.caller_stream)
        for _ in range(90):
            await clock.advance(1.0)
        assert centre.streams.pulled, "it goes on as long as the caller is there"
        centre.streams.lives.clear()
        for _ in range(62):
            await clock.advance(1.0)
        await until(lambda: centre.commands.count("call.end", "320612-box"))
        assert centre.streams.pulled == {}
        event = await owed(centre)
        assert (event.data["call_id"], event.data["reason"]) == (ring.call_id, "link")


async def test_the_word_of_a_gateway_between_ends_a_call_and_that_of_another_does_not(province, city):
    agent_answers(city)
    async with province.service() as top, city.service() as middle:
        passes(province, "320600", middle)
        made = await top.call("320612", camera=None, by="zhao")
        await reached(top, made.id, CallState.CONNECTED)
        for source, state in (("320500", CallState.CONNECTED), ("320600", CallState.ENDED)):
            word = Event(
                id=made.id, source=source, type="cn.silian.call.ended.v1", time=SystemClock().now(),
                data={"call_id": made.id, "reason": "link"}, origincounter=1,
            )  # fmt: skip
            await deliver(province, top, word)
            assert (await top.get(made.id)).state is state
    assert (await top.get(made.id)).reason is EndReason.LINK


async def owed(centre: Centre) -> Event:
    async with asyncio.timeout(10):
        while not (batch := await centre.store.outbox("upper").pending(Lane.URGENT, 0, 10)):
            await asyncio.sleep(0.01)
    return Record.model_validate_json(batch[0].body).event


@dataclass
class Arrival:
    event: Event


async def deliver(city: Centre, service: DispatchService, event: Event) -> None:
    async with city.store.unit() as uow:
        await service.apply(uow, [Arrival(event)])
    await asyncio.sleep(0.1)
