"""Timers of other rooms: in one transaction with what they do, once, found again after a restart."""

from datetime import timedelta

import pytest

from gateway.escalation.errands import Errands
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
