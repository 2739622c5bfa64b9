"""Counties that a call lends to higher tiers and has back: through notices, kills, and several askers at once."""

from datetime import timedelta

import pytest

from gateway.events import CallPasses
from protocols.aio.clock import new_ulid
from protocols.command import Command, RollCallInspect, RollCallOrder
from protocols.errors import WrongMomentError
from protocols.rollcall import (
    POINT_RESULT,
    PointState,
    SessionState,
)
from tests.support.rollcall_stage import COUNTIES, PROFILE, Gatherer, ended, reached, roll_call_stage, state_of
from tests.support.rooms import until

FIRST, SECOND, THIRD = COUNTIES[:3]
ABOVE = "01JD8Z5W3K4M5N6P7Q8R9S0T1V"
"""A call of the tier above."""


@pytest.fixture
async def stage(tmp_path):
    async with roll_call_stage(tmp_path) as made:
        yield made


def lent(call):
    return {point.centre for point in call.points if point.lent}


async def test_what_gave_way_goes_on_though_the_gateway_was_killed_when_the_check_from_above_ended(stage):
    stage.pictures.stories[f"{SECOND}/room"] = "dark"
    slow = PROFILE.model_copy(update={"picture_within_s": 60.0})
    now = stage.clock.now()

    def told(**more):
        return RollCallInspect(
            roll_call_id=ABOVE, caller_centre="320000", centres=(FIRST, THIRD), kind="random",
            until=now + timedelta(minutes=5), **more,
        )  # fmt: skip

    async with stage.service(slow) as service:
        call = await service.start(by="zhang", centres=[FIRST, SECOND])
        await service.inspections.take(told())  # killed before own calls were told
    async with stage.service(slow) as service:
        held = await reached(service, call.record.id, lambda c: lent(c) == {FIRST})
        assert held.record.state is SessionState.RUNNING
        await service.inspections.take(told(over=True))  # killed before they were let go on
    rings = stage.commands.count("rollcall.ring", f"{FIRST}-box")
    stage.pictures.stories.clear()
    async with stage.service(slow) as service:
        over = await ended(service, call.record.id)
    assert over.present == 2, [(one.centre, one.state, one.reason, one.note) for one in over.points]
    assert stage.commands.count("rollcall.ring", f"{FIRST}-box") == rings + 1
    ((began, until),) = over.points[0].holds
    assert until is not None
    assert until > began


async def test_a_call_from_above_takes_its_county_alone_and_gives_it_back(stage):
    stage.pictures.stories.update({f"{code}/room": "dark" for code in (FIRST, SECOND)})
    slow = PROFILE.model_copy(update={"picture_within_s": 60.0})
    async with stage.service(slow) as service:
        call = await service.start(by="zhang", centres=[FIRST, SECOND])
        await until(lambda: f"{SECOND}/room" in stage.pictures.ever)
        service.lending.call_passes(CallPasses("call-1", SECOND, "320000"))
        await until(lambda: service.conducted(call.record.id).giving_way == (SECOND,))
        held = await reached(service, call.record.id, lambda c: lent(c) == {SECOND})
        assert held.record.state is SessionState.RUNNING, "nobody else gives way"
        assert not stage.pictures.held[f"{SECOND}/room"]
        await service.lending.settle()
        assert lent(await service.get(call.record.id)) == {SECOND}, "the call goes on"
        stage.pictures.stories.clear()
        await reached(service, call.record.id, lambda c: c.record.state is SessionState.PREEMPTED)
        service.lending.call_passes(CallPasses("another", SECOND, "320000", over=True))
        service.lending.call_passes(CallPasses("call-1", SECOND, "320000", over=True))
        call = await ended(service, call.record.id)
    assert [point.state for point in call.points] == [PointState.PASSED, PointState.PASSED]


def ordered(stage, *centres, by="320000", rules=PROFILE):
    """The order of a call that the gateway above passes on, begun by people of `by`."""
    args = RollCallOrder(
        roll_call_id=ABOVE, kind="daily", centres=centres, caller="li", caller_centre="320000", root_centre=by,
        rules=rules.model_dump(mode="json"),
    )  # fmt: skip
    return Command(
        command_id=new_ulid(stage.clock), name="rollcall.order", target="320600", origin="320000",
        deadline=stage.clock.now() + timedelta(seconds=60), args=args.model_dump(mode="json"),
    )  # fmt: skip


def inspected(stage, by, *centres, **more):
    """The word that people of `by` ask these counties themselves."""
    until = stage.clock.now() + timedelta(minutes=5)
    number = ABOVE[:-1] + by[0]
    args = RollCallInspect(roll_call_id=number, caller_centre=by, centres=centres, kind="random", until=until, **more)
    return Command(
        command_id=new_ulid(stage.clock), name="rollcall.inspect", target="320600", origin="320000",
        deadline=until, args=args.model_dump(mode="json"),
    )  # fmt: skip


async def test_a_call_run_for_the_province_lends_its_county_to_the_ministry_and_a_kill_changes_nothing(stage):
    stage.pictures.stories[f"{FIRST}/room"] = "dark"
    slow = PROFILE.model_copy(update={"picture_within_s": 60.0, "presence_s": 5.0})
    async with stage.service(slow) as service:
        number = (await service.on_order(ordered(stage, FIRST, SECOND, rules=slow)))["roll_call_id"]
        await service.on_inspect(inspected(stage, "320000", FIRST))
        await until(lambda: f"{FIRST}/room" in stage.pictures.ever)
        assert not lent(await service.get(number)), "what one and the same tier asks takes nothing from it"
        await service.on_inspect(inspected(stage, "000000", FIRST))
        assert service.inspections.of(FIRST).by_centre == "000000", "the highest of two is who has it"
        held = await reached(service, number, lambda c: lent(c) == {FIRST})
        assert (held.record.root_centre, state_of(held, FIRST)) == ("320000", PointState.PENDING)
        before = held.points[0]
        await reached(service, number, lambda c: c.record.state is SessionState.PREEMPTED)
    async with stage.service(slow) as service:
        assert lent(await service.get(number)) == {FIRST}
        assert service.conducted(number).lends == {FIRST}
        await stage.clock.sleep(6.0)  # longer than a point may come at all
        assert lent(await service.get(number)) == {FIRST}
        stage.pictures.stories.clear()
        await service.on_inspect(inspected(stage, "000000", FIRST, over=True))
        over = await ended(service, number)
    assert [point.state for point in over.points] == [PointState.PASSED, PointState.PASSED]
    assert over.points[0].rung_at == before.rung_at, "the presence deadline counts from its first ring"
    ((began, until_),) = over.points[0].holds
    assert (until_ - began).total_seconds() >= 6.0
    told = [event.data for event in stage.commands.emitted if event.type == POINT_RESULT]
    assert {one["centre"]: one["state"] for one in told} == {FIRST: "passed", SECOND: "passed"}


async def test_a_round_that_is_broken_off_takes_no_time_and_nobody_looks_on(stage):
    stage.pictures.stories[f"{FIRST}/room"] = "dark"
    slow = PROFILE.model_copy(update={"picture_within_s": 60.0, "presence_s": 3.0})
    gatherer = Gatherer()
    async with stage.service(slow, gathering=gatherer) as service:
        call = await service.start(by="zhang", centres=[FIRST])
        await until(lambda: f"{FIRST}/room" in stage.pictures.ever)
        await stage.clock.sleep(2.0)  # most of the time that the county has
        service.lending.call_passes(CallPasses("call-1", FIRST, "320000"))
        held = await reached(service, call.record.id, lambda c: lent(c) == {FIRST})
        assert gatherer.broken == [FIRST]
    ((began, _),) = held.points[0].holds
    assert abs((began - held.points[0].rung_at).total_seconds()) < 0.5
    async with stage.service(slow, gathering=gatherer) as service:  # what passed is told anew by the dispatch room
        await until(lambda: service.conducted(call.record.id) is not None)
        await reached(service, call.record.id, lambda c: not lent(c))
        seat = service.conducted(call.record.id)._session.seats[FIRST]
        assert stage.clock.monotonic() - seat.rung_at < 1.5, "it has its whole time again"
        await service.act(call.record.id, "cancel", by="zhang")
    assert gatherer.broken == [FIRST, FIRST], "nobody looks at a call that was cancelled"


async def test_of_three_calls_for_one_county_the_highest_has_it_and_each_has_it_back_in_turn(stage):
    stage.pictures.stories[f"{FIRST}/room"] = "dark"
    slow = PROFILE.model_copy(update={"picture_within_s": 60.0, "presence_s": 120.0})
    async with stage.service(slow) as service:
        own = (await service.start(by="zhang", centres=[FIRST])).record.id
        await until(lambda: f"{FIRST}/room" in stage.pictures.ever)
        relayed = (await service.on_order(ordered(stage, FIRST, rules=slow)))["roll_call_id"]
        assert lent(await service.get(own)) == {FIRST}, "its notice is over before the higher call begins"
        service.lending.call_passes(CallPasses("call-1", FIRST, "000000"))
        await reached(service, relayed, lambda c: lent(c) == {FIRST})
        with pytest.raises(WrongMomentError):
            await service.start(by="zhang", centres=[FIRST])
        stage.pictures.stories.clear()
        service.lending.call_passes(CallPasses("call-1", FIRST, "000000", over=True))
        done = await ended(service, relayed)
        over = await ended(service, own)
    assert [call.points[0].state for call in (done, over)] == [PointState.PASSED, PointState.PASSED]
    ((lent_at, back_at),), ((began, until_),) = over.points[0].holds, done.points[0].holds
    assert lent_at < began < until_ < back_at, "it came back once both were done with it"
    assert back_at >= done.record.ended_at


async def test_an_order_for_a_county_that_the_ministry_asks_just_now_begins_without_it(stage):
    async with stage.service() as service:
        await service.on_inspect(inspected(stage, "000000", FIRST))
        number = (await service.on_order(ordered(stage, FIRST, SECOND)))["roll_call_id"]
        call = await reached(service, number, lambda c: c.record.state is SessionState.PREEMPTED)
        assert lent(call) == {FIRST}
        await service.on_inspect(inspected(stage, "000000", FIRST, over=True))
        over = await ended(service, number)
    assert over.present == 2


async def test_a_call_that_ends_while_a_county_is_lent_says_so_and_blames_nobody(stage):
    stage.pictures.stories[f"{FIRST}/room"] = "dark"
    async with stage.service(PROFILE.model_copy(update={"picture_within_s": 60.0})) as service:
        call = await service.start(by="zhang", centres=[FIRST, SECOND])
        service.lending.call_passes(CallPasses("call-1", FIRST, "320000"))
        await reached(service, call.record.id, lambda c: c.record.state is SessionState.PREEMPTED)
        await service.act(call.record.id, "finish", by="zhang")
        call = await service.get(call.record.id)
    assert call.record.state is SessionState.PARTIAL
    assert [(p.state, p.lent, p.score) for p in call.points] == [
        (PointState.SKIPPED, False, None),
        (PointState.PASSED, False, 100),
    ]
    assert call.points[0].why == "上级占用，本次未点完"
