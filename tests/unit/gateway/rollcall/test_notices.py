"""People are told of missing counties once; many with one cause are one incident."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from gateway.escalation.letters import Letters
from gateway.rollcall.notices import Notices
from gateway.rollcall.service import Planned
from protocols.aio.clock import SystemClock
from protocols.duty import DutyCurrent, DutyRole, DutyShift, OnDuty
from protocols.rollcall import Cause, RollCallKind
from tests.support.rollcall_stage import COUNTIES, ended, roll_call_stage


@dataclass
class Alarms:
    """Alarms that were raised and ended."""

    raised: list[object] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    async def report_within(self, _uow, _type, data):
        self.raised.append(data)
        return "id"

    async def end_own(self, key):
        self.ended.append(key)
        return True


class Duty:
    """Every centre has a leader, an officer and a technician."""

    def record(self, centre):
        now = SystemClock().now()
        people = (
            OnDuty(name=f"{centre}带班", role=DutyRole.LEADER, phones=("13900000001",)),
            OnDuty(name=f"{centre}值班", role=DutyRole.OFFICER, phones=()),
        )
        hour = timedelta(hours=1)
        shift = DutyShift(day=now.date(), name="全天", starts_at=now - hour, ends_at=now + hour, people=people)
        return DutyCurrent(centre=centre, shifts=(shift,)) if centre != "320685" else None


class Causes:
    """The same cause for all."""

    def __init__(self, cause):
        self._cause = cause

    async def cause(self, _point, _call):
        return self._cause


@pytest.fixture
async def stage(tmp_path):
    async with roll_call_stage(tmp_path) as made:
        yield made


async def told(stage, cause, missing, kind=RollCallKind.DAILY):
    """Hold a call with missing counties, tell of it twice, and return the letters and the alarms."""
    for code in missing:
        stage.ways.cut(f"{code}-box")
    letters, alarms = Letters(stage.clock), Alarms()
    notices = Notices(stage.store, stage.clock, "320600", letters, alarms, Duty)
    async with stage.service(causes=Causes(cause)) as service:
        call = await ended(service, (await service.plan(Planned("zhang", kind))).record.id)
    await notices.tell(call)
    await notices.tell(call)
    async with stage.store.reading() as reader:
        return await letters.of(reader, f"rollcall/{call.record.id}"), alarms


async def test_each_missing_county_is_told_and_the_citys_lead_with_it(stage):
    letters, alarms = await told(stage, Cause.COUNTY_STAFF, COUNTIES[:2])
    first = COUNTIES[0]
    people = {(letter.person, letter.state, letter.reason) for letter in letters if letter.ref == first}
    assert people == {
        (f"{first}值班", "failed", "no_address"),
        (f"{first}带班", "waiting", ""),
        ("320600带班", "waiting", ""),
    }
    assert len(letters) == 6, "told once, though asked twice"
    assert alarms.raised == []


async def test_one_cause_at_three_counties_is_one_incident_and_no_complaint(stage):
    letters, alarms = await told(stage, Cause.LINE, COUNTIES[:3])
    (incident,) = alarms.raised
    assert (incident.alarm_key, incident.event_type) == ("rollcall/line", "rollcall.fault")
    assert "3" in incident.headline
    assert [(letter.ref, letter.person) for letter in letters] == [("line", "320600带班")]


async def test_an_incident_that_is_not_found_again_ends(stage):
    _, alarms = await told(stage, None, ())
    assert "rollcall/line" in alarms.ended


async def test_a_county_without_a_roster_is_a_letter_that_failed_for_people_to_see(stage):
    letters, _ = await told(stage, None, ("320685",))
    assert {letter.person for letter in letters} == {"320600带班"}


async def test_a_test_call_tells_nobody(stage):
    letters, alarms = await told(stage, Cause.LINE, COUNTIES[:3], RollCallKind.TEST)
    assert letters == []
    assert alarms.raised == []


async def test_the_second_absence_in_a_week_is_told_to_the_head_of_the_bureau(stage):
    stage.ways.cut(f"{COUNTIES[0]}-box")
    letters = Letters(stage.clock)
    heads = [f"{COUNTIES[0]}=张三 13900000009"]
    notices = Notices(stage.store, stage.clock, "320600", letters, Alarms(), Duty, heads)
    told = []
    async with stage.service(causes=Causes(Cause.COUNTY_STAFF)) as service:
        for _ in range(2):
            call = await ended(service, (await service.start(by="zhang", centres=COUNTIES[:1])).record.id)
            await notices.tell(call)
            await notices.tell(call)
            async with stage.store.reading() as reader:
                found = await letters.of(reader, f"rollcall/{call.record.id}")
            told.append([letter.person for letter in found if letter.ref.endswith("/head")])
    assert told == [[], ["张三"]]


async def test_who_does_not_answer_is_asked_by_message_to_come(stage):
    del stage.commands.handlers[f"{COUNTIES[0]}-box", "rollcall.ring"]
    letters = Letters(stage.clock)
    notices = Notices(stage.store, stage.clock, "320600", letters, Alarms(), Duty)
    async with stage.service() as service:
        service.side.when_unanswered = notices.unanswered
        call = await ended(service, (await service.start(by="zhang", centres=COUNTIES[:2])).record.id)

        async def asked():
            async with stage.store.reading() as reader:
                return await letters.of(reader, f"rollcall/{call.record.id}")

        async with asyncio.timeout(20):
            while not (found := await asked()):
                await asyncio.sleep(0.02)
    first = COUNTIES[0]
    assert {(one.ref, one.person) for one in found} == {
        (f"{first}/ring", f"{first}值班"),
        (f"{first}/ring", f"{first}带班"),
    }
