"""Chains on a real store: what was promised to people survives whatever happens, and ends with an acknowledgement."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from gateway.escalation.chains import Chain, Contact, Ladder, Step, Target
from gateway.escalation.tables import notices, timers
from gateway.ports.notify import Channel, NotSentError
from protocols.aio.clock import ManualClock
from protocols.alarm import RAISED
from protocols.errors import NotFoundError, WrongMomentError
from protocols.escalation import ESCALATED, REOPENED
from tests.support.escalation_stage import Stage, escalation_stage

SMS = (Channel.SMS,)
DUTY = Contact(name="值班员张", role="duty_officer", phone="13800000001")
LEADER = Contact(name="带班李", role="leader", phone="13800000002", email="li@example.org")


def ladder(**more: Any) -> Ladder:
    steps = (
        Step(after_s=0, targets=(Target(role="duty_officer", channels=SMS),)),
        Step(after_s=60, targets=(Target(role="leader", channels=SMS),)),
        Step(after_s=300, upward=True),
    )
    return Ladder(steps=steps, **more)


PLAIN = Chain(
    contacts=(DUTY, LEADER),
    own={1: ladder(reopen_after_s=600), 2: ladder()},
    handed={1: ladder(silent_after_s=360)},
)


async def states(stage: Stage) -> list[str]:
    async with stage.store.reading() as reader:
        return [row.state for row in await reader.execute(select(notices).order_by(notices.c.id))]


async def whats(stage: Stage, alarm: str) -> list[str]:
    return [line["what"] for line in (await stage.room.course(alarm))["lines"]]


async def test_an_alarm_that_nobody_takes_climbs_and_goes_up_in_its_time(tmp_path: Path) -> None:
    async with escalation_stage(tmp_path) as stage:
        await stage.room.set_chain(PLAIN, by="王")
        alarm = await stage.raise_()
        await stage.settle()
        assert stage.sent() == [("值班员张", "step")]
        coming = (await stage.room.course(alarm))["coming"]
        assert [(one["upward"], [p["person"] for p in one["people"]]) for one in coming] == [
            (False, ["带班李"]),
            (True, []),
        ]
        await stage.pass_(59)
        assert len(stage.sent()) == 1
        await stage.pass_(1)
        assert stage.sent()[1:] == [("带班李", "step")]
        await stage.pass_(240)
        (handed,) = stage.local.owed
        assert (handed.type, handed.data["to"], handed.data["by"]) == (ESCALATED, "320600", "chain")
        assert (await stage.alarms.get(alarm))["escalated"]["to"] == "320600"
        assert await stage.room.audit() == 0
        assert "未签收" in stage.channels[Channel.SMS].got[0].text


async def test_an_acknowledgement_withdraws_what_waits_and_its_time_out_begins_anew(tmp_path: Path) -> None:
    async with escalation_stage(tmp_path) as stage:
        await stage.room.set_chain(PLAIN, by="王")
        alarm = await stage.raise_()
        await stage.alarms.acknowledge(alarm, by="张")
        await stage.pass_(599)
        assert stage.sent() == []
        assert await states(stage) == ["cancelled"]
        await stage.pass_(1)
        assert [event.type for event in stage.local.owed][1:] == [REOPENED]
        assert (await stage.alarms.get(alarm))["acknowledged"] is None
        assert stage.sent() == [("值班员张", "step")]
        assert await whats(stage, alarm) == ["acknowledged", "time_out", "reopened"]
        await stage.alarms.acknowledge(alarm, by="李")
        assert await stage.room.audit() == 0


async def test_a_clear_tells_those_who_were_called_that_it_is_over(tmp_path: Path) -> None:
    async with escalation_stage(tmp_path) as stage:
        await stage.room.set_chain(PLAIN, by="王")
        await stage.raise_(drill=True)
        await stage.settle()
        await stage.clear(drill=True)
        await stage.pass_(3600)
        assert stage.sent() == [("值班员张", "step"), ("值班员张", "cleared")]
        assert all(one.text.startswith("【演练】") for one in stage.channels[Channel.SMS].got)


async def test_deadlines_that_passed_while_the_gateway_was_down_are_met_after_its_start_once(tmp_path: Path) -> None:
    clock = ManualClock()
    async with escalation_stage(tmp_path, clock=clock) as stage:
        await stage.room.set_chain(PLAIN, by="王")
        alarm = await stage.raise_()
        await stage.settle()
    await clock.advance(400)
    async with escalation_stage(tmp_path, clock=clock) as stage:
        assert await stage.room.audit() == 1
        await stage.settle()
        assert stage.sent() == [("带班李", "step")]
        assert [event.type for event in stage.local.owed] == [ESCALATED]
        assert stage.room.version == 1
        await stage.pass_(86_400)
        assert len(stage.sent()) == 1
        assert await stage.room.audit() == 0
        assert (await stage.room.course(alarm))["phase"] == "spent"


async def test_mild_alarms_of_one_kind_share_messages_and_red_ones_never_wait(tmp_path: Path) -> None:
    async with escalation_stage(tmp_path) as stage:
        await stage.room.set_chain(PLAIN, by="王")
        for number in range(50):
            await stage.raise_(key=f"orange-{number}", severity=2)
            await stage.settle()
        assert len(stage.sent()) == 1
        for number in range(20):
            await stage.raise_(key=f"red-{number}", severity=1)
        await stage.settle()
        assert len(stage.sent()) == 21
        # The leader's first message speaks of all fifty, and the officer's second of the forty-nine others.
        await stage.pass_(60)
        orange = [one for one in stage.channels[Channel.SMS].got[21:] if one.severity == 2]
        assert [one.data["person"] for one in orange] == ["值班员张", "带班李"]
        assert [len(one.data["alarms"]) for one in orange] == [49, 50]
        assert "另有49条" in orange[1].text


async def test_a_message_is_tried_again_with_pauses_and_fails_by_name(tmp_path: Path) -> None:
    async with escalation_stage(tmp_path) as stage:
        await stage.room.set_chain(PLAIN, by="王")
        stage.channels[Channel.SMS].fails = [NotSentError("busy") for _ in range(2)]
        alarm = await stage.raise_()
        await stage.settle()
        for pause in (5, 15):
            assert stage.sent() == []
            await stage.pass_(pause)
        assert stage.sent() == [("值班员张", "step")]
        stage.channels[Channel.SMS].fails = [NotSentError("550 no such user", retry=False)]
        await stage.pass_(60)
        told = (await stage.room.course(alarm))["notices"]
        assert [(one["state"], one["attempts"], one["reason"]) for one in told] == [
            ("accepted", 3, ""),
            ("failed", 1, "550 no such user"),
        ]


async def test_a_message_without_an_address_has_failed_at_once_and_the_chain_goes_on(tmp_path: Path) -> None:
    async with escalation_stage(tmp_path) as stage:
        alarm = await stage.raise_()
        await stage.pass_(300)
        told = (await stage.room.course(alarm))["notices"]
        assert {one["reason"] for one in told if one["channel"] == "sms"} == {"no_address"}
        assert [event.type for event in stage.local.owed] == [ESCALATED]


async def test_a_person_is_assigned_and_told_and_an_alarm_goes_up_by_hand(tmp_path: Path) -> None:
    async with escalation_stage(tmp_path) as stage:
        await stage.room.set_chain(PLAIN, by="王")
        alarm = await stage.raise_()
        await stage.room.assign(alarm, LEADER, SMS, by="张")
        await stage.room.escalate(alarm, by="张", why="有人员被困")
        await stage.settle()
        assert ("带班李", "assigned") in stage.sent()
        assert stage.local.owed[0].data["why"] == "有人员被困"
        await stage.alarms.acknowledge(alarm, by="李")
        with pytest.raises(WrongMomentError):
            await stage.room.escalate(alarm, by="张", why="再报")
        with pytest.raises(NotFoundError):
            await stage.room.assign("01JDDDDDDDDDDDDDDDDDDDDDDD", LEADER, SMS, by="张")


async def test_at_the_top_escalating_by_hand_takes_the_next_step(tmp_path: Path) -> None:
    async with escalation_stage(tmp_path, has_upper=False) as stage:
        await stage.room.set_chain(PLAIN, by="王")
        alarm = await stage.raise_()
        await stage.room.escalate(alarm, by="张", why="等不及")
        await stage.settle()
        assert {person for person, _ in stage.sent()} == {"值班员张", "带班李"}
        blue = await stage.raise_(key="x", severity=4)
        with pytest.raises(WrongMomentError):
            await stage.room.escalate(blue, by="张", why="x")


async def test_the_city_waits_for_the_county_or_for_its_silence(tmp_path: Path) -> None:
    async with escalation_stage(tmp_path, here="320600", below=("320623",)) as stage:
        await stage.room.set_chain(PLAIN, by="王")
        alarm = await stage.raise_()
        await stage.pass_(300)
        assert stage.sent() == []
        assert (await stage.room.course(alarm))["phase"] == "watching"
        await stage.pass_(60)
        assert stage.sent() == [("值班员张", "step")]
        assert await whats(stage, alarm) == ["below_silent"]
        # An agent without a gateway of its own is this gateway's own care.
        await stage.raise_(source="320612-box")
        await stage.settle()
        assert len(stage.sent()) == 2


async def test_the_auditor_counts_timers_that_are_gone_and_messages_without_one(tmp_path: Path) -> None:
    async with escalation_stage(tmp_path) as stage:
        await stage.room.set_chain(PLAIN, by="王")
        await stage.raise_()
        assert await stage.room.audit() == 0
        async with stage.store.unit() as uow:
            await uow.execute(delete(timers))
        assert await stage.room.audit() == 2


async def test_a_message_that_died_on_its_way_is_sent_after_its_lease(tmp_path: Path) -> None:
    clock = ManualClock()
    async with escalation_stage(tmp_path, clock=clock) as stage:
        await stage.room.set_chain(PLAIN, by="王")
        await stage.raise_()
        async with stage.store.unit() as uow:
            leased = update(timers).where(timers.c.kind == "notice").values(leased_until=uow.now)
            await uow.execute(leased)
    await clock.advance(1)
    async with escalation_stage(tmp_path, clock=clock) as stage:
        await stage.settle()
        assert stage.sent() == [("值班员张", "step")]


async def test_versions_of_the_chain_stay_readable(tmp_path: Path) -> None:
    async with escalation_stage(tmp_path) as stage:
        assert (stage.room.version, stage.room.chain.own[1].repeats) == (0, 2)
        await stage.room.set_chain(PLAIN, by="王")
        assert await stage.room.set_chain(Chain(), by="李") == 2
        assert [(one["version"], one["by"]) for one in await stage.room.versions()] == [(2, "李"), (1, "王")]


async def test_nobodys_newer_chain_is_replaced_unseen(tmp_path: Path) -> None:
    async with escalation_stage(tmp_path) as stage:
        assert await stage.room.set_chain(PLAIN, by="王", base=0) == 1
        with pytest.raises(WrongMomentError, match="version 1 by now, not 0"):
            await stage.room.set_chain(Chain(), by="李", base=0)
        assert (stage.room.version, stage.room.chain) == (1, PLAIN)
        assert await stage.room.set_chain(Chain(), by="李", base=1) == 2


async def test_a_storm_of_messages_learns_its_places_in_one_unit_of_work(tmp_path: Path) -> None:
    once = Ladder(steps=(Step(after_s=0, targets=(Target(role="duty_officer", channels=SMS),)),))
    async with escalation_stage(tmp_path) as stage:
        await stage.room.set_chain(Chain(contacts=(DUTY,), own={2: once}), by="王")
        for number in range(150):  # of different kinds: none is bundled with another
            await stage.raise_(key=f"k{number}", severity=2, event_type=f"k{number}")
        units, unit = 0, stage.store.unit

        def counted() -> Any:
            nonlocal units
            units += 1
            return unit()

        stage.store.unit = counted
        assert await stage.room.deliver_due() == 20
        assert units == 21, "one for all that are due, one for the receipt of each"
        await stage.settle()
        assert len(stage.sent()) == 60, "what the channel takes in a minute"
        before, units = units, 0
        await stage.pass_(30)
        assert (units, len(stage.sent())) == (0, 60), f"each waits for its own place ({before} units so far)"
        await stage.pass_(30)
        assert len(stage.sent()) == 120
        await stage.pass_(60)
        assert len(stage.sent()) == 150
        told = [alarm for notice in stage.channels[Channel.SMS].got for alarm in notice.data["alarms"]]
        assert len(told) == len(set(told)) == 150


async def test_a_storm_in_one_unit_of_work_costs_few_statements(tmp_path: Path) -> None:
    async with escalation_stage(tmp_path) as stage:
        await stage.room.set_chain(PLAIN, by="王")
        counts = []
        for size in (10, 200):
            await stage.raise_(key=f"first-{size}", severity=2)
            async with stage.store.unit() as uow:
                said, execute = 0, uow.execute

                async def counted(*args: Any) -> Any:
                    nonlocal said
                    said += 1
                    return await execute(*args)  # noqa: B023 - used within this turn

                uow.execute = counted  # type: ignore[method-assign]  # counts statements
                events = [stage.event(RAISED, key=f"{size}-{n}", severity=2) for n in range(size)]
                await stage.alarms.apply(uow, [stage.arrival(one) for one in events])
            counts.append(said)
        assert counts[0] == counts[1]


async def test_mild_alarms_that_end_together_are_told_together(tmp_path: Path) -> None:
    async with escalation_stage(tmp_path) as stage:
        await stage.room.set_chain(PLAIN, by="王")
        for key in ("a", "b", "c"):
            await stage.raise_(key=key, severity=2)
        await stage.settle()
        assert stage.sent() == [("值班员张", "step")]
        for key in ("a", "b", "c"):
            await stage.clear(key=key, severity=2)
        await stage.settle()
        assert stage.sent() == [("值班员张", "step"), ("值班员张", "cleared")]
        assert len(stage.channels[Channel.SMS].got[-1].data["alarms"]) == 3


async def test_a_red_message_never_stands_behind_mild_ones(tmp_path: Path) -> None:
    async with escalation_stage(tmp_path) as stage:
        await stage.room.set_chain(PLAIN, by="王")
        for number in range(90):  # more than the channel may take in a minute, each a group of its own
            await stage.raise_(key=f"mild-{number}", severity=2, event_type=f"kind-{number}")
        await stage.raise_(key="red", severity=1)
        await stage.room.deliver_due()
        assert next(notice.severity for notice in stage.channels[Channel.SMS].got) == 1


async def test_a_step_of_the_clock_neither_shortens_nor_lengthens_a_deadline(tmp_path: Path) -> None:
    for step in (7200.0, -7200.0):
        async with escalation_stage(tmp_path / str(step)) as stage:
            await stage.room.set_chain(PLAIN, by="王")
            await stage.raise_()
            await stage.settle()
            await stage.pass_(30)
            stage.clock.step(step)
            await stage.settle()
            await stage.pass_(29)
            assert len(stage.sent()) == 1
            await stage.pass_(1)
            assert stage.sent() == [("值班员张", "step"), ("带班李", "step")]
            assert await stage.room.audit() == 0


async def test_what_comes_between_a_step_and_the_next_look_keeps_its_deadline_too(tmp_path: Path) -> None:
    for step in (7200.0, -7200.0):
        async with escalation_stage(tmp_path / str(step)) as stage:
            await stage.room.set_chain(PLAIN, by="王")
            await stage.raise_(key="before")
            stage.clock.step(step)
            late = await stage.raise_(key="after")
            await stage.settle()
            (second, *_) = (await stage.room.course(late))["coming"]
            assert (second["at"] - stage.clock.now()).total_seconds() == 60
            await stage.pass_(59)
            assert {person for person, _ in stage.sent()} == {"值班员张"}
            await stage.pass_(1)
            assert stage.sent().count(("带班李", "step")) == 2


async def test_a_unit_that_began_before_the_step_is_moved_with_the_others(tmp_path: Path) -> None:
    async with escalation_stage(tmp_path) as stage:
        await stage.room.set_chain(PLAIN, by="王")
        async with stage.store.unit() as uow:
            event = stage.event(RAISED, key="astride")
            stage.clock.step(7200)
            await stage.alarms.apply(uow, [stage.arrival(event)])
        await stage.settle()
        (second, *_) = (await stage.room.course(event.id))["coming"]
        assert (second["at"] - stage.clock.now()).total_seconds() == 60


async def test_a_step_while_the_gateway_was_down_is_noticed_at_its_start(tmp_path: Path) -> None:
    clock = ManualClock()
    async with escalation_stage(tmp_path, clock=clock) as stage:
        await stage.room.set_chain(PLAIN, by="王")
        alarm = await stage.raise_()
        await stage.settle()
    await clock.advance(20)
    clock.step(-86_400)
    async with escalation_stage(tmp_path, clock=clock) as stage:
        (second, *_) = (await stage.room.course(alarm))["coming"]
        assert (second["at"] - clock.now()).total_seconds() == 40
        await stage.pass_(39)
        assert stage.sent() == []
        await stage.pass_(1)
        assert stage.sent() == [("带班李", "step")]
