"""Reports through two and three tiers: what is written, sent, answered, and which clocks it stops."""

from datetime import UTC, datetime, timedelta

import pytest

from protocols.aio.clock import ManualClock
from protocols.errors import BadInputError, BadSchemaError, NeedsError, NotFoundError, WrongMomentError
from protocols.report import Content, Figure, ReportKind, Verification
from tests.support.reports_stage import deliver_down, deliver_up, offices

START = datetime(2026, 3, 1, 1, 10, tzinfo=UTC)  # 09:10 in China
COUNTY, CITY, PROVINCE = "320623", "320600", "320000"


def checked(value):
    return Figure(value=value, source="县医院", verification=Verification.VERIFIED)


GOOD = Content(
    occurred_at=START, place="洋口港", summary="储罐泄漏", reporter="王五", deaths=checked(2), missing=checked(4)
)


@pytest.fixture
def clock():
    return ManualClock(START)


@pytest.fixture
async def stage(tmp_path, clock):
    async with offices(tmp_path, clock, COUNTY, CITY, PROVINCE) as made:
        yield made


async def opened(office, content=GOOD, **more):
    return (await office.room.open(content, by="wang", **more))["id"]


async def sent(office, id_, *to):
    await office.room.sign(id_, signer="李四", by="wang")
    return await office.room.send(id_, list(to), by="wang")


def running(report):
    return {(c["rule"], c["grade"]): c for c in report["clocks"] if c["stopped_at"] is None}


async def test_a_signed_version_goes_up_is_signed_for_and_the_word_comes_down_once(stage, clock):
    post, found = stage
    county, city = found[COUNTY], found[CITY]
    id_ = await opened(county)
    report = await sent(county, id_)
    assert (report["state"], report["undelivered"]) == ("sent", 1)
    await deliver_up(post, found)
    assert (await county.room.desk.get(id_))["undelivered"] == 1, "only the addressee's word is a receipt"
    await deliver_down(post, found)
    report = await county.room.desk.get(id_)
    assert report["undelivered"] == 0
    assert ("cn.493/county-city", 4) not in running(report)
    received = await city.inbox.acknowledge(id_, by="zhao")
    assert (received["own"], received["state"], received["versions"][0]["signed_by"]) == (False, "acknowledged", "李四")
    with pytest.raises(WrongMomentError, match="already"):
        await city.inbox.send_back(id_, "缺地点", by="zhao")
    await deliver_down(post, found)
    report = await county.room.desk.get(id_)
    assert (report["state"], report["deliveries"][0]["acknowledged_by"]) == ("acknowledged", "zhao")
    assert [line["what"] for line in report["log"]].count("acknowledged") == 1
    with pytest.raises(NotFoundError):
        await found[PROVINCE].room.desk.get(id_)


async def test_a_returned_version_stays_and_a_new_one_goes_up(stage):
    post, found = stage
    county, city = found[COUNTY], found[CITY]
    id_ = await opened(county)
    await sent(county, id_)
    await deliver_up(post, found)
    await city.inbox.send_back(id_, "缺地点", by="zhao")
    await deliver_down(post, found)
    report = await county.room.desk.get(id_)
    assert (report["state"], report["deliveries"][0]["reason"]) == ("drafted", "缺地点")


async def test_an_accident_grows_shrinks_and_keeps_all_its_clocks(stage, clock):
    post, found = stage
    city = found[CITY]
    id_ = await opened(city)
    report = await city.room.desk.get(id_)
    assert (report["confirmed"], report["possible"]) == (4, 3)
    assert running(report)["cn.493/city-province", 3]["possible"]
    await city.room.edit(id_, GOOD.model_copy(update={"deaths": checked(3), "missing": checked(3)}), {}, by="wang")
    report = await city.room.desk.get(id_)
    assert not running(report)["cn.493/city-province", 3]["possible"], "confirmed now, and running since 09:10"
    assert ("cn.493/own-government", 4) in running(report), "the first clocks stay"
    await sent(city, id_)
    await deliver_up(post, found)
    await found[PROVINCE].inbox.acknowledge(id_, by="sun")
    await deliver_down(post, found)
    await city.room.next_version(id_, ReportKind.FOLLOWUP, by="wang")
    fewer = GOOD.model_copy(update={"deaths": checked(2), "missing": checked(1)})
    await city.room.edit(id_, fewer, {"missing": "找到二人"}, by="wang")
    with pytest.raises(BadInputError, match="deaths"):
        await city.room.sign(id_, signer="李四", by="wang")
    await city.room.edit(id_, fewer, {"missing": "找到二人", "deaths": "重复统计"}, by="wang")
    report = await city.room.sign(id_, signer="李四", by="wang")
    assert report["versions"][1]["changed"] == ["deaths", "missing"]
    assert [(one["value"], one["reason"]) for one in report["history"]["deaths"]] == [(3, ""), (2, "重复统计")]
    assert report["versions"][0]["content"]["deaths"]["value"] == 3, "a signed version never changes"
    assert report["watch_until"] == START + timedelta(days=30)


async def test_reminders_come_once_and_late_stays_late(stage, clock):
    post, found = stage
    county = found[COUNTY]
    id_ = await opened(county)
    for minute in (59, 60, 61, 96, 121, 130):
        await clock.advance((START + timedelta(minutes=minute) - clock.now()).total_seconds())
        await county.room.tick()
        await county.room.tick()
    assert county.reminders == [50] * 2 + [80] * 2 + [100] * 2, "two clocks, each reminder once"
    await sent(county, id_)
    await deliver_up(post, found)
    await deliver_down(post, found)
    report = await county.room.desk.get(id_)
    stopped = [c for c in report["clocks"] if c["rule"] == "cn.493/county-city"]
    assert all(c["stopped_at"] and c["late_at"] and c["late"] for c in stopped)


async def test_only_a_call_that_somebody_took_stops_a_telephone_clock(stage, clock):
    _, found = stage
    id_ = await opened(found[COUNTY])
    await clock.advance(60)
    with pytest.raises(BadInputError, match="lie between"):
        await found[COUNTY].room.phoned(id_, "government", "周主任", START - timedelta(hours=1), by="wang")
    report = await found[COUNTY].room.phoned(id_, "government", "周主任", None, by="wang")
    assert {rule for rule, _ in running(report)} == {"cn.493/county-city"}


async def test_a_line_that_is_cut_keeps_the_report_and_drains_later(stage):
    post, found = stage
    county = found[COUNTY]
    id_ = await opened(county)
    assert (await sent(county, id_))["undelivered"] == 1
    with pytest.raises(WrongMomentError):
        await county.room.send(id_, [], by="wang")
    assert len(post.up) == 1
    await deliver_up(post, found)
    await deliver_down(post, found)
    assert (await county.room.desk.get(id_))["undelivered"] == 0


async def test_leapfrogging_where_the_profile_allows_it(stage, tmp_path, clock):
    post, found = stage
    id_ = await opened(found[COUNTY])
    await sent(found[COUNTY], id_, CITY, PROVINCE)
    await deliver_up(post, found)
    await deliver_down(post, found)
    assert (await found[COUNTY].room.desk.get(id_))["undelivered"] == 0
    with pytest.raises(BadInputError, match="not stand above"):
        await found[CITY].room.send(id_, [COUNTY], by="wang")
    (tmp_path / "strict").mkdir()
    async with offices(tmp_path / "strict", clock, COUNTY, profile="county.2018") as (_, strict):
        id_ = await opened(strict[COUNTY])
        with pytest.raises(BadInputError, match="leapfrogging"):
            await sent(strict[COUNTY], id_, PROVINCE)


async def test_a_report_is_passed_on_and_that_stops_the_tiers_own_clock(stage):
    post, found = stage
    id_ = await opened(found[COUNTY], drill=True)
    await sent(found[COUNTY], id_)
    await deliver_up(post, found)
    received = await found[CITY].room.desk.get(id_)
    assert ("cn.493/city-province", 3) in running(received)
    mine = await found[CITY].room.pass_on(id_, by="zhao")
    assert mine["drill"], "the drill mark goes along"
    await sent(found[CITY], mine["id"])
    await deliver_up(post, found)
    await deliver_down(post, found)
    assert ("cn.493/city-province", 3) not in running(await found[CITY].room.desk.get(id_))
    assert (await found[PROVINCE].room.desk.get(mine["id"]))["drill"]


async def test_a_first_report_is_filled_in_from_a_drill_alarm(stage, clock):
    report = await stage[1][COUNTY].room.open_from_alarm("01JB0000000000000000000000", by="wang")
    content = report["versions"][0]["content"]
    assert (content["place"], content["summary"]) == ("如东县", "可燃气体超限（25 %LEL） 二号储罐")
    assert (report["drill"], report["known_at"]) == (True, datetime(2026, 3, 1, 1, 5, 1, tzinfo=UTC))


async def test_a_correction_is_a_version(stage):
    post, found = stage
    id_ = await opened(found[COUNTY])
    await sent(found[COUNTY], id_)
    await found[COUNTY].room.correct(id_, by="wang")
    with pytest.raises(WrongMomentError, match="draft is open"):
        await found[COUNTY].room.correct(id_, by="wang")
    report = await sent(found[COUNTY], id_)
    assert [(one["version"], one["kind"], one["corrects"]) for one in report["versions"]] == [
        (1, "initial", None),
        (2, "initial", 1),
    ]
    await deliver_up(post, found)
    assert [one["version"] for one in (await found[CITY].room.desk.get(id_))["versions"]] == [1, 2]


async def test_a_false_origin_and_a_top_without_a_tier_above(stage, tmp_path, clock):
    post, found = stage
    id_ = await opened(found[COUNTY])
    await sent(found[COUNTY], id_)
    event = post.up[0]
    with pytest.raises(BadSchemaError, match="origin"):
        found[CITY].inbox.check(event.model_copy(update={"source": "320681"}))
    (tmp_path / "top").mkdir()
    async with offices(tmp_path / "top", clock, "000000") as (_, top):
        id_ = await opened(top["000000"])
        with pytest.raises(NeedsError, match="upstream"):
            await sent(top["000000"], id_)
