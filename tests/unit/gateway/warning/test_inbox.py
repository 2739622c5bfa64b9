"""What others issued: chains of messages, and what gateways below signed."""

import pytest

from gateway.warning.signing import public_of, sign
from protocols.envelope import Event
from protocols.errors import BadInputError, NotAllowedError
from tests.support.cap import alert, reference
from tests.support.warning_stage import warning_stage


async def states(office):
    return {one["identifier"]: one["state"] for one in await office.desk.page()}


async def test_an_update_replaces_what_it_references_and_a_repeat_changes_nothing(tmp_path):
    async with warning_stage(tmp_path) as office:
        yellow = {"headline": "暴雨黄色预警"}
        for _ in range(2):
            await office.bulletins.take(alert(**yellow))
        await office.bulletins.take(alert(identifier="b", type="Update", references=reference(), **yellow))
        assert sorted((await states(office)).values()) == ["received", "updated"]
        await office.bulletins.take(alert(identifier="c", type="Cancel", references=reference("b")))
        assert (await states(office))["b"] == "cancelled"


async def test_the_document_is_kept_as_it_came(tmp_path):
    async with warning_stage(tmp_path) as office:
        body = alert(headline="大雾黄色预警").decode().replace("UTF-8", "GB18030").encode("gb18030")
        await office.bulletins.take(body)
        whole = await office.only()
        assert whole["headline"] == "大雾黄色预警"
        assert (await office.desk.document(whole["id"])).document == body


async def below(tmp_path, **more) -> tuple[Event, object]:
    async with warning_stage(tmp_path) as county:
        await county.issue(**more)
        return county.post.issued[0], county.room.needs.key


def changed(event: Event, **data) -> Event:
    return event.model_copy(update={"data": event.data | data})


async def test_a_signed_warning_of_a_county_stands_at_the_city_and_calls_nobody_there(tmp_path):
    event, _ = await below(tmp_path / "county", colour=1, headline="红色预警")
    async with warning_stage(tmp_path / "city", here="320600") as city:
        await city.take(event)
        await city.take(event)
        whole = await city.only()
        assert (whole["origin"], whole["state"], whole["unit"], whole["run"]) == (
            "below",
            "received",
            "如东县应急管理局",
            None,
        )
        assert whole["flags"] == []


async def test_what_was_changed_on_the_way_is_refused(tmp_path):
    event, key = await below(tmp_path / "county")
    document = event.data["document"]
    async with warning_stage(tmp_path / "city", here="320600") as city:
        forged = document.replace("黄色", "红色")
        own = {"signature": sign(key, document.encode()), "key": public_of(key)}
        foreign = document.replace("<sender>320623", "<sender>320681")
        wrong = [
            (changed(event, document=forged), BadInputError),
            (changed(event, key="A" * 43 + "="), BadInputError),
            (changed(event, centre="320681"), NotAllowedError),
            (changed(event, document=foreign, signature=sign(key, foreign.encode())), NotAllowedError),
            (event.model_copy(update={"drill": True}), BadInputError),
            (changed(event, document="<alert/>", signature=sign(key, b"<alert/>")), BadInputError),
        ]
        for bad, error in wrong:
            with pytest.raises(error):
                city.inbox.check(bad)
        city.inbox.check(changed(event, **own))


async def test_another_key_of_the_same_gateway_is_shown_and_not_believed_silently(tmp_path):
    first, _ = await below(tmp_path / "a")
    second, _ = await below(tmp_path / "b", headline="另一把钥匙")
    async with warning_stage(tmp_path / "city", here="320600") as city:
        await city.take(first)
        renamed = second.data["document"].replace("_0</identifier>", "_9</identifier>")
        assert renamed != second.data["document"]
        async with warning_stage(tmp_path / "b") as county:
            signed = {"document": renamed, "signature": sign(county.room.needs.key, renamed.encode())}
        await city.take(changed(second, **signed))
        flags = {one["headline"]: one["flags"] for one in await city.desk.page()}
        assert flags["另一把钥匙"] == ["key_changed"]
