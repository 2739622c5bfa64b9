"""Bad bodies at the doors that take JSON reports, one table for webhook and folder: counted, answered, nothing lost."""

import hashlib
import hmac
import json
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from edge_agent.intake import Intake
from edge_agent.sensors.folder import Folder
from edge_agent.sensors.idempotency import Requests
from edge_agent.sensors.reports import BODY_BYTES
from edge_agent.sensors.webhook import Webhook
from edge_agent.settings import SensorSettings
from protocols.aio.clock import SystemClock
from protocols.aio.spool import Spool
from protocols.envelope import Lane

SECRET = b"0123456789abcdef0123"
CLOCK = SystemClock()
REPORT = {"alarm_key": "gas-1/high", "sensor": "gas-1", "severity": 2, "headline": "可燃气体超限", "value": 31.5}
GOOD = json.dumps(REPORT, ensure_ascii=False).encode()
BAD = {
    "truncated": (GOOD[:-7], 422, "bad_schema"),
    "empty": (b"", 422, "bad_schema"),
    "an empty list": (b"[]", 422, "bad_schema"),
    "GBK": (GOOD.decode().encode("gbk"), 422, "bad_schema"),
    "binary": (bytes(range(256)), 422, "bad_schema"),
    "deep as a bomb": (b"[" * 200_000, 422, "bad_schema"),
    "10 MB": (b" " * 10 * BODY_BYTES + GOOD, 413, "too_large"),
    "a thousand and one": (b"[" + b",".join([GOOD] * 1001) + b"]", 413, "too_large"),
    "a field too many": (json.dumps(REPORT | {"colour": "red"}).encode(), 422, "bad_schema"),
    "no such severity": (json.dumps(REPORT | {"severity": 9}).encode(), 422, "bad_schema"),
    "one of two bad": (json.dumps([REPORT, REPORT | {"severity": 9}]).encode(), 422, "bad_schema"),
    "of another day": (json.dumps(REPORT | {"observed_at": "2001-01-01T00:00:00Z"}).encode(), 422, "bad_clock"),
}


@pytest.fixture
async def spool(tmp_path: Path):
    made = await Spool.open(tmp_path / "spool.sqlite3", clock=CLOCK)
    yield made
    await made.close()


async def stored(spool: Spool) -> int:
    return sum([len(await spool.pending(lane, 0, 1000)) for lane in (Lane.URGENT, Lane.LIVE, Lane.BACKFILL)])


async def test_the_webhook_names_and_counts_each_and_takes_the_good_one_after_it(tmp_path: Path, spool: Spool) -> None:
    intake, requests = Intake("320623-box", spool, CLOCK), Requests(tmp_path / "requests.sqlite3")
    hook = Webhook(intake, requests, SECRET, CLOCK)
    transport = httpx.ASGITransport(Starlette(routes=hook.routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://agent") as client:

        async def post(body: bytes) -> httpx.Response:
            signature = "sha256=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest()
            return await client.post("/ingest/alarms", content=body, headers={"X-Silian-Signature": signature})

        for number, (name, (body, status, code)) in enumerate(BAD.items()):
            before = intake.counters["refused_" + code]
            answer = await post(body)
            assert (answer.status_code, answer.json()["code"]) == (status, code), name
            assert intake.counters["refused_" + code] == before + 1, name
            assert (await post(GOOD)).status_code == 202
            assert await stored(spool) == number + 1, name
    requests.close()


async def test_the_folder_puts_each_aside_with_its_reason_and_takes_the_good_one(tmp_path: Path, spool: Spool) -> None:
    place = tmp_path / "drop"
    place.mkdir()
    intake = Intake("320623-box", spool, CLOCK)
    source = Folder(SensorSettings(name="s", kind="folder", folder=place), intake, CLOCK)
    for number, (body, _, _) in enumerate(BAD.values()):
        (place / f"{number:02}.json").write_bytes(body)
    (place / "99.json").write_bytes(GOOD)
    for path in source._look():
        await source._take(path)
    assert [path.name for path in (place / "done").iterdir()] == ["99.json"]
    assert len(list((place / "refused").glob("*.reason"))) == len(list((place / "refused").glob("*.json"))) == len(BAD)
    wanted = {code: sum(one == code for _, _, one in BAD.values()) for _, _, code in BAD.values()}
    assert {code: intake.counters["refused_" + code] for code in wanted} == wanted
    assert await stored(spool) == 1
