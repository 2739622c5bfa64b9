"""From the end of a call to its signed bulletin, at the city and at a county, on real stores."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.rollcall.rules.bulletin import cells_hash, seal
from gateway.rollcall.rules.sheet import cells
from protocols.aio.clock import ManualClock
from protocols.bulletin import BulletinSent
from protocols.errors import BadSchemaError, NotAllowedError, NotFoundError, WrongMomentError
from protocols.rollcall import SessionState
from tests.support.press_stage import BOX_ONLY, CITY, COUNTY, offices

NOW = datetime(2026, 3, 1, 1, 0, tzinfo=UTC)


@pytest.fixture
async def stage(tmp_path):
    async with offices(tmp_path, ManualClock(NOW)) as made:
        yield made


async def published(stage, **points):
    """A roll call whose bulletin is out; returns the ids."""
    id_ = await stage.hold()
    await stage.city.press.review(id_, by="li")
    await stage.clock.advance(25 * 3600)
    return id_, await stage.city.press.publish(id_, by="li", demands="检查终端", **points)


async def state(stage, id_):
    return (await stage.city.press.needs.calls.get(id_)).record.state


async def test_a_bulletin_goes_out_is_stored_signed_for_and_put_away(stage):
    id_, bulletin = await published(stage)
    assert await state(stage, id_) is SessionState.PUBLISHED
    assert await stage.down() == ["rollcall.result", "rollcall.bulletin"]
    (came,) = await stage.county.inbox.bulletins()
    assert (came["number"], came["origin"], came["signed_at"]) == ("通应急点〔2026〕1号", CITY, None)
    assert came["content"]["tally"]["due"] == 2
    assert seal(came["content"]) == came["seal"]
    assert came["content"]["lines"][COUNTY] == cells_hash(came["line"])
    await stage.county.inbox.sign(bulletin, "已整改", by="王五")
    assert await stage.up() == 2
    receipts = {row["centre"]: row for row in (await stage.city.press.desk.standing(id_))["receipts"]}
    assert receipts[COUNTY]["stored_at"] == NOW + timedelta(hours=25)
    assert (receipts[COUNTY]["signed_by"], receipts[COUNTY]["feedback"]) == ("王五", "已整改")
    assert (receipts[BOX_ONLY]["way"], receipts[BOX_ONLY]["signed_at"]) == ("phone", None)
    with pytest.raises(WrongMomentError, match=BOX_ONLY):
        await stage.city.press.archive(id_, "", by="li")
    await stage.city.press.sign_for(bulletin, BOX_ONLY, "赵六", "", by="li")
    with pytest.raises(WrongMomentError, match="赵六"):
        await stage.city.press.sign_for(bulletin, BOX_ONLY, "钱七", "", by="li")
    await stage.city.press.archive(id_, "", by="li")
    assert await state(stage, id_) is SessionState.ARCHIVED
    sheet = await stage.city.press.desk.sheet(id_)
    assert {line.centre: line.feedback for line in sheet.lines}[COUNTY] == "已整改"
    with pytest.raises(WrongMomentError, match="王五"):
        await stage.county.inbox.sign(bulletin, "", by="别人")


async def test_a_unit_objects_and_the_bulletin_waits_for_the_decision(stage):
    id_ = await stage.hold()
    await stage.city.press.review(id_, by="li", hours=24)
    await stage.down()
    (result,) = await stage.county.inbox.results()
    assert (result["centre"], result["result"], result["line"]["结果"]) == (COUNTY, "到", "到")
    await stage.county.inbox.object_to(id_, "当时有图像", by="王五")
    with pytest.raises(WrongMomentError, match="王五"):
        await stage.county.inbox.object_to(id_, "再说一次", by="王五")
    assert await stage.up() == 1
    (raised,) = (await stage.city.press.desk.standing(id_))["objections"]
    assert (raised["centre"], raised["state"], raised["late"], raised["noted_by"]) == (COUNTY, "open", False, "")
    await stage.clock.advance(25 * 3600)
    with pytest.raises(WrongMomentError, match="1 objections"):
        await stage.city.press.publish(id_, by="li")
    await stage.city.press.decide(id_, raised["id"], upheld=False, answer="截图为证", by="zhang")
    await stage.city.press.publish(id_, by="li")
    line = (await stage.city.press.desk.sheet(id_)).lines[0]
    assert line.objection == "当时有图像（申诉不成立：截图为证）"
    with pytest.raises(NotFoundError):
        await stage.city.press.decide(id_, "01JB0000000000000000000000", upheld=True, answer="x", by="li")


async def test_an_objection_written_in_time_counts_however_late_it_comes(stage):
    id_ = await stage.hold()
    await stage.city.press.review(id_, by="li", hours=1)
    await stage.down()
    await stage.county.inbox.object_to(id_, "断网了", by="王五")
    await stage.clock.advance(7200)
    await stage.up()
    (raised,) = (await stage.city.press.desk.standing(id_))["objections"]
    assert (raised["state"], raised["late"]) == ("open", False)


async def test_an_objection_that_meets_a_published_bulletin_is_kept_and_called_late(stage):
    id_ = await stage.hold()
    await stage.city.press.review(id_, by="li", hours=1)
    await stage.down()
    await stage.county.inbox.object_to(id_, "断网了", by="王五")
    await stage.clock.advance(7200)
    await stage.city.press.publish(id_, by="li")
    await stage.up()
    (raised,) = (await stage.city.press.desk.standing(id_))["objections"]
    assert (raised["state"], raised["late"]) == ("late", True)


async def test_an_objection_by_telephone_is_decided_by_another_person(stage):
    id_ = await stage.hold()
    await stage.city.press.review(id_, by="li")
    noted = await stage.city.press.note_objection(id_, BOX_ONLY, "赵六", "停电", by="li")
    with pytest.raises(NotAllowedError):
        await stage.city.press.decide(id_, noted, upheld=True, answer="属实", by="li")
    with pytest.raises(NotFoundError):
        await stage.city.press.note_objection(id_, "320681", "赵六", "停电", by="li")
    await stage.city.press.decide(id_, noted, upheld=True, answer="属实", by="sun")


async def test_the_window_is_closed_early_only_with_a_reason(stage):
    id_ = await stage.hold()
    with pytest.raises(WrongMomentError):
        await stage.city.press.close_window(id_, "急", by="li")
    await stage.city.press.review(id_, by="li")
    await stage.city.press.close_window(id_, "各单位均无异议", by="li")
    await stage.city.press.publish(id_, by="li")
    review = (await stage.city.press.desk.standing(id_))["review"]
    assert (review["waived_by"], review["waived_why"]) == ("li", "各单位均无异议")


async def test_a_correction_is_a_new_version_and_the_first_stays_as_it_was(stage):
    id_, first = await published(stage)
    before = await stage.city.press.desk.bulletin(first)
    second = await stage.city.press.correct(id_, "通州区系停电", by="li")
    assert await stage.city.press.desk.bulletin(first) == before
    made = await stage.city.press.desk.bulletin(second)
    assert (made["number"], made["version"], made["content"]["corrects"]) == (before["number"], 2, "通州区系停电")
    await stage.down()
    assert [row["version"] for row in await stage.county.inbox.bulletins()] in ([1, 2], [2, 1])


async def test_numbers_go_on_within_the_year_and_begin_anew_with_the_next(stage):
    numbers = []
    for days in (0, 1, 320):
        await stage.clock.advance(days * 86400)
        _, bulletin = await published(stage)
        numbers.append((await stage.city.press.desk.bulletin(bulletin))["number"])
    assert numbers == ["通应急点〔2026〕1号", "通应急点〔2026〕2号", "通应急点〔2027〕1号"]


async def test_a_bulletin_changed_on_its_way_is_refused_by_the_unit(stage):
    await published(stage)
    stage.post.down[:] = stage.post.down[-1:]
    (command,) = stage.post.down
    sent = BulletinSent.model_validate(command.args)
    for changed in (
        {"content": sent.content | {"demands": "别的"}},
        {"line": ("1", "改过的", *sent.line[2:])},
    ):
        bad = command.model_copy(update={"args": sent.model_copy(update=changed).model_dump(mode="json")})
        with pytest.raises(BadSchemaError, match="changed on its way"):
            await stage.county.inbox.on_bulletin(bad)
    assert await stage.county.inbox.bulletins() == []


async def test_nobody_speaks_for_another_unit(stage):
    _, bulletin = await published(stage)
    await stage.down()
    await stage.county.inbox.sign(bulletin, "", by="王五")
    for event in stage.post.up:
        with pytest.raises(NotAllowedError):
            stage.city.press.check(event.model_copy(update={"source": "320612-box"}))


async def test_a_drill_keeps_its_mark_to_the_unit(stage):
    id_ = await stage.hold(drill=True)
    await stage.city.press.review(id_, by="li", hours=0)
    await stage.city.press.publish(id_, by="li")
    await stage.down()
    (came,) = await stage.county.inbox.bulletins()
    assert came["drill"]
    assert came["content"]["drill"]


async def test_the_draft_stores_nothing(stage):
    id_ = await stage.hold()
    content, lines = await stage.city.press.draft(id_, by="li")
    assert content["tally"]["present"] == 1
    assert set(lines) == {COUNTY, BOX_ONLY}
    assert (await stage.city.press.desk.standing(id_))["bulletins"] == []
    assert await state(stage, id_) is SessionState.REVIEWING


async def test_tests_and_drills_do_not_count_for_the_month(stage):
    await stage.hold()
    await stage.hold(kind="test")
    await stage.hold(drill=True)
    lines = await stage.city.press.scored(NOW - timedelta(days=1), NOW + timedelta(days=1))
    assert len(lines) == 2
    assert await stage.city.press.scored(NOW + timedelta(days=1), NOW + timedelta(days=2)) == []
    assert replace(lines[0], number=1) == lines[0]
    assert cells(lines[0])[1] == "如东县"
