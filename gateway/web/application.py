"""The one FastAPI application of a gateway: manners around the routers that `gateway.app` gives it.

Adds problem details, limits, security headers, audit of every write, request metrics, `/healthz`, `/readyz`, a JSON 404
for unknown API paths and, last, the console's files, which never answer for `/api`, `/whip` and `/whep`.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, perf_counter

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.metrics import Metrics
from gateway.web.assets import console_routes
from gateway.web.auth import SAFE_METHODS, Authenticator, Caller
from gateway.web.journal import AuditEntry, Journal, Watched
from gateway.web.problems import install_problems

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the application is made of. `ready` names each part and whether it works."""

    centre: str
    version: str
    authenticator: Authenticator
    journal: Journal
    metrics: Metrics
    routers: Sequence[APIRouter]
    ready: Callable[[], Mapping[str, bool]]
    body_limit_bytes: int = 4_194_304
    console: Path | None = None
    origins: Sequence[str] = field(default=())
    """Further origins that the console may fetch from (the public URL)."""


def build_site(site: Site) -> FastAPI:
    """Build the application; serve it with `gateway.web.server`."""
    # No docs pages: they would fetch their scripts from outside the network.
    app = FastAPI(
        title="Silian gateway",
        version=site.version,
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    app.state.centre = site.centre
    app.state.authenticator = site.authenticator
    install_problems(app)
    for router in site.routers:
        app.include_router(router)
    app.include_router(_health(site))
    app.include_router(console_routes(site.console))
    app.add_middleware(Manners, site=site)
    return app


def _health(site: Site) -> APIRouter:
    api = APIRouter(tags=["health"])

    @api.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Tell that the process lives and its event loop turns."""
        return {"status": "ok"}

    @api.get("/readyz")
    async def readyz() -> JSONResponse:
        """Tell whether every part works; 503 names the ones that do not."""
        parts = dict(site.ready())
        return JSONResponse({"ready": all(parts.values()), "parts": parts}, 200 if all(parts.values()) else 503)

    return api


def security_headers(site: Site) -> dict[str, str]:
    """Return the headers of every answer."""
    connect = " ".join(["'self'", *site.origins])
    policy = (
        f"default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        f"media-src 'self' blob: data:; font-src 'self' data:; worker-src 'self' blob:; connect-src {connect}; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    return {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "permissions-policy": "camera=(self), microphone=(self), geolocation=()",
        "cross-origin-opener-policy": "same-origin",
    }


WATCH = "WATCH"
"""Action of the audit's record that a person began to watch a stream; its target is the stream."""


class Manners:
    """Headers, audit and timing around every request. Pure ASGI, so that streams pass untouched."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site
        self._watched = Watched()
        self._headers = [(k.encode(), v.encode()) for k, v in security_headers(site).items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        status = 500

        async def send_with_manners(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), *self._headers]
                if scope["path"].startswith("/api/") and not _has(message, b"cache-control"):
                    message["headers"].append((b"cache-control", b"no-store"))
                # Before the answer goes out: what the caller knows to be done is in the audit.
                await self._audit(scope, status)
            await send(message)

        try:
            await self._app(scope, _limited(scope, receive, self._site.body_limit_bytes), send_with_manners)
        finally:
            self._measure(scope, status, perf_counter() - began)

    async def _audit(self, scope: Scope, status: int) -> None:
        client = scope.get("client") or ("", 0)
        watched: tuple[str, tuple[str, ...]] | None = scope.get("silian_watched")
        if watched is not None and status < 400:
            person, streams = watched
            for stream in streams:
                if self._watched.begins(person, stream, monotonic()):
                    await self._record(AuditEntry(person, WATCH, stream, status, str(client[0])))
            return
        if scope["method"] in SAFE_METHODS or not scope["path"].startswith("/api/"):
            return
        caller: Caller | None = scope.get("silian_caller")
        actor = caller.user if caller is not None else scope.get("silian_actor")
        if actor is None:
            self._site.metrics.count("http_requests_refused_total", reason="anonymous_write")
            return
        action = f"{scope['method']} {_route(scope)}"
        await self._record(AuditEntry(actor, action, scope["path"], status, str(client[0])))

    async def _record(self, entry: AuditEntry) -> None:
        try:
            await self._site.journal.record(entry)
        except Exception:
            self._site.metrics.count("audit_failures_total")
            told = {"actor": entry.actor, "action": entry.action, "outcome": entry.outcome}
            logger.exception("audit failed", extra=told)

    def _measure(self, scope: Scope, status: int, seconds: float) -> None:
        route = _route(scope)
        if route == "/api/v1/events":
            return  # a stream's duration says nothing about speed
        self._site.metrics.observe(
            "http_request_duration_seconds",
            seconds,
            route=route,
            method=scope["method"] if scope["method"] in _METHODS else "other",
            code_class=f"{status // 100}xx",
        )


def _limited(scope: Scope, receive: Receive, limit: int) -> Receive:
    declared = next((value for key, value in scope["headers"] if key == b"content-length"), b"0")
    taken = int(declared) if declared.isdigit() else 0
    streamed = 0

    async def receive_within_limit() -> Message:
        nonlocal streamed
        # Raised where the route reads its body, so that the answer is a problem like all others.
        if taken > limit:
            raise HTTPException(413, f"the body may have {limit} bytes")
        message = await receive()
        streamed += len(message.get("body", b""))
        if streamed > limit:
            raise HTTPException(413, f"the body may have {limit} bytes")
        return message

    return receive_within_limit


_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


def _has(message: Message, name: bytes) -> bool:
    return any(key.lower() == name for key, _ in message["headers"])


def _route(scope: Scope) -> str:
    # The template, never the path: labels and audit actions stay a closed set.
    return str(getattr(scope.get("route"), "path", "none"))
