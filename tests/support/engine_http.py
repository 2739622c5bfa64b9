"""WHIP and WHEP over HTTP in front of the real engine, without the gateway's rooms around it."""

import asyncio

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from protocols.errors import NotFoundError
from tests.support.until import until


class EngineHttp:
    """`async with EngineHttp(engine) as http: http.url(stream)`."""

    def __init__(self, engine) -> None:
        self.engine = engine
        routes = [
            Route("/whip/{centre}/{camera}", self._whip, methods=["POST"]),
            Route("/whep/{centre}/{camera}", self._whep, methods=["POST"]),
            Route("/session/{session}", self._delete, methods=["DELETE"]),
        ]
        self._server = uvicorn.Server(
            uvicorn.Config(Starlette(routes=routes), port=0, log_level="error", lifespan="off")
        )

    async def __aenter__(self):
        self._running = asyncio.ensure_future(self._server.serve())
        await until(lambda: self._server.started)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc):
        self._server.should_exit = True
        await self._running

    def url(self, stream, kind="whip"):
        return f"http://127.0.0.1:{self.port}/{kind}/{stream}"

    async def _whip(self, request: Request) -> Response:
        return await self._offer(request, self.engine.publish)

    async def _whep(self, request: Request) -> Response:
        return await self._offer(request, self.engine.play)

    async def _offer(self, request: Request, take) -> Response:
        stream = "{centre}/{camera}".format(**request.path_params)
        answer = await take(stream, (await request.body()).decode())
        headers = {"Location": f"/session/{answer.session_id}", "ETag": answer.etag}
        return Response(answer.sdp, 201, media_type="application/sdp", headers=headers)

    async def _delete(self, request: Request) -> Response:
        try:
            await self.engine.end(request.path_params["session"])
        except NotFoundError:  # it ended by itself
            return Response(status_code=404)
        return Response(status_code=200)
