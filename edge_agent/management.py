"""The management listener: health, figures for Prometheus, tasks, and what a running call sees and hears."""

import dataclasses
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from edge_agent.readings import readings

if TYPE_CHECKING:
    from edge_agent.app import Agent


def management_routes(agent: "Agent") -> list[Route]:
    """Return /healthz, /metrics (the two that the sensors' port shows too), /debug/tasks and /debug/call."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def metrics(_: Request) -> Response:
        from edge_agent.metrics import render

        figures = await agent.spool.figures()
        body, kind = render(lambda: readings(agent, figures))
        return Response(body, headers={"Content-Type": kind})

    async def tasks(_: Request) -> Response:
        return JSONResponse({"tasks": [dataclasses.asdict(figure) for figure in agent.tasks.figures()]})

    async def call(_: Request) -> Response:
        return JSONResponse({"call": agent.calls.report()})

    return [
        Route("/healthz", healthz),
        Route("/metrics", metrics),
        Route("/debug/tasks", tasks),
        Route("/debug/call", call),
    ]
