"""Warnings through whole gateways: real mail and webhook, a link pressed, the way up, a feed at another gateway."""

import contextlib
import json
import socket
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path

import httpx
import pytest
from aiosmtpd.controller import Controller

from gateway.app import Gateway
from gateway.warning.signing import verify
from gateway.web.auth import Role
from tests.integration.gateway.test_api import client
from tests.support.cap import alert
from tests.support.chain import settings, until
from tests.unit.gateway.adapters.test_notify import Mailbox, web
from tests.unit.protocols.test_warning import WHOLE

pytestmark = pytest.mark.external
UNIT = "如东县应急管理局"
WARNING = {"issuers": [{"unit": UNIT, "sender": "41800000", "events": ["12A"], "gravest": 1}]}
CONTENT = WHOLE | {"onset": datetime.now(UTC).isoformat(), "colour": 1, "headline": "如东县发布危险化学品泄漏红色预警"}


@contextlib.contextmanager
def mail_server():
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield box, port
    finally:
        controller.stop()


def target(**ways: str) -> dict:
    chain = [{"name": "张三", **ways}]
    return {"name": "洋口镇", "code": "320623104", "responsible": [{"chain": chain}]}


async def issue(writer: httpx.AsyncClient, second: httpx.AsyncClient, **more) -> dict:
    body = {"unit": UNIT, "content": CONTENT, **more}
    made = await writer.post("/api/v1/warnings", json=body)
    assert made.status_code == 201, made.text
    path = f"/api/v1/warnings/{made.json()['id']}"
    for person, step in ((second, "review"), (second, "sign"), (writer, "dispatch")):
        answer = await person.post(f"{path}/{step}")
        assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_red_warning_is_issued_called_and_confirmed_by_the_link_in_a_real_mail(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef")
    with mail_server() as (box, port):
        async with contextlib.AsyncExitStack() as stack:
            hook = await stack.enter_async_context(web())
            notify = {"smtp": f"127.0.0.1:{port}", "smtp_tls": "none", "webhook_secret_file": str(secret)}
            wanted = settings("320623", tmp_path, warning=WARNING, notify=notify)
            gateway = await stack.enter_async_context(Gateway(wanted))
            writer = await stack.enter_async_context(client(gateway, Role.DUTY_OFFICER))
            second = await stack.enter_async_context(client(gateway, Role.DUTY_OFFICER))
            reader = await stack.enter_async_context(client(gateway, Role.AUDITOR))
            outlet = {"name": "毗邻县", "kind": "neighbour", "url": hook.url}
            people = {"targets": [target(email="zhang@town.example")], "outlets": [outlet]}
            assert (await writer.put("/api/v1/warnings/call-list", json=people)).json()["version"] == 1
            assert (await reader.get("/api/v1/warnings/call-list")).status_code == 403

            whole = await issue(writer, second)
            assert (whole["state"], whole["run"]["phase"]) == ("called", "running")
            path = f"/api/v1/warnings/{whole['id']}"
            await until(lambda: box.got and hook.got)
            posted = json.loads(hook.got[0][1])
            verify(posted["cap"].encode(), posted["signature"], whole["public_key"])

            text = message_from_bytes(box.got[0], policy=policy.default).get_content()
            link = text.partition("点开确认：")[2].partition("）")[0]
            assert link.startswith(f"{gateway.base_url}/confirm/")
            async with httpx.AsyncClient(trust_env=False, timeout=30) as phone:
                page = await phone.get(link)
                assert (page.status_code, "我已收到" in page.text, "张三" in page.text) == (200, True, True)
                assert (await reader.get(path)).json()["run"]["unanswered"] == 1
                assert "已确认" in (await phone.post(link)).text
                assert (await phone.post(link[:-1] + "!")).status_code == 404
            whole = (await reader.get(path)).json()
            assert (whole["state"], whole["run"]["phase"]) == ("confirmed", "done")
            assert whole["calls"][0]["chain"][0]["email"] == "z***@town.example"

            record = (await reader.get(f"{path}/record")).json()
            assert (record["calls"][0]["confirmed_by"], record["calls"][0]["way"]) == ("张三", "link")
            word = await reader.get(f"{path}/record/docx")
            assert (word.status_code, word.content[:2]) == (200, b"PK")
            paper = await reader.get(f"{path}/record/pdf")
            assert paper.status_code in {200, 501}
            refused = await writer.post(
                "/api/v1/warnings", json={"unit": UNIT, "content": CONTENT | {"event": "暴雨", "event_code": "11B03"}}
            )
            assert (refused.status_code, refused.json()["code"]) == (403, "weather_signal")
            assert "气象台站" in refused.json()["detail"]


async def test_the_feed_of_a_city_is_read_by_its_county_and_drills_stay_inside(tmp_path: Path) -> None:
    public = settings("320600", tmp_path, warning=WARNING | {"public_feed": True})
    async with (
        Gateway(public) as city,
        client(city, Role.DUTY_OFFICER) as writer,
        client(city, Role.DUTY_OFFICER) as second,
    ):
        drill = await issue(writer, second, drill=True)
        real = await issue(writer, second)
        async with httpx.AsyncClient(base_url=city.base_url, trust_env=False, timeout=30) as anybody:
            feed = await anybody.get("/feeds/warnings.atom")
            assert real["identifier"] in feed.text
            assert drill["identifier"] not in feed.text
            tag = {"If-None-Match": feed.headers["etag"]}
            assert (await anybody.get("/feeds/warnings.atom", headers=tag)).status_code == 304
            document = await anybody.get(f"/feeds/warnings/{real['identifier']}.xml")
            signature = document.headers["x-silian-signature"].removeprefix("ed25519=").split("; key=")
            verify(document.content, *signature)
            assert (await anybody.get(f"/feeds/warnings/{drill['identifier']}.xml")).status_code == 404
            assert drill["identifier"] in (await writer.get("/feeds/warnings.atom")).text
        feeds = [{"name": "city", "url": f"{city.base_url}/feeds/warnings.atom", "every_s": 10}]
        below = settings("320623", tmp_path, warning={"feeds": feeds})
        async with Gateway(below) as county, client(county, Role.AUDITOR) as reader:

            async def arrived():
                return (await reader.get("/api/v1/warnings")).json()["items"]

            (item,) = await until(arrived)
            assert (item["identifier"], item["origin"], item["run"]["phase"]) == (
                real["identifier"],
                "received",
                "offered",
            )
            (alarm,) = (await reader.get("/api/v1/alarms")).json()["items"]
            assert (alarm["severity"], alarm["drill"]) == (1, False)


async def test_a_feed_asks_for_a_login_unless_it_is_public(tmp_path: Path) -> None:
    async with Gateway(settings("320623", tmp_path)) as gateway:
        async with httpx.AsyncClient(base_url=gateway.base_url, trust_env=False, timeout=30) as anybody:
            assert (await anybody.get("/feeds/warnings.atom")).status_code == 401
        async with client(gateway, Role.DUTY_OFFICER) as officer:
            assert (await officer.get("/feeds/warnings.atom")).status_code == 200


async def test_a_countys_warning_goes_up_with_its_signature_and_its_cancel_too(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        city = await stack.enter_async_context(Gateway(settings("320600", tmp_path)))
        invited = await city.enrolment.invite("320623", "test")
        upstream = {"url": city.base_url, "token": str(invited.token)}
        below = settings("320623", tmp_path, warning=WARNING, upstream=upstream)
        county = await stack.enter_async_context(Gateway(below))
        writer = await stack.enter_async_context(client(county, Role.DUTY_OFFICER))
        second = await stack.enter_async_context(client(county, Role.DUTY_OFFICER))
        above = await stack.enter_async_context(client(city, Role.DUTY_OFFICER))

        async def states():
            items = (await above.get("/api/v1/warnings")).json()["items"]
            return {one["kind"]: (one["origin"], one["state"]) for one in items}

        first = await issue(writer, second)
        await until(lambda: _is(states, {"Alert": ("below", "received")}))
        (seen,) = (await above.get("/api/v1/warnings")).json()["items"]
        document = await above.get(f"/api/v1/warnings/{seen['id']}/cap")
        whole = (await above.get(f"/api/v1/warnings/{seen['id']}")).json()
        verify(document.content, whole["signature"], first["public_key"])
        assert whole["flags"] == []

        draft = await writer.post(
            f"/api/v1/warnings/{first['id']}/follow-up", json={"kind": "Cancel", "why": "险情解除"}
        )
        path = f"/api/v1/warnings/{draft.json()['id']}"
        for person, step in ((second, "review"), (second, "sign"), (writer, "dispatch")):
            assert (await person.post(f"{path}/{step}")).status_code == 200
        await until(lambda: _is(states, {"Alert": ("below", "cancelled"), "Cancel": ("below", "archived")}))


async def _is(states, wanted) -> bool:
    return await states() == wanted


async def test_a_kill_in_the_middle_of_a_call_loses_nobody(tmp_path: Path) -> None:
    wanted = settings("320623", tmp_path, warning={"answer_within_s": 1})
    red = {"headline": "如东县气象台发布暴雨红色预警", "area": "320623104000"}
    async with Gateway(wanted) as gateway, client(gateway, Role.DUTY_OFFICER) as officer:
        two = target() | {"responsible": [{"chain": [{"name": "张三"}, {"name": "王五"}]}]}
        await officer.put("/api/v1/warnings/call-list", json={"targets": [two], "outlets": []})
        headers = {"Content-Type": "application/cap+xml"}
        assert (await officer.post("/api/v1/cap", content=alert(**red), headers=headers)).status_code == 202
    async with Gateway(wanted) as gateway, client(gateway, Role.AUDITOR) as reader:

        async def whole():
            (item,) = (await reader.get("/api/v1/warnings")).json()["items"]
            return (await reader.get(f"/api/v1/warnings/{item['id']}")).json()

        async def at_the_door():
            return (await whole())["calls"][0]["phase"] == "door"

        await until(at_the_door)
        said = [line["what"] for line in (await whole())["log"]]
        assert said == ["received", "called", "next", "door"]
