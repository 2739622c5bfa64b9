"""The event stream of the console: `GET /api/v1/events` (Server-Sent Events).

A subscriber hears `hello` first and then what changes; it reads the state itself after `hello` and after `resync`, so
no event need ever be replayed. `ping` every 10 s tells a dead line from a quiet one and ends the stream of a login that
was revoked meanwhile.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.encoders import jsonable_encoder
from fastapi.responses import StreamingResponse

from gateway.events import EventBus, Overflowed
from gateway.web.auth import EVERYBODY, Authenticator, Caller, require, token_of
from protocols.errors import SilianError

PING_S = 10.0


@dataclass(frozen=True, slots=True)
class Message:
    """One event for the browser: `event` is its name, `data` anything that turns into JSON."""

    event: str
    data: Any


Renderer = Callable[[Any], Awaitable[Message | None]]
"""Turns a past-tense event of `gateway.events` into a message, or None to say nothing."""


def encode(message: Message) -> bytes:
    """Encode one event in the wire format (Chinese stays readable)."""
    data = json.dumps(jsonable_encoder(message.data), ensure_ascii=False, separators=(",", ":"))
    return f"event: {message.event}\ndata: {data}\n\n".encode()


class EventStream:
    """Serves all subscribers. `renderers` maps event types to renderers; `close()` ends every stream for the drain."""

    def __init__(
        self,
        bus: EventBus,
        renderers: Mapping[type[Any], Renderer],
        hello: Callable[[], Mapping[str, Any]],
        ping_s: float = PING_S,
    ) -> None:
        self._bus = bus
        self._renderers = dict(renderers)
        self._hello = hello
        self._ping_s = ping_s
        self._closing = asyncio.Event()
        self.subscribers = 0
        self.resyncs = 0

    def close(self) -> None:
        """End all streams; new ones end at once."""
        self._closing.set()

    async def messages(self, still_valid: Callable[[], Awaitable[bool]]) -> AsyncIterator[Message]:
        """Yield messages until `close` or until `still_valid` (asked at each ping) says no. Cancelling is safe."""
        self.subscribers += 1
        subscription = self._bus.subscribe(*self._renderers, Overflowed)
        ended = asyncio.ensure_future(self._closing.wait())
        waiting: asyncio.Future[Any] | None = None
        try:
            yield Message("hello", self._hello())
            ping_at = monotonic() + self._ping_s
            while not self._closing.is_set():
                waiting = waiting or asyncio.ensure_future(anext(subscription))
                rest = max(0.0, ping_at - monotonic())
                await asyncio.wait({waiting, ended}, timeout=rest, return_when=asyncio.FIRST_COMPLETED)
                if monotonic() >= ping_at:
                    if not await still_valid():
                        return
                    yield Message("ping", {})
                    ping_at = monotonic() + self._ping_s
                if waiting.done():
                    happened, waiting = waiting.result(), None
                    message = await self._render(happened)
                    if message is not None:
                        yield message
        finally:
            self.subscribers -= 1
            subscription.close()
            for future in (ended, waiting):
                if future is not None:
                    future.cancel()

    async def _render(self, happened: object) -> Message | None:
        if isinstance(happened, Overflowed):
            self.resyncs += 1
            return Message("resync", {"lost": happened.lost})
        try:
            return await self._renderers[type(happened)](happened)
        except SilianError:
            # The thing has gone since; whoever shows it must read anew rather than miss the change.
            return Message("resync", {"lost": 1})


def routes(stream: EventStream, authenticator: Authenticator) -> APIRouter:
    """Return the route of the event stream."""
    api = APIRouter(prefix="/api/v1", tags=["events"])

    @api.get("/events", response_class=StreamingResponse)
    async def events(request: Request, _caller: Annotated[Caller, require(*EVERYBODY)]) -> StreamingResponse:
        """Server-Sent Events: hello, link.changed, alarm.changed, camera.changed, ..., resync, ping."""
        token, _ = token_of(request)

        async def still_valid() -> bool:
            try:
                await authenticator.authenticate(token or "")
            except SilianError:
                return False
            return True

        async def body() -> AsyncIterator[bytes]:
            async for message in stream.messages(still_valid):
                yield encode(message)

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(body(), media_type="text/event-stream", headers=headers)

    return api
