"""Calls that begin by themselves: schedules held once, reasons offered or acted upon."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from gateway.events import AlarmStanding, EventBus
from gateway.rollcall.planner import Planner
from gateway.rollcall.rules.profiles import Profile, Trigger
from gateway.rollcall.rules.schedule import CHINA, Plan
from protocols.aio.clock import ManualClock, SystemClock
from protocols.errors import NotFoundError
from protocols.rollcall import RollCallKind, SessionState
from tests.support.rollcall_stage import COUNTIES, PROFILE, ended, roll_call_stage
from tests.support.rooms import until


@dataclass
class Alarms:
    """Alarms by id."""

    known: dict[str, AlarmStanding] = field(default_factory=dict)

    async def standings(self, _reader, alarm_ids):
        return [self.known[one] for one in alarm_ids if one in self.known]

    def put(self, alarm_id, centre="320623", severity=1, event_type="11B03", **more):
        about = {
            "headline": "暴雨红色",
            "drill": False,
            "active": True,
            "shown": True,
            "opened": 1,
            "applied": 1,
        } | more
        now = SystemClock().now()
        self.known[alarm_id] = AlarmStanding(
            alarm_id, "320623-box", alarm_id, centre, severity, event_type, received_at=now, **about
        )


@pytest.fixture
async def stage(tmp_path):
    async with roll_call_stage(tmp_path) as made:
        yield made


def planner(stage, service, alarms=None, clock=None) -> Planner:
    return Planner(service, stage.store, clock or stage.clock, alarms or Alarms(), EventBus())


async def test_a_schedule_plans_each_call_once(stage):
    now = SystemClock().now()
    soon = (now + timedelta(minutes=12)).astimezone(CHINA).strftime("%H:%M")
    async with stage.service() as service:
        plans = planner(stage, service)
        one = await plans.put(Plan(times=(soon,), centres=COUNTIES[:2]), by="zhang")
        await plans.look()
        await plans.look()
        await planner(stage, service).look()
        (call,) = await service.page()
        assert call.record.state in {SessionState.SCHEDULED, SessionState.PRECHECKING}
        assert call.record.schedule_id == one.id
        assert call.record.planned_at.astimezone(CHINA).strftime("%H:%M") == soon
        assert [point.centre for point in call.points] == list(COUNTIES[:2])


async def test_a_random_night_stays_a_secret_until_shortly_before(stage):
    clock = ManualClock(SystemClock().now())
    async with stage.service() as service:
        plans = planner(stage, service, clock=clock)
        soon = (clock.now() + timedelta(minutes=12)).astimezone(CHINA).strftime("%H:%M")
        await plans.put(Plan(kind=RollCallKind.RANDOM, times=(soon,), count=2), by="zhang")
        await plans.look()
        assert await service.page() == []


async def test_a_schedule_that_is_off_or_removed_plans_nothing(stage):
    soon = (SystemClock().now() + timedelta(minutes=12)).astimezone(CHINA).strftime("%H:%M")
    async with stage.service() as service:
        plans = planner(stage, service)
        one = await plans.put(Plan(times=(soon,)), by="zhang", enabled=False)
        await plans.look()
        assert await service.page() == []
        again = await plans.put(Plan(times=(soon,), title="早点名"), by="li", ident=one.id)
        assert again.seed == one.seed, "the nights of a plan stay when its words change"
        await plans.remove(one.id)
        await plans.look()
        assert await service.page() == []
        with pytest.raises(NotFoundError):
            await plans.remove(one.id)
        with pytest.raises(NotFoundError):
            await plans.put(Plan(), by="li", ident=one.id)


async def test_a_grave_alarm_offers_a_call_of_its_county_once(stage):
    alarms = Alarms()
    alarms.put("mild", severity=4)
    alarms.put("over", active=False)
    alarms.put("grave")
    async with stage.service() as service:
        plans = planner(stage, service, alarms)
        for ident in ("mild", "over", "grave", "grave", "unknown"):
            plans.alarm_changed(ident)
        await plans.reasons()
        (one,) = plans.offers()
        assert one.offer.centres == ("320623",)
        call = await plans.accept(one.id, by="zhang")
        assert (call.record.kind, call.record.trigger["id"]) == (RollCallKind.TRIGGERED, "grave")
        await ended(service, call.record.id)
        assert plans.offers() == []
        alarms.put("again")
        plans.alarm_changed("again")
        await plans.reasons()
        assert plans.offers() == [], "the county was called just now"
        with pytest.raises(NotFoundError):
            await plans.decline(one.id, by="zhang")


async def test_an_offer_outlasts_a_restart_is_made_once_and_ends_with_its_alarm(stage):
    alarms = Alarms()
    alarms.put("grave")
    alarms.put("other", centre="320681")
    async with stage.service() as service:
        plans = planner(stage, service, alarms)
        for ident in ("grave", "other"):
            plans.alarm_changed(ident)
        await plans.reasons()
        other, grave = sorted(plans.offers(), key=lambda one: one.offer.reason.id, reverse=True)
        await plans.decline(other.id, by="zhang")
        again = planner(stage, service, alarms)
        running = asyncio.ensure_future(again.run())
        try:
            await until(lambda: [one.id for one in again.offers()] == [grave.id])
            assert again.offers() == [grave]
            for ident in ("grave", "other"):
                again.alarm_changed(ident)
            await again.reasons()
            assert again.offers() == [grave], "neither made again nor asked again after it was declined"
            alarms.put("grave", active=False)
            again.alarm_changed("grave")
            await until(lambda: again.offers() == [])
        finally:
            running.cancel()


async def test_a_trigger_may_begin_the_call_by_itself(stage):
    alarms = Alarms()
    alarms.put("city", centre="320600", event_type="gas", severity=1)
    profile = PROFILE.model_copy(update={"triggers": (Trigger(severity=1, automatic=True),)})
    async with stage.service(profile) as service:
        plans = planner(stage, service, alarms)
        plans.alarm_changed("city")
        await plans.reasons()
        (call,) = await service.page()
        await ended(service, call.record.id)
    assert call.record.started_by == "alarm/city"
    assert len(call.points) == len(COUNTIES), "an alarm of the city concerns all its counties"


def test_the_default_profile_offers_and_never_begins_by_itself():
    assert not any(trigger.automatic for trigger in Profile().triggers)
