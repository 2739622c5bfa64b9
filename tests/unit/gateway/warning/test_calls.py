"""Call-and-confirm on a real store: scenario 10 and 11, restarts, late answers, the end."""

import pytest

from gateway.ports.notify import Channel, NotSentError
from gateway.warning.rules.calling import Way
from protocols.errors import NotFoundError, WrongMomentError
from tests.support.cap import alert, reference
from tests.support.warning_stage import FAR, TOWN, VILLAGE, warning_stage

POLYGON = "<polygon>32.0,120.0 32.0,121.0 33.0,121.0 33.0,120.0 32.0,120.0</polygon>"
RED = {"headline": "如东县气象台发布暴雨红色预警", "area": "320623104000", "polygon": POLYGON}


def called(whole):
    return {call["chain"][0]["name"]: call for call in whole["calls"]}


async def test_red_rain_in_one_town_calls_all_at_once_then_the_next_then_the_door(tmp_path):
    async with warning_stage(tmp_path) as office:
        await office.lists(TOWN, VILLAGE, FAR)
        await office.bulletins.take(alert(**RED))
        await office.settle()
        assert office.told() == ["孙七", "张三", "李四"]
        assert office.told(Channel.EMAIL) == ["张三"]
        (sound,) = [one for one in office.stage.channels[Channel.SOUND].got if "warning" in one.data]
        assert "共3个责任岗位" in sound.text
        whole = await office.only()
        assert (whole["state"], whole["run"]["phase"], whole["run"]["unanswered"]) == ("called", "running", 3)

        await office.pass_(60)
        await office.calls.confirm_by_link(office.link("张三"))
        await office.pass_(241)
        assert sorted(set(office.told()) - {"孙七", "张三", "李四"}) == ["王五"]
        whole = await office.only()
        assert [call["phase"] for call in whole["calls"]] == ["door", "calling", "confirmed"]
        assert called(whole)["张三"]["way"] == "link"

        await office.pass_(300)
        assert called(await office.only())["李四"]["phase"] == "door"
        assert "赵六" in office.told()
        await office.calls.confirm_by_link(office.link("赵六"))
        village = called(await office.only())["孙七"]
        await office.calls.confirm(village["id"], by="孙七", way=Way.PHONE, noted_by="officer", note_="已转移")
        whole = await office.only()
        assert (whole["state"], whole["run"]["phase"], whole["run"]["confirmed"]) == ("confirmed", "done", 3)
        assert (called(whole)["李四"]["confirmed_by"], called(whole)["李四"]["way"]) == ("赵六", "door")
        late = {name: call["late_s"] for name, call in called(whole).items()}
        assert (late["张三"], late["李四"] > 300, late["孙七"] > 300, whole["run"]["late"]) == (None, True, True, 2)
        said = [line["what"] for line in whole["log"] if line["what"].startswith("answered")]
        assert said == ["answered", "answered_late", "answered_late"]
        assert await office.stage.room.audit() == 0


async def test_a_tornado_in_a_yellow_text_is_called_and_a_yellow_rain_is_not(tmp_path):
    async with warning_stage(tmp_path) as office:
        await office.lists(TOWN)
        await office.bulletins.take(alert(headline="如东县发布暴雨黄色预警", area="320623104000"))
        assert (await office.only())["run"] is None
    async with warning_stage(tmp_path / "b") as office:
        await office.lists(TOWN)
        yellow = {"headline": "如东县发布大风黄色预警", "event": "大风", "code": "11B06"}
        await office.bulletins.take(alert(**yellow, description="局地或现弱龙卷", area="320623104000"))
        whole = await office.only()
        assert (whole["flags"], whole["state"]) == (["tornado_mentioned"], "called")


@pytest.mark.parametrize(("policy", "run"), [("start", "running"), ("offer", "offered"), ("off", None)])
async def test_the_setting_starts_offers_or_does_neither(tmp_path, policy, run):
    async with warning_stage(tmp_path, call_confirm=policy) as office:
        await office.lists(TOWN)
        strong = {"headline": "如东县发布强对流蓝色预警", "event": "强对流", "code": "11B31", "area": "320623"}
        await office.bulletins.take(alert(**strong))
        whole = await office.only()
        assert (whole["run"] and whole["run"]["phase"]) == run
        if policy == "start":
            with pytest.raises(WrongMomentError, match="already"):
                await office.calls.start(whole["id"], by="officer")
        else:
            await office.calls.start(whole["id"], by="officer")
            assert (await office.only())["run"]["started_by"] == "officer"


async def test_a_restart_goes_on_where_it_was_and_nobody_is_called_twice(tmp_path):
    async with warning_stage(tmp_path) as office:
        await office.lists(TOWN)
        await office.bulletins.take(alert(**RED))
        await office.settle()
    clock = office.stage.clock
    await clock.advance(900)
    async with warning_stage(tmp_path, clock=clock) as again:
        await again.settle()
        assert again.told() == ["王五", "赵六"]
        assert [call["phase"] for call in (await again.only())["calls"]] == ["door", "calling"]
        await clock.advance(299)
        assert await again.errands.act_due() == 0
        await clock.advance(1)
        assert await again.errands.act_due() == 1


async def test_an_answer_stops_the_messages_that_wait_and_a_second_press_changes_nothing(tmp_path):
    async with warning_stage(tmp_path) as office:
        await office.lists(VILLAGE, TOWN)
        office.stage.channels[Channel.EMAIL].fails = [NotSentError("busy")] * 9
        await office.bulletins.take(alert(**RED))
        await office.settle()
        token = office.link("张三")
        await office.calls.confirm_by_link(token)
        first = called(await office.only())["张三"]
        assert {one["channel"]: one["state"] for one in first["letters"]} == {"sms": "accepted", "email": "cancelled"}
        await office.stage.clock.advance(30)
        await office.calls.confirm_by_link(token)
        assert called(await office.only())["张三"]["confirmed_at"] == first["confirmed_at"]


async def test_a_run_is_ended_with_a_reason_and_names_who_did_not_answer(tmp_path):
    async with warning_stage(tmp_path) as office:
        await office.lists(TOWN)
        await office.bulletins.take(alert(**RED))
        await office.settle()
        token, id_ = office.link("张三"), (await office.only())["id"]
        await office.calls.end(id_, by="officer", why="雨停")
        whole = await office.only()
        assert {call["phase"] for call in whole["calls"]} == {"ended"}
        assert (whole["run"]["why"], whole["run"]["confirmed"]) == ("雨停", 0)
        with pytest.raises(WrongMomentError):
            await office.calls.confirm_by_link(token)
        with pytest.raises(WrongMomentError):
            await office.calls.end(id_, by="officer", why="x")
        await office.pass_(3600)
        assert (await office.only())["calls"][0]["phase"] == "ended"


async def test_a_cancellation_ends_the_calling_and_tells_those_who_were_called(tmp_path):
    async with warning_stage(tmp_path) as office:
        await office.lists(TOWN)
        await office.bulletins.take(alert(**RED))
        await office.settle()
        await office.bulletins.take(alert(identifier="end", type="Cancel", references=reference()))
        await office.settle()
        items = await office.desk.page()
        states = {one["kind"]: (one["state"], one["run"] and one["run"]["phase"]) for one in items}
        assert states == {"Alert": ("cancelled", "done"), "Cancel": ("archived", None)}
        over = [one for one in office.stage.channels[Channel.SMS].got if "解除" in one.text]
        assert sorted(one.data["person"] for one in over) == ["张三", "李四"]


async def test_an_update_calls_again_only_where_it_is_graver(tmp_path):
    async with warning_stage(tmp_path) as office:
        await office.lists(TOWN)
        orange = RED | {"headline": "如东县发布暴雨橙色预警"}
        await office.bulletins.take(alert(**orange))
        await office.bulletins.take(alert(identifier="same", type="Update", references=reference(), **orange))
        runs = {one["identifier"]: one["run"] for one in await office.desk.page()}
        assert runs["same"] is None
        await office.bulletins.take(alert(identifier="red", type="Update", references=reference("same"), **RED))
        runs = {one["identifier"]: one["run"] for one in await office.desk.page()}
        assert runs["red"]["phase"] == "running"


async def test_a_drill_of_others_wakes_nobody_by_itself_and_its_words_are_marked(tmp_path):
    async with warning_stage(tmp_path) as office:
        await office.lists(TOWN)
        await office.bulletins.take(alert(status="Exercise", **RED))
        whole = await office.only()
        assert (whole["drill"], whole["run"]["phase"]) == (True, "offered")
        await office.calls.start(whole["id"], by="officer")
        await office.settle()
        for channel in (Channel.SMS, Channel.EMAIL, Channel.SOUND):
            for notice in office.stage.channels[channel].got:
                assert notice.text.startswith("【演练】")
                assert notice.text.endswith("【演练】")


async def test_nobody_on_the_list_is_told_and_a_click_says_what_to_do(tmp_path):
    async with warning_stage(tmp_path) as office:
        await office.bulletins.take(alert(**RED))
        whole = await office.only()
        assert (whole["state"], whole["run"]["phase"]) == ("received", "offered")
        with pytest.raises(NotFoundError, match="call-list"):
            await office.calls.start(whole["id"], by="officer")
        await office.lists(TOWN)
        await office.calls.start(whole["id"], by="officer")
        assert (await office.only())["state"] == "called"


async def test_somebody_without_an_address_stands_as_unreached(tmp_path):
    async with warning_stage(tmp_path) as office:
        nobody = {"name": "新村", "code": "320623104202", "responsible": [{"chain": [{"name": "某人"}]}]}
        await office.lists(nobody)
        await office.bulletins.take(alert(**RED))
        await office.settle()
        (letter,) = (await office.only())["calls"][0]["letters"]
        assert (letter["state"], letter["reason"]) == ("failed", "no_address")


async def test_figures_tell_how_many_answered_and_how_fast(tmp_path):
    async with warning_stage(tmp_path) as office:
        await office.lists(TOWN)
        await office.bulletins.take(alert(**RED))
        await office.settle()
        await office.stage.clock.advance(90)
        await office.calls.confirm_by_link(office.link("张三"))
        await office.room.measure()
        office.stage.metrics.take_snapshot()
        said = office.stage.metrics.render().decode()
        assert "silian_call_confirm_ratio 0.5" in said
        assert 'silian_call_confirm_seconds_bucket{le="120.0"} 1.0' in said
        assert 'silian_warnings{state="called"} 1.0' in said
