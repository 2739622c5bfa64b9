"""Causes from a real store: what is known at the verdict, and what a county's own record changes afterwards."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select

from gateway.adapters.blob_files import FileBlobs
from gateway.adapters.store_sqlite import SqliteStore
from gateway.events import EventBus
from gateway.metrics import Metrics
from gateway.rollcall.causes import Causes
from gateway.rollcall.evidence import Evidence
from gateway.rollcall.records import PointRecord, RollCallRecord
from gateway.rollcall.rules.chain import EvidenceKind
from gateway.rollcall.tables import NODE_RECORDS, POINTS, ROLL_CALLS
from protocols.aio.clock import ManualClock
from protocols.diary import NODE_RECORD, Ending, NodeRecord, Span, dump
from protocols.envelope import Event
from protocols.errors import BadSchemaError
from protocols.health import BoxHealth, LinkReason, LinkStatus, Verdict
from protocols.rollcall import AbsenceReason, Cause, PointState, RollCallKind, SessionState
from tests.support.databases import at_newest_schema
from tests.support.rooms import OneLink, Ways

AT = datetime(2026, 5, 1, 8, tzinfo=UTC)
COUNTIES = ("320612", "320613", "320614", "320623", "320681", "320682", "320685")
CALL, OURS = "0" * 26, "320623"
CARRIERS = ("320612=电信", "320623=电信", "320681=移动", "320682=联通")


def at(seconds):
    return AT + timedelta(seconds=seconds)


@dataclass
class Heard(OneLink):
    since: datetime = AT - timedelta(days=1)
    box: BoxHealth | None = None


@dataclass
class Arrived:
    event: Event
    received_at: datetime


@dataclass
class Verdicts:
    """Keeps what was revised, and stores it as the room does."""

    store: SqliteStore
    revised: list = field(default_factory=list)

    async def decide(self, roll_call_id, centre, change, *, by, why):
        assert by == "auto"
        self.revised.append((roll_call_id, centre, change.state, change.cause, why))
        mine = (POINTS.c.roll_call_id == roll_call_id) & (POINTS.c.centre == centre)
        async with self.store.unit() as uow:
            await uow.execute(POINTS.update().where(mine).values(state=change.state, cause=change.cause))


@dataclass
class Stage:
    causes: Causes
    ways: Ways
    store: SqliteStore
    evidence: Evidence
    verdicts: Verdicts
    clock: ManualClock
    metrics: Metrics

    def silent(self, county, seconds=0, reason=LinkReason.NO_HEARTBEAT, **box):
        node = f"{county}-box"
        health = BoxHealth(**box) if box else None
        self.ways.nodes[node] = Heard(node, LinkStatus.DOWN, reason, since=at(seconds), box=health)

    def heard(self, county, seconds=0):
        node = f"{county}-box"
        self.ways.nodes[node] = Heard(node, since=at(seconds))

    async def asked(self, *points, ended=True, call=CALL):
        made = RollCallRecord(
            call, RollCallKind.DAILY, SessionState.REVIEWING if ended else SessionState.RUNNING, "li", at(-30),
            ended_at=at(120) if ended else None,
        )  # fmt: skip
        async with self.store.unit() as uow:
            await uow.execute(insert(ROLL_CALLS), made.row())
            await uow.execute(insert(POINTS), [point.row() for point in points])
        return made

    async def told(self, *spans, node=f"{OURS}-box", event_id="1" * 26, began=0, ended=300):
        record = NodeRecord(node=node, began_at=at(began), ended_at=at(ended), spans=spans)
        event = Event(id=event_id, source=node, type=NODE_RECORD, time=at(ended), data=dump(record), origincounter=1)
        self.causes.check(event)
        async with self.store.unit() as uow:
            await self.causes.apply(uow, [Arrived(event, self.clock.now())])


@asynccontextmanager
async def stage(folder):
    clock, metrics = ManualClock(at(60)), Metrics()
    async with SqliteStore(at_newest_schema(folder / "gateway.db"), "320600", clock, EventBus().publish) as store:
        ways = Ways.city(COUNTIES)
        ways.nodes = {node: Heard(node) for node in ways.nodes}
        evidence = Evidence(store, FileBlobs(folder / "blobs"), clock, metrics, retention_days=180)
        causes = Causes(store, ways, evidence, clock, metrics, CARRIERS)
        causes.verdicts = Verdicts(store)
        yield Stage(causes, ways, store, evidence, causes.verdicts, clock, metrics)


def point(county=OURS, **values):
    known = {"camera": "room", "owner": f"{county}-box", "rung_at": at(-20), "settled_at": at(60), "decided_by": "auto"}
    return PointRecord(CALL, county, COUNTIES.index(county) + 1, county, **{**known, **values})


def lost(county=OURS, **values):
    return point(county, **{"state": PointState.UNREACHABLE, "reason": AbsenceReason.NO_LINK, **values})


def ran(began, ended, **values):
    return Span(began_at=at(began), ended_at=at(ended), network=True, **values)


async def test_present_has_no_cause(tmp_path):
    async with stage(tmp_path) as made:
        one = point(state=PointState.PASSED)
        assert await made.causes.cause(one, await made.asked(one)) is None


async def test_nobody_answers_where_all_is_well(tmp_path):
    async with stage(tmp_path) as made:
        one = point(state=PointState.ABSENT, reason=AbsenceReason.NO_ANSWER)
        assert await made.causes.cause(one, await made.asked(one)) is Cause.COUNTY_STAFF


async def test_a_neighbour_on_the_same_carrier_went_silent_too(tmp_path):
    async with stage(tmp_path) as made:
        one = lost()
        call = await made.asked(one)
        made.silent(OURS, 3)
        assert await made.causes.cause(one, call) is Cause.UNKNOWN
        made.silent("320681", 5)
        assert await made.causes.cause(one, call) is Cause.UNKNOWN, "another carrier"
        made.silent("320612", 5)
        assert await made.causes.cause(one, call) is Cause.PLATFORM, (
            "three counties of two carriers of one county asked"
        )


async def test_a_neighbour_alone_makes_it_the_line(tmp_path):
    async with stage(tmp_path) as made:
        one = lost()
        call = await made.asked(one)
        made.silent(OURS, 3)
        made.silent("320612", 40)
        assert await made.causes.cause(one, call) is Cause.LINE


async def test_the_last_word_was_battery(tmp_path):
    async with stage(tmp_path) as made:
        one = lost()
        call = await made.asked(one)
        made.silent(OURS, 3, on_battery=True)
        assert await made.causes.cause(one, call) is Cause.COUNTY_POWER


async def test_a_city_that_the_province_does_not_reach_is_the_upper_network_for_all_its_counties(tmp_path):
    async with stage(tmp_path) as made:
        made.ways.here = "320000"
        made.ways.nodes = {f"{county}-box": Heard(f"{county}-box", LinkStatus.DOWN, since=at(0)) for county in COUNTIES}
        made.ways.nodes["320600"] = Heard("320600", LinkStatus.DOWN, LinkReason.NO_HEARTBEAT, since=at(0))
        points = [lost(county) for county in COUNTIES]
        call = await made.asked(*points)
        for one in points:
            assert await made.causes.cause(one, call) is Cause.UPPER_NETWORK


@pytest.mark.parametrize(("failing", "cause"), [(1, Cause.LINE), (4, Cause.PLATFORM)])
async def test_pictures_that_do_not_come_are_the_line_of_one_or_the_platforms_fault_for_many(tmp_path, failing, cause):
    async with stage(tmp_path) as made:
        points = [
            point(
                county, state=PointState.FAILED, reason=AbsenceReason.NO_PICTURE, answered_at=at(0), told=Verdict.LIVE
            )
            for county in COUNTIES[:failing]
        ]
        call = await made.asked(*points, *(point(county, state=PointState.PASSED) for county in COUNTIES[failing:]))
        assert await made.causes.cause(points[0], call) is cause


async def test_a_countys_own_record_revises_the_cause_once_and_is_kept_as_evidence(tmp_path):
    async with stage(tmp_path) as made:
        await made.asked(lost(cause=Cause.UNKNOWN))
        made.heard(OURS, 300)
        await made.told(ran(-10, 300))
        assert await made.causes.weigh_all() == 1
        ((_, centre, state, cause, why),) = made.verdicts.revised
        assert (centre, state, cause) == (OURS, PointState.UNREACHABLE, Cause.LINE)
        assert "线路" in why
        (kept,) = await made.evidence.of(CALL, OURS)
        assert kept.kind is EvidenceKind.RECORD
        assert await made.causes.weigh_all() == 0
        assert 'silian_rollcall_causes_revised_total{cause="line"} 1.0' in made.metrics.render().decode()


async def test_a_loss_of_power_makes_the_county_absent(tmp_path):
    async with stage(tmp_path) as made:
        await made.asked(lost(cause=Cause.LINE))
        gone = Span(began_at=at(5), ended_at=at(290), ending=Ending.REBOOT)
        await made.told(ran(-10, 5, on_battery=True, battery_ratio=0.1), gone, ran(290, 300))
        assert await made.causes.weigh_all() == 1
        assert made.verdicts.revised[0][2:4] == (PointState.ABSENT, Cause.COUNTY_POWER)


async def test_a_county_that_came_in_the_make_up_keeps_its_state_and_gets_its_cause(tmp_path):
    async with stage(tmp_path) as made:
        passed = point(state=PointState.PASSED_LATE, first_state=PointState.LINK_LOST, makeup_at=at(70))
        call = await made.asked(passed)
        assert await made.causes.cause(passed, call) is Cause.UNKNOWN
        await made.told(ran(-10, 50), began=0, ended=50)
        assert await made.causes.weigh_all() == 1
        assert made.verdicts.revised[0][2:4] == (PointState.PASSED_LATE, Cause.LINE)


async def test_a_verdict_that_a_person_gave_stands(tmp_path):
    async with stage(tmp_path) as made:
        await made.asked(lost(cause=Cause.UNKNOWN, decided_by="li"))
        await made.told(ran(-10, 300))
        assert await made.causes.weigh_all() == 0
        assert len(await made.evidence.of(CALL, OURS)) == 1, "the record is kept all the same"


async def test_while_the_roll_call_runs_the_record_waits(tmp_path):
    async with stage(tmp_path) as made:
        one = lost()
        call = await made.asked(one, ended=False)
        await made.told(ran(-10, 300))
        assert await made.causes.weigh_all() == 0
        assert await made.causes.cause(one, call) is Cause.LINE, "who asks meanwhile has it"
        async with made.store.unit() as uow:
            await uow.execute(ROLL_CALLS.update().values(ended_at=at(200)))
        assert await made.causes.weigh_all() == 1


async def test_a_record_that_concerns_no_roll_call_is_done_with(tmp_path):
    async with stage(tmp_path) as made:
        await made.told(ran(-10, 300))
        assert await made.causes.weigh_all() == 0
        async with made.store.reading() as reader:
            assert (await reader.execute(select(NODE_RECORDS.c.weighed_at))).scalar_one() is not None


async def test_a_record_in_another_nodes_name_is_refused(tmp_path):
    async with stage(tmp_path) as made:
        record = NodeRecord(node="320681-box", began_at=at(0), ended_at=at(1))
        event = Event(
            id="2" * 26, source="320623-box", type=NODE_RECORD, time=at(1), data=dump(record), origincounter=1
        )
        with pytest.raises(BadSchemaError):
            made.causes.check(event)


async def test_records_that_waited_over_a_restart_are_weighed(tmp_path):
    async with stage(tmp_path) as made:
        await made.asked(lost(cause=Cause.UNKNOWN))
        await made.told(ran(-10, 300))
        again = Causes(made.store, made.ways, made.evidence, made.clock, made.metrics)
        again.verdicts = made.verdicts
        assert await again.weigh_all() == 1
