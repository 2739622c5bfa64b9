from datetime import UTC, datetime
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from gateway.metrics import Metrics
from gateway.web.application import Site, build_site
from gateway.web.auth import Caller, Role, require
from gateway.web.journal import name_actor
from protocols.errors import LockedError, NotAuthenticatedError, SpoolFullError

PEOPLE = {
    "t-duty": Caller("wang", "王值班", frozenset({Role.DUTY_OFFICER})),
    "t-ops": Caller("li", "李运维", frozenset({Role.OPERATIONS})),
    "t-new": Caller("new", "新人", frozenset({Role.OPERATIONS}), must_change_password=True),
}


class People:
    async def authenticate(self, token):
        if token not in PEOPLE:
            raise NotAuthenticatedError("unknown session")
        return PEOPLE[token]


class Pages:
    def __init__(self):
        self.entries = []

    async def record(self, entry):
        self.entries.append(entry)


class Body(BaseModel):
    level: int
    at: datetime


def routes():
    api = APIRouter(prefix="/api/v1")

    @api.get("/seen")
    async def seen(caller: Annotated[Caller, require()]) -> str:
        return caller.display_name

    @api.post("/things/{key}")
    async def things(key: str, body: Body, caller: Annotated[Caller, require(Role.OPERATIONS)]) -> int:
        return body.level

    @api.post("/login")
    async def login(request: Request, user: Annotated[str, Query()]) -> None:
        name_actor(request, user)
        raise LockedError("too many failures", 120)

    @api.get("/full")
    async def full() -> None:
        raise SpoolFullError("the quota of 1 GB is used up")

    @api.get("/crash")
    async def crash() -> None:
        raise ZeroDivisionError

    return api


@pytest.fixture
def pages():
    return Pages()


@pytest.fixture
def console(tmp_path):
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<title>console</title>")
    (folder / "assets" / "app-1a2b.js").write_text("1")
    (folder / "favicon.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


@pytest.fixture
async def client(pages, console):
    site = Site(
        centre="320600",
        version="0.1.0",
        authenticator=People(),
        journal=pages,
        metrics=Metrics(),
        routers=[routes()],
        ready=lambda: {"store": True, "broker": False},
        body_limit_bytes=2048,
        console=console,
    )
    transport = httpx.ASGITransport(build_site(site), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://city.example") as client:
        yield client


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


GOOD = {"level": 1, "at": datetime(2026, 11, 23, tzinfo=UTC).isoformat()}


async def test_without_a_session_nothing_opens(client):
    answer = await client.get("/api/v1/seen")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await client.get("/api/v1/seen", headers=bearer("forged"))).status_code == 401


async def test_bearer_or_cookie_opens_and_the_wrong_role_does_not(client):
    assert (await client.get("/api/v1/seen", headers=bearer("t-duty"))).json() == "王值班"
    cookie = {"Cookie": "silian_session_320600=t-duty"}
    assert (await client.get("/api/v1/seen", headers=cookie)).status_code == 200
    refused = await client.post("/api/v1/things/a", headers=bearer("t-duty"), json=GOOD)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    assert (await client.post("/api/v1/things/a", headers=bearer("t-ops"), json=GOOD)).json() == 1


async def test_the_first_password_opens_nothing(client):
    answer = await client.get("/api/v1/seen", headers=bearer("t-new"))
    assert (answer.status_code, answer.json()["code"]) == (403, "must_change_password")


async def test_a_foreign_page_cannot_write_with_the_cookie(client):
    cookie = {"Cookie": "silian_session_320600=t-ops"}
    foreign = await client.post("/api/v1/things/a", headers={**cookie, "Origin": "http://city.example:81"}, json=GOOD)
    assert foreign.status_code == 403
    own = await client.post("/api/v1/things/a", headers={**cookie, "Origin": "http://city.example"}, json=GOOD)
    assert own.status_code == 200


async def test_every_write_is_audited_before_its_answer_and_reads_are_not(client, pages):
    await client.get("/api/v1/seen", headers=bearer("t-ops"))
    await client.post("/api/v1/things/a", headers=bearer("t-ops"), json=GOOD)
    await client.post("/api/v1/things/a", headers=bearer("t-duty"), json=GOOD)
    await client.post("/api/v1/things/a", json=GOOD)
    await client.post("/api/v1/login?user=eve")
    assert [(e.actor, e.action, e.target, e.outcome) for e in pages.entries] == [
        ("li", "POST /api/v1/things/{key}", "/api/v1/things/a", 200),
        ("wang", "POST /api/v1/things/{key}", "/api/v1/things/a", 403),
        ("eve", "POST /api/v1/login", "/api/v1/login", 429),
    ]


async def test_problems_speak_chinese_first_and_english_on_wish(client):
    zh = (await client.get("/api/v1/full")).json()
    en = (await client.get("/api/v1/full", headers={"Accept-Language": "en-GB"})).json()
    assert zh["detail"] == "磁盘配额已用完，请稍后重试。"
    assert en["detail"] == "the quota of 1 GB is used up"
    assert zh["info"] == en["info"]
    assert (zh["status"], zh["code"], zh["type"]) == (507, "spool_full", "urn:silian:problem:spool_full")


async def test_a_lock_says_when_to_come_back(client):
    answer = await client.post("/api/v1/login?user=eve")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "120")
    assert "120 秒" in answer.json()["detail"]


async def test_bad_input_names_every_fault(client):
    answer = await client.post("/api/v1/things/a", headers=bearer("t-ops"), json={"level": "x"})
    body = answer.json()
    assert (answer.status_code, body["code"]) == (422, "validation")
    assert {(f["where"], f["message"]) for f in body["errors"]} == {("level", "应为整数"), ("at", "缺少此项")}
    broken = await client.post("/api/v1/things/a", headers=bearer("t-ops"), content=b"{")
    assert (broken.status_code, broken.json()["code"]) == (422, "validation")


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_oversized_body_is_a_problem(client, chunked):
    async def chunks():
        for _ in range(100):
            yield b" " * 1000

    content = chunks() if chunked else b" " * 100_000
    headers = {**bearer("t-ops"), "Content-Type": "application/json"}
    answer = await client.post("/api/v1/things/a", headers=headers, content=content)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_a_crash_is_a_problem_without_inner_words(client):
    answer = await client.get("/api/v1/crash")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "ZeroDivision" not in answer.text


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api", "/whip/x", "/whep/x/y", "/wall"])
async def test_programs_never_get_the_console(client, path):
    answer = await client.get(path, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_wrong_method_is_a_problem(client):
    answer = await client.delete("/api/v1/seen")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


async def test_the_console_is_served_with_the_right_caching(client):
    for page in ("/", "/rollcall/1"):
        answer = await client.get(page)
        assert (answer.text, answer.headers["cache-control"]) == ("<title>console</title>", "no-cache")
    asset = await client.get("/assets/app-1a2b.js")
    assert "immutable" in asset.headers["cache-control"]
    assert (await client.get("/favicon.svg")).headers["cache-control"] == "no-cache"
    for missing in ("/assets/none.js", "/none.png", "/..%2Fsecret.txt", "/%2e%2e/secret.txt"):
        answer = await client.get(missing)
        assert answer.status_code == 404, missing


async def test_every_answer_carries_the_security_headers(client):
    for path in ("/", "/api/v1/seen", "/healthz", "/nothing.js"):
        headers = (await client.get(path)).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe-eval" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


async def test_ready_names_what_does_not_work(client):
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["parts"]) == (503, {"store": True, "broker": False})


async def test_an_unbuilt_console_says_how_to_build_it(pages, tmp_path):
    site = Site(
        centre="320600",
        version="0",
        authenticator=People(),
        journal=pages,
        metrics=Metrics(),
        routers=[],
        ready=dict,
        console=tmp_path,
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(build_site(site)), base_url="http://x") as client:
        answer = await client.get("/")
    assert answer.status_code == 503
    assert "make console" in answer.text
