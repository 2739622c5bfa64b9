"""Timers of other rooms: in one transaction with what they do, once, found again after a restart."""

from datetime import timedelta

import pytest

from gateway.escalation.errands import Errands
from gateway.escalation.timers import LOOK_S, Timer, Watch, arm, lease
from tests.support.escalation_stage import escalation_stage

KEY = "01JB0000000000000000000000"


async def test_an_errand_is_done_once_at_its_time_also_after_a_restart(tmp_path):
    done = []

    async def do(uow, key):
        done.append((key, uow.now))

    async with escalation_stage(tmp_path) as stage:
        errands = Errands(stage.store, stage.clock)
        errands.on("call", do)
        async with stage.store.unit() as uow:
            await errands.set(uow, "call", KEY, uow.now + timedelta(seconds=300))
        await stage.clock.advance(299)
        assert await errands.act_due() == 0
    async with escalation_stage(tmp_path, clock=stage.clock) as again:
        errands = Errands(again.store, again.clock)
        errands.on("call", do)
        await again.clock.advance(1)
        assert await errands.act_due() == 1
        assert await errands.act_due() == 0
    assert [key for key, _ in done] == [KEY]


async def test_an_errand_that_fails_stays_due_changes_nothing_and_is_counted(tmp_path):
    async def fail(uow, key):
        await errands.set(uow, "other", key, uow.now)
        raise RuntimeError("no")

    async with escalation_stage(tmp_path) as stage:
        errands = Errands(stage.store, stage.clock)
        errands.on("call", fail)
        async with stage.store.unit() as uow:
            await errands.set(uow, "call", KEY, uow.now)
        assert await errands.act_due() == 1
        await stage.clock.advance(6)
        assert await stage.room.audit() == 1


async def test_one_that_fails_does_not_hold_up_the_others(tmp_path):
    done = []

    async def do(_uow, key):
        if key.endswith("3"):
            raise RuntimeError("no")
        done.append(key)

    async with escalation_stage(tmp_path) as stage:
        errands = Errands(stage.store, stage.clock)
        errands.on("call", do)
        async with stage.store.unit() as uow:
            for number in range(6):
                await errands.set(uow, "call", f"{KEY[:-1]}{number}", uow.now)
        assert await errands.act_due() == 6
        assert await errands.act_due() == 1
    assert {key[-1] for key in done} == set("01245")


async def test_what_is_dropped_does_not_ring_and_a_kind_belongs_to_one_room(tmp_path):
    async def never(_uow, _key):
        raise AssertionError("dropped")

    async with escalation_stage(tmp_path) as stage:
        errands = Errands(stage.store, stage.clock)
        errands.on("call", never)
        with pytest.raises(AssertionError, match="two rooms"):
            errands.on("call", never)
        async with stage.store.unit() as uow:
            await errands.set(uow, "call", KEY, uow.now)
            await errands.drop(uow, "call", [KEY])
        assert await errands.act_due() == 0


async def test_those_who_look_together_read_once_and_no_leased_timer_is_due(tmp_path):
    async with escalation_stage(tmp_path) as stage:
        readings, reading = [], stage.store.reading

        def counted():
            readings.append(stage.clock.now())
            return reading()

        stage.store.reading = counted
        watch = Watch(stage.store, stage.clock)
        assert not await watch.due("call")
        async with stage.store.unit() as uow:
            await arm(uow, "call", KEY, uow.now)
            await arm(uow, "order", KEY, uow.now + timedelta(seconds=60))
        assert not await watch.due("call", "order"), "what was read is good for a quarter of a second"
        assert len(readings) == 1
        await stage.clock.advance(LOOK_S)
        assert await watch.due("call", "order")
        assert not await watch.due("order")
        assert len(readings) == 2
        async with stage.store.unit() as uow:
            assert await lease(uow, Timer("call", KEY, readings[0]), uow.now + timedelta(seconds=30))
        await stage.clock.advance(LOOK_S)
        assert not await watch.due("call", "order")
        await stage.clock.advance(60)
        assert await watch.due("call")
        assert await watch.due("order")
