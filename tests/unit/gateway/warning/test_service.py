"""Own warnings: two persons, what is refused, what a dispatch does, updates, cancellations, drills."""

import pytest

from gateway.alarms.cap import parse
from gateway.ports.notify import Channel, NotSentError
from gateway.warning.signing import verify
from protocols.cap import CapStatus, CapType
from protocols.errors import (
    NotAllowedError,
    NotIssuerError,
    TooLargeError,
    WarningIncompleteError,
    WeatherSignalError,
    WrongMomentError,
)
from protocols.warning import WarningContent
from tests.support.cap import alert
from tests.support.warning_stage import OUTLETS, TOWN, UNIT, warning_stage
from tests.unit.protocols.test_warning import WHOLE

RED = {"colour": 1, "headline": "如东县发布危险化学品泄漏红色预警"}


def content(**more):
    return WarningContent.model_validate(WHOLE | more)


async def test_a_warning_is_written_reviewed_signed_and_dispatched_by_two_persons(tmp_path):
    async with warning_stage(tmp_path) as office:
        id_ = await office.room.draft(UNIT, content(), drill=False, by="zhang")
        with pytest.raises(NotAllowedError, match="another person"):
            await office.room.review(id_, by="zhang")
        with pytest.raises(WrongMomentError):
            await office.room.dispatch(id_, by="li")
        await office.room.review(id_, by="li")
        with pytest.raises(NotAllowedError, match="another person"):
            await office.room.sign(id_, by="zhang")
        await office.room.sign(id_, by="li")
        row = await office.desk.document(id_)
        verify(row.document, row.signature, row.public_key)
        message = parse(row.document)
        assert (message.sender, message.status, message.type) == ("32062341800000", CapStatus.ACTUAL, CapType.ALERT)
        await office.room.dispatch(id_, by="zhang")
        whole = await office.get(id_)
        assert whole["state"] == "delivered"
        assert [line["what"] for line in whole["log"]] == ["drafted", "reviewed", "signed", "dispatched"]
        assert office.post.issued[0].data["document"] == row.document.decode()


async def test_whoever_changed_a_draft_is_an_author_too(tmp_path):
    async with warning_stage(tmp_path) as office:
        id_ = await office.room.draft(UNIT, content(), drill=False, by="zhang")
        await office.room.edit(id_, content(headline="改过"), by="li")
        for person in ("zhang", "li"):
            with pytest.raises(NotAllowedError):
                await office.room.review(id_, by=person)
        await office.room.review(id_, by="wang")
        with pytest.raises(WrongMomentError, match="return it"):
            await office.room.edit(id_, content(), by="zhang")
        await office.room.send_back(id_, "写清范围", by="wang")
        await office.room.edit(id_, content(), by="zhang")


async def test_a_weather_signal_is_refused_from_the_first_word_to_the_last(tmp_path):
    issuers = [{"unit": UNIT, "sender": "41800000", "events": ["1"], "gravest": 1}]
    async with warning_stage(tmp_path, issuers=issuers) as office:
        rain = content(event_code="11B03", event="暴雨")
        with pytest.raises(WeatherSignalError, match="30"):
            await office.room.draft(UNIT, rain, drill=False, by="zhang")
        with pytest.raises(WeatherSignalError):
            await office.room.draft(UNIT, rain, drill=True, by="zhang")
        id_ = await office.room.draft(UNIT, content(), drill=False, by="zhang")
        with pytest.raises(WeatherSignalError):
            await office.room.edit(id_, content(description="可能出现龙卷"), by="zhang")
        assert [one["state"] for one in await office.desk.page()] == ["drafted"]


async def test_who_is_not_authorised_and_what_is_incomplete_is_refused(tmp_path):
    async with warning_stage(tmp_path) as office:
        with pytest.raises(NotIssuerError):
            await office.room.draft("别的局", content(), drill=False, by="zhang")
        id_ = await office.room.draft(UNIT, content(instruction=""), drill=False, by="zhang")
        with pytest.raises(WarningIncompleteError, match="instruction"):
            await office.room.review(id_, by="li")


async def test_outlets_get_it_each_with_a_receipt_and_then_it_is_delivered(tmp_path):
    async with warning_stage(tmp_path) as office:
        await office.lists(outlets=OUTLETS)
        office.stage.channels[Channel.EMAIL].fails = [NotSentError("busy")]
        id_ = await office.issue()
        assert (await office.get(id_))["state"] == "dispatched"
        await office.pass_(6)
        whole = await office.get(id_)
        assert whole["state"] == "delivered"
        assert {one["person"]: one["state"] for one in whole["outlets"]} == {
            "县电视台": "accepted",
            "毗邻县": "accepted",
        }
        (hook,) = office.stage.channels[Channel.WEBHOOK].got
        verify(hook.data["cap"].encode(), hook.data["signature"], whole["public_key"])


async def test_a_drill_is_marked_for_ever_and_never_reaches_the_public(tmp_path):
    async with warning_stage(tmp_path) as office:
        await office.lists(TOWN, outlets=OUTLETS)
        id_ = await office.issue(drill=True, **RED)
        whole = await office.get(id_)
        assert [one["person"] for one in whole["outlets"] if one["channel"] != "sound"] == ["毗邻县"]
        assert parse((await office.desk.document(id_)).document).status is CapStatus.EXERCISE
        assert office.post.issued[0].drill
        assert await office.desk.published(drills=False) == []
        assert len(await office.desk.published(drills=True)) == 1
        update = await office.room.follow_up(id_, CapType.UPDATE, by="zhang")
        assert (await office.get(update))["drill"]
        for notice in office.stage.channels[Channel.SMS].got:
            assert notice.text.startswith("【演练】")


async def test_an_update_replaces_and_a_cancellation_withdraws_with_two_persons_each(tmp_path):
    async with warning_stage(tmp_path) as office:
        first = await office.issue()
        update = await office.room.follow_up(first, CapType.UPDATE, by="zhang")
        with pytest.raises(WrongMomentError, match="open"):
            await office.room.follow_up(first, CapType.CANCEL, by="zhang")
        await office.finish(update)
        assert (await office.get(first))["state"] == "updated"
        with pytest.raises(WrongMomentError):
            await office.room.follow_up(first, CapType.CANCEL, by="zhang")
        with pytest.raises(WrongMomentError, match="cancel it"):
            await office.room.archive(update, by="zhang")
        end = await office.finish(await office.room.follow_up(update, CapType.CANCEL, by="zhang", why="险情解除"))
        message = parse((await office.desk.document(end)).document)
        assert (message.type, message.note) == (CapType.CANCEL, "险情解除")
        assert message.references[0].identifier == (await office.get(update))["identifier"]
        assert (await office.get(update))["state"] == "cancelled"
        with pytest.raises(WrongMomentError):
            await office.room.follow_up(end, CapType.CANCEL, by="zhang")
        for id_ in (first, update, end):
            await office.room.archive(id_, by="zhang")


async def test_a_document_too_large_for_a_link_is_refused_before_it_is_signed(tmp_path):
    async with warning_stage(tmp_path) as office:
        areas = [{"name": "某村" * 90, "codes": [f"320623{n:06d}" for n in range(200)]} for _ in range(4)]
        id_ = await office.room.draft(UNIT, content(areas=areas), drill=False, by="zhang")
        await office.room.review(id_, by="li")
        with pytest.raises(TooLargeError, match="shorten"):
            await office.room.sign(id_, by="li")
        assert (await office.get(id_))["state"] == "reviewed"


async def test_messages_of_one_second_have_different_names(tmp_path):
    async with warning_stage(tmp_path) as office:
        ids = [await office.issue(), await office.issue(), await office.issue()]
        names = [(await office.get(id_))["identifier"] for id_ in ids]
        assert [name[-2:] for name in names] == ["_0", "_1", "_2"]


async def test_a_red_one_calls_people_and_a_withdrawn_draft_never_did(tmp_path):
    async with warning_stage(tmp_path) as office:
        await office.lists(TOWN)
        draft = await office.room.draft(UNIT, content(**RED), drill=False, by="zhang")
        await office.room.archive(draft, by="zhang")
        assert [line["what"] for line in (await office.get(draft))["log"]] == ["drafted", "withdrawn"]
        id_ = await office.issue(**RED)
        assert (await office.get(id_))["state"] == "called"
        assert office.told() == ["张三", "李四"]
        with pytest.raises(WrongMomentError):
            await office.room.archive(id_, by="zhang")


async def test_what_others_issued_is_not_ours_to_change(tmp_path):
    async with warning_stage(tmp_path) as office:
        await office.bulletins.take(alert(headline="大风蓝色预警", event="大风"))
        id_ = (await office.only())["id"]
        for act in (office.room.review(id_, by="li"), office.room.edit(id_, content(), by="li")):
            with pytest.raises(WrongMomentError, match="another's"):
                await act
        await office.room.archive(id_, by="li")
