"""Four tiers made of paper: the parts of the public API that the judge reads, with faults that tests plant.

Real HTTP and real WebRTC on loopback, no gateway behind: `drop`, `double` and `show` make it lie.
"""

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import aioice.ice
import uvicorn
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import VideoFrame
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from protocols.aio.testcard import TestCard

CODES = ("320600", "320000", "000000", "320623")


class Card(MediaStreamTrack):
    """A live card at 10 frames a second."""

    kind = "video"

    def __init__(self, code: str) -> None:
        super().__init__()
        self._card = TestCard(code, code)
        self._frames = 0

    async def recv(self) -> VideoFrame:
        await asyncio.sleep(0.1)
        frame = VideoFrame.from_ndarray(self._card.draw(datetime.now(UTC)), format="bgr24")
        frame.pts, frame.time_base = self._frames * 9000, Fraction(1, 90000)
        self._frames += 1
        return frame


class PaperTiers:
    """All tiers and one agent behind one port; paths begin with the tier's code."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.drop: set[int] = set()
        """Events (by origin counter) that the nation never shows."""
        self.double: set[int] = set()
        """Events that the nation shows twice."""
        self.show: dict[str, str] = {}
        """County -> the county whose card is shown instead."""
        self.url = ""
        self._counter = itertools.count(1)
        self._peers: list[RTCPeerConnection] = []

    def places(self) -> dict[str, Any]:
        """Return what the demo would have written as `demo.json`."""
        user = {"username": "u", "password": "p"}
        users = dict.fromkeys(("dispatcher", "duty_officer", "operations"), user)
        return {
            "gateways": {code: {"url": f"{self.url}/{code}", "users": users} for code in CODES},
            "agents": {"320681-box": {"webhook": f"{self.url}/hook", "secret": "s", "management": f"{self.url}/hook"}},
            "cameras": {"320681/room": {"mark": True}},
        }

    async def _session(self, request: Request) -> Response:
        return JSONResponse({"token": "t"})

    async def _ingest(self, request: Request) -> Response:
        report, number = await request.json(), next(self._counter)
        raised = report["condition"] == "active"
        self.events.append(
            {
                "event_id": f"E{number}",
                "source": "320681-box",
                "alarm_key": report["alarm_key"],
                "type": f"cn.silian.alarm.{'raised' if raised else 'cleared'}.v1",
                "origincounter": number,
                "condition": report["condition"],
                "applied": True,
                "time": "2026-11-20T08:00:00Z",
                "received_at": "2026-11-20T08:00:00.120Z",
                "count": 1,
            }
        )
        return JSONResponse({"event_ids": [f"E{number}"]}, 202)

    def _log(self, code: str) -> list[dict[str, Any]]:
        if code == "320623":
            return []
        shown = []
        for event in self.events:
            lies = code == "000000"
            times = 0 if lies and event["origincounter"] in self.drop else 1
            times += lies and event["origincounter"] in self.double
            shown += [event] * times
        return shown

    async def _events(self, request: Request) -> Response:
        after = int(request.query_params.get("after", 0))
        log = self._log(request.path_params["code"])
        page = [{**event, "number": number} for number, event in enumerate(log, 1)][after : after + 20]
        more = after + len(page) < len(log)
        return JSONResponse({"items": page, "next": str(after + len(page)) if more else None})

    async def _alarms(self, request: Request) -> Response:
        last = {(e["source"], e["alarm_key"]): e["condition"] for e in self.events}
        items = [{"source": s, "alarm_key": k, "condition": c} for (s, k), c in last.items()]
        return JSONResponse({"items": items, "next": None, "totals": {}})

    async def _play(self, request: Request) -> Response:
        return JSONResponse({"whep_url": f"{self.url}/whep/{request.path_params['centre']}", "token": "t"})

    async def _whep(self, request: Request) -> Response:
        centre = request.path_params["centre"]
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peers.append(peer)
        await peer.setRemoteDescription(RTCSessionDescription((await request.body()).decode(), "offer"))
        peer.addTrack(Card(self.show.get(centre, centre)))
        await peer.setLocalDescription(await peer.createAnswer())
        headers = {"location": f"/whep/{centre}/1"}
        return Response(peer.localDescription.sdp, 201, headers, "application/sdp")

    async def _gone(self, request: Request) -> Response:
        return Response(status_code=200)

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator["PaperTiers"]:
        """Serve while inside."""
        aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
        routes = [
            Route("/{code}/api/v1/session", self._session, methods=["POST"]),
            Route("/{code}/api/v1/alarms/events", self._events),
            Route("/{code}/api/v1/alarms", self._alarms),
            Route("/{code}/api/v1/cameras/{centre}/{camera}/play", self._play, methods=["POST"]),
            Route("/whep/{centre}", self._whep, methods=["POST"]),
            Route("/whep/{centre}/{session}", self._gone, methods=["DELETE"]),
            Route("/hook/ingest/alarms", self._ingest, methods=["POST"]),
        ]
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="error", lifespan="off"))
            server.install_signal_handlers = lambda: None
            serving = asyncio.ensure_future(server.serve(sockets=[listener]))
            try:
                yield self
            finally:
                for peer in self._peers:
                    await peer.close()
                server.should_exit = True
                await serving
