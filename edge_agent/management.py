"""The management listener: health, figures, tasks, the quarantine, and what a running call sees and hears."""

import dataclasses
import logging
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from edge_agent.problems import problem
from edge_agent.readings import readings
from protocols.aio.spool import Quarantined
from protocols.errors import SilianError

if TYPE_CHECKING:
    from edge_agent.app import Agent

logger = logging.getLogger(__name__)


def management_routes(agent: "Agent") -> list[Route]:
    """Return all routes; the first two, /healthz and /metrics, are shown at the sensors' port too."""

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

    async def quarantine(_: Request) -> Response:
        return JSONResponse({"items": [_quarantined(record) for record in await agent.spool.quarantine()]})

    async def resend(request: Request) -> Response:
        try:
            number = await agent.spool.resend(int(request.path_params["id"]))
        except SilianError as error:
            return problem(error)
        logger.info("refused record is sent again", extra={"quarantine": request.path_params["id"], "seq": number})
        return JSONResponse({"seq": number}, 202)

    return [
        Route("/healthz", healthz),
        Route("/metrics", metrics),
        Route("/debug/tasks", tasks),
        Route("/debug/call", call),
        Route("/quarantine", quarantine),
        Route("/quarantine/{id:int}/resend", resend, methods=["POST"]),
    ]


def _quarantined(record: Quarantined) -> dict[str, Any]:
    return {
        "id": record.id,
        "code": record.code,
        "detail": record.detail,
        "refused_at": record.refused_at.isoformat(),
        "type": record.event.type,
        "event_id": record.event.id,
        "alarm_key": record.event.data.get("alarm_key"),
    }
