"""WHIP and WHEP in front of a media engine for the bench: loopback, no rooms, no tokens."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.ports.media import MediaEngine, SessionAnswer
from protocols.errors import SilianError


class Front:
    """`async with Front(engine) as front`: `front.url` and below it /whip/CENTRE/CAMERA, /whep/CENTRE/CAMERA."""

    def __init__(self, engine: MediaEngine) -> None:
        self._engine = engine
        self.url = ""
        routes = [
            Route("/whip/{centre}/{camera}", self._whip, methods=["POST"]),
            Route("/whep/{centre}/{camera}", self._whep, methods=["POST"]),
            Route("/session/{session}", self._delete, methods=["DELETE"]),
        ]
        config = uvicorn.Config(
            Starlette(routes=routes), host="127.0.0.1", port=0, log_level="error", lifespan="off", access_log=False
        )
        self._server = uvicorn.Server(config)
        self._running: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        self._running = asyncio.ensure_future(self._server.serve())
        while not self._server.started:  # noqa: ASYNC110 - the library has no event to wait for
            await asyncio.sleep(0.01)
        self.url = f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.should_exit = True
        if self._running is not None:
            await self._running

    async def _whip(self, request: Request) -> Response:
        return await self._take(request, self._engine.publish)

    async def _whep(self, request: Request) -> Response:
        return await self._take(request, self._engine.play)

    async def _take(self, request: Request, take: Callable[[str, str], Awaitable[SessionAnswer]]) -> Response:
        stream = f"{request.path_params['centre']}/{request.path_params['camera']}"
        try:
            answer = await take(stream, (await request.body()).decode())
        except SilianError as error:
            return Response(str(error), error.status)
        headers = {"Location": f"/session/{answer.session_id}", "ETag": f'"{answer.etag}"'}
        return Response(answer.sdp, 201, headers, "application/sdp")

    async def _delete(self, request: Request) -> Response:
        try:
            await self._engine.end(request.path_params["session"])
        except SilianError as error:
            return Response(str(error), error.status)
        return Response()
