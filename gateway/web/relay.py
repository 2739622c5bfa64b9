"""Passes requests on to the replica that leads, where this one does not: every replica shows the same.

What belongs to one process alone is answered here: health and the console's files. Bodies and event streams pass
through as they come; a request that was passed on once is never passed on again.
"""

import asyncio
import hmac
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.web.problems import problem
from protocols.aio.tasks import together

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)
PASSED = ("/api/", "/whip", "/whep", "/wall")
MARK, CALLER = b"x-silian-replica", b"x-silian-caller"
CONNECT_S = 3.0
LOOK_S = 0.5
RETRY_AFTER_S = "1"
_ONE_CONNECTION = (
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
)
_HOP = frozenset({*_ONE_CONNECTION, MARK, CALLER})
"""Headers of one connection (RFC 9110 section 7.6.1)."""


class ToLeader:
    """An ASGI application around another. Use it with `async with`; `leads` tells whether the rooms here are open."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        secret: str,
        leads: Callable[[], bool],
        leader: Callable[[], str | None],
        trust: Callable[[], ssl.SSLContext],
    ) -> None:
        """`leader` returns where the leading replica is reached, None while there is none or it is this one.

        `secret` is known to the replicas alone: it makes the address believed that another one names as the caller's.
        """
        self._app = app
        self._secret = secret.encode()
        self._leads = leads
        self._leader = leader
        self._trust = trust
        self._client: httpx.AsyncClient | None = None
        self.passed = 0
        self.failed = 0

    async def __aenter__(self) -> Self:
        import httpx

        self._client = httpx.AsyncClient(
            verify=self._trust(),
            timeout=httpx.Timeout(None, connect=CONNECT_S),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        passed_on = scope["type"] == "http" and self._take_mark(scope)
        if scope["type"] != "http" or self._leads() or not scope["path"].startswith(PASSED):
            await self._app(scope, receive, send)
            return
        leader = None if passed_on else self._leader()
        if leader is None:
            await self._nobody(scope, receive, send, "no replica leads at the moment; one will within seconds")
            return
        await self._pass_on(leader, scope, receive, send)

    def _take_mark(self, scope: Scope) -> bool:
        """Tell whether another replica passed this on, and then take the caller's address from its word."""
        headers = dict(scope["headers"])
        if not hmac.compare_digest(headers.get(MARK, b""), self._secret):
            return False
        scope["client"] = (headers.get(CALLER, b"").decode("ascii", "replace"), 0)
        return True

    async def _nobody(self, scope: Scope, receive: Receive, send: Send, info: str) -> None:
        self.failed += 1
        answer = problem(Request(scope), "no_leader", 503, info=info, headers={"Retry-After": RETRY_AFTER_S})
        await answer(scope, receive, send)

    async def _pass_on(self, leader: str, scope: Scope, receive: Receive, send: Send) -> None:
        import httpx

        if self._client is None:
            raise AssertionError("the relay is used outside `async with`")
        gone = asyncio.Event()
        request = self._client.build_request(
            scope["method"], _url(leader, scope), headers=self._headers(scope), content=_body(scope, receive, gone)
        )
        client, answers = self._client, []

        async def ask() -> None:
            answers.append(await client.send(request, stream=True))

        try:
            await together({"relay.ask": ask(), "relay.leader": self._until_replaced(leader)})
        except httpx.HTTPError as error:
            logger.warning("leader not reached", extra={"leader": leader, "error": str(error) or type(error).__name__})
        if not answers:
            await self._nobody(scope, receive, send, "the replica that led does not answer; ask again")
            return
        self.passed += 1
        response = answers[0]
        try:
            await together(
                {
                    "relay.copy": _copy(response, send),
                    "relay.watch": _until_gone(receive, gone),
                    "relay.leader": self._until_replaced(leader),
                }
            )
        except httpx.HTTPError as error:
            # The answer has begun and cannot be taken back: its end is missing, so the client sees that it broke.
            logger.warning("leader gone while it answered", extra={"leader": leader, "error": str(error)})
        finally:
            await response.aclose()

    async def _until_replaced(self, leader: str) -> None:
        """Return when another replica leads: one that was paused holds connections open and answers nothing."""
        while self._leader() == leader and not self._leads():  # noqa: ASYNC110 - leases end by time, not by a word
            await asyncio.sleep(LOOK_S)

    def _headers(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        kept = [(key, value) for key, value in scope["headers"] if key not in _HOP]
        client = (scope.get("client") or ("", 0))[0]
        return [*kept, (MARK, self._secret), (CALLER, str(client).encode())]


def _url(leader: str, scope: Scope) -> str:
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope.get("query_string", b"")
    return leader + path.decode("ascii") + ("?" + query.decode("ascii") if query else "")


def _body(scope: Scope, receive: Receive, gone: asyncio.Event) -> AsyncIterator[bytes] | None:
    """Return the request's body as it comes; None where there is none."""
    if not {key for key, _ in scope["headers"]} & {b"content-length", b"transfer-encoding"}:
        return None

    async def parts() -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                gone.set()
                return
            more = message.get("more_body", False)
            if message.get("body"):
                yield message["body"]

    return parts()


async def _copy(response: "httpx.Response", send: Send) -> None:
    headers = [(key.lower(), value) for key, value in response.headers.raw if key.lower() not in _HOP]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    async for part in response.aiter_raw():
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _until_gone(receive: Receive, gone: asyncio.Event) -> None:
    message: Message = {"type": ""}
    while not gone.is_set() and message["type"] != "http.disconnect":
        message = await receive()
