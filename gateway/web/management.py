"""The management listener: `/metrics`, `/healthz`, `/debug/tasks`, on an own port for operations alone.

Live values are read in the event loop (they belong to it), the text is rendered in a thread and kept for a second: a
scrape must not freeze a picture. The library's own ASGI application renders in the loop and is therefore not used.
"""

import asyncio
import gzip
from time import monotonic

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from gateway.metrics import Metrics
from gateway.web.problems import install_problems

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
KEPT_S = 1.0
TICK_S = 0.1


class Scrape:
    """The newest rendering; concurrent scrapers share one."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._lock = asyncio.Lock()
        self._kept: tuple[float, bytes, bytes] | None = None

    async def text(self) -> tuple[bytes, bytes]:
        """Return plain and gzipped text, at most a second old."""
        async with self._lock:
            if self._kept is None or monotonic() - self._kept[0] > KEPT_S:
                self._metrics.take_snapshot()
                plain, packed = await asyncio.to_thread(self._render)
                self._kept = (monotonic(), plain, packed)
            return self._kept[1:]

    def _render(self) -> tuple[bytes, bytes]:
        plain = self._metrics.render()
        return plain, gzip.compress(plain, 1)


async def watch_loop(metrics: Metrics) -> None:
    """Measure for ever how late the loop's timers fire; run it as a supervised task."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + TICK_S
        await asyncio.sleep(TICK_S)
        metrics.observe("event_loop_lag_seconds", max(0.0, loop.time() - due))


def build_management(metrics: Metrics) -> FastAPI:
    """Build the application of the management listener."""
    app = FastAPI(title="Silian management", openapi_url=None, docs_url=None, redoc_url=None, max_body_size=0)
    install_problems(app)
    scrape = Scrape(metrics)

    @app.get("/metrics")
    async def scraped(request: Request) -> Response:
        plain, packed = await scrape.text()
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(packed, headers={"Content-Encoding": "gzip"}, media_type=CONTENT_TYPE)
        return Response(plain, media_type=CONTENT_TYPE)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/debug/tasks")
    async def tasks() -> JSONResponse:
        """List the loop's tasks with the line each waits at."""
        return JSONResponse([_describe(task) for task in asyncio.all_tasks()])

    return app


def _describe(task: "asyncio.Task[object]") -> dict[str, str]:
    stack = task.get_stack(limit=1)
    where = f"{stack[0].f_code.co_filename}:{stack[0].f_lineno}" if stack else ""
    return {"name": task.get_name(), "where": where}
