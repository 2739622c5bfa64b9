"""Snapshots at a gateway: who may post which picture and when, how it is shown, and that it is never the stream."""

from dataclasses import dataclass, replace
from datetime import timedelta

import httpx
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.cameras.preview import fitting
from gateway.events import CameraChanged, EventBus
from gateway.media import snapshots as module
from gateway.media.api import routes
from gateway.media.machine import Kind
from gateway.media.needs import MediaNeeds
from gateway.media.service import MediaService
from gateway.metrics import Metrics
from gateway.ports.media import SessionKind, Still, StreamChanged, StreamState
from gateway.web.application import Site, build_site
from gateway.web.auth import Caller, Role
from gateway.web.media_tokens import MediaDirection, MediaTokens
from protocols.aio.clock import ManualClock, new_ulid
from protocols.aio.whip import WhipClient
from protocols.command import Command, MediaPublish
from protocols.errors import LinkError, NotFoundError, RefusedError
from protocols.snapshot import AGE_MS, KEPT_S, LEAST_GAP_S, MOST_BYTES, TAKEN_AT
from tests.support.databases import unopened
from tests.support.engines import PaperEngine
from tests.support.rooms import Commands, Ways, until

STREAM, OTHER = "320612/room", "320623/room"
JPEG = fitting(np.full((90, 160, 3), 80, np.uint8))
VIEW = f"/api/v1/cameras/{STREAM}/snapshot"


class People:
    async def authenticate(self, token):
        return Caller(token, token, frozenset({Role(token)}))


class Journal:
    async def record(self, entry):
        return None


@dataclass
class City:
    http: httpx.AsyncClient
    media: MediaService
    engine: PaperEngine
    tokens: MediaTokens
    clock: ManualClock
    metrics: Metrics
    changed: list

    async def put(self, *, body=JPEG, age_s=0.5, off_s=0.0, stream=STREAM, holder="320612-box", **headers):
        token, _ = self.tokens.mint(MediaDirection.PUBLISH, stream, holder=holder, now=self.clock.now())
        taken_at = self.clock.now() - timedelta(seconds=age_s - off_s)
        told = {TAKEN_AT: taken_at.isoformat(), AGE_MS: str(round(age_s * 1000)), "content-type": "image/jpeg"}
        head = {"authorization": f"Bearer {token}", **told, **headers}
        return await self.http.put(f"/whip/{STREAM}/snapshot", content=body, headers=head)

    async def get(self, who="caller", **headers):
        return await self.http.get(VIEW, headers={"authorization": f"Bearer {who}", **headers})

    def want(self):
        self.media.want(STREAM, "test", Kind.VIEWER)

    def count(self, outcome):
        return self.metrics.registry.get_sample_value("silian_media_snapshots_total", {"outcome": outcome}) or 0.0

    def gauge(self):
        self.metrics.take_snapshot()
        return self.metrics.registry.get_sample_value("silian_media_snapshot_streams")

    def state(self, state):
        self.engine.tell(StreamChanged(STREAM, state))


@pytest.fixture
async def city():
    clock, engine, bus, metrics = ManualClock(), PaperEngine(), EventBus(), Metrics()
    tokens = MediaTokens(Ed25519PrivateKey.generate(), "320600")
    ways = Ways.city(("320612", "320623"))
    needs = MediaNeeds(engine, ways, Commands("320600", clock), tokens, clock, bus, metrics, unopened(clock))
    changed = []
    bus.listen(CameraChanged, lambda event: changed.append(event.stream))
    async with MediaService(needs, node="320600", base_url=lambda: "http://city") as media:
        made = build_site(
            Site(
                centre="320600", version="0", authenticator=People(), journal=Journal(), metrics=metrics,
                routers=[routes(media)], ready=lambda: {},
            )
        )  # fmt: skip
        await until(lambda: engine.heard)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=made), base_url="http://city") as http:
            yield City(http, media, engine, tokens, clock, metrics, changed)


async def test_a_snapshot_is_shown_with_an_age_that_grows(city):
    city.want()
    assert (await city.get()).status_code == 404
    assert (await city.put(age_s=1.0)).status_code == 204
    shown = await city.get()
    assert (shown.status_code, shown.content, shown.headers["content-type"]) == (200, JPEG, "image/jpeg")
    assert shown.headers["x-snapshot-age-ms"] == "1000"
    await city.clock.advance(4.0)
    again = await city.get(**{"if-none-match": shown.headers["etag"]})
    assert (again.status_code, again.headers["x-snapshot-age-ms"]) == (304, "5000")
    view = (await city.http.get(f"/api/v1/cameras/{STREAM}", headers={"authorization": "Bearer caller"})).json()
    assert view["stream"]["snapshot"]["age_ms"] == 5000
    assert (city.count("taken"), city.gauge()) == (1.0, 1.0)
    assert STREAM in city.changed


async def test_it_is_never_taken_for_the_stream(city):
    city.want()
    await city.put()
    roll_call = city.media.holding(Kind.ROLL_CALL)
    assert not roll_call.live(STREAM)
    with pytest.raises(NotFoundError):
        await roll_call.still(STREAM, timeout_s=0.0)
    assert (await city.http.get(f"/api/v1/cameras/{STREAM}/still", headers={"authorization": "Bearer caller"})).is_error
    view = (await city.http.get(f"/api/v1/cameras/{STREAM}", headers={"authorization": "Bearer caller"})).json()
    assert (view["stream"]["state"], view["stream"]["frame_rate"], view["picture"]) == ("absent", 0.0, None)
    assert city.media.judging.judged() == ()
    assert await city.media.stream_stats() == {}


async def test_it_is_gone_as_soon_as_the_stream_is_there_and_none_is_taken_then(city):
    city.want()
    await city.put()
    city.changed.clear()
    city.state(StreamState.LIVE)
    await until(lambda: city.media.state(STREAM) is StreamState.LIVE)
    assert (await city.get()).status_code == 404
    assert city.gauge() == 0.0
    assert STREAM in city.changed
    refused = await city.put()
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_moment")
    assert "is live here" in refused.json()["info"]
    city.state(StreamState.STALLED)
    await until(lambda: city.media.state(STREAM) is StreamState.STALLED)
    assert (await city.get()).status_code == 404  # the former one does not come back
    assert (await city.put()).status_code == 204


async def test_one_that_was_under_way_when_the_stream_came_is_not_taken(city):
    city.want()

    async def slowly():
        yield JPEG[:10]
        city.state(StreamState.LIVE)
        await until(lambda: city.media.state(STREAM) is StreamState.LIVE)
        yield JPEG[10:]

    assert (await city.put(body=slowly())).status_code == 409
    assert (await city.get()).status_code == 404


@pytest.mark.parametrize(
    ("what", "status", "code", "says"),
    [
        ({"body": b"\xff\xd8" + bytes(MOST_BYTES)}, 413, "too_large", "smaller"),
        ({"body": b"GIF89a"}, 422, "bad_media", "JPEG"),
        ({"body": b""}, 422, "bad_media", "JPEG"),
        ({"content-type": "image/png"}, 415, "unsupported_type", "image/jpeg"),
        ({"stream": OTHER, "holder": "320623-box"}, 403, "not_allowed", OTHER),
        ({"holder": "320623-box"}, 403, "not_allowed", "320623-box"),
        ({"authorization": "Bearer nonsense"}, 401, "not_authenticated", "token"),
        ({"off_s": 30.0}, 422, "bad_clock", "30 s ahead"),
        ({"off_s": -120.0}, 422, "bad_clock", "120 s behind"),
        ({"age_s": 40.0}, 410, "expired", "40 s old"),
        ({TAKEN_AT: "yesterday"}, 422, "bad_schema", TAKEN_AT),
        ({AGE_MS: ""}, 422, "bad_schema", AGE_MS),
    ],
)
async def test_what_is_refused_and_how(city, what, status, code, says):
    city.want()
    answer = await city.put(**what)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert says in answer.json()["info"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert city.count(code) == 1.0
    assert (await city.get()).status_code == 404


async def test_nobody_sends_unasked_nor_too_often_nor_backwards(city):
    unasked = await city.put()
    assert (unasked.status_code, unasked.json()["code"]) == (409, "wrong_moment")
    city.want()
    assert (await city.put()).status_code == 204
    often = await city.put()
    assert (often.status_code, often.json()["code"]) == (429, "too_often")
    await city.clock.advance(LEAST_GAP_S)
    older = await city.put(age_s=LEAST_GAP_S + 1)
    assert (older.status_code, older.json()["code"]) == (409, "wrong_moment")
    assert (await city.put()).status_code == 204


async def test_an_old_one_is_not_shown_and_those_of_many_streams_are_bounded(city, monkeypatch):
    city.want()
    await city.put(age_s=1.0)
    city.changed.clear()
    await city.clock.advance(KEPT_S - 1.1)
    assert (await city.get()).status_code == 200
    await city.clock.advance(0.2)
    assert (await city.get()).status_code == 404
    await city.clock.advance(2.0)
    await until(lambda: STREAM in city.changed)
    monkeypatch.setattr(module, "MOST_KEPT", 0)
    await city.put()
    assert (await city.get()).status_code == 404


@pytest.mark.parametrize(("who", "status"), [("auditor", 403), ("caller", 200), ("duty_officer", 200)])
async def test_who_may_look(city, who, status):
    city.want()
    await city.put()
    assert (await city.get(who)).status_code == status


class Above:
    """The tier above: takes snapshots, or refuses them."""

    def __init__(self, monkeypatch):
        self.taken = []
        self.error = None
        monkeypatch.setattr(WhipClient, "post_snapshot", self._take(), raising=True)

    def _take(self):
        above = self

        async def post(client, snapshot):
            if above.error is not None:
                raise above.error
            above.taken.append((client.url, client._token, snapshot))

        return post


async def leased(city, layers=("main",)):
    args = MediaPublish(
        stream=STREAM, whip_url=f"http://province/whip/{STREAM}", token="up", layers=layers,
        until=city.clock.now() + timedelta(seconds=60),
    )  # fmt: skip
    command = Command(
        command_id=new_ulid(city.clock), name="media.publish", target="320600", origin="320000",
        deadline=city.clock.now() + timedelta(seconds=5), args=args.model_dump(mode="json"),
    )  # fmt: skip
    await city.media.on_publish(command)


async def test_the_tier_above_that_waits_gets_each_one_once_with_its_age(city, monkeypatch):
    above = Above(monkeypatch)
    await leased(city)
    await city.put(age_s=1.0)
    await until(lambda: above.taken)
    ((url, token, passed),) = above.taken
    assert (url, token, passed.jpeg) == (f"http://province/whip/{STREAM}", "up", JPEG)
    assert passed.age_s >= 1.0
    for _ in range(8):
        await city.clock.advance(1.0)
    assert len(above.taken) == 1
    await city.put(age_s=0.2)
    await until(lambda: len(above.taken) == 2)
    assert city.count("passed_on") == 2.0


async def test_a_tier_above_that_wants_nothing_gets_nothing(city, monkeypatch):
    above = Above(monkeypatch)
    await leased(city, layers=())
    city.want()
    assert (await city.put()).status_code == 204
    for _ in range(5):
        await city.clock.advance(1.0)
    assert above.taken == []


@pytest.mark.parametrize("error", [LinkError("away"), RefusedError("no", "wrong_moment"), TimeoutError()])
async def test_what_could_not_be_passed_on_is_tried_again(city, monkeypatch, error):
    above = Above(monkeypatch)
    above.error = error
    await leased(city)
    await city.put()
    await until(lambda: city.count("not_passed_on") == 1.0)
    above.error = None
    for _ in range(20):
        await city.clock.advance(1.0)
    await until(lambda: above.taken)


async def test_a_gateway_cut_off_from_the_tier_above_posts_pictures_of_what_it_has(city, monkeypatch):
    above = Above(monkeypatch)
    city.engine.reachable = False
    big = Still(STREAM, bytes(MOST_BYTES + 1), 1280, 720, 300, 7.0, 90.0, 20.0, b"")
    widths = []

    async def still(stream, *, newer_than=None, timeout_s=3.0, width=0):
        widths.append(width)
        return big if width > 640 else replace(big, jpeg=JPEG)

    monkeypatch.setattr(city.engine, "still", still)
    await leased(city)
    city.state(StreamState.LIVE)
    for _ in range(3):
        await city.clock.advance(1.0)
    await until(lambda: above.taken)
    assert widths[:2] == [960, 640]
    _, _, sent = above.taken[0]
    assert (sent.jpeg, sent.age_s) == (JPEG, 0.3)
    city.engine.reachable = True
    for _ in range(15):
        await city.clock.advance(1.0)
    await until(lambda: any(kind is SessionKind.RELAY for _, kind in city.engine.sessions.values()))
    sent = len(above.taken)
    for _ in range(8):
        await city.clock.advance(1.0)
    assert len(above.taken) == sent
