"""Orders through whole gateways: two tiers by their API, and three of which the middle one is killed."""

import asyncio
import contextlib
import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from gateway.app import Gateway
from gateway.orders.service import OrderContent
from gateway.orders.tables import order_entries
from gateway.web.auth import Role
from protocols.order import Deed
from tests.integration.gateway.test_api import client
from tests.integration.gateway.test_serve import ROOT, free_port
from tests.support.chain import settings, tiers, until

pytestmark = pytest.mark.external
PROVINCE, CITY, COUNTY, BOX_ONLY = "320000", "320600", "320623", "320612"
CONTENT = {"type": "prevent", "urgency": "flash", "title": "转移低洼地区群众", "content": "立即转移"}


async def test_an_order_is_signed_by_a_second_person_and_answered_at_the_county(tmp_path: Path) -> None:
    async with (
        tiers(tmp_path, CITY, COUNTY) as (city, county),
        client(city, Role.DISPATCHER) as writer,
        client(city, Role.DUTY_OFFICER) as second,
        client(city, Role.AUDITOR) as auditor,
        client(county, Role.DUTY_OFFICER) as officer,
    ):
        await until(lambda: county.upper() is not None and county.upper().status == "up")
        setup = (await writer.get("/api/v1/orders/setup")).json()
        assert {one["code"]: one["gateway"] for one in setup["units"]}[COUNTY] is True
        assert setup["minutes"] == {"flash": 5, "urgent": 15, "routine": 60}
        body = {"content": CONTENT | {"units": [COUNTY, BOX_ONLY]}, "drill": True}
        assert (await auditor.post("/api/v1/orders", json=body)).status_code == 403
        made = (await writer.post("/api/v1/orders", json=body)).json()
        path = f"/api/v1/orders/{made['id']}"
        own = await writer.post(f"{path}/sign", json={"send": True})
        assert (own.status_code, own.json()["code"]) == (403, "not_allowed")
        sent = await second.post(f"{path}/sign", json={"send": True})
        assert (sent.status_code, sent.json()["number"].startswith("指令〔")) == (200, True)

        async def arrived():
            return (await officer.get("/api/v1/orders")).json()["items"]

        (item,) = await until(arrived)
        assert (item["drill"], item["own"], item["issuer_name"]) == (True, False, "南通市")
        answer = f"{path}/units/{COUNTY}/answer"
        for deed, text in (("acknowledged", ""), ("feedback", "已转移 120 人"), ("done", "")):
            said = await officer.post(answer, json={"deed": deed, "text": text})
            assert said.status_code == 200, said.text
        note = {"deed": "acknowledged", "by": "通州区李四", "way": "phone"}
        assert (await writer.post(f"{path}/units/{BOX_ONLY}/answer", json=note)).status_code == 200

        async def done():
            lines = {line["unit"]: line for line in (await auditor.get(path)).json()["lines"]}
            return lines if lines[COUNTY]["state"] == "done" else None

        lines = await until(done)
        assert (lines[COUNTY]["entries"][2]["text"], lines[BOX_ONLY]["state"]) == ("已转移 120 人", "acknowledged")
        revoked = await second.post(f"{path}/revoke", json={"why": "险情解除"})
        assert revoked.json()["state"] == "revoked"

        async def withdrawn():
            return (await officer.get(path)).json()["revoked_why"]

        assert await until(withdrawn) == "险情解除"


class Middle:
    """The city as a process of its own, between two gateways of this one."""

    def __init__(self, folder: Path, above: str, token: str) -> None:
        http, self.management, broker = (free_port() for _ in range(3))
        self.url, self.file = f"http://127.0.0.1:{http}", folder / "city.toml"
        self.file.write_text(
            f'[centre]\ncode = "{CITY}"\n[state]\ndir = "{folder / "city"}"\n[http]\nport = {http}\n'
            f"[management]\nport = {self.management}\n[broker]\nport = {broker}\n"
            f'[upstream]\nurl = "{above}"\ntoken = "{token}"\n'
        )
        self.process: subprocess.Popen[bytes] | None = None

    def provision(self) -> str:
        """Prepare its state; returns the token for the county."""
        command = [sys.executable, "-m", "gateway", "provision", "-c", str(self.file), "--nodes", COUNTY]
        said = subprocess.run(command, cwd=ROOT, input=b"{}", capture_output=True, check=True)
        return str(json.loads(said.stdout)["tokens"][COUNTY])

    async def start(self) -> None:
        self.process = await asyncio.to_thread(
            subprocess.Popen,
            [sys.executable, "-m", "gateway", "serve", "-c", str(self.file)],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )
        async with httpx.AsyncClient(trust_env=False) as http:

            async def ready() -> bool:
                with contextlib.suppress(httpx.HTTPError):
                    return (await http.get(f"{self.url}/readyz")).status_code == 200
                return False

            await until(ready, 200)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


async def entries(gateway: Gateway, deed: Deed) -> dict[str, int]:
    """Count what is stored of each order."""
    mine = select(order_entries.c.order_id, func.count().label("n")).where(order_entries.c.deed == deed.value)
    async with gateway.store.reading() as reader:
        return {row.order_id: row.n for row in await reader.execute(mine.group_by(order_entries.c.order_id))}


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_orders_pass_a_city_that_is_killed_under_way_each_once(tmp_path: Path) -> None:
    async with Gateway(settings(PROVINCE, tmp_path)) as province:
        made = await province.enrolment.invite(CITY, "test")
        middle = Middle(tmp_path, province.base_url, str(made.token))
        token = await asyncio.to_thread(middle.provision)
        try:
            await middle.start()
            below = settings(COUNTY, tmp_path, upstream={"url": middle.url, "token": token})
            async with Gateway(below) as county:
                await until(lambda: province.registry.duty_node(COUNTY) == COUNTY)
                content = OrderContent.model_validate(CONTENT | {"units": [COUNTY]})

                async def issue() -> str:
                    id_ = await province.orders.room.draft(content, drill=False, by="zhang")
                    await province.orders.room.sign(id_, by="li")
                    await province.orders.room.send(id_, by="li")
                    return id_

                sent = [await issue() for _ in range(8)]
                await until(county.orders.desk.page)
                middle.kill()  # some are there, some on their way, no answer has to be up
                answered = [one["id"] for one in await county.orders.desk.page()]
                for id_ in answered:
                    await county.orders.answering.say(id_, COUNTY, Deed.ACKNOWLEDGED, noted_by="王五")
                sent += [await issue() for _ in range(4)]
                await middle.start()
                await until(lambda: _all(county, sent))
                for id_ in set(sent) - set(answered):
                    await county.orders.answering.say(id_, COUNTY, Deed.ACKNOWLEDGED, noted_by="王五")

                async def known() -> bool:
                    return len(await entries(province, Deed.ACKNOWLEDGED)) == len(sent)

                await until(known)
                for deed in (Deed.DELIVERED, Deed.ACKNOWLEDGED):
                    assert await entries(county, deed) == await entries(province, deed) == dict.fromkeys(sent, 1)
                assert [one["state"] for one in await province.orders.desk.page()] == ["acknowledged"] * len(sent)
        finally:
            middle.kill()


async def _all(county: Gateway, sent: list[str]) -> bool:
    return {one["id"] for one in await county.orders.desk.page()} == set(sent)
