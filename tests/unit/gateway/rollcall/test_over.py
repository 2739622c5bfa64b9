"""A county hears that a roll call is over for it, with the verdict in one unit of work, so that no kill and no cut
keeps it from that."""

import asyncio

import pytest

from protocols.command import CommandName
from protocols.errors import LinkError
from protocols.rollcall import PointState
from tests.support.rollcall_stage import PROFILE, ended, reached, roll_call_stage, state_of

FIRST, SECOND = "320612", "320613"


@pytest.fixture
async def stage(tmp_path):
    async with roll_call_stage(tmp_path) as made:
        yield made


def told(stage) -> dict[str, list[str]]:
    """Return what each county is owed of ends."""
    found: dict[str, list[str]] = {}
    for target, name, args in stage.commands.owed:
        if name == CommandName.ROLLCALL_STAGE and args.stage == "over":
            found.setdefault(target, []).append(args.state)
    return found


def ring_in_vain(stage, *counties: str) -> None:
    async def wait(_command):
        await asyncio.Event().wait()

    for county in counties:
        stage.commands.on(f"{county}-box", "rollcall.ring", wait)


async def test_each_verdict_is_owed_once_to_who_was_rung(stage):
    ring_in_vain(stage, FIRST)
    stage.ways.cut(f"{SECOND}-box")
    async with stage.service() as service:
        call = await ended(service, (await service.start(by="zhang")).record.id)
    words = told(stage)
    rung = {f"{point.centre}-box": [point.state.value] for point in call.points if point.rung_at is not None}
    assert words == rung
    assert words[f"{FIRST}-box"] == ["absent"]


async def test_a_county_that_no_way_leads_to_costs_no_verdict(stage):
    async def nowhere(*_, **__):
        raise LinkError("no way leads there")

    stage.commands.owe_command = nowhere
    async with stage.service() as service:
        call = await ended(service, (await service.start(by="zhang")).record.id)
    assert {point.state for point in call.points} == {PointState.PASSED}


async def test_a_call_that_is_cancelled_stops_ringing_and_lets_go_of_who_answered(stage):
    ring_in_vain(stage, FIRST)
    async with stage.service(PROFILE.model_copy(update={"observe_s": 20.0, "answer_within_s": 20.0})) as service:
        id_ = (await service.start(by="zhang")).record.id
        await reached(
            service,
            id_,
            lambda call: state_of(call, FIRST) is PointState.RINGING and state_of(call, SECOND) is PointState.VERIFYING,
        )
        await service.act(id_, "cancel", by="zhang", why="误发")
    assert told(stage) == {f"{point.centre}-box": ["cancelled"] for point in (await service.get(id_)).points}


@pytest.mark.parametrize("state", [PointState.SKIPPED, PointState.EXCUSED])
async def test_who_is_set_aside_while_it_is_asked_is_let_go(stage, state):
    async with stage.service(PROFILE.model_copy(update={"observe_s": 20.0})) as service:
        id_ = (await service.start(by="zhang")).record.id
        await reached(service, id_, lambda call: state_of(call, FIRST) is PointState.VERIFYING)
        assert told(stage) == {}
        await service.set_aside(id_, FIRST, state, by="li", why="停电")
        assert told(stage) == {f"{FIRST}-box": [state.value]}
