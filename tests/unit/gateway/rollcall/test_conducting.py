"""A call under a person's hands: one after the other, held, overruled, taken over, and on after a death."""

import asyncio
from datetime import timedelta
from itertools import groupby

import pytest

from gateway.events import CallPasses
from gateway.rollcall.rules.draw import Draw
from gateway.rollcall.service import Planned
from gateway.rollcall.verdicts import Change
from protocols.command import RollCallInspect
from protocols.errors import NotFoundError, WrongMomentError
from protocols.health import BoxHealth, LinkStatus, Verdict
from protocols.rollcall import (
    AbsenceReason,
    Cause,
    Check,
    CheckName,
    CheckResult,
    Defect,
    Mode,
    PointState,
    RollCallKind,
    SessionState,
)
from tests.support.rollcall_stage import COUNTIES, PROFILE, ended, roll_call_stage
from tests.support.rooms import until

FIRST, SECOND, THIRD = COUNTIES[:3]


@pytest.fixture
async def stage(tmp_path):
    async with roll_call_stage(tmp_path) as made:
        yield made


async def reached(service, roll_call_id, holds):
    async with asyncio.timeout(30):
        while not holds(call := await service.get(roll_call_id)):
            await asyncio.sleep(0.02)
    return call


def state_of(call, centre):
    return next(point.state for point in call.points if point.centre == centre)


def sequential(*centres):
    return Planned("zhang", mode=Mode.SEQUENTIAL, centres=centres or COUNTIES[:3])


def stages(stage, where):
    return [c.args["centre"] for c in stage.commands.asked if c.name == "rollcall.stage" and c.args["stage"] == where]


async def test_one_after_the_other_holds_the_stage_and_the_next_and_unmutes_one(stage):
    async with stage.service() as service:
        call = await service.plan(sequential())
        assert (call.record.stage, call.record.upcoming) == (FIRST, SECOND)
        await until(lambda: f"rollcall-stage-{call.record.id}" in stage.pictures.held.get(f"{SECOND}/room", ()))
        call = await reached(service, call.record.id, lambda c: state_of(c, FIRST) is PointState.PASSED)
        assert state_of(call, SECOND) is PointState.PENDING
        assert stage.commands.count("rollcall.ring") == 1
        await service.act(call.record.id, "next", by="zhang")
        now = await service.get(call.record.id)
        assert (now.record.stage, now.record.upcoming, now.record.seat) == (SECOND, THIRD, "zhang")
        await until(lambda: stages(stage, "on") == [FIRST, SECOND])
        await service.act(call.record.id, "next", by="li")
        assert (await service.get(call.record.id)).record.seat == "li", "another seat goes on at once"
        await reached(service, call.record.id, lambda c: state_of(c, THIRD) is PointState.PASSED)
        await service.act(call.record.id, "next", by="li")
        call = await ended(service, call.record.id)
        assert (call.present, call.record.state, call.record.stage) == (3, SessionState.REVIEWING, None)
        assert stages(stage, "off") == [FIRST, SECOND, THIRD]
        assert not any(stage.pictures.held.values())


async def test_a_parallel_call_has_no_stage(stage):
    async with stage.service() as service:
        call = await service.start(by="zhang", centres=[FIRST])
        with pytest.raises(WrongMomentError):
            await service.act(call.record.id, "next", by="zhang")
        await ended(service, call.record.id)
        with pytest.raises(WrongMomentError):
            await service.act(call.record.id, "pause", by="zhang")
        with pytest.raises(NotFoundError):
            await service.act("01JB0000000000000000000000", "pause", by="zhang")


async def test_who_comes_in_the_make_up_is_late(stage):
    stage.ways.cut(f"{FIRST}-box")
    profile = PROFILE.model_copy(update={"presence_s": 30.0})
    async with stage.service(profile) as service:
        call = await service.start(by="zhang", centres=[FIRST, SECOND])
        await reached(service, call.record.id, lambda c: c.record.state is SessionState.MAKEUP)
        stage.ways.nodes[f"{FIRST}-box"].status = LinkStatus.UP
        call = await ended(service, call.record.id)
    late, prompt = call.points
    assert (late.state, late.first_state) == (PointState.PASSED_LATE, PointState.LINK_LOST)
    assert late.makeup_at is not None
    assert (late.score, prompt.score) == (90, 100)


async def test_the_make_up_can_be_ended_by_hand(stage):
    del stage.commands.handlers[f"{FIRST}-box", "rollcall.ring"]
    async with stage.service(PROFILE.model_copy(update={"presence_s": 600.0})) as service:
        call = await service.start(by="zhang", centres=[FIRST, SECOND])
        await reached(service, call.record.id, lambda c: c.record.state is SessionState.MAKEUP)
        await service.act(call.record.id, "finish", by="zhang")
        call = await ended(service, call.record.id)
    assert [p.state for p in call.points] == [PointState.ABSENT, PointState.PASSED]


async def test_a_pause_rings_nobody_more(stage):
    async with stage.service(PROFILE.model_copy(update={"parallel": 1})) as service:
        call = await service.start(by="zhang", centres=[FIRST, SECOND])
        await service.act(call.record.id, "pause", by="zhang")
        await reached(service, call.record.id, lambda c: state_of(c, FIRST) is PointState.PASSED)
        assert stage.commands.count("rollcall.ring") == 1
        await service.act(call.record.id, "resume", by="zhang")
        over = await ended(service, call.record.id)
        assert over.present == 2, [(one.centre, one.state, one.reason, one.note) for one in over.points]


async def test_a_pause_outlasts_a_restart_and_its_time_is_written_down(stage):
    del stage.commands.handlers[f"{FIRST}-box", "rollcall.ring"]
    long = PROFILE.model_copy(update={"presence_s": 600.0, "makeup_every_s": 600.0})
    async with stage.service(long) as service:
        call = await service.start(by="zhang", centres=[FIRST, SECOND])
        await reached(service, call.record.id, lambda c: c.record.state is SessionState.MAKEUP)
        await service.act(call.record.id, "pause", by="zhang")
    async with stage.service(long) as service:
        held = await service.get(call.record.id)
        ((began, until_),) = held.record.holds
        assert (held.record.state, until_) == (SessionState.PAUSED, None)
        await stage.clock.sleep(1.0)
        await service.act(call.record.id, "resume", by="zhang")
        ((same, ended_at),) = (await service.get(call.record.id)).record.holds
        assert (same, ended_at > began) == (began, True)
        first = service.conducted(call.record.id)._session.seats[FIRST]
        point = next(one for one in held.points if one.centre == FIRST)
        passed = (stage.clock.now() - point.rung_at) - (ended_at - began)
        assert stage.clock.monotonic() - first.rung_at == pytest.approx(passed.total_seconds())
        await service.act(call.record.id, "cancel", by="zhang")


async def test_who_acts_before_a_restarted_gateway_has_taken_its_calls_up_waits_for_it(stage):
    async with stage.service() as service:
        call = await service.plan(sequential())
        await service.act(call.record.id, "pause", by="zhang")
    service = stage.service()
    acting = asyncio.ensure_future(service.act(call.record.id, "resume", by="zhang"))
    await asyncio.sleep(0)
    assert not acting.done()
    async with service:
        await acting
        await service.act(call.record.id, "cancel", by="zhang")


async def test_a_restart_holds_the_pictures_of_the_stage_again(stage):
    async with stage.service() as service:
        call = await service.plan(sequential())
        await reached(service, call.record.id, lambda c: state_of(c, FIRST) is PointState.PASSED)
    holder = f"rollcall-stage-{call.record.id}"
    assert not any(holder in held for held in stage.pictures.held.values())
    async with stage.service() as service:
        await until(lambda: holder in stage.pictures.held.get(f"{SECOND}/room", ()))
        assert holder in stage.pictures.held[f"{FIRST}/room"]
        await service.act(call.record.id, "cancel", by="zhang")


async def test_what_gave_way_goes_on_though_the_gateway_was_killed_when_the_check_from_above_ended(stage):
    slow = PROFILE.model_copy(update={"parallel": 1})
    now = stage.clock.now()

    def told(**more):
        return RollCallInspect(
            roll_call_id="01JD8Z5W3K4M5N6P7Q8R9S0T1V", caller_centre="320000", centres=(FIRST,), kind="random",
            until=now + timedelta(minutes=5), **more,
        )  # fmt: skip

    async with stage.service(slow) as service:
        call = await service.start(by="zhang", centres=[FIRST, SECOND])
        await service.inspections.take(told())  # killed before own calls were told
    async with stage.service(slow) as service:
        await reached(service, call.record.id, lambda c: c.record.state is SessionState.PREEMPTED)
        await service.inspections.take(told(over=True))  # killed before they were let go on
    async with stage.service(slow) as service:
        over = await ended(service, call.record.id)
        assert over.present == 2, [(one.centre, one.state, one.reason, one.note) for one in over.points]


async def test_a_call_from_above_takes_its_county_and_the_roll_call_goes_on_afterwards(stage):
    slow = PROFILE.model_copy(update={"parallel": 1})
    async with stage.service(slow) as service:
        call = await service.start(by="zhang", centres=[FIRST, SECOND])
        service.call_passes(CallPasses("call-1", SECOND))
        await reached(service, call.record.id, lambda c: c.record.state is SessionState.PREEMPTED)
        await service.free([SECOND])
        assert (await service.get(call.record.id)).record.state is SessionState.PREEMPTED, "the call goes on"
        service.call_passes(CallPasses("another", SECOND, over=True))
        service.call_passes(CallPasses("call-1", SECOND, over=True))
        call = await ended(service, call.record.id)
    assert [point.state for point in call.points] == [PointState.PASSED, PointState.PASSED]


async def test_a_verdict_that_is_put_aside_stays_readable(stage):
    stage.ways.cut(f"{SECOND}-box")
    async with stage.service(PROFILE.model_copy(update={"presence_s": 600.0})) as service:
        call = await service.start(by="zhang", centres=[FIRST, SECOND])
        await reached(service, call.record.id, lambda c: state_of(c, FIRST) is PointState.PASSED)
        await service.set_aside(call.record.id, FIRST, PointState.SKIPPED, by="li", why="误点")
        (revision,) = await service.revisions(call.record.id)
        assert (revision.before["state"], revision.after["state"], revision.by) == ("passed", "skipped", "li")
        await service.act(call.record.id, "cancel", by="zhang")


async def test_excused_and_skipped_counties_do_not_count(stage):
    async with stage.service() as service:
        call = await service.plan(Planned("zhang", centres=[FIRST, SECOND, THIRD], excused={FIRST: "汛期值守在外"}))
        await service.set_aside(call.record.id, SECOND, PointState.SKIPPED, by="zhang", why="改日")
        call = await ended(service, call.record.id)
    assert [p.state for p in call.points] == [PointState.EXCUSED, PointState.SKIPPED, PointState.PASSED]
    assert (call.due, call.present) == (1, 1)
    assert [(p.why, p.decided_by, p.score) for p in call.points[:2]] == [
        ("汛期值守在外", "zhang", None),
        ("改日", "zhang", None),
    ]
    assert stage.commands.count("rollcall.ring", f"{FIRST}-box") == 0


async def test_a_verdict_that_stood_stays_readable(stage):
    stage.pictures.stories[f"{FIRST}/room"] = "black"
    async with stage.service() as service:
        call = await ended(service, (await service.start(by="zhang", centres=[FIRST])).record.id)
        assert call.points[0].score == 100, "an unknown cause waits for the review"
        change = Change(PointState.FAILED, cause=Cause.COUNTY_TERMINAL)
        await service.decide(call.record.id, FIRST, change, by="li", why="县端承认镜头盖未开")
        point = (await service.get(call.record.id)).points[0]
        (revision,) = await service.revisions(call.record.id)
    assert (point.cause, point.score, point.revision, point.decided_by) == (Cause.COUNTY_TERMINAL, 80, 1, "li")
    assert (point.reason, point.state) == (AbsenceReason.BLACK, PointState.FAILED)
    assert (revision.before["cause"], revision.after["cause"]) == (None, "county_terminal")
    assert (revision.by, revision.reason) == ("li", "县端承认镜头盖未开")


async def test_a_persons_verdict_ends_the_asking(stage):
    stage.pictures.stories[f"{FIRST}/room"] = "dark"
    async with stage.service(PROFILE.model_copy(update={"picture_within_s": 60.0})) as service:
        call = await service.start(by="zhang", centres=[FIRST])
        await until(lambda: f"{FIRST}/room" in stage.pictures.ever)
        await service.decide(call.record.id, FIRST, Change(PointState.PASSED), by="zhang", why="电话核实在岗")
        call = await ended(service, call.record.id)
        assert await service.revisions(call.record.id) == [], "nothing stood before"
    assert (call.points[0].state, call.points[0].decided_by, call.points[0].reason) == (
        PointState.PASSED,
        "zhang",
        None,
    )


async def test_the_number_saves_a_picture_that_proves_nothing(stage):
    stage.pictures.stories[f"{FIRST}/room"] = "frozen"
    stage.answer(FIRST, told=Verdict.UNPROVEN)
    async with stage.service(PROFILE.model_copy(update={"challenge_within_s": 30.0})) as service:
        call = await service.start(by="zhang", centres=[FIRST])
        with pytest.raises(WrongMomentError):
            await service.challenge(call.record.id, FIRST, confirmed=True, by="zhang")
        call = await reached(service, call.record.id, lambda c: c.points[0].challenge is not None)
        await until(lambda: stage.commands.count("rollcall.stage") > 0)
        shown = next(c for c in stage.commands.asked if c.name == "rollcall.stage")
        assert shown.args["challenge"] == call.points[0].challenge
        await service.challenge(call.record.id, FIRST, confirmed=True, by="zhang")
        call = await ended(service, call.record.id)
    assert call.points[0].state is PointState.PASSED


class Gatherer:
    """Finds what it is told to; notes the order of the calls."""

    def __init__(self, *checks: Check, fail: bool = False) -> None:
        self.checks = checks
        self.fail = fail
        self.steps: list[str] = []

    async def begin(self, _point, *, drill):
        self.steps.append("begin")
        if self.fail:
            raise NotFoundError("disk is away")

    async def answered(self, _point, answer):
        self.steps.append(f"answered by {answer.answered_by}")

    async def seen(self, point, still):
        assert point.still is not None
        self.steps.append("seen")

    async def read_back(self, _point, _number):
        return True

    async def end(self, _point):
        self.steps.append("end")
        return self.checks


def check(name, result, defect=None) -> Check:
    return Check(name=name, result=result, defect=defect, at="2026-05-01T08:30:00+08:00")


async def test_the_gathered_checks_weigh(stage):
    silent = Gatherer(check(CheckName.SOUND, CheckResult.BAD, Defect.SILENT))
    async with stage.service(gathering=silent) as service:
        call = await ended(service, (await service.start(by="zhang", centres=[FIRST])).record.id)
    assert call.points[0].state is PointState.PASSED_WITH_ISSUES
    assert call.points[0].score == 80
    assert call.points[0].checks[0].defect is Defect.SILENT
    assert [step for step, _ in groupby(silent.steps)] == ["begin", "answered by 值班员", "seen", "end"]
    assert silent.steps.count("seen") > 1, "evidence and verdict rest on the same pictures"


async def test_a_replay_that_the_evidence_finds_is_never_present(stage):
    replay = Gatherer(check(CheckName.PICTURE, CheckResult.BAD, Defect.REPLAY))
    async with stage.service(gathering=replay) as service:
        call = await ended(service, (await service.start(by="zhang", centres=[FIRST])).record.id)
    assert (call.points[0].state, call.points[0].reason) == (PointState.FAILED, AbsenceReason.REPLAY)


async def test_a_number_that_is_read_in_the_picture_needs_no_person(stage):
    stage.pictures.stories[f"{FIRST}/room"] = "frozen"
    stage.answer(FIRST, told=Verdict.UNPROVEN)
    async with stage.service(gathering=Gatherer()) as service:
        call = await ended(service, (await service.start(by="zhang", centres=[FIRST])).record.id)
    assert call.points[0].state is PointState.PASSED


async def test_evidence_that_fails_changes_no_verdict(stage):
    async with stage.service(gathering=Gatherer(fail=True)) as service:
        call = await ended(service, (await service.start(by="zhang", centres=[FIRST])).record.id)
    assert call.points[0].state is PointState.PASSED


async def test_a_random_draw_is_recorded_and_can_be_repeated(stage):
    async with stage.service() as service:
        call = await service.plan(Planned("zhang", RollCallKind.RANDOM, count=2))
        call = await ended(service, call.record.id)
    draw = call.record.draw
    assert draw["pool"] == sorted(COUNTIES)
    proven = Draw(draw["seed"], tuple(draw["pool"]), draw["count"])
    assert tuple(point.centre for point in call.points) == proven.drawn
    assert draw["commitment"] == proven.commitment


async def test_a_test_call_has_no_score_and_no_make_up(stage):
    stage.ways.cut(f"{SECOND}-box")
    async with stage.service(PROFILE.model_copy(update={"presence_s": 600.0})) as service:
        call = await service.plan(Planned("zhang", RollCallKind.TEST, centres=[FIRST, SECOND]))
        call = await ended(service, call.record.id)
    assert [point.score for point in call.points] == [None, None]
    assert [point.state for point in call.points] == [PointState.PASSED, PointState.UNREACHABLE]


async def test_a_planned_call_probes_and_begins_by_itself(stage):
    stage.ways.cut(f"{SECOND}-box")
    stage.ways.offsets[f"{FIRST}-box"] = 7.0
    stage.ways.nodes[f"{FIRST}-box"].box = BoxHealth(on_battery=True, battery_ratio=0.4)
    async with stage.service() as service:
        at = stage.clock.now() + timedelta(seconds=1)
        call = await service.plan(Planned("zhang", centres=[FIRST, SECOND], at=at))
        assert call.record.state is SessionState.SCHEDULED
        call = await ended(service, call.record.id)
    # The session counts in seconds of a float, the record in whole microseconds.
    assert call.record.started_at >= at - timedelta(microseconds=2)
    first, second = (point.precheck for point in call.points)
    assert (first["ready"], second["ready"]) == (False, False)
    assert "7.0" in first["findings"][0]
    assert "40%" in first["findings"][1]
    assert f"{SECOND}-box" in second["findings"][0]
    assert call.points[0].state is PointState.PASSED, "who is not ready is called all the same"


async def test_a_retest_asks_once_more(stage):
    stage.pictures.stories[f"{FIRST}/room"] = "black"
    async with stage.service(PROFILE.model_copy(update={"presence_s": 600.0, "makeup_every_s": 500.0})) as service:
        call = await service.start(by="zhang", centres=[FIRST])
        await reached(service, call.record.id, lambda c: c.record.state is SessionState.MAKEUP)
        stage.pictures.stories[f"{FIRST}/room"] = "live"
        await reached(service, call.record.id, lambda c: c.points[0].attempts >= 1)
        await service.retest(call.record.id, FIRST, by="zhang")
        with pytest.raises(WrongMomentError):
            await service.retest(call.record.id, FIRST, by="zhang")
        call = await ended(service, call.record.id)
    assert call.points[0].state is PointState.PASSED_LATE


async def test_what_the_caller_heard_is_written_down(stage):
    async with stage.service() as service:
        call = await ended(service, (await service.start(by="zhang", centres=[FIRST])).record.id)
        await service.answered(call.record.id, FIRST, {"leader": "王", "people": 3}, by="zhang")
        point = (await service.get(call.record.id)).points[0]
    assert (point.answer["leader"], point.answer["people"], point.answer["noted_by"]) == ("王", 3, "zhang")
