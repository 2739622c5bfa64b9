"""This replica's engine as the replica that leads reaches it: HTTP below `/replica/media`, for replicas alone.

**One leader at a time is obeyed, and only while its line stands.** Whoever opens the line of events takes the engine
over: what the one before had made here is ended, as is everything when the line breaks, so that no publisher goes on
sending to where nobody knows of it.
"""

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.adapters.media_embedded import moment
from gateway.adapters.media_spread import wire
from gateway.ports.media import EngineRestarted, MediaEngine, MediaEvent, SessionEnded
from protocols.aio.tasks import Supervisor
from protocols.errors import BadSchemaError, LinkError, NotFoundError, SilianError, WrongMomentError
from protocols.ids import stream_of

logger = logging.getLogger(__name__)
SDP = "application/sdp"
LIMIT = 1 << 20
"""Longest body; offers and slots have some 10 KiB."""


class Door:
    """An ASGI application around another. Use it with `async with`, while `engine` runs.

    `me` is this replica's id, `secret` known to the replicas alone; while `leads()` it takes no commands.
    """

    def __init__(self, app: ASGIApp, engine: MediaEngine, *, me: str, secret: str, leads: Callable[[], bool]) -> None:
        self._me = me
        self._app = app
        self._engine = engine
        self._secret = secret.encode()
        self._leads = leads
        self._controller = ""
        self._made: set[str] = set()
        self._tasks = Supervisor("media door")
        self._site = Starlette(
            routes=[
                Route(f"{wire.PREFIX}/line", self._line, methods=["GET"]),
                Route(f"{wire.PREFIX}/do/{{call}}", self._do, methods=["POST"]),
                Route(f"{wire.PREFIX}/whip/{{centre}}/{{camera}}", self._arrive, methods=["POST"]),
                Route(f"{wire.PREFIX}/whip/{{centre}}/{{camera}}/{{session}}", self._leave, methods=["DELETE"]),
            ]
        )

    async def __aenter__(self) -> "Door":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._tasks.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or not scope["path"].startswith(wire.PREFIX):
            await self._app(scope, receive, send)
        elif not self._known(dict(scope["headers"])):
            await Response(status_code=404)(scope, receive, send)
        else:
            await self._site(scope, receive, send)

    def _known(self, headers: dict[bytes, bytes]) -> bool:
        return hmac.compare_digest(headers.get(b"authorization", b""), b"Bearer " + self._secret)

    async def shut(self) -> None:
        """Obey nobody any more and end what others made here: this replica leads from now on."""
        self._controller = ""
        await self._let_go(self._made)

    async def _let_go(self, sessions: set[str]) -> None:
        made, self._made = sessions, set()
        for session in made:
            with suppress(NotFoundError, LinkError):
                await self._engine.end(session)
        if made:
            logger.info("media sessions of another replica ended", extra={"sessions": len(made)})

    # the line of events

    async def _line(self, request: Request) -> Response:
        controller = request.headers.get(wire.CONTROLLER, "")
        if self._leads() or not controller:
            return _refused(WrongMomentError("this replica leads itself"))
        if request.headers.get(wire.REPLICA, "") != self._me:
            return _refused(NotFoundError("another replica is at this address now"))
        self._controller, former = controller, self._made
        told = self._engine.events()
        await self._let_go(former)
        logger.info("media led by another replica", extra={"leader": request.headers.get("x-silian-name", "")})
        return StreamingResponse(self._tell(controller, told), media_type="application/x-ndjson")

    async def _tell(self, controller: str, told: AsyncIterator[MediaEvent]) -> AsyncIterator[bytes]:
        try:
            yield wire.pack_hello(self._engine.capabilities) + b"\n"
            while self._controller == controller:
                event = await _next(told)
                if event is not None:
                    self._note(event)
                    yield wire.pack_event(event)
                yield b"\n"
        finally:
            if self._controller == controller:
                self._controller = ""
                # The line broke, and with it this task is ended: the sessions need one of their own.
                self._tasks.start(f"let go[{controller}]", partial(self._let_go, self._made), restart=False)

    def _note(self, event: MediaEvent) -> None:
        match event:
            case SessionEnded(session):
                self._made.discard(session)
            case EngineRestarted(_, _, sessions):
                self._made.difference_update(sessions)
            case _:
                return

    # commands

    async def _do(self, request: Request) -> Response:
        call = request.path_params["call"]
        controller = request.headers.get(wire.CONTROLLER, "")
        try:
            if call not in wire.CALLS:
                raise BadSchemaError(f"no call {call}")
            if not controller or controller != self._controller:
                raise LinkError("another replica leads here now")
            value = await self._call(call, wire.read_arguments(await _body(request)))
        except SilianError as error:
            return _refused(error)
        except TypeError as error:  # another version has other arguments
            return _refused(BadSchemaError(str(error)))
        if call in wire.MAKES_SESSION:
            session = value if isinstance(value, str) else value.session_id
            self._made.add(session)
            if controller != self._controller or await request.is_disconnected():
                await self._end(session)
                return _refused(LinkError("nobody waits for this session any more"))
        return Response(wire.pack(value), media_type="application/json")

    async def _call(self, call: str, arguments: dict[str, Any]) -> Any:
        """Carry out a call. Times of pictures pass as ages, since every host has its own monotonic clock."""
        if call != "still":
            return await getattr(self._engine, call)(**arguments)
        newer = arguments.pop("newer_than")
        arguments["newer_than"] = None if newer is None else moment.now() - newer
        return wire.aged(await self._engine.still(**arguments), moment.now())

    # streams that another replica brings here

    async def _arrive(self, request: Request) -> Response:
        try:
            stream = stream_of(request.path_params["centre"], request.path_params["camera"])
            answer = await self._engine.publish(stream, (await _body(request)).decode("utf-8", "replace"))
        except SilianError as error:
            return _refused(error)
        if self._controller:
            self._made.add(answer.session_id)
        headers = {"Location": f"{wire.PREFIX}/whip/{stream}/{answer.session_id}", "ETag": f'"{answer.etag}"'}
        return Response(answer.sdp, 201, headers, media_type=SDP)

    async def _leave(self, request: Request) -> Response:
        await self._end(request.path_params["session"])
        return Response(status_code=200)

    async def _end(self, session: str) -> None:
        self._made.discard(session)
        with suppress(NotFoundError, LinkError):
            await self._engine.end(session)


async def _next(told: AsyncIterator[MediaEvent]) -> MediaEvent | None:
    try:
        async with asyncio.timeout(wire.BEAT_S):
            return await anext(told)
    except TimeoutError:
        return None


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LIMIT:
            raise BadSchemaError(f"more than {LIMIT} bytes")
    return bytes(body)


def _refused(error: SilianError) -> Response:
    return Response(wire.pack_error(error), error.status, media_type="application/json")
