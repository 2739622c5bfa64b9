"""A media room that begins anew has muted whom it had muted: for its API, its events and its sound slots."""

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.adapters.store_sqlite import SqliteStore
from gateway.events import EventBus, FloorChanged
from gateway.media.needs import MediaNeeds
from gateway.media.service import MediaService
from gateway.media.wall_api import routes
from gateway.metrics import Metrics
from gateway.ports.media import EngineStats, StreamState, StreamStats
from gateway.web.application import Site, build_site
from gateway.web.auth import Caller, Role
from gateway.web.journal import AuditEntry
from gateway.web.media_tokens import MediaTokens
from protocols.aio.clock import ManualClock
from tests.support.databases import at_newest_schema
from tests.support.engines import PaperEngine
from tests.support.rooms import Commands, Ways

ROOM, OTHER, VOICE = "320612/room", "320623/room", "320600/call-01"


class Speaking(PaperEngine):
    """An engine in which some streams are live, with sound of the same loudness."""

    def __init__(self, *streams: str) -> None:
        super().__init__()
        self._speaking = streams

    async def stats(self) -> EngineStats:
        live = tuple(_speaking(stream) for stream in self._speaking)
        return dataclasses.replace(await super().stats(), streams=live)


def _speaking(stream: str) -> StreamStats:
    figures = StreamStats(stream, StreamState.LIVE, "H264", 0, 0, 9, 9, 9, 9, 0, 9, 9, 0, None, 8.0, audio=True)
    return dataclasses.replace(figures, audio_level=0.5)


class Opened:
    """One life of the room."""

    def __init__(self, store: SqliteStore, clock: ManualClock) -> None:
        self.bus, metrics = EventBus(), Metrics()
        self.engine = Speaking(ROOM, OTHER)
        self.told: list[FloorChanged] = []
        self.bus.listen(FloorChanged, self.told.append)
        tokens = MediaTokens(Ed25519PrivateKey.generate(), "320600")
        ways, commands = Ways.city(("320612", "320623")), Commands("320600", clock)
        needs = MediaNeeds(self.engine, ways, commands, tokens, clock, self.bus, metrics, store)
        self.media = MediaService(needs, node="320600", base_url=lambda: "http://city")
        site = Site(
            centre="320600", version="0", authenticator=self, journal=self, metrics=metrics,
            routers=[routes(self.media)], ready=lambda: {},
        )  # fmt: skip
        head = {"authorization": "Bearer wang"}
        transport = httpx.ASGITransport(app=build_site(site))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://city/api/v1", headers=head)

    async def authenticate(self, token: str) -> Caller:
        return Caller(token, "王值班", frozenset({Role.DUTY_OFFICER}))

    async def record(self, entry: AuditEntry) -> None:
        return

    async def muted(self) -> list[str]:
        return list((await self.http.get("/floor")).json()["muted"])

    async def mute(self, stream: str, *, muted: bool) -> httpx.Response:
        return await self.http.put(f"/floor/{stream}", json={"muted": muted})


@asynccontextmanager
async def life(path: Path) -> AsyncIterator[Opened]:
    clock = ManualClock()
    async with SqliteStore(path, "320600", clock, lambda _: None) as store:
        opened = Opened(store, clock)
        await opened.media.floors.mutes.load()
        async with opened.media, opened.http:
            yield opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return at_newest_schema(tmp_path / "gateway.db")


async def test_a_restart_changes_nothing_for_who_is_muted_until_it_is_taken_back(path: Path) -> None:
    async with life(path) as city:
        city.media.floors.converse("call", [ROOM, OTHER])
        assert (await city.mute(ROOM, muted=True)).json() == {"muted": [ROOM]}
        assert city.told[-1].muted == (ROOM,)
    async with life(path) as city:
        assert await city.muted() == [ROOM]
        city.media.floors.converse("call", [ROOM, OTHER])
        await city.media.floors.step()
        assert (city.told[0].heard, city.told[0].muted) == ((OTHER,), (ROOM,))
        assert (await city.mute(ROOM, muted=False)).json() == {"muted": []}
        await city.media.floors.step()
        assert (set(city.told[-1].heard), city.told[-1].muted) == ({ROOM, OTHER}, ())
    async with life(path) as city:
        assert await city.muted() == []


async def test_a_conversation_that_begins_tells_who_is_muted_though_nobody_speaks(path: Path) -> None:
    async with life(path) as city:
        await city.mute(ROOM, muted=True)
        city.media.floors.converse("call", [ROOM])
        await city.media.floors.step()
        assert city.told == [FloorChanged("call", None, (), (ROOM,))]
        await city.media.floors.step()
        assert len(city.told) == 1


async def test_a_voice_that_is_not_here_cannot_be_muted_and_one_side_of_a_call_can(path: Path) -> None:
    async with life(path) as city:
        refused = await city.mute(VOICE, muted=True)
        assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
        assert (await city.mute(VOICE, muted=False)).json() == {"muted": []}
        city.media.floors.converse("call", [VOICE, ROOM])
        assert (await city.mute(VOICE, muted=True)).json() == {"muted": [VOICE]}
    async with life(path) as city:
        await city.media.floors.mutes.settle()
        assert await city.muted() == [], "the call ended with the gateway"
