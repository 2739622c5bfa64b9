"""A WHIP and WHEP server on aiortc for tests of clients: it decodes what is published and can be told to fail."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from datetime import timedelta

import uvicorn
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edge_agent.media import aiortc_private
from protocols.aio.clock import SystemClock
from protocols.command import MediaPublish


@dataclass
class Published:
    """One publisher's session as the server sees it."""

    peer: RTCPeerConnection
    stream: str
    token: str
    offer: str
    frames: list = field(default_factory=list)
    thumbs: list = field(default_factory=list)
    frame_at: list = field(default_factory=list)
    sounds: list = field(default_factory=list)
    deleted: bool = False
    tasks: list = field(default_factory=list)


class WhipStub:
    """`async with WhipStub() as stub`: `stub.url(stream)`; `stub.sessions` in order of arrival."""

    def __init__(self, keep: int = 400) -> None:
        self.sessions: list[Published] = []
        self.refuse: tuple[int, str] | None = None
        self.snapshots: list[tuple[str, str, dict[str, str], bytes]] = []
        """Stream, token, headers and body of each snapshot."""
        self.snapshot_refused: tuple[int, str] | None = None
        self.snapshot_taken = asyncio.Event()
        """Set: snapshots are answered at once."""
        self.snapshot_taken.set()
        self.one_video = False
        """Whether a second video m-line is rejected."""
        self.play: dict[str, list[MediaStreamTrack]] = {}
        self._keep = keep
        self._tasks: set[asyncio.Task] = set()
        routes = [
            Route("/whip/{centre}/{camera}", self._whip, methods=["POST"]),
            Route("/whip/{centre}/{camera}/snapshot", self._snapshot, methods=["PUT"]),
            Route("/whep/{centre}/{camera}", self._whep, methods=["POST"]),
            Route("/session/{number:int}", self._delete, methods=["DELETE"]),
        ]
        config = uvicorn.Config(Starlette(routes=routes), port=0, log_level="error", lifespan="off")
        self._server = uvicorn.Server(config)

    async def __aenter__(self):
        aiortc_private.install()
        self._running = asyncio.ensure_future(self._server.serve())
        while not self._server.started:
            await asyncio.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc):
        for session in self.sessions:
            await session.peer.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._server.should_exit = True
        await self._running

    def url(self, stream, kind="whip"):
        return f"http://127.0.0.1:{self.port}/{kind}/{stream}"

    def order(self, stream, seconds=60.0, **more) -> MediaPublish:
        """Order an agent to publish here."""
        until = SystemClock().now() + timedelta(seconds=seconds)
        return MediaPublish(stream=stream, whip_url=self.url(stream), token="t1", until=until, **more)

    async def until(self, condition, seconds=20.0):
        """Wait until `condition()` is true."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "the condition did not come true in time"
            await asyncio.sleep(0.02)

    async def _whip(self, request: Request) -> Response:
        if self.refuse:
            status, code = self.refuse
            return JSONResponse({"code": code}, status, media_type="application/problem+json")
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        stream = "{centre}/{camera}".format(**request.path_params)
        offer = (await request.body()).decode()
        session = Published(peer, stream, request.headers["authorization"].removeprefix("Bearer "), offer)
        self.sessions.append(session)

        @peer.on("track")
        def on_track(track):
            first = not any(task.get_name() == "video" for task in session.tasks)
            kept = {"audio": session.sounds, "video": session.frames if first else session.thumbs}[track.kind]
            task = asyncio.ensure_future(self._collect(track, kept, session.frame_at if first else []))
            task.set_name(track.kind)
            session.tasks.append(task)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        answer = await self._answer(peer, _without_second(offer) if self.one_video else offer)
        return _rejecting_second(answer, offer) if self.one_video else answer

    async def _snapshot(self, request: Request) -> Response:
        stream = "{centre}/{camera}".format(**request.path_params)
        token = request.headers["authorization"].removeprefix("Bearer ")
        self.snapshots.append((stream, token, dict(request.headers), await request.body()))
        await self.snapshot_taken.wait()
        if self.snapshot_refused:
            status, code = self.snapshot_refused
            return JSONResponse({"code": code}, status, media_type="application/problem+json")
        return Response(status_code=204)

    async def _whep(self, request: Request) -> Response:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        stream = "{centre}/{camera}".format(**request.path_params)
        if stream not in self.play:
            return Response('{"code":"not_found"}', 404, media_type="application/problem+json")
        offer = (await request.body()).decode()
        self.sessions.append(Published(peer, stream, request.headers["authorization"], offer))
        for track in self.play[stream]:
            peer.addTrack(track)
        return await self._answer(peer, offer)

    async def _answer(self, peer, offer) -> Response:
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        with aiortc_private.addresses_for("http://127.0.0.1"):
            await peer.setLocalDescription(await peer.createAnswer())
        headers = {"Location": f"/session/{len(self.sessions) - 1}", "ETag": '"1"'}
        return Response(peer.localDescription.sdp, 201, media_type="application/sdp", headers=headers)

    async def _collect(self, track, kept, times) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                kept.append(frame)
                del kept[: -self._keep]
                if track.kind == "video":
                    times.append(time.monotonic())

    async def _delete(self, request: Request) -> Response:
        session = self.sessions[request.path_params["number"]]
        session.deleted = True
        await session.peer.close()
        return Response(status_code=200)


def _sections(sdp):
    head, *rest = sdp.split("m=")
    return head, rest


def _without_second(offer) -> str:
    """Leave the second m-line out, as if it had not been offered."""
    head, (first, _, *rest) = _sections(offer)
    return "m=".join([head, first, *rest])


def _rejecting_second(answer, offer) -> Response:
    """Put the second m-line of the offer into the answer as one that is rejected (port 0)."""
    head, (first, *rest) = _sections(bytes(answer.body).decode())
    mid = next(line for line in _sections(offer)[1][1].splitlines() if line.startswith("a=mid:"))
    rejected = f"video 0 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\n{mid}\r\na=inactive\r\n"
    kept = {name: value for name, value in answer.headers.items() if name != "content-length"}
    return Response("m=".join([head, first, rejected, *rest]), 201, headers=kept)


def kill(peer) -> None:
    """Let a peer vanish without a word: its sockets close, nothing is said."""
    for transceiver in peer.getTransceivers():
        connection = transceiver.sender.transport.transport._connection
        for protocol in connection._protocols:
            protocol.transport.abort() if hasattr(protocol.transport, "abort") else protocol.transport.close()
