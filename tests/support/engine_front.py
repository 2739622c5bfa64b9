"""WHIP and WHEP over HTTP in front of a media engine, for tests of relays, pulls and browsers."""

import asyncio
import socket
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from gateway.ports.media import MediaEngine
from protocols.errors import SilianError

TOKEN = "token-of-the-test"


@dataclass
class EngineFront:
    """`async with EngineFront(engine) as front`: `front.whip(stream)`, `front.whep(stream)` are its addresses."""

    engine: MediaEngine
    page: str = "<!doctype html><video id=v autoplay muted playsinline></video>"
    deleted: list[str] = field(default_factory=list)
    port: int = 0

    async def __aenter__(self) -> "EngineFront":
        routes = [
            Route("/", lambda _: HTMLResponse(self.page)),
            Route("/{name}.js", self._library),
            Route("/{kind}/{centre}/{camera}", self._post, methods=["POST"]),
            Route("/{kind}/{centre}/{camera}/{session}", self._patch, methods=["PATCH"]),
            Route("/{kind}/{centre}/{camera}/{session}", self._delete, methods=["DELETE"]),
        ]
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        config = uvicorn.Config(Starlette(routes=routes), log_level="error", lifespan="off")
        self._server = uvicorn.Server(config)
        self._running = asyncio.ensure_future(self._server.serve(sockets=[listening]))
        while not self._server.started:
            await asyncio.sleep(0.01)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.should_exit = True
        await self._running

    def whip(self, stream: str) -> str:
        return f"http://127.0.0.1:{self.port}/whip/{stream}"

    def whep(self, stream: str) -> str:
        return f"http://127.0.0.1:{self.port}/whep/{stream}"

    def library(self, name: str) -> str:
        """The text of a script that the page imports."""
        raise FileNotFoundError(name)

    async def _library(self, request: Request) -> Response:
        return Response(self.library(f"{request.path_params['name']}.js"), media_type="text/javascript")

    def shown(self, answer: str) -> str:
        """What the client is told of the engine's answer."""
        return answer

    async def _post(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return _problem("not_authenticated", 401)
        stream = f"{request.path_params['centre']}/{request.path_params['camera']}"
        accept = self.engine.publish if request.path_params["kind"] == "whip" else self.engine.play
        try:
            answer = await accept(stream, (await request.body()).decode())
        except SilianError as error:
            return _problem(error.code, error.status, str(error))
        headers = {"Location": f"{request.url.path}/{answer.session_id}", "ETag": f'"{answer.etag}"'}
        return Response(self.shown(answer.sdp), 201, headers, "application/sdp")

    async def _patch(self, request: Request) -> Response:
        body, tag = (await request.body()).decode(), request.headers.get("if-match")
        try:
            answer = await self.engine.trickle(request.path_params["session"], body, tag)
        except SilianError as error:
            return _problem(error.code, error.status, str(error))
        headers = {"ETag": f'"{answer.etag}"'}
        if answer.sdp_fragment is None:
            return Response(status_code=204, headers=headers)
        return Response(answer.sdp_fragment, 200, headers, "application/trickle-ice-sdpfrag")

    async def _delete(self, request: Request) -> Response:
        session = request.path_params["session"]
        self.deleted.append(session)
        try:
            await self.engine.end(session)
        except SilianError as error:
            return _problem(error.code, error.status, str(error))
        return Response()


def _problem(code: str, status: int, detail: str = "") -> Response:
    return JSONResponse({"code": code, "detail": detail}, status, media_type="application/problem+json")
