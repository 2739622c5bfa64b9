"""Orders through offices of two and three tiers: down once, up once, refused where forged, reminded once."""

import pytest

from gateway.orders.service import OrderContent
from protocols.aio.clock import ManualClock
from protocols.envelope import EVENT_BYTES
from protocols.errors import BadInputError, NotAllowedError, OrderIncompleteError, TooLargeError, WrongMomentError
from protocols.order import AnswerWay, Deed, OrderSent, Urgency
from tests.support.orders_stage import BOX_ONLY, CITY, CONTENT, COUNTY, PROVINCE, orders_stage

ONE = CONTENT.model_copy(update={"units": (COUNTY,)})


@pytest.fixture
def clock():
    return ManualClock()


async def test_an_order_goes_down_and_what_becomes_of_it_comes_up_each_once(tmp_path, clock):
    async with orders_stage(tmp_path, clock, CITY, COUNTY) as stage:
        city, county = stage.offices[CITY], stage.offices[COUNTY]
        id_ = await city.issue(drill=True)
        sent = await city.get(id_)
        assert (sent["state"], sent["number"], sent["counts"]) == ("sent", "指令〔2026〕1号", {"sent": 2})
        assert {line["unit"]: line["carrier"] for line in sent["lines"]} == {COUNTY: COUNTY, BOX_ONLY: None}
        assert city.count("order_units_by_phone_total") == 1

        assert await stage.down() == []
        (received,) = await county.orders.desk.page()
        assert (received["own"], received["drill"], received["title"]) == (False, True, CONTENT.title)
        assert [letter["ref"] for letter in (await county.get(id_))["letters"]] == ["arrived"]
        say = county.orders.answering.say
        await clock.advance(1)
        await say(id_, COUNTY, Deed.ACKNOWLEDGED, noted_by="王五")
        for words in ("已出发", "已转移 120 人"):
            await clock.advance(30)
            await say(id_, COUNTY, Deed.FEEDBACK, text=words, noted_by="王五")
        await clock.advance(30)
        await say(id_, COUNTY, Deed.DONE, noted_by="王五")
        assert await stage.up() == ["delivered", "acknowledged", "feedback", "feedback", "done"]

        line = await city.line(id_, COUNTY)
        assert (line["state"], line["acknowledged_by"], line["acknowledged_way"]) == ("done", "王五", "console")
        assert [one["deed"] for one in line["entries"]] == [
            "delivered",
            "acknowledged",
            "feedback",
            "feedback",
            "done",
        ]
        assert (await city.get(id_))["state"] == "sent"
        assert city.count("order_ack_seconds_count", urgency="flash") == 1


async def test_a_unit_without_a_gateway_answers_by_telephone(tmp_path, clock):
    async with orders_stage(tmp_path, clock, CITY) as stage:
        city = stage.offices[CITY]
        id_ = await city.issue()
        say = city.orders.answering.say
        with pytest.raises(BadInputError, match="phone"):
            await say(id_, BOX_ONLY, Deed.ACKNOWLEDGED, noted_by="zhang")
        await say(id_, BOX_ONLY, Deed.ACKNOWLEDGED, noted_by="zhang", by="通州区李四", way=AnswerWay.PHONE)
        line = await city.line(id_, BOX_ONLY)
        assert (line["acknowledged_by"], line["acknowledged_way"]) == ("通州区李四", "phone")
        assert line["entries"][0]["noted_by"] == "zhang"
        assert stage.post.up == []
        with pytest.raises(WrongMomentError, match="already"):
            await say(id_, BOX_ONLY, Deed.ACKNOWLEDGED, noted_by="zhang", by="李四", way=AnswerWay.PHONE)
        for unit in (BOX_ONLY, COUNTY):
            if unit == COUNTY:
                await say(id_, unit, Deed.ACKNOWLEDGED, noted_by="zhang", by="王五", way=AnswerWay.RADIO)
            with pytest.raises(WrongMomentError, match="waiting"):
                await city.orders.room.close(id_, by="li")
            await say(id_, unit, Deed.DONE, noted_by="zhang", by="李四", way=AnswerWay.PHONE)
        await city.orders.room.close(id_, by="li")
        assert (await city.get(id_))["closed_by"] == "li"
        assert await city.orders.desk.open() == []


async def test_a_province_reaches_a_county_without_a_gateway_through_its_city(tmp_path, clock):
    async with orders_stage(tmp_path, clock, PROVINCE, CITY) as stage:
        province, city = stage.offices[PROVINCE], stage.offices[CITY]
        id_ = await province.issue(CONTENT.model_copy(update={"units": (BOX_ONLY, CITY)}))
        assert len(stage.post.down) == 1
        await stage.down()
        assert [line["unit"] for line in (await city.get(id_))["lines"]] == [CITY, BOX_ONLY]
        say = city.orders.answering.say
        await say(id_, BOX_ONLY, Deed.ACKNOWLEDGED, noted_by="zhao", by="通州区李四", way=AnswerWay.PHONE)
        await say(id_, CITY, Deed.ACKNOWLEDGED, noted_by="zhao")
        await stage.up()
        line = await province.line(id_, BOX_ONLY)
        assert (line["carrier"], line["state"], line["acknowledged_by"]) == (CITY, "acknowledged", "通州区李四")
        assert (await province.get(id_))["state"] == "acknowledged"


async def test_what_is_not_signed_by_its_issuer_is_refused_counted_and_told(tmp_path, clock):
    async with orders_stage(tmp_path, clock, CITY, COUNTY) as stage:
        city, county = stage.offices[CITY], stage.offices[COUNTY]
        id_ = await city.issue(ONE)
        true = stage.post.down[0]
        sent = OrderSent.model_validate(true.args)
        forged = sent.model_copy(update={"document": sent.document.replace("立即转移", "原地待命")})
        later = sent.model_copy(update={"later": sent.later.replace('"revocation":null', '"revocation":{}')})
        elsewhere = sent.model_copy(update={"units": (BOX_ONLY,)})
        stage.post.down[:] = [
            true.model_copy(update={"args": args.model_dump(mode="json")}) for args in (forged, later, elsewhere)
        ]
        assert await stage.down(times=1) == ["bad_input", "bad_input", "not_allowed"]
        stage.post.down[:] = [true.model_copy(update={"origin": PROVINCE})]
        assert await stage.down(times=1) == ["not_allowed"]
        assert await county.orders.desk.page() == []
        assert county.count("orders_refused_total", reason="signature") == 2
        assert county.count("orders_refused_total", reason="not_allowed") == 2
        assert set(await stage.up()) == {"refused"}
        line = await city.line(id_, COUNTY)
        assert (line["state"], "signature" in line["refused_why"] or "may not" in line["refused_why"]) == ("sent", True)
        stage.post.down[:] = [true]
        assert await stage.down() == []
        await stage.up()
        line = await city.line(id_, COUNTY)
        assert (line["state"], line["refused_why"]) == ("delivered", "")


async def test_another_key_of_the_issuer_is_shown_and_counted(tmp_path, clock):
    async with orders_stage(tmp_path, clock, CITY, COUNTY) as stage:
        await stage.offices[CITY].issue(ONE)
        await stage.down()
    (tmp_path / f"{CITY}.key").unlink()
    async with orders_stage(tmp_path, clock, CITY, COUNTY) as stage:
        id_ = await stage.offices[CITY].issue(ONE)
        assert await stage.down() == []
        county = stage.offices[COUNTY]
        assert (await county.get(id_))["flags"] == ["key_changed"]
        assert county.count("order_keys_changed_total") == 1


async def test_a_gateway_speaks_for_no_other_unit(tmp_path, clock):
    async with orders_stage(tmp_path, clock, CITY, COUNTY) as stage:
        city, county = stage.offices[CITY], stage.offices[COUNTY]
        id_ = await city.issue()
        await stage.down()
        (event,) = stage.post.up
        foreign = event.model_copy(update={"data": event.data | {"unit": BOX_ONLY}})
        with pytest.raises(NotAllowedError, match="speak"):
            city.orders.answering.check(foreign)
        async with city.store.unit() as uow:
            await city.orders.answering.apply(uow, [type("Came", (), {"event": foreign})()])
        assert city.count("order_answers_foreign_total") == 1
        assert (await city.line(id_, BOX_ONLY))["entries"] == []
        assert (await county.line(id_, COUNTY))["state"] == "delivered"


async def test_a_revocation_and_a_chase_hold_whatever_comes_first(tmp_path, clock):
    async with orders_stage(tmp_path, clock, CITY, COUNTY) as stage:
        city, county = stage.offices[CITY], stage.offices[COUNTY]
        id_ = await city.issue(ONE)
        await city.orders.room.chase(id_, COUNTY, "请速反馈", by="li")
        await city.orders.room.revoke(id_, "险情解除", by="li")
        stage.post.down.reverse()
        await stage.down()
        seen = await county.get(id_)
        assert (seen["state"], seen["revoked_why"]) == ("revoked", "险情解除")
        assert [one["text"] for one in seen["lines"][0]["chases"]] == ["请速反馈"]
        assert await stage.up() == ["delivered", "withdrawn"]
        line = await city.line(id_, COUNTY)
        assert (line["state"], line["withdrawn_at"] is not None) == ("revoked", True)
        assert (await city.timers(), await county.timers()) == (0, 0)
        with pytest.raises(WrongMomentError, match="revoked"):
            await county.orders.answering.say(id_, COUNTY, Deed.ACKNOWLEDGED, noted_by="王五")


async def test_nobody_signs_and_those_above_hear_of_it_each_once_across_a_restart(tmp_path, clock):
    async with orders_stage(tmp_path, clock, CITY, COUNTY) as stage:
        city, county = stage.offices[CITY], stage.offices[COUNTY]
        stage.duty.put(COUNTY, clock, officer="13800000001", leader="13800000002")
        stage.duty.put(CITY, clock, leader="13800000003")
        id_ = await city.issue(ONE, drill=True)
        await stage.down()
        await stage.up()
        await stage.pass_(299)
        assert (await city.line(id_, COUNTY))["state"] == "delivered"
        await stage.pass_(1)
        assert (await city.line(id_, COUNTY))["state"] == "overdue"
        assert (await county.line(id_, COUNTY))["state"] == "overdue"
        assert await city.told(id_) == [(f"{COUNTY}/again", "sms", f"{COUNTY}officer")]
        assert (f"{COUNTY}/again", "sound", "值班室") in await county.told(id_)
    async with orders_stage(tmp_path, clock, CITY, COUNTY) as stage:
        city, county = stage.offices[CITY], stage.offices[COUNTY]
        stage.duty.put(COUNTY, clock, officer="13800000001", leader="13800000002")
        stage.duty.put(CITY, clock, leader="13800000003")
        await stage.pass_(0)
        assert len(await city.told(id_)) == 1
        await stage.pass_(300)
        await stage.pass_(300)
        assert await city.told(id_) == [
            (f"{COUNTY}/again", "sms", f"{COUNTY}officer"),
            (f"{COUNTY}/higher", "sms", f"{CITY}leader"),
            (f"{COUNTY}/higher", "sound", "值班室"),
            (f"{COUNTY}/leader", "sms", f"{COUNTY}leader"),
        ]
        await city.orders.room.measure()
        city.metrics.take_snapshot()
        assert city.count("order_overdue") == 1
        assert await city.timers() == 0
        await county.orders.answering.say(id_, COUNTY, Deed.ACKNOWLEDGED, noted_by="王五")
        await stage.up()
        line = await city.line(id_, COUNTY)
        assert (line["state"], line["overdue_at"] is not None) == ("acknowledged", True)
        log = [one["what"] for one in (await city.get(id_))["log"]]
        assert [log.count(f"reminded_{step}") for step in ("again", "leader", "higher")] == [1, 1, 1]


async def test_what_never_arrived_is_sent_again_with_the_reminder(tmp_path, clock):
    async with orders_stage(tmp_path, clock, CITY, COUNTY) as stage:
        city, county = stage.offices[CITY], stage.offices[COUNTY]
        id_ = await city.issue(ONE)
        stage.post.down.clear()
        await stage.pass_(300)
        assert await stage.down() == []
        assert (await county.line(id_, COUNTY))["reached"] == "delivered"
        await stage.up()
        await stage.pass_(300)
        assert stage.post.down == []
        assert (await city.line(id_, COUNTY))["delivered_at"] is not None


async def test_an_order_that_was_signed_can_always_be_revoked_in_one_record(tmp_path, clock):
    async with orders_stage(tmp_path, clock, CITY, COUNTY) as stage:
        room = stage.offices[CITY].orders.room
        long = await room.draft(ONE.model_copy(update={"content": "\x01" * 4000}), drill=False, by="zhang")
        with pytest.raises(TooLargeError, match="shorten"):
            await room.sign(long, by="li")
        id_ = await stage.offices[CITY].issue(ONE.model_copy(update={"content": "转" * 4000, "title": '"' * 120}))
        for _ in range(12):
            await clock.advance(1)
            await room.chase(id_, COUNTY, "\x01" * 300, by="li")
        await room.revoke(id_, "\x01" * 300, by="li")
        assert len(stage.post.down[-1].model_dump_json().encode()) < EVENT_BYTES - 1024
        assert await stage.down(times=1) == []
        seen = await stage.offices[COUNTY].get(id_)
        assert (seen["state"], len(seen["lines"][0]["chases"])) == ("revoked", 12)


async def test_a_feedback_that_is_due_is_asked_for_once(tmp_path, clock):
    async with orders_stage(tmp_path, clock, CITY, COUNTY) as stage:
        city, county = stage.offices[CITY], stage.offices[COUNTY]
        id_ = await city.issue(ONE.model_copy(update={"feedback_minutes": 30}))
        await stage.down()
        await county.orders.answering.say(id_, COUNTY, Deed.ACKNOWLEDGED, noted_by="王五")
        await stage.up()
        await stage.pass_(1800)
        assert [ref for ref, *_ in await city.told(id_)] == [f"{COUNTY}/feedback"] * 2
        await stage.pass_(3600)
        assert len(await city.told(id_)) == 2


async def test_a_draft_is_checked_signed_by_another_and_numbered_by_the_year(tmp_path, clock):
    async with orders_stage(tmp_path, clock, CITY, COUNTY, prefix="通应急指令") as stage:
        room = stage.offices[CITY].orders.room
        empty = await room.draft(OrderContent(), drill=False, by="zhang")
        with pytest.raises(OrderIncompleteError, match="title, content, units"):
            await room.sign(empty, by="li")
        with pytest.raises(BadInputError, match=PROVINCE):
            await room.edit(empty, OrderContent(units=(PROVINCE,)), by="zhang")
        await room.edit(empty, CONTENT, by="wang")
        for author in ("zhang", "wang"):
            with pytest.raises(NotAllowedError, match="another person"):
                await room.sign(empty, by=author)
        await room.sign(empty, by="li")
        with pytest.raises(WrongMomentError, match="draft"):
            await room.edit(empty, CONTENT, by="zhang")
        await room.send_back(empty, "补充联系人", by="li")
        await room.edit(empty, CONTENT.model_copy(update={"urgency": Urgency.ROUTINE}), by="zhang")
        await room.sign(empty, by="li")
        assert stage.post.down == []
        other = await stage.offices[CITY].issue()
        numbers = [(await stage.offices[CITY].get(one))["number"] for one in (empty, other)]
        assert numbers == ["通应急指令〔2026〕1号", "通应急指令〔2026〕2号"]
        assert (await stage.offices[CITY].get(empty))["ack_within_s"] == 3600
        await room.revoke(empty, "不再需要", by="li")
        assert (await stage.offices[CITY].get(empty))["state"] == "revoked"


async def test_the_drafter_signs_alone_where_the_settings_permit(tmp_path, clock):
    async with orders_stage(tmp_path, clock, CITY, one_person=True) as stage:
        room = stage.offices[CITY].orders.room
        id_ = await room.draft(CONTENT, drill=False, by="zhang")
        await room.sign(id_, by="zhang")
        whole = await stage.offices[CITY].get(id_)
        assert (whole["state"], whole["authors"], whole["signed_by"]) == ("signed", ["zhang"], "zhang")
