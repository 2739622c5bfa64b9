"""The webhook against the real spool: on disk before 202, one event per key, every refusal a problem document."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from starlette.applications import Starlette

from edge_agent.intake import Intake
from edge_agent.sensors.idempotency import Requests
from edge_agent.sensors.keeper import Keeper
from edge_agent.sensors.reports import BODY_BYTES
from edge_agent.sensors.webhook import Webhook, WebhookTable, read_secret
from edge_agent.settings import StationSettings
from protocols.aio.clock import ManualClock, SystemClock
from protocols.aio.spool import Spool
from protocols.envelope import Lane
from protocols.errors import ConfigError, SpoolFullError

SECRET = b"0123456789abcdef0123"
CLOCK = SystemClock()
REPORT = {"alarm_key": "gas-1/high", "sensor": "gas-1", "severity": 2, "headline": "可燃气体超限", "value": 31.5}


class Desk:
    """One agent's intake and what a sensor needs to talk to it."""

    def __init__(self, folder, spool):
        self.folder = folder
        self.spool = spool
        self.intake = Intake("320623-box", spool, CLOCK)
        self.requests = Requests(folder / "requests.sqlite3")
        self.hook = Webhook(self.intake, self.requests, SECRET, CLOCK)

    def client(self):
        transport = httpx.ASGITransport(Starlette(routes=self.hook.routes()))
        return httpx.AsyncClient(transport=transport, base_url="http://agent")

    async def post(self, body, key=None, signature=None, path="/ingest/alarms"):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"X-Silian-Signature": signature or "sha256=" + hmac.new(SECRET, raw, hashlib.sha256).hexdigest()}
        if key:
            headers["Idempotency-Key"] = key
        async with self.client() as client:
            return await client.post(path, content=raw, headers=headers)

    async def stored(self):
        found = []
        for lane in (Lane.URGENT, Lane.LIVE, Lane.BACKFILL):
            found += [json.loads(parcel.body)["event"] for parcel in await self.spool.pending(lane, 0, 1000)]
        return found


@pytest.fixture
async def desk(tmp_path):
    spool = await Spool.open(tmp_path / "spool.sqlite3", clock=CLOCK)
    made = Desk(tmp_path, spool)
    yield made
    made.requests.close()
    await spool.close()


async def test_an_alarm_is_on_disk_when_202_is_said(desk):
    answer = await desk.post(REPORT)
    assert answer.status_code == 202
    (event,) = await desk.stored()
    assert answer.json() == {"event_ids": [event["id"]]}
    assert event["type"] == "cn.silian.alarm.raised.v1"
    assert event["source"] == "320623-box"
    assert event["data"]["centre"] == "320623"
    assert event["data"]["headline"] == "可燃气体超限"
    assert desk.intake.counters["taken"] == 1


async def test_a_list_is_stored_as_one_and_origin_counters_rise(desk):
    reports = [{**REPORT, "alarm_key": f"k{number}"} for number in range(5)]
    assert (await desk.post(reports)).status_code == 202
    assert (await desk.post({**REPORT, "condition": "cleared"})).status_code == 202
    events = sorted(await desk.stored(), key=lambda event: event["origincounter"])
    assert len({event["origincounter"] for event in events}) == 6
    assert [event["data"]["alarm_key"] for event in events[:5]] == ["k0", "k1", "k2", "k3", "k4"]
    assert events[5]["type"] == "cn.silian.alarm.cleared.v1"


async def test_a_repeated_key_gives_the_same_answer_over_a_restart(desk):
    first = await desk.post(REPORT, key="a-1")
    again = await desk.post(REPORT, key="a-1")
    assert first.json() == again.json()
    desk.requests.close()
    later = Desk(desk.folder, desk.spool)
    assert (await later.post(REPORT, key="a-1")).json() == first.json()
    assert len(await desk.stored()) == 1
    desk.requests = later.requests


async def test_a_key_used_for_another_body_is_a_conflict(desk):
    await desk.post(REPORT, key="a-1")
    answer = await desk.post({**REPORT, "severity": 1}, key="a-1")
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_moment")


async def test_a_crash_between_the_two_files_doubles_nothing(desk):
    """The ids are fixed first: what is put again after a crash bears the ids of the first time."""

    class Crash(Exception):
        pass

    async def crash(*args, **more):
        await type(desk.intake).take(desk.intake, *args, **more)
        raise Crash

    desk.hook._intake.take = crash
    with pytest.raises(Crash):
        await desk.post(REPORT, key="a-1")
    del desk.intake.take
    answer = await desk.post(REPORT, key="a-1")
    assert answer.status_code == 202
    events = await desk.stored()
    assert {event["id"] for event in events} == set(answer.json()["event_ids"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{not json", 422, "bad_schema"),
        (b"[]", 422, "bad_schema"),
        (b"[" * 100_000, 422, "bad_schema"),
        (json.dumps({**REPORT, "severity": 9}).encode(), 422, "bad_schema"),
        (json.dumps({**REPORT, "colour": "red"}).encode(), 422, "bad_schema"),
        (b"x" * (BODY_BYTES + 1), 413, "too_large"),
        (json.dumps([REPORT] * 1001).encode(), 413, "too_large"),
    ],
)
async def test_what_does_not_fit_is_a_problem_and_stores_nothing(desk, body, status, code):
    answer = await desk.post(body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert desk.intake.counters[f"refused_{code}"] == 1
    assert not await desk.stored()


async def test_a_clock_more_than_a_day_off_is_refused_with_both_times(desk):
    wrong = CLOCK.now() - timedelta(hours=25)
    answer = await desk.post({**REPORT, "observed_at": wrong.isoformat()}, key="a-2")
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_clock")
    assert wrong.isoformat() in answer.json()["detail"]
    fair = CLOCK.now() - timedelta(hours=23)
    assert (await desk.post({**REPORT, "observed_at": fair.isoformat()}, key="a-2")).status_code == 202


@pytest.mark.parametrize("signature", ["sha256=00", "none", "sha256=" + "é" * 4])
async def test_a_wrong_signature_is_401(desk, signature):
    raw = json.dumps(REPORT).encode()
    headers = {b"X-Silian-Signature": signature.encode()}
    async with desk.client() as client:
        answer = await client.post("/ingest/alarms", content=raw, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert not await desk.stored()


async def test_a_full_spool_is_507_with_retry_after_and_the_retry_is_taken(desk):
    async def full(_):
        raise SpoolFullError("the spool is full")

    desk.intake._store = type(
        "Full",
        (),
        {
            "put_many": lambda _, items: full(items),
            "next_origin_counter": (lambda _, count=1: desk.spool.next_origin_counter(count)),
        },
    )()
    answer = await desk.post(REPORT, key="a-3")
    assert (answer.status_code, answer.json()["code"]) == (507, "spool_full")
    assert answer.headers["retry-after"]
    desk.intake._store = desk.spool
    assert (await desk.post(REPORT, key="a-3")).status_code == 202
    assert len(await desk.stored()) == 1


async def test_a_bad_key_is_refused(desk):
    answer = await desk.post(REPORT, key="x" * 129)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_input")


def test_short_and_missing_secrets_are_named(tmp_path):
    with pytest.raises(ConfigError, match="secret_file"):
        read_secret(tmp_path / "none")
    (tmp_path / "short").write_text("abc")
    with pytest.raises(ConfigError, match="16 characters"):
        read_secret(tmp_path / "short")


async def test_a_sensor_that_falls_silent_is_missed_until_it_is_heard(desk):
    clock = ManualClock(datetime.now(UTC))
    table = WebhookTable((StationSettings(id="gas-1", title="加气站"),), silent_after_s=60.0)
    keeper = Keeper(table, desk.intake, clock)
    desk.hook = Webhook(desk.intake, desk.requests, SECRET, CLOCK, keeper)
    keeper.limits.begin(clock.now())
    clock.step(59)
    await keeper.keep(keeper.limits.tick)
    assert await desk.stored() == []
    clock.step(1)
    await keeper.keep(keeper.limits.tick)
    await keeper.keep(keeper.limits.tick)
    assert [event["data"]["alarm_key"] for event in await desk.stored()] == ["gas-1/silent"]
    assert (await desk.post({"sensor": "gas-1"}, path="/ingest/heartbeat")).status_code == 204
    assert [event["data"]["headline"] for event in await desk.stored()] == ["加气站中断上报", "加气站恢复上报"]
    clock.step(61)
    assert (await desk.post(REPORT)).status_code == 202  # a report is heard as well
    await keeper.keep(keeper.limits.tick)
    assert len(await desk.stored()) == 3


@pytest.mark.parametrize("body", [b"", b"{", {"sensor": ""}, {"sensor": "a", "more": 1}, {}])
async def test_a_bad_heartbeat_is_refused_and_counted(desk, body):
    answer = await desk.post(body, path="/ingest/heartbeat")
    assert answer.status_code in {400, 422}
    assert desk.intake.counters["refused_bad_schema"] == 1
    unsigned = await desk.post({"sensor": "a"}, path="/ingest/heartbeat", signature="sha256=00")
    assert unsigned.status_code == 401
