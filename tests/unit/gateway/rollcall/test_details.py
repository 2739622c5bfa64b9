"""What a county says of itself reaches its point: with the ring's answer, and afterwards as a record."""

from dataclasses import dataclass

import pytest

from gateway.rollcall.details import CountyDetails, take_in
from gateway.rollcall.records import PointRecord
from gateway.rollcall.rules.roster import names_of
from protocols.aio.clock import SystemClock, new_ulid
from protocols.command import ROLLCALL_DETAILS, RollCallDetails, RollCallRing, parse_args
from protocols.duty import DutyRole
from protocols.envelope import Event
from protocols.errors import BadSchemaError, NotAllowedError
from tests.support.rollcall_stage import ended, roll_call_stage

COUNTY = "320612"
ROSTER = {"leaders": ["李强"], "officers": ["王芳", "赵敏"], "required": 3, "version": 2, "hash": "aa"}


@dataclass
class Arrived:
    event: Event


class Rosters:
    """A roster that names three people for every county."""

    async def frozen(self, centres, at):
        return dict.fromkeys(centres, ROSTER)

    def compare(self, point, at):
        return ()


@pytest.fixture
async def stage(tmp_path):
    async with roll_call_stage(tmp_path) as made:
        yield made


def record(roll_call_id, centre=COUNTY, source=None, **said):
    clock = SystemClock()
    said = {"answered_by": "王芳", "leader": "李强", "people": 3, "note": "无突发情况"} | said
    details = RollCallDetails(roll_call_id=roll_call_id, centre=centre, at=clock.now(), **said)
    return Event(
        id=new_ulid(clock),
        source=source or f"{centre}-box",
        type=ROLLCALL_DETAILS,
        time=clock.now(),
        data=details.model_dump(mode="json"),
        origincounter=1,
    )


async def test_what_is_said_later_is_written_over_the_answer_and_changes_no_verdict(stage):
    async with stage.service() as service:
        call = await service.start(by="caller", centres=[COUNTY])
        before = (await ended(service, call.record.id)).points[0]
        async with stage.store.unit() as uow:
            await service.details.apply(uow, [Arrived(record(call.record.id, people=None))])
        after = (await service.get(call.record.id)).points[0]
    assert after.answer["leader"] == "李强"
    assert "people" not in after.answer
    assert after.answered_by == "王芳"
    assert (after.state, after.score, after.settled_at) == (before.state, before.score, before.settled_at)


async def test_a_call_that_runs_keeps_what_was_said(stage):
    async with stage.service() as service:
        call = await service.start(by="caller", centres=[COUNTY])
        async with stage.store.unit() as uow:
            await service.details.apply(uow, [Arrived(record(call.record.id, leader="周明"))])
        point = (await ended(service, call.record.id)).points[0]
    assert point.answer["leader"] == "周明"


async def test_what_belongs_to_nobody_here_is_let_go(stage):
    async with stage.service() as service:
        call = await service.start(by="caller", centres=[COUNTY])
        await ended(service, call.record.id)
        async with stage.store.unit() as uow:
            strangers = [record(new_ulid(SystemClock())), record(call.record.id, centre="320685")]
            await service.details.apply(uow, [Arrived(one) for one in strangers])
        assert (await service.get(call.record.id)).points[0].answer.get("leader") is None


def test_a_node_speaks_for_its_own_centre_alone():
    handler = CountyDetails(None, None)
    one = new_ulid(SystemClock())
    handler.check(record(one))
    with pytest.raises(NotAllowedError):
        handler.check(record(one, source="320685-box"))
    bad = record(one)
    with pytest.raises(BadSchemaError):
        handler.check(bad.model_copy(update={"data": {"centre": COUNTY}}))


def test_empty_words_leave_what_is_known():
    point = PointRecord("x", COUNTY, 1, "通州区", answered_by="王芳", answer={"leader": "李强"})
    take_in(point, {"answered_by": "", "leader": "", "people": None, "note": "风大"})
    assert (point.answered_by, point.answer) == ("王芳", {"leader": "李强", "note": "风大", "by": "person"})


async def test_the_ring_names_caller_and_roster_without_phones(stage):
    async with stage.service(rosters=Rosters()) as service:
        call = await service.start(by="caller", centres=[COUNTY])
        await ended(service, call.record.id)
    rung = next(command for command in stage.commands.asked if command.name == "rollcall.ring")
    ring = parse_args(RollCallRing, rung.args)
    assert (ring.caller, ring.caller_centre, ring.caller_centre_name) == ("caller", "320600", "南通市")
    assert [(one.name, one.role) for one in ring.roster] == [
        ("李强", DutyRole.LEADER), ("王芳", DutyRole.OFFICER), ("赵敏", DutyRole.OFFICER),
    ]  # fmt: skip
    assert ring.people_due == 3


def test_no_roster_names_nobody():
    assert names_of(None) == ()
