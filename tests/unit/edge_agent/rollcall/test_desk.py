"""The answer desk: who waits is told, the room hears it, and a restart forgets nothing."""

import asyncio

import pytest

from edge_agent.rollcall.desk import FILE, AnswerDesk
from edge_agent.rollcall.machine import GAP_S, Details, Stage
from edge_agent.rollcall.ringer import Ringer
from protocols.aio.clock import ManualClock, SystemClock
from protocols.aio.tasks import Supervisor
from protocols.command import CallRing, RollCallRing, RollCallStage
from protocols.errors import ExpiredError, RefusedError
from protocols.ids import ulid
from tests.support.until import until

ONE, TWO = ulid(1, bytes(10)), ulid(2, bytes(10))
WHO = Details(answered_by="王芳", leader="李强", people=3, note="无突发情况")


def ring(id_=ONE, **more):
    return RollCallRing(roll_call_id=id_, centre="320623", camera="room", **more)


def call(id_=TWO):
    return CallRing(
        call_id=id_, centre="320623", camera="room", caller="张三", caller_centre="320600",
        caller_stream="320600/call", whep_url="http://127.0.0.1/whip", token="t",
    )  # fmt: skip


@pytest.fixture
async def tasks():
    async with Supervisor("test") as made:
        yield made


@pytest.fixture
async def desk(tmp_path, tasks):
    made = AnswerDesk(tmp_path, Ringer("null", "tone"), SystemClock(), tasks)
    tasks.start("desk", made.run)
    return made


async def test_the_room_rings_until_somebody_answers(desk, tasks):
    desk.rung(ring())
    await until(lambda: desk.ringer.speaker.meter.level > 0.1)
    assert tasks.running("ring")
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(desk.answered_by_person(ONE))
        await desk.answer(ONE, WHO)
    assert waiting.result().details == WHO
    await until(lambda: not tasks.running("ring"))
    heard = desk.ringer.speaker.meter.heard_s
    await desk.hush()
    assert desk.ringer.speaker.meter.heard_s == heard


async def test_an_answer_by_policy_is_heard_once(desk, tasks):
    desk.rung(ring())
    turn = desk.answer_by_box(ONE, "自动应答")
    assert (turn.stage, turn.by_person, turn.details.answered_by) == (Stage.ANSWERED, False, "自动应答")
    await until(lambda: desk.ringer.speaker.meter.heard_s > 0.2)
    await until(lambda: not tasks.running("chime"))
    assert not tasks.running("ring")
    assert desk.answer_by_box(ONE, "x").details.answered_by == "自动应答"


async def test_what_is_said_later_goes_up_and_the_first_answer_does_not(desk):
    told = []

    async def tell(details):
        told.append(details)

    desk.tell = tell
    desk.rung(ring())
    await desk.answer(ONE, WHO)
    assert told == []
    await desk.answer(ONE, WHO.model_copy(update={"people": 4}))
    assert [(one.roll_call_id, one.people, one.note) for one in told] == [(ONE, 4, "无突发情况")]


async def test_a_declined_call_and_a_missed_ring_are_told_apart(tmp_path):
    clock = ManualClock()
    async with Supervisor("test", clock=clock) as tasks:
        desk = AnswerDesk(tmp_path, Ringer("null", "none"), clock, tasks)
        tasks.start("desk", desk.run)
        async with asyncio.TaskGroup() as group:
            desk.rung(call())
            declined = group.create_task(_outcome(desk.answered_by_person(TWO)))
            await clock.advance(1)
            desk.decline(TWO)
        assert isinstance(declined.result(), RefusedError)
        desk.rung(ring())
        desk.turns.lapsed(ONE, clock.now())
        async with asyncio.TaskGroup() as group:
            missed = group.create_task(_outcome(desk.answered_by_person(ONE)))
            desk.rung(ring())
            desk.turns.lapsed(ONE, clock.now())
            desk.over(TWO, "x")
            await clock.advance(1)
            desk.turns.lapsed(ONE, clock.now())
            desk._note()
            await clock.advance(GAP_S + 1)
        assert isinstance(missed.result(), ExpiredError)


async def _outcome(waiting):
    try:
        return await waiting
    except (RefusedError, ExpiredError) as error:
        return error


async def test_the_askers_deadline_leaves_it_ringing_for_the_next_attempt(desk):
    desk.rung(ring())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await desk.answered_by_person(ONE)
    assert desk.turns.get(ONE).stage is Stage.RINGING
    assert desk.turns.get(ONE).lapses_at is not None
    assert desk.rung(ring()).lapses_at is None


async def test_a_restart_rings_on_and_remembers_answers(tmp_path):
    async with Supervisor("before") as tasks:
        before = AnswerDesk(tmp_path, Ringer("null", "none"), SystemClock(), tasks)
        before.rung(ring())
    async with Supervisor("after") as tasks:
        after = AnswerDesk(tmp_path, Ringer("null", "tone"), SystemClock(), tasks)
        tasks.start("desk", after.run)
        await until(lambda: after.ringer.speaker.meter.level > 0.1)
        await after.answer(ONE, WHO)
    async with Supervisor("last") as tasks:
        last = AnswerDesk(tmp_path, Ringer("null", "none"), SystemClock(), tasks)
        assert last.rung(ring()).details == WHO


async def test_turns_that_cannot_be_read_or_written_hinder_nobody(tmp_path, tasks, caplog):
    (tmp_path / FILE).write_text("{")
    desk = AnswerDesk(tmp_path / "gone", Ringer("null", "none"), SystemClock(), tasks)
    assert desk.rung(ring()).stage is Stage.RINGING
    assert "turns are not on disk" in caplog.text
    assert AnswerDesk(tmp_path, Ringer("null", "none"), SystemClock(), tasks).turns.all == ()
    assert "turns of before are lost" in caplog.text


async def test_a_page_that_waits_learns_of_each_change(desk):
    desk.rung(ring())
    await desk.answer(ONE, WHO)
    version = desk.version
    async with asyncio.TaskGroup() as group:
        group.create_task(desk.changed(version, 30))
        await asyncio.sleep(0)
        desk.staged(RollCallStage(roll_call_id=ONE, centre="320623", camera="room", stage="on", muted=False))
    assert desk.version == version + 1
    await desk.changed(version, 30)
    await desk.changed(desk.version, 0.01)
