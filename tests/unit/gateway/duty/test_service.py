"""The roster on a real store: versions, the record that travels up, empty shifts as alarms."""

from datetime import timedelta

import pytest

from gateway.duty.service import DutyService
from protocols.duty import DUTY_CURRENT
from protocols.envelope import EventFactory
from protocols.errors import BadInputError, NotAllowedError, WrongMomentError
from tests.support.chain import until
from tests.support.duty_stage import DAY, NINE, Arrived, duty_stage


@pytest.fixture
async def stage(tmp_path):
    async with duty_stage(tmp_path) as made:
        yield made


async def test_without_a_plan_nothing_is_told(stage):
    await stage.room.look()
    assert (stage.around.alarms, stage.around.emitted) == ([], [])


async def test_an_empty_shift_is_an_alarm_once_also_after_a_restart_and_ends_when_filled(stage):
    await stage.staff()
    for _ in range(3):
        await stage.room.look()
    again = DutyService(stage.room.needs)
    stage.around.room = again
    async with again:
        await again.look()
        ((type_, data),) = stage.around.alarms
        assert (type_, data.event_type, data.alarm_key) == ("raised", "staff.gap", "duty/2026-11-24/全天")
        assert "带班领导 1 人、值班员 2 人" in data.headline
        await again.save(DAY, stage.full(), 0, by="admin")
        await again.look()
        await again.look()
    assert [type_ for type_, _ in stage.around.alarms] == ["raised", "cleared"]


async def test_the_watch_tells_the_next_shift_two_hours_before(stage):
    await stage.staff()
    await stage.room.save(DAY, stage.full(), 0, by="admin")
    async with stage.room:
        await until(lambda: stage.around.emitted)
        await stage.clock.advance((NINE + timedelta(hours=21, minutes=29) - stage.clock.now()).total_seconds())
        await stage.room.look()
        assert stage.around.alarms == []
        await stage.clock.advance(61)
        await until(lambda: stage.around.alarms)


async def test_each_change_is_a_version_that_names_the_one_before(stage):
    await stage.staff()
    one = await stage.room.save(DAY, stage.full(), 0, by="admin")
    two = await stage.room.save(DAY, {}, 1, by="admin", note="undo")
    assert (one.version, two.version, two.previous) == (1, 2, one.hash)
    with pytest.raises(WrongMomentError):
        await stage.room.save(DAY, stage.full(), 1, by="other")
    kept = await stage.room.versions(DAY)
    assert [(row["version"], row["hash"]) for row in kept] == [(2, two.hash), (1, one.hash)]


async def test_past_rosters_keep_the_name_of_their_day(stage):
    await stage.staff()
    made = await stage.room.save(DAY, stage.full(), 0, by="admin")
    li = stage.people["李局"]
    await stage.room.put_person(li, {**li.model_dump(), "name": "李书记"})
    (day,), _ = await stage.room.days(DAY, DAY)
    assert (day.shifts[0].seats[0].name, day.hash) == ("李局", made.hash)


async def test_what_is_not_there_is_refused_by_name(stage):
    await stage.staff()
    with pytest.raises(BadInputError, match="夜班"):
        await stage.room.save(DAY, {"夜班": []}, 0, by="admin")
    with pytest.raises(BadInputError, match="nobody"):
        await stage.room.save(DAY, {"全天": [("nobody", "officer")]}, 0, by="admin")


async def test_the_record_travels_once_per_change_and_the_roll_call_reads_it(stage):
    await stage.staff()
    made = await stage.room.save(DAY, stage.full(), 0, by="admin")
    await stage.room.look()
    await stage.room.look()
    assert [event.type for event in stage.around.emitted] == [DUTY_CURRENT]
    frozen = await stage.room.freeze(["320623", "320681"], stage.clock.now())
    assert list(frozen) == ["320623"]
    (shift,) = frozen["320623"]
    assert (shift.version, shift.hash, shift.people[0].name) == (1, made.hash, "李局")


async def test_the_newest_record_of_a_county_wins_and_nobody_speaks_for_another(stage):
    factory = EventFactory("320681", 5)

    def event(**shift):
        data = {"centre": "320681", "shifts": []} | shift
        return factory.mint(DUTY_CURRENT, data, now=stage.clock.now(), ulid="0" * 26)

    old, new = event(), event(mark="new")
    for one in (new, old):
        async with stage.room.needs.store.unit() as uow:
            await stage.room.apply(uow, [Arrived(one)])
    assert stage.room.record("320681").model_extra == {"mark": "new"}
    with pytest.raises(NotAllowedError):
        stage.room.check(event(centre="320682"))
