"""A report through two real gateways over a real broker: up, the receipt down, signed for, and the word down."""

from datetime import timedelta

from protocols.report import Content
from tests.support.chain import tiers, until

CITY, COUNTY = "320600", "320623"


async def test_a_report_crosses_real_links_and_the_answer_comes_back(tmp_path):
    async with tiers(tmp_path, CITY, COUNTY) as (city, county):
        await until(lambda: county.upper() is not None and county.upper().status == "up")
        now = county.clock.now()
        content = Content(occurred_at=now - timedelta(minutes=1), place="洋口港", summary="储罐泄漏", reporter="王五")
        opened = await county.reports.open(content, by="wang", drill=True)
        await county.reports.sign(opened["id"], signer="李四", by="wang")
        sent = await county.reports.send(opened["id"], [], by="wang")
        assert (sent["state"], sent["undelivered"]) == ("sent", 1)

        async def delivered():
            return (await county.reports.desk.get(opened["id"]))["undelivered"] == 0

        await until(delivered)
        received = await city.reports.desk.get(opened["id"])
        assert (received["own"], received["drill"], received["state"]) == (False, True, "sent")
        await city.report_inbox.acknowledge(opened["id"], by="zhao")

        async def signed_for():
            return (await county.reports.desk.get(opened["id"]))["state"] == "acknowledged"

        await until(signed_for)
        log = [line["what"] for line in (await county.reports.desk.get(opened["id"]))["log"]]
        assert [log.count(one) for one in ("delivered", "acknowledged")] == [1, 1]
