"""A gateway's media, roll call and dispatch rooms on real parts: engine, store, blobs, HTTP. Links are in-process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.adapters.blob_files import FileBlobs
from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.adapters.paper_files import PaperFiles
from gateway.adapters.store_sqlite import SqliteStore
from gateway.dispatch.api import routes as dispatch_routes
from gateway.dispatch.needs import DispatchNeeds
from gateway.dispatch.service import DispatchService
from gateway.events import EventBus
from gateway.media.api import routes as media_routes
from gateway.media.machine import Kind
from gateway.media.needs import MediaNeeds
from gateway.media.service import MediaService
from gateway.media.wall_api import routes as wall_routes
from gateway.metrics import Metrics
from gateway.rollcall.api import routes as rollcall_routes
from gateway.rollcall.needs import RollCallNeeds
from gateway.rollcall.press.api import routes as press_routes
from gateway.rollcall.press.inbox import Inbox as UnitDesk
from gateway.rollcall.press.needs import PressNeeds
from gateway.rollcall.press.service import Press
from gateway.rollcall.rules.profiles import Profile
from gateway.rollcall.service import RollCallService
from gateway.web.application import Site, build_site
from gateway.web.auth import Caller, Role
from gateway.web.media_tokens import MediaTokens
from gateway.web.server import HttpServer, Listen
from protocols.aio.clock import SystemClock
from protocols.command import CallAnswer, CallRing, Command, MediaPublish, RollCallAnswer
from protocols.health import CameraHealth, Verdict
from tests.support.databases import at_newest_schema
from tests.support.peers import HEIGHT, WIDTH, MarkTrack, Post, Publisher, Viewer, publisher, viewer
from tests.support.rooms import Commands, Ways

PERSON = Caller("wang", "王调度", frozenset({Role.CALLER, Role.DISPATCHER}))


class People:
    async def authenticate(self, token: str) -> Caller:
        return PERSON


class Journal:
    def __init__(self) -> None:
        self.deeds: list[str] = []

    async def record(self, entry: Any) -> None:
        self.deeds.append(entry.action)


class Tier:
    """One gateway without links; `async with`."""

    def __init__(self, ways: Ways, directory: Path, profile: Profile | None = None) -> None:
        self.node = ways.here
        self.ways = ways
        self.clock = SystemClock()
        self.bus = EventBus()
        self.commands = Commands(self.node)
        self.journal = Journal()
        self.engine = EmbeddedMediaEngine(state_dir=directory / "media")
        self.store = SqliteStore(at_newest_schema(directory / "gateway.db"), self.node, self.clock, self.bus.publish)
        metrics = Metrics()
        tokens = MediaTokens(Ed25519PrivateKey.generate(), self.node)
        needs = MediaNeeds(self.engine, ways, self.commands, tokens, self.clock, self.bus, metrics, self.store)
        self.media = MediaService(needs, node=self.node, base_url=lambda: self.url)
        pictures = self.media.holding(Kind.ROLL_CALL)
        rollcall = RollCallNeeds(
            self.store, FileBlobs(directory / "blobs"), ways, self.commands, pictures, self.clock, metrics
        )
        self.rollcall = RollCallService(rollcall, profile=profile or Profile())
        paper = PressNeeds(self.store, self.commands, ways, self.rollcall, self.clock, metrics)
        press = Press(paper), UnitDesk(paper)
        calls = self.media.holding(Kind.CALL)
        dispatch = DispatchNeeds(self.store, ways, self.commands, calls, self.journal, self.clock, self.bus, metrics)
        self.dispatch = DispatchService(dispatch, base_url=lambda: self.url)
        site = Site(
            centre=self.node, version="0", authenticator=People(), journal=self.journal, metrics=metrics,
            routers=[
                media_routes(self.media), wall_routes(self.media), press_routes(*press, PaperFiles()),
                rollcall_routes(self.rollcall), dispatch_routes(self.dispatch, calls),
            ],
            ready=lambda: {},
        )  # fmt: skip
        self.site = build_site(site)
        self.server = HttpServer(self.site, Listen("127.0.0.1", 0))
        self.http = httpx.AsyncClient(headers={"authorization": "Bearer t"}, timeout=30, trust_env=False)
        self._stack = AsyncExitStack()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    async def __aenter__(self) -> "Tier":
        for part in (self.store, self.engine, self.media, self.rollcall, self.dispatch, self.server, self.http):
            await self._stack.enter_async_context(part)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def ask(self, method: str, path: str, **body: Any) -> Any:
        answer = await self.http.request(method, f"{self.url}/api/v1{path}", json=body or None)
        assert answer.is_success, answer.text
        return answer.json()

    def under(self, upper: "Tier") -> None:
        """Let the tier above reach this one: what addresses this gateway is carried out here."""
        for name, handler in (
            ("media.publish", self.media.on_publish),
            ("media.unpublish", self.media.on_unpublish),
            ("call.ring", self.dispatch.on_ring),
            ("call.end", self.dispatch.on_end),
        ):
            upper.commands.on(self.node, name, handler)

    @contextlib.asynccontextmanager
    async def views(self, stream: str, **how: Any) -> AsyncIterator[Viewer]:
        """View a camera as a browser does: ask for a token, then WHEP."""
        granted = await self.ask("POST", f"/cameras/{stream}/play")
        async with viewer(post_to(granted["whep_url"], granted["token"]), **how) as seen:
            yield seen


def post_to(url: str, token: str) -> Post:
    """Send an offer over HTTP."""

    async def post(offer: str) -> str:
        head = {"authorization": f"Bearer {token}", "content-type": "application/sdp"}
        async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
            answer = await http.post(url, content=offer, headers=head)
        assert answer.status_code == 201, answer.text
        return answer.text

    return post


def black(track: MarkTrack) -> None:
    """Let a track send black pictures."""

    def encode() -> list[av.Packet]:
        frame = av.VideoFrame.from_ndarray(np.full((HEIGHT, WIDTH), 2, np.uint8), format="gray")
        frame = frame.reformat(format="yuv420p")
        frame.pts, frame.time_base = track.number * 90000 // track.rate, Fraction(1, 90000)
        if track.number % track.rate == 1:
            frame.pict_type = av.video.frame.PictureType.I
        return track._encoder.encode(frame)

    track._encode = encode


class AgentPeer:
    """A county's box: publishes while asked, answers roll calls and calls. `story`: live, frozen, black."""

    def __init__(self, code: str, story: str = "live", told: Verdict = Verdict.UNPROVEN) -> None:
        self.code = code
        self.node = f"{code}-box"
        self.story = story
        self.told = told
        self.asked: list[MediaPublish] = []
        self.stopped = 0
        self.heard: Viewer | None = None
        self._stack = AsyncExitStack()
        self._publishing: AsyncExitStack | None = None
        self._listening: AsyncExitStack | None = None

    async def __aenter__(self) -> "AgentPeer":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stop()
        if self._listening is not None:
            await self._listening.aclose()

    def under(self, tier: Tier, *uppers: Tier) -> None:
        """Link to a tier; roll calls and calls of the tiers above it pass through."""
        tier.commands.on(self.node, "media.publish", self.publish)
        tier.commands.on(self.node, "media.unpublish", self.unpublish)
        for one in (tier, *uppers):
            one.commands.on(self.node, "rollcall.ring", self.ring)
            one.commands.on(self.node, "call.ring", self.called)
            one.commands.on(self.node, "call.end", self.hung_up)

    async def publish(self, command: Command) -> dict[str, Any]:
        args = MediaPublish.model_validate(command.args)
        self.asked.append(args)
        if self._publishing is not None and not args.fresh:
            return {}
        await self._stop()
        self._publishing = AsyncExitStack()
        sending = await self._send(self._publishing, args)
        assert sending.video is not None
        sending.video.frozen = self.story == "frozen"
        if self.story == "black":
            black(sending.video)
        return {}

    async def _send(self, stack: AsyncExitStack, args: MediaPublish) -> Publisher:
        # As an agent does: the gateway's worker may just be coming back.
        for _ in range(20):
            made = publisher(post_to(args.whip_url, args.token), self.code, rate=8, audio=True)
            with contextlib.suppress(AssertionError):
                return await stack.enter_async_context(made)
            await asyncio.sleep(0.3)
        raise AssertionError(f"{args.whip_url} never took the offer")

    async def unpublish(self, command: Command) -> dict[str, Any]:
        self.stopped += 1
        await self._stop()
        return {}

    async def _stop(self) -> None:
        publishing, self._publishing = self._publishing, None
        if publishing is not None:
            await publishing.aclose()

    async def ring(self, command: Command) -> dict[str, Any]:
        health = CameraHealth(verdict=self.told)
        answer = RollCallAnswer(answered_by="值班员", answered_at=SystemClock().now(), camera=health)
        return answer.model_dump(mode="json")

    async def called(self, command: Command) -> dict[str, Any]:
        ring = CallRing.model_validate(command.args)
        self._listening = AsyncExitStack()
        listening = viewer(post_to(ring.whep_url, ring.token), audio=True, wait=False)
        self.heard = await self._listening.enter_async_context(listening)
        stream = f"{self.code}/{ring.camera}"
        answer = CallAnswer(answered_by="自动应答", answered_at=SystemClock().now(), callee_stream=stream)
        return answer.model_dump(mode="json")

    async def hung_up(self, command: Command) -> dict[str, Any]:
        listening, self._listening = self._listening, None
        if listening is not None:
            await listening.aclose()
        return {}


async def until_true(ask: Any, within_s: float = 40.0) -> Any:
    """Ask again and again until the answer is true; returns it."""
    async with asyncio.timeout(within_s):
        while not (found := await ask()):
            await asyncio.sleep(0.05)
    return found
