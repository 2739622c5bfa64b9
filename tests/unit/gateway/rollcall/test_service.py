"""A whole roll call on a real store: seven counties, each with its own story."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import update

from gateway.rollcall.tables import POINTS, ROLL_CALLS
from protocols.errors import BadInputError, NotFoundError, WrongMomentError
from protocols.health import LinkStatus, Verdict
from protocols.rollcall import AbsenceReason, PointState, SessionState
from tests.support.rollcall_stage import BUSY_S, PROFILE, SWAMPED_S, ended, roll_call_stage
from tests.support.rooms import until


@pytest.fixture
async def stage(tmp_path):
    async with roll_call_stage(tmp_path) as made:
        yield made


async def test_seven_counties_each_with_its_own_truth(stage):
    stage.pictures.stories.update({"320681/room": "frozen", "320612/room": "black", "320613/room": "dark"})
    stage.answer("320681", told=Verdict.FROZEN)
    stage.ways.cut("320685-box")
    del stage.commands.handlers["320682-box", "rollcall.ring"]
    async with stage.service() as service:
        call = await ended(service, (await service.start(by="zhang")).record.id)
        found = {point.centre: point.reason for point in call.points}
        assert found == {
            "320612": AbsenceReason.BLACK,
            "320613": AbsenceReason.NO_PICTURE,
            "320614": None,
            "320623": None,
            "320681": AbsenceReason.FROZEN,
            "320682": AbsenceReason.NO_ANSWER,
            "320685": AbsenceReason.NO_LINK,
        }
        assert (call.due, call.present, call.absent) == (7, 2, 5)
        assert call.record.state is SessionState.REVIEWING
        points = {point.centre: point for point in call.points}
        assert stage.commands.count("rollcall.ring", "320682-box") == 2
        assert stage.commands.count("rollcall.ring", "320685-box") == 0
        assert points["320685"].link == "no_heartbeat"
        assert "320685-box" in points["320685"].note
        assert "refused" in points["320613"].note
        present = points["320623"]
        assert present.state is PointState.PASSED
        assert present.frame_age_ms == 40
        assert present.first_frame_s is not None
        assert present.answered_by == "值班员"
        assert await service.still(call.record.id, "320623") == stage.blobs.kept[present.still]
        with pytest.raises(NotFoundError):
            await service.still(call.record.id, "320685")
        assert not any(stage.pictures.held.values()), "no stream is held after the roll call"
        assert "320685/room" not in stage.pictures.ever, "a cut county is not asked for its picture"
        assert set(stage.changes) == {call.record.id}


async def test_a_busy_decoder_is_not_held_against_a_county(stage):
    stage.pictures.stories["320623/room"] = "busy"
    patient = PROFILE.model_copy(update={"picture_within_s": 20.0, "observe_s": 5.0})
    async with stage.service(patient) as service:
        call = await ended(service, (await service.start(by="zhang", centres=["320623"])).record.id)
    (point,) = call.points
    assert point.answered_at is not None
    seen = (stage.pictures.there["320623/room"] - point.answered_at).total_seconds()
    assert point.first_frame_s is not None
    assert point.first_frame_s < seen + BUSY_S / 2


async def test_pictures_that_wait_for_the_decoder_longer_than_a_county_has_time_cost_it_nothing(stage):
    stage.pictures.stories["320623/room"] = "swamped"
    assert PROFILE.picture_within_s < SWAMPED_S
    assert 2 * PROFILE.observe_s + PROFILE.look_every_s < SWAMPED_S
    async with stage.service() as service:
        call = await ended(service, (await service.start(by="zhang", centres=["320623"])).record.id)
    (point,) = call.points
    assert (point.state, point.reason) == (PointState.PASSED, None)


async def test_a_restart_goes_on_and_asks_nobody_twice_who_has_a_verdict(stage):
    stage.ways.cut("320685-box")
    stage.pictures.stories["320681/room"] = "dark"
    slow = PROFILE.model_copy(update={"picture_within_s": 30.0})
    async with stage.service(slow) as service:
        started = await service.start(by="zhang")

        async def settled() -> int:
            return sum(point.settled for point in (await service.get(started.record.id)).points)

        async with asyncio.timeout(20):
            while await settled() < 5:
                await asyncio.sleep(0.02)
    before = stage.commands.count("rollcall.ring")
    stage.pictures.stories["320681/room"] = "live"
    async with stage.service() as service:
        call = await ended(service, started.record.id)
    assert call.present == 6
    assert {p.centre: p.reason for p in call.points if p.reason} == {"320685": AbsenceReason.NO_LINK}
    assert stage.commands.count("rollcall.ring") == before, "whoever had answered is not rung again"
    assert not any(stage.pictures.held.values())


async def test_a_ring_that_a_restart_broke_off_rings_for_what_is_left_of_its_time(stage):
    answers = stage.commands.handlers.pop(("320623-box", "rollcall.ring"))
    patient = PROFILE.model_copy(update={"answer_within_s": 20.0})

    def rings():
        return [one for one in stage.commands.asked if one.name == "rollcall.ring"]

    async with stage.service(patient) as service:
        started = await service.start(by="zhang", centres=["320623"])
        await until(rings)
    await stage.clock.sleep(1.0)
    async with stage.service(patient) as service:
        await until(lambda: len(rings()) == 2)
        first, again = rings()
        assert again.deadline <= first.deadline
        assert (first.args["attempt"], again.args["attempt"]) == (1, 1)
    async with stage.store.unit() as uow:
        await uow.execute(update(POINTS).values(ring_at=stage.clock.now() - timedelta(minutes=1)))
    stage.commands.handlers["320623-box", "rollcall.ring"] = answers
    async with stage.service(patient) as service:
        call = await ended(service, started.record.id)
    assert call.points[0].state is PointState.PASSED, "who answered while the gateway was away is heard"
    assert call.points[0].attempts == 1


async def test_a_line_cut_while_verifying_is_no_link(stage):
    stage.pictures.stories["320614/room"] = "dark"
    async with stage.service() as service:
        started = await service.start(by="zhang", centres=["320614"])
        await until(lambda: "320614/room" in stage.pictures.ever)
        stage.ways.cut("320614-box")
        call = await ended(service, started.record.id)
    assert call.points[0].reason is AbsenceReason.NO_LINK


async def test_a_broken_tier_in_between_is_said_to_be_ours(stage):
    stage.ways.here = "320000"
    stage.ways.nodes["320600"] = type(stage.ways.nodes["320685-box"])("320600")
    stage.ways.cut("320600")
    async with stage.service() as service:
        call = await ended(service, (await service.start(by="zhang", centres=["320623"])).record.id)
    point = call.points[0]
    assert point.reason is AbsenceReason.NO_LINK
    assert "320600" in point.note
    assert "不归因于县级" in point.note


async def test_an_owner_who_says_frozen_is_asked_once_more(stage):
    stage.answer("320612", told=Verdict.FROZEN)
    async with stage.service() as service:
        call = await ended(service, (await service.start(by="zhang", centres=["320612"])).record.id)
    assert call.points[0].reason is AbsenceReason.FROZEN
    assert stage.commands.count("rollcall.ring") == 2


async def test_never_seen_and_without_camera_are_named(stage):
    stage.ways.all_cameras = [c for c in stage.ways.all_cameras if c.centre not in {"320612", "320613"}]
    stage.ways.nodes["320612-box"].status = LinkStatus.NEVER
    async with stage.service() as service:
        call = await ended(service, (await service.start(by="zhang", centres=["320612", "320613"])).record.id)
    never, blind = call.points
    assert (never.reason, never.link) == (AbsenceReason.NO_LINK, "never")
    assert (blind.reason, blind.link) == (AbsenceReason.NO_PICTURE, "up")


async def test_one_county_is_in_one_roll_call_at_a_time(stage):
    async with stage.service() as service:
        first = await service.start(by="zhang")
        with pytest.raises(WrongMomentError):
            await service.start(by="li", centres=["320623"])
        await ended(service, first.record.id)
        again = await service.start(by="li", centres=["320623"])
        await ended(service, again.record.id)
        assert [call.record.id for call in await service.page()] == [again.record.id, first.record.id]


@pytest.mark.parametrize(("centres", "error"), [(["999999"], NotFoundError), ([], BadInputError)])
async def test_nonsense_is_refused(stage, centres, error):
    async with stage.service() as service:
        with pytest.raises(error):
            await service.start(by="zhang", centres=centres)


async def test_a_roll_call_that_lay_too_long_is_closed_and_nobody_is_rung_late(stage):
    stage.pictures.stories["320681/room"] = "dark"
    slow = PROFILE.model_copy(update={"picture_within_s": 30.0})
    async with stage.service(slow) as service:
        started = await service.start(by="zhang", centres=["320681"])
        async with asyncio.timeout(30):
            while (await service.get(started.record.id)).points[0].answered_at is None:
                await asyncio.sleep(0.02)
    rung = stage.commands.count("rollcall.ring")
    async with stage.store.unit() as uow:
        long_ago = uow.now - timedelta(minutes=20)
        await uow.execute(update(ROLL_CALLS).values(started_at=long_ago))
        await uow.execute(update(POINTS).values(rung_at=long_ago, answered_at=long_ago))
    async with stage.service() as service:
        call = await ended(service, started.record.id)
    assert call.points[0].reason is AbsenceReason.NO_PICTURE
    assert "重启" in call.points[0].note
    assert stage.commands.count("rollcall.ring") == rung
