"""WHIP (RFC 9725) and WHEP over HTTP: every documented status, and CORS on all of them."""

from dataclasses import dataclass

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from gateway.events import EventBus
from gateway.media.api import SDP_LIMIT, routes
from gateway.media.needs import MediaNeeds
from gateway.media.service import MediaService
from gateway.metrics import Metrics
from gateway.ports.media import Still
from gateway.settings import MediaSection
from gateway.web.application import Site, build_site
from gateway.web.auth import Caller, Role
from gateway.web.media_tokens import MediaDirection, MediaTokens
from protocols.aio.clock import ManualClock
from protocols.errors import LinkError, NotAuthenticatedError
from protocols.health import CameraHealth, Verdict
from tests.support.databases import unopened
from tests.support.engines import PaperEngine
from tests.support.rooms import Commands, Ways

STREAM = "320612/room"
SDP = {"content-type": "application/sdp"}
FRAGMENT = {"content-type": "application/trickle-ice-sdpfrag"}
PEOPLE = {
    "caller": Caller("wang", "王", frozenset({Role.CALLER})),
    "auditor": Caller("shen", "沈", frozenset({Role.AUDITOR})),
}


class People:
    async def authenticate(self, token):
        if token not in PEOPLE:
            raise NotAuthenticatedError("unknown session")
        return PEOPLE[token]


class Journal:
    async def record(self, entry):
        return None


@dataclass
class Site1:
    http: httpx.AsyncClient
    media: MediaService
    engine: PaperEngine
    tokens: MediaTokens
    clock: ManualClock
    ways: Ways

    def token(self, direction: str, stream: str = STREAM) -> dict[str, str]:
        token, _ = self.tokens.mint(MediaDirection(direction), stream, holder="t", now=self.clock.now())
        return {"authorization": f"Bearer {token}"}

    async def offer(self, kind: str = "whip", direction: str = "publish", **headers: str) -> httpx.Response:
        head = {**SDP, **self.token(direction), **headers}
        return await self.http.post(f"/{kind}/{STREAM}", content="v=0 offer", headers=head)


@pytest.fixture
async def site():
    clock, engine = ManualClock(), PaperEngine()
    tokens = MediaTokens(Ed25519PrivateKey.generate(), "320600")
    ways = Ways.city(("320612",))
    needs = MediaNeeds(engine, ways, Commands("320600", clock), tokens, clock, EventBus(), Metrics(), unopened(clock))
    async with MediaService(needs, node="320600", base_url=lambda: "http://city") as media:
        made = build_site(
            Site(
                centre="320600", version="0", authenticator=People(), journal=Journal(), metrics=Metrics(),
                routers=[routes(media)], ready=lambda: {},
            )
        )  # fmt: skip
        transport = httpx.ASGITransport(app=made)
        async with httpx.AsyncClient(transport=transport, base_url="http://city") as http:
            yield Site1(http, media, engine, tokens, clock, ways)


@pytest.mark.parametrize(("kind", "direction"), [("whip", "publish"), ("whep", "play")])
async def test_a_session_from_offer_to_end(site, kind, direction):
    made = await site.offer(kind, direction)
    assert made.status_code == 201
    assert made.headers["content-type"] == "application/sdp"
    assert made.headers["accept-patch"] == "application/trickle-ice-sdpfrag"
    assert made.text.startswith("v=0")
    location, tag = made.headers["location"], made.headers["etag"]
    assert location.startswith(f"/{kind}/{STREAM}/")
    assert tag.startswith('"')
    head = {**FRAGMENT, **site.token(direction)}
    trickled = await site.http.patch(location, content="a=candidate", headers={**head, "if-match": tag})
    assert trickled.status_code == 204
    assert (await site.http.patch(location, content="a=candidate", headers=head)).status_code == 428
    stale = await site.http.patch(location, content="a=candidate", headers={**head, "if-match": '"old"'})
    assert stale.status_code == 412
    assert stale.json()["code"] == "precondition_failed"
    restarted = await site.http.patch(location, content="a=ice-ufrag:x", headers={**head, "if-match": "*"})
    assert restarted.status_code == 200
    assert restarted.headers["content-type"] == "application/trickle-ice-sdpfrag"
    assert restarted.headers["etag"] != tag
    assert (await site.http.patch(location, content="x", headers={**head, **SDP})).status_code == 415
    assert (await site.http.delete(location, headers=site.token(direction))).status_code == 200
    assert (await site.http.delete(location, headers=site.token(direction))).status_code == 404
    assert site.engine.sessions == {}


async def test_the_token_that_opened_a_session_ends_it_even_when_it_has_run_out(site):
    head = site.token("publish")
    made = await site.http.post(f"/whip/{STREAM}", content="v=0", headers={**SDP, **head})
    await site.clock.advance(600)
    assert (await site.http.post(f"/whip/{STREAM}", content="v=0", headers={**SDP, **head})).status_code == 401
    assert (await site.http.delete(made.headers["location"], headers=head)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({**SDP}, "v=0", 401),
        ({**SDP, "authorization": "Bearer nonsense"}, "v=0", 401),
        ({**SDP, "authorization": "play"}, "v=0", 403),
        ({**SDP, "authorization": "other"}, "v=0", 403),
        ({"content-type": "application/json", "authorization": "good"}, "v=0", 415),
        ({**SDP, "authorization": "good"}, "hello", 422),
        ({**SDP, "authorization": "good"}, "", 400),
        ({**SDP, "authorization": "good"}, b"\xff\xfe", 400),
        ({**SDP, "authorization": "good", "accept": "text/html"}, "v=0", 406),
        ({**SDP, "authorization": "good", "accept": "application/sdp;q=0"}, "v=0", 406),
        ({**SDP, "authorization": "good"}, "v=0" + "x" * SDP_LIMIT, 413),
    ],
)
async def test_what_is_refused_and_how(site, headers, content, status):
    named = {"good": site.token("publish"), "play": site.token("play"), "other": site.token("publish", "320612/gate")}
    head = {**headers, **named.get(headers.get("authorization", ""), {})}
    answer = await site.http.post(f"/whip/{STREAM}", content=content, headers=head)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert site.engine.sessions == {}


async def test_a_name_outside_the_grammar_is_a_bad_request(site):
    answer = await site.http.post("/whip/nowhere/room", content="v=0", headers={**SDP, **site.token("publish")})
    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_identity"


async def test_preflight(site):
    for address in (f"/whip/{STREAM}", f"/whep/{STREAM}", f"/whep/{STREAM}/s1"):
        answer = await site.http.options(address, headers={"origin": "http://elsewhere"})
        assert answer.status_code == 204
        assert "PATCH" in answer.headers["access-control-allow-methods"]
        assert "If-Match" in answer.headers["access-control-allow-headers"]
    made = await site.offer(origin="http://elsewhere")
    assert "Location" in made.headers["access-control-expose-headers"]


async def test_other_methods_are_not_taken(site):
    for method in ("GET", "PUT"):
        assert (await site.http.request(method, f"/whip/{STREAM}")).status_code == 405


async def test_a_strangers_token_cannot_end_a_session(site):
    made = await site.offer()
    other = site.token("publish", "320612/gate")
    assert (await site.http.delete(made.headers["location"], headers=other)).status_code == 403
    assert (await site.http.delete(made.headers["location"])).status_code == 401


async def test_cameras_play_and_still(site):
    site.ways.all_cameras[0].picture = CameraHealth(verdict=Verdict.FROZEN, frame_age_ms=40)
    head = {"authorization": "Bearer caller"}
    listed = (await site.http.get("/api/v1/cameras", headers=head)).json()
    assert listed["next"] is None
    (camera,) = listed["items"]
    assert camera["id"] == STREAM
    assert camera["picture"]["verdict"] == "frozen"
    assert camera["stream"]["state"] == "absent"
    assert (await site.http.get(f"/api/v1/cameras/{STREAM}", headers=head)).json() == camera
    played = (await site.http.post(f"/api/v1/cameras/{STREAM}/play", headers=head)).json()
    assert played["whep_url"] == f"http://city/whep/{STREAM}"
    view = {**SDP, "authorization": f"Bearer {played['token']}"}
    assert (await site.http.post(played["whep_url"], content="v=0", headers=view)).status_code == 201
    assert (await site.http.get(f"/api/v1/cameras/{STREAM}/still", headers=head)).status_code == 404
    assert (await site.http.post("/api/v1/cameras/320612/cellar/play", headers=head)).status_code == 404


async def test_a_still_says_how_old_it_is_and_is_sent_once(site):
    head = {"authorization": "Bearer caller"}
    site.engine.stills[STREAM] = Still(STREAM, b"jpeg", 1280, 720, 41, 7.0, 90.0, 20.0, b"")
    seen = await site.http.get(f"/api/v1/cameras/{STREAM}/still?width=300", headers=head)
    assert (seen.status_code, seen.content) == (200, b"jpeg")
    assert (seen.headers["x-frame-age-ms"], seen.headers["content-type"]) == ("41", "image/jpeg")
    known = {**head, "if-none-match": seen.headers["etag"]}
    again = await site.http.get(f"/api/v1/cameras/{STREAM}/still?width=300", headers=known)
    assert (again.status_code, again.content, again.headers["x-frame-age-ms"]) == (304, b"", "41")
    site.engine.stills[STREAM] = Still(STREAM, b"newer", 1280, 720, 12, 8.0, 90.0, 20.0, b"")
    assert (await site.http.get(f"/api/v1/cameras/{STREAM}/still", headers=known)).content == b"newer"
    assert (await site.http.get(f"/api/v1/cameras/{STREAM}/still?width=-1", headers=head)).status_code in {400, 422}


@pytest.mark.parametrize(("who", "status"), [(None, 401), ("auditor", 403)])
async def test_who_may_not_play(site, who, status):
    head = {"authorization": f"Bearer {who}"} if who else {}
    assert (await site.http.post(f"/api/v1/cameras/{STREAM}/play", headers=head)).status_code == status


@pytest.mark.parametrize("accept", ["*/*", "application/*", "text/html, application/sdp;q=0.5"])
async def test_whoever_accepts_the_answer_gets_it(site, accept):
    assert (await site.offer(accept=accept)).status_code == 201


async def test_an_address_names_the_methods_that_it_takes(site):
    for method, address, allowed in [
        ("GET", f"/whip/{STREAM}", "POST, OPTIONS"),
        ("PATCH", f"/whep/{STREAM}", "POST, OPTIONS"),
        ("DELETE", f"/whep/{STREAM}", "POST, OPTIONS"),
        ("GET", f"/whep/{STREAM}/s1", "PATCH, DELETE, OPTIONS"),
        ("POST", f"/whip/{STREAM}/s1", "PATCH, DELETE, OPTIONS"),
    ]:
        answer = await site.http.request(method, address)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
        assert answer.json()["code"] == "method_not_allowed"


async def test_a_worker_that_is_being_replaced_is_a_reason_to_come_back(site, monkeypatch):
    async def away(*_, **__):
        raise LinkError("the media worker is being restarted")

    monkeypatch.setattr(site.engine, "publish", away)
    answer = await site.offer()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_the_engine_learns_where_the_request_came_from(site):
    await site.offer()
    assert site.engine.clients == ["127.0.0.1"]


async def test_sessions_are_told_of_relays(site):
    servers = MediaSection.model_validate(
        {"ice_servers": [{"url": "stun:192.0.2.1:3478"}, {"url": "turn:192.0.2.1:3478", "secret": "shared"}]}
    ).ice_servers
    made = FastAPI()
    made.include_router(routes(site.media, servers))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=made), base_url="http://city") as http:
        answer = await http.post(f"/whip/{STREAM}", content="v=0", headers={**SDP, **site.token("publish")})
    stun, turn = answer.headers.get_list("link")
    assert stun == '<stun:192.0.2.1:3478>; rel="ice-server"'
    assert turn.startswith('<turn:192.0.2.1:3478>; rel="ice-server"; username="')
    assert "Link" in answer.headers["access-control-expose-headers"]
