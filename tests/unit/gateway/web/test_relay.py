"""Requests pass to the leading replica over real sockets, whole and as they come."""

import asyncio
import ssl
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from gateway.web.relay import ToLeader
from gateway.web.server import HttpServer, Listen
from tests.support.brokers import free_port
from tests.support.until import until


class Pair:
    """A leader's application and a replica in front of it; `ends` counts streams that the leader saw end."""

    def __init__(self):
        self.leads = False
        self.leader: str | None = None
        self.ends = 0
        self.open = asyncio.Event()
        self.relay = ToLeader(
            self.application("here"),
            secret="known to replicas",
            leads=lambda: self.leads,
            leader=lambda: self.leader,
            trust=ssl.create_default_context,
        )

    def application(self, place):
        app = FastAPI()

        @app.api_route("/api/echo", methods=["GET", "POST", "DELETE"])
        async def echo(request: Request):
            body = await request.body()
            told = {key: request.headers.get(key) for key in ("host", "authorization", "cookie")}
            told["client"], told["mark"] = request.client.host, request.headers.get("x-silian-replica")
            return {"place": place, "query": request.url.query, "body": body.decode(), "method": request.method, **told}

        @app.get("/api/stream")
        async def stream():
            async def parts():
                try:
                    yield b"event: hello\n\n"
                    await self.open.wait()
                    yield b"event: more\n\n"
                    await asyncio.sleep(3600)
                finally:
                    self.ends += 1

            return StreamingResponse(parts(), media_type="text/event-stream")

        @app.get("/healthz")
        async def healthz():
            return {"place": place}

        return app


@asynccontextmanager
async def pair():
    async with AsyncExitStack() as stack:
        both = Pair()
        far = await stack.enter_async_context(HttpServer(both.application("far"), Listen("127.0.0.1", 0)))
        await stack.enter_async_context(both.relay)
        near = await stack.enter_async_context(HttpServer(both.relay, Listen("127.0.0.1", 0)))
        both.leader = f"http://127.0.0.1:{far.port}"
        client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{near.port}")
        yield both, await stack.enter_async_context(client)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_request_passes_whole(method):
    async with pair() as (_, client):
        headers = {"Authorization": "Bearer x", "Cookie": "a=1"}
        content = "正文" if method == "POST" else None
        answer = (await client.request(method, "/api/echo?q=%E4%B8%AD", headers=headers, content=content)).json()
        assert answer == {
            "client": "127.0.0.1",
            "mark": "known to replicas",
            "place": "far",
            "query": "q=%E4%B8%AD",
            "body": content or "",
            "method": method,
            "host": client.base_url.netloc.decode(),
            "authorization": "Bearer x",
            "cookie": "a=1",
        }


async def test_whoever_leads_answers_itself():
    async with pair() as (both, client):
        both.leads = True
        assert (await client.get("/api/echo")).json()["place"] == "here"


async def test_health_is_each_ones_own():
    async with pair() as (_, client):
        assert (await client.get("/healthz")).json() == {"place": "here"}


async def test_a_stream_passes_as_it_comes_and_ends_with_its_reader():
    async with pair() as (both, client):
        async with client.stream("GET", "/api/stream") as answer:
            parts = answer.aiter_raw()
            assert await anext(parts) == b"event: hello\n\n"
            both.open.set()
            assert await anext(parts) == b"event: more\n\n"
        await until(lambda: both.ends == 1, what="the leader hears that nobody reads any more")


async def test_while_nobody_leads_the_answer_says_when_to_come_again():
    async with pair() as (both, client):
        both.leader = None
        answer = await client.get("/api/echo")
        assert answer.status_code == 503
        assert answer.json()["code"] == "no_leader"
        assert answer.headers["retry-after"] == "1"


async def test_a_leader_that_just_died_is_told_the_same_way():
    async with pair() as (both, client):
        both.leader = f"http://127.0.0.1:{free_port()}"
        answer = await client.post("/api/echo", content="x")
        assert (answer.status_code, answer.json()["code"]) == (503, "no_leader")
        assert both.relay.failed == 1


async def test_a_leader_that_hangs_is_left_as_soon_as_another_leads():
    async with pair() as (both, client), asyncio.TaskGroup() as group:
        silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        both.leader = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
        asked = group.create_task(client.get("/api/echo"))
        await asyncio.sleep(0)
        both.leader = None
        answer = await asked
        assert (answer.status_code, answer.json()["code"]) == (503, "no_leader")
        silent.close()


async def test_a_stream_ends_when_another_leads():
    async with pair() as (both, client), client.stream("GET", "/api/stream") as answer:
        parts = answer.aiter_raw()
        assert await anext(parts) == b"event: hello\n\n"
        both.leads = True
        with pytest.raises((httpx.RemoteProtocolError, StopAsyncIteration)):
            await anext(parts)


async def test_nothing_is_passed_on_twice():
    async with pair() as (_, client):
        answer = await client.get("/api/echo", headers={"X-Silian-Replica": "known to replicas"})
        assert (answer.status_code, answer.json()["code"]) == (503, "no_leader")


async def test_the_caller_that_another_replica_names_is_believed_and_nobody_elses():
    async with pair() as (both, client):
        both.leads = True
        for secret, seen in (("known to replicas", "10.9.8.7"), ("guessed", "127.0.0.1")):
            headers = {"X-Silian-Replica": secret, "X-Silian-Caller": "10.9.8.7"}
            assert (await client.get("/api/echo", headers=headers)).json()["client"] == seen


async def test_a_forged_mark_is_passed_on_like_any_header_and_dropped():
    async with pair() as (_, client):
        headers = {"X-Silian-Replica": "guessed", "X-Silian-Caller": "10.9.8.7"}
        answer = (await client.get("/api/echo", headers=headers)).json()
        assert (answer["place"], answer["mark"]) == ("far", "known to replicas")
