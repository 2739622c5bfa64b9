"""The heart's HTTP: alarms, acknowledgement, the event log, public warnings, links, quarantine; and who may."""

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from gateway.alarms.tables import alarms
from gateway.app import Gateway
from gateway.web.auth import Role
from protocols.alarm import Condition
from tests.support.chain import logged, node, settings, until
from tests.unit.gateway.alarms.test_cap import alert

pytestmark = pytest.mark.external
PASSWORD = "Correct-horse-7-battery"


@contextlib.asynccontextmanager
async def client(gateway: Gateway, *roles: Role) -> AsyncIterator[httpx.AsyncClient]:
    """A person with `roles`, logged in."""
    name = f"user{len(gateway.users.users())}"
    await gateway.users.create(name, "测试", roles, PASSWORD, must_change=False)
    login = await gateway.users.login(name, PASSWORD)
    headers = {"Authorization": f"Bearer {login.token}"}
    async with httpx.AsyncClient(base_url=gateway.base_url, headers=headers, trust_env=False, timeout=30) as http:
        yield http


async def test_an_alarm_is_hidden_for_a_time_and_the_list_is_folded(tmp_path: Path) -> None:
    async with (
        Gateway(settings("320600", tmp_path)) as city,
        node(city, "320681-box", tmp_path) as box,
        client(city, Role.DUTY_OFFICER) as officer,
        client(city, Role.CALLER) as caller,
    ):
        for number, severity in enumerate((1, 3, 3)):
            await box.raise_alarm(f"k{number}", severity=severity)
        await until(lambda: _count(city, 3))
        groups = (await caller.get("/api/v1/alarms/groups")).json()["items"]
        assert [(g["severity"], g["count"], g["centre"]) for g in groups] == [(1, 1, "320681"), (3, 2, "320681")]

        items = (await officer.get("/api/v1/alarms")).json()["items"]
        red, mild = (next(i for i in items if i["severity"] == severity) for severity in (1, 3))
        wish = {"minutes": 30, "reason": "检修"}
        assert (await caller.post(f"/api/v1/alarms/{mild['id']}/shelve", json=wish)).status_code == 403
        assert (await officer.post(f"/api/v1/alarms/{red['id']}/shelve", json=wish)).status_code == 409
        assert (await officer.post(f"/api/v1/alarms/{mild['id']}/shelve", json={"minutes": 5})).status_code == 422
        hidden = (await officer.post(f"/api/v1/alarms/{mild['id']}/shelve", json=wish)).json()
        assert (hidden["visibility"], hidden["shelf"]["reason"]) == ("shelved", "检修")
        shown = (await officer.get("/api/v1/alarms", params={"shown": True})).json()
        assert len(shown["items"]) == 2
        assert shown["totals"] == {"active": 3, "unacknowledged": 2}
        assert [g["count"] for g in (await officer.get("/api/v1/alarms/groups")).json()["items"]] == [1, 1]

        async with city.store.unit() as uow:
            past = uow.now - timedelta(seconds=1)
            await uow.execute(update(alarms).where(alarms.c.id == mild["id"]).values(shelf_until=past))

        async def back() -> bool:
            found = (await officer.get(f"/api/v1/alarms/{mild['id']}")).json()
            return bool(found["visibility"] == "shown" and found["shelf"] is None)

        await until(back)
        await officer.post(f"/api/v1/alarms/{mild['id']}/shelve", json={"reason": "停用"})
        ended = (await officer.delete(f"/api/v1/alarms/{mild['id']}/shelve")).json()
        assert ended["visibility"] == "shown"


async def test_alarms_over_http(tmp_path: Path) -> None:
    async with (
        Gateway(settings("320600", tmp_path)) as city,
        node(city, "320681-box", tmp_path) as box,
        client(city, Role.DUTY_OFFICER) as officer,
        client(city, Role.CALLER) as caller,
    ):
        for number in range(5):
            await box.raise_alarm(f"k{number}", severity=1 + number % 4)
        await box.raise_alarm("k4", Condition.CLEARED)
        await until(lambda: _count(city, 6))

        page = (await officer.get("/api/v1/alarms", params={"limit": 3})).json()
        rest = (await officer.get("/api/v1/alarms", params={"limit": 3, "cursor": page["next"]})).json()
        assert page["totals"] == {"active": 4, "unacknowledged": 4}
        assert [item["alarm_key"] for item in page["items"] + rest["items"]] == ["k3", "k2", "k1", "k0"]
        assert rest["next"] is None
        everything = (await officer.get("/api/v1/alarms", params={"condition": "all"})).json()["items"]
        assert len(everything) == 5
        grave = (await officer.get("/api/v1/alarms", params={"severity": [1, 2], "centre": "320681"})).json()["items"]
        assert {(item["alarm_key"], item["colour"]) for item in grave} == {("k0", "red"), ("k1", "orange")}
        elsewhere = (await officer.get("/api/v1/alarms", params={"centre": "320682"})).json()["items"]
        assert elsewhere == []

        path = f"/api/v1/alarms/{grave[0]['id']}"
        assert (await caller.post(f"{path}/acknowledge")).status_code == 403
        taken = await officer.post(f"{path}/acknowledge", json={"note": "已派员"})
        assert taken.json()["acknowledged"]["note"] == "已派员"
        again = await officer.post(f"{path}/acknowledge")
        assert (again.status_code, again.json()["code"]) == (409, "wrong_moment")
        assert (await officer.get(path)).json()["acknowledged"]["by"]
        waiting = (await officer.get("/api/v1/alarms", params={"acknowledged": False})).json()["items"]
        assert len(waiting) == 3

        log = (await officer.get("/api/v1/alarms/events", params={"limit": 4})).json()
        more = (await officer.get("/api/v1/alarms/events", params={"after": log["next"]})).json()
        assert [line["number"] for line in log["items"] + more["items"]] == [1, 2, 3, 4, 5, 6, 7]
        assert more["next"] is None
        assert log["items"][0]["hops"][0]["node"] == "320600"


async def test_what_is_wrong_is_a_problem_with_a_code(tmp_path: Path) -> None:
    async with Gateway(settings("320600", tmp_path)) as city, client(city, Role.DUTY_OFFICER) as officer:
        for path, status in (
            ("/api/v1/alarms?cursor=nonsense", 400),
            ("/api/v1/alarms?condition=perhaps", 422),
            ("/api/v1/alarms/01J0000000000000000000000A", 404),
        ):
            answer = await officer.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        async with httpx.AsyncClient(base_url=city.base_url, trust_env=False) as stranger:
            for path in ("/api/v1/alarms", "/api/v1/links", "/api/v1/gaps", "/api/v1/quarantine"):
                assert (await stranger.get(path)).status_code == 401
            assert (await stranger.post("/api/v1/cap", content=alert())).status_code == 401


async def test_a_public_warning_is_raised_updated_and_cancelled(tmp_path: Path) -> None:
    async with Gateway(settings("320600", tmp_path)) as city, client(city, Role.DUTY_OFFICER) as officer:

        async def send(body: bytes) -> httpx.Response:
            return await officer.post("/api/v1/cap", content=body, headers={"Content-Type": "application/cap+xml"})

        first = await send(alert())
        assert first.status_code == 202
        assert (await send(alert())).json() == first.json()
        (item,) = (await officer.get("/api/v1/alarms")).json()["items"]
        assert (item["centre"], item["severity"], item["sensor"]) == ("320623", 2, "如东县气象台")

        name = "32062341600000_20261123060000"
        reference = f"32062341600000,{name},2026-11-23T14:00:00+08:00"
        update = alert(type="Update", references=reference, headline="如东县发布暴雨红色预警")
        await send(update.replace(f"<identifier>{name}".encode(), b"<identifier>second"))
        (item,) = (await officer.get("/api/v1/alarms")).json()["items"]
        assert (item["severity"], item["count"]) == (1, 2)

        cancel = alert(type="Cancel", references=reference)
        assert (await send(cancel.replace(f"<identifier>{name}".encode(), b"<identifier>third"))).status_code == 202
        assert (await officer.get("/api/v1/alarms")).json()["items"] == []
        unknown = alert(type="Cancel", references="a,b,2026-11-23T14:00:00+08:00")
        assert (await send(unknown.replace(name.encode(), b"fourth"))).status_code == 404

        attack = b'<!DOCTYPE alert [<!ENTITY x SYSTEM "file:///etc/hostname">]><alert>&x;</alert>'
        for body, status in ((attack, 400), (b"<alert", 400), (b"<a/>", 422), (alert(status="Draft"), 422)):
            answer = await send(body)
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert len(await logged(city)) == 3


async def test_links_and_centres_over_http(tmp_path: Path) -> None:
    async with (
        Gateway(settings("320600", tmp_path)) as city,
        node(city, "320681-box", tmp_path) as box,
        client(city, Role.OPERATIONS) as person,
    ):
        await city.enrolment.invite("320682-box", "test")
        await box.announce("room")
        await until(lambda: city.registry.owner("320681/room"))
        await until(lambda: _up(city))
        own = (await person.get("/api/v1/centre")).json()
        assert (own["code"], own["tier"], own["broker"]["production"]) == ("320600", "city", True)
        codes = [item["code"] for item in (await person.get("/api/v1/centres")).json()["items"]]
        assert codes[0] == "320600"
        assert "320602" not in codes  # no longer in force
        links = (await person.get("/api/v1/links")).json()
        assert links["upper"] is None
        (link,) = links["items"]
        assert (link["node"], link["kind"], link["tier"], link["status"]) == ("320681-box", "agent", "county", "up")
        assert (await person.get("/api/v1/quarantine")).json()["items"] == []
        assert (await person.post("/api/v1/quarantine/7/resend")).status_code == 404
        assert (await person.get("/api/v1/gaps")).json()["items"] == []


async def _count(gateway: Gateway, number: int):
    return len(await logged(gateway)) >= number


def _up(gateway: Gateway):
    link = gateway.registry.link("320681-box")
    return link is not None and link.status == "up"
