"""Public warnings become alarms: what an Update or Cancel references, event classes, the tornado flag."""

from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.alarms.bulletins import Bulletins
from gateway.alarms.cap import parse
from gateway.alarms.service import Wanted
from gateway.events import WarningTaken
from protocols.alarm import Condition
from protocols.errors import BadInputError, NotFoundError
from tests.support.cap import FIRST, alert, reference
from tests.support.escalation_stage import Stage, escalation_stage


@asynccontextmanager
async def office(tmp_path: Path):
    async with escalation_stage(tmp_path) as stage:
        yield stage, Bulletins(stage.store, stage.local, stage.alarms._area, stage.metrics)


async def standing(stage: Stage) -> list[tuple[str, int, str]]:
    page = await stage.alarms.page(Wanted(condition=Condition.ACTIVE))
    return sorted((one["event_type"], one["severity"], one["centre"]) for one in page["items"])


async def test_the_name_decides_the_event_class(tmp_path):
    async with office(tmp_path) as (stage, bulletins):
        await bulletins.take(alert(code="11B03", event="大风", headline="如东县发布大风蓝色预警"))
        assert await standing(stage) == [("11B06", 4, "320623")]


async def test_one_update_replaces_several_warnings(tmp_path):
    async with office(tmp_path) as (stage, bulletins):
        await bulletins.take(alert())
        await bulletins.take(alert(identifier="b", event="大风", headline="大风黄色预警"))
        assert await standing(stage) == [("11B03", 2, "320623"), ("11B06", 3, "320623")]
        both = f"{reference()} {reference('b')}"
        await bulletins.take(alert(identifier="c", type="Update", references=both, headline="暴雨红色预警"))
        assert await standing(stage) == [("11B03", 1, "320623")]
        await bulletins.take(alert(identifier="d", type="Cancel", references=reference("b"), headline="解除"))
        assert await standing(stage) == []


async def test_one_cancel_withdraws_several_warnings(tmp_path):
    async with office(tmp_path) as (stage, bulletins):
        await bulletins.take(alert())
        await bulletins.take(alert(identifier="b", event="大风", headline="大风黄色预警"))
        both = f"{reference()} {reference('b')}"
        await bulletins.take(alert(identifier="c", type="Cancel", references=both))
        assert await standing(stage) == []


async def test_nobody_withdraws_another_senders_warning(tmp_path):
    async with office(tmp_path) as (stage, bulletins):
        await bulletins.take(alert())
        with pytest.raises(NotFoundError, match="this sender"):
            await bulletins.take(alert(identifier="x", sender="someone", type="Cancel", references=reference()))
        assert await standing(stage) == [("11B03", 2, "320623")]


async def test_a_tornado_in_the_text_is_an_alarm_of_its_own_and_ends_with_the_text(tmp_path):
    yellow = {"event": "强对流", "code": "11B31", "headline": "如东县发布强对流黄色预警"}
    async with office(tmp_path) as (stage, bulletins):
        await bulletins.take(alert(**yellow, description="局地或现8至10级雷暴大风、弱龙卷。"))
        assert await standing(stage) == [("11B31", 3, "320623"), ("tornado_mentioned", 2, "320623")]
        await bulletins.take(alert(identifier="u", type="Update", references=reference(), **yellow))
        assert await standing(stage) == [("11B31", 3, "320623")]
        again = {**yellow, "description": "或现弱龙卷"}
        await bulletins.take(alert(identifier="v", type="Update", references=reference("u"), **again))
        assert len(await standing(stage)) == 2
        await bulletins.take(alert(identifier="w", type="Cancel", references=reference("v")))
        assert await standing(stage) == []


async def test_followers_hear_each_message_once_within_its_unit_of_work(tmp_path):
    heard: list[WarningTaken] = []

    async def follow(_uow, taken: WarningTaken) -> None:
        heard.append(taken)

    async with office(tmp_path) as (_, bulletins):
        bulletins.follow(follow)
        for _ in range(2):
            await bulletins.take(alert())
        assert [(one.root, one.centres, one.merged) for one in heard] == [(FIRST, ("320623",), ())]
        assert heard[0].document == alert()


async def test_every_message_is_counted(tmp_path):
    async with office(tmp_path) as (stage, bulletins):
        await bulletins.take(alert())
        await bulletins.take(alert())
        with pytest.raises(BadInputError):
            await bulletins.take(b"<alert")
        said = stage.metrics.render().decode()
    for outcome in ("taken", "repeated", "bad_input"):
        assert f'silian_cap_messages_total{{outcome="{outcome}"}} 1.0' in said


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_bytes_changed_anywhere_are_read_or_refused(data: st.DataObject) -> None:
    body = bytearray(alert(polygon="<polygon>32,120 32,121 33,121 32,120</polygon>"))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(body) - 1))
        change = data.draw(st.sampled_from(["set", "cut", "double"]))
        if change == "set":
            body[at] = data.draw(st.integers(0, 255))
        elif change == "cut":
            del body[at : at + data.draw(st.integers(1, 40))]
        else:
            body[at:at] = body[max(0, at - 30) : at]
        body = body or bytearray(b"x")
    try:
        parse(bytes(body))
    except BadInputError:
        return
