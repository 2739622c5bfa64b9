"""A call under a person's hands: one after the other, held, overruled, taken over, and on after a death."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import groupby

import pytest

from gateway.rollcall.rules.draw import Draw
from gateway.rollcall.service import Planned
from gateway.rollcall.verdicts import Change
from protocols.aio.clock import new_ulid
from protocols.command import Command
from protocols.errors import NotFoundError, RefusedError, WrongMomentError
from protocols.health import BoxHealth, LinkStatus, Verdict
from protocols.rollcall import (
    POINT_RESULT,
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
from tests.support.rollcall_stage import COUNTIES, PROFILE, Gatherer, ended, reached, roll_call_stage, state_of
from tests.support.rooms import OneLink, until

FIRST, SECOND, THIRD = COUNTIES[:3]
ABOVE = "01JD8Z5W3K4M5N6P7Q8R9S0T1V"
"""A call of the tier above."""


@pytest.fixture
async def stage(tmp_path):
    async with roll_call_stage(tmp_path) as made:
        yield made


def sequential(*centres):
    return Planned("zhang", mode=Mode.SEQUENTIAL, centres=centres or COUNTIES[:3])


def stages(stage, where):
    return [c.args["centre"] for c in stage.commands.asked if c.name == "rollcall.stage" and c.args["stage"] == where]


def told_on_stage(stage):
    return [c.args for c in stage.commands.asked if c.name == "rollcall.stage" and c.args["stage"] == "on"]


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


async def test_a_restart_tells_again_who_is_heard_and_who_left_the_stage_is_not(stage):
    slow = PROFILE.model_copy(update={"observe_s": 600.0, "picture_within_s": 900.0})
    async with stage.service(slow) as service:
        call = await service.plan(sequential())
        await reached(service, call.record.id, lambda c: state_of(c, FIRST) is PointState.VERIFYING)
        await service.act(call.record.id, "next", by="zhang")
        await reached(service, call.record.id, lambda c: state_of(c, SECOND) is PointState.VERIFYING)
    stage.commands.asked.clear()  # as if the gateway had been killed before it told the first county
    async with stage.service(slow) as service:
        await until(lambda: stages(stage, "on") == [SECOND])
        await until(lambda: stages(stage, "off") == [FIRST])
        await service.act(call.record.id, "cancel", by="zhang")


async def test_a_number_that_comes_late_leaves_the_county_on_stage_heard(stage):
    stage.pictures.stories[f"{FIRST}/room"] = "frozen"
    stage.answer(FIRST, told=Verdict.UNPROVEN)
    async with stage.service(PROFILE.model_copy(update={"challenge_within_s": 30.0})) as service:
        call = await service.plan(sequential())
        await until(lambda: any(one["challenge"] for one in told_on_stage(stage)))
        await service.act(call.record.id, "cancel", by="zhang")
    assert [one["muted"] for one in told_on_stage(stage)] == [False] * len(told_on_stage(stage))


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


async def test_the_tier_above_sees_the_number_of_its_lane_and_may_confirm_it(stage):
    stage.pictures.stories[f"{FIRST}/room"] = "frozen"
    stage.answer(FIRST, told=Verdict.UNPROVEN)

    def told(confirmed=None, by="320000/li"):
        args = {"roll_call_id": ABOVE, "centre": FIRST, "confirmed": confirmed, "by": by}
        return Command(
            command_id=new_ulid(stage.clock), name="rollcall.challenge", target="320600", origin="320000",
            deadline=stage.clock.now() + timedelta(seconds=10), args=args,
        )  # fmt: skip

    def heard(name):
        results = [event.data for event in stage.commands.emitted if event.type == POINT_RESULT]
        return [one[name] for one in results if one["challenge"] is not None]

    async with stage.service(PROFILE.model_copy(update={"challenge_within_s": 30.0})) as service:
        with pytest.raises(NotFoundError):
            await service.on_challenge(told())
        relay = Planned("320000/li", RollCallKind.RELAY, centres=[FIRST], upper_id=ABOVE, upper_node="320000")
        call = await service.plan(relay)
        await until(lambda: any(heard("challenge_at")))
        await service.on_challenge(told(confirmed=True))
        call = await ended(service, call.record.id)
    (point,) = call.points
    assert (point.state, point.challenge_at, point.answer["number_by"]) == (PointState.PASSED, None, "320000/li")
    assert set(heard("challenge")) == {point.challenge}
    assert heard("challenge_at")[-1] is None, "the tier above hears that it is out no more"


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


async def test_who_has_most_rain_is_asked_first_and_the_call_tells_by_what(stage):
    @dataclass(frozen=True)
    class Gauge:
        centre: str
        value: float
        drill: bool = False
        severity: int = 3
        event_type: str = "dev.alarm"
        unit: str = "mm"

    class Rain:
        async def active(self, _reader):
            return [Gauge(SECOND, 20.0), Gauge(THIRD, 62.5), Gauge(FIRST, 99.0, drill=True)]

    three = {"centres": COUNTIES[:3], "order": "rainfall"}
    async with stage.service(signals=Rain()) as service:
        call = await service.plan(Planned("zhang", **three))
        assert [point.centre for point in call.points] == [THIRD, SECOND, FIRST]
        assert call.record.ordered == {"by": "rainfall", "mm": {SECOND: 20.0, THIRD: 62.5}}
        await ended(service, call.record.id)
        drill = await service.plan(Planned("zhang", drill=True, **three))
        assert [point.centre for point in drill.points] == [FIRST, THIRD, SECOND], "an exercise knows its own rain too"
        await ended(service, drill.record.id)


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


async def test_a_rehearsal_tries_the_media_path_in_both_directions(stage):
    both, one_way, lossy, older, mute = COUNTIES[:5]
    for code, found in {
        both: {"packets": 80, "first_ms": 120},
        one_way: {"packets": 0},
        lossy: {"packets": 90, "lost": 10, "first_ms": 90},
    }.items():
        stage.commands.on(f"{code}-box", "media.echo", partial(_answer, found))
    stage.commands.on(f"{older}-box", "media.echo", partial(_refuse, "unknown_command"))
    stage.commands.on(f"{mute}-box", "media.echo", partial(_refuse, "link"))
    async with stage.service(base_url=lambda: "https://city") as service:
        plan = Planned("zhang", RollCallKind.TEST, centres=COUNTIES[:5])
        call = await ended(service, (await service.plan(plan)).record.id)
        call = await reached(service, call.record.id, lambda c: all(p.precheck for p in c.points))
    asked = next(one for one in stage.commands.asked if one.name == "media.echo" and one.target == f"{both}-box")
    assert (asked.args["whep_url"], asked.args["token"]) == (f"https://city/whep/{both}/room", f"for {both}-box")
    found = {point.centre: point.precheck for point in call.points}
    assert (found[both]["ready"], found[both]["two_way"]) == (True, {"packets": 80, "lost": 0, "first_ms": 120})
    assert (found[older]["ready"], found[older]["two_way"]) == (True, None), "an older box is not called unfit"
    assert {code: found[code]["findings"] for code in (one_way, lossy)} == {
        one_way: ["双向媒体不通：县端收不到网关送回的画面，没有收到任何 RTP 包"],
        lossy: ["双向媒体丢包 10.0%"],
    }
    assert not any(found[code]["ready"] for code in (one_way, lossy, mute))
    assert {point.state for point in call.points} == {PointState.PASSED}, "who is not ready is called all the same"


async def _answer(result, _command):
    return result


async def _refuse(code, _command):
    raise RefusedError("no", code)


async def test_a_county_behind_its_own_gateway_is_tried_by_that_one(stage):
    stage.ways.nodes[FIRST] = OneLink(FIRST)
    stage.commands.on(FIRST, "rollcall.probe", partial(_answer, {"packets": 5, "first_ms": 9}))
    async with stage.service(base_url=lambda: "https://city") as service:
        assert (await service.side.echo(f"{FIRST}/room")).packets == 5
        with pytest.raises(NotFoundError):
            await service.side.echo(f"{FIRST}/nowhere")
    assert stage.commands.count("media.echo") == 0


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
