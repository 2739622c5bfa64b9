"""What is measured: the embedded engine with each of its packet paths, Janus, and aiortc's MediaRelay."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from typing_extensions import override

from gateway.adapters.media_janus.api import JanusSession
from gateway.adapters.media_janus.server import JanusServer, JanusSetup, janus_server, srtp_build
from gateway.adapters.media_janus.videoroom import VideoRoom
from gateway.bench.child import Child, child
from gateway.bench.processes import started_on
from protocols.errors import LinkError

FILLED_S = 30.0
"""A wall's line is found out first: until it is known to carry all, some slots stay dark."""
JOINING = 8
"""Viewers that join beside each other."""


@dataclass(slots=True)
class Stage:
    """What one contender carries in one scenario: numbers of the load's peers."""

    publishers: list[int] = field(default_factory=list)
    viewers: list[int] = field(default_factory=list)
    profile: str = ""
    feedback: bool = False


class Contender(ABC):
    """Something that forwards. `legs` limits what it is asked to carry (0: all)."""

    name: str
    legs = 0

    @abstractmethod
    def pids(self) -> tuple[int, ...]:
        """Return the processes whose CPU time forwarding costs."""

    @abstractmethod
    async def publish(self, load: Child, stream: int, codec: str, traffic: str) -> int:
        """Connect a publisher of the load; returns its number."""

    @abstractmethod
    async def view(self, load: Child, stream: int, codec: str) -> tuple[int, dict[str, object]]:
        """Connect a viewer of the load; returns its number and what was agreed."""

    async def wall(self, load: Child, slots: int, codec: str) -> tuple[int, dict[str, object]]:
        """Connect a wall of the load with one of the first streams in each slot; as `view`."""
        raise LinkError(f"{self.name} has no walls of {slots} slots of {codec} for {load.name}")

    def facts(self) -> dict[str, object]:
        """Return what a reader must know to compare it."""
        return {}

    async def dropped(self) -> str:
        """Return what it says that it dropped, by name; empty where it has no such word."""
        return ""

    async def fill_walls(self, load: Child, slots: int, walls: int, codec: str, traffic: str) -> Stage:
        """Connect a publisher for each slot, and walls; returns once every slot has its picture."""
        stage = Stage()
        for stream in range(slots):
            stage.publishers.append(await self.publish(load, stream, codec, traffic))
        await load.ask("play", peers=stage.publishers)
        for _ in range(walls):
            number, agreed = await self.wall(load, slots, codec)
            stage.viewers.append(number)
            stage.profile, stage.feedback = str(agreed["profile"]), bool(agreed["feedback"])
        try:
            async with asyncio.timeout(FILLED_S):
                while (await load.ask("filled", peers=stage.viewers))["slots"] < slots:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.2)
        except TimeoutError as error:
            raise LinkError(f"{self.name} left slots of a wall dark for {FILLED_S:g} s") from error
        await load.ask("pause", peers=stage.publishers)
        return stage

    async def fill(self, load: Child, publishers: int, viewers: int, codec: str, traffic: str) -> Stage:
        """Connect publishers with so many viewers each, or as many as it may carry."""
        stage = Stage()
        if self.legs:
            publishers, viewers = 1, min(self.legs, publishers * viewers)
        for stream in range(publishers):
            stage.publishers.append(await self.publish(load, stream, codec, traffic))
        await load.ask("play", peers=stage.publishers)
        limit = asyncio.Semaphore(JOINING)

        async def join(stream: int) -> None:
            async with limit:
                number, agreed = await self.view(load, stream, codec)
                stage.viewers.append(number)
                stage.profile = str(agreed["profile"])
                stage.feedback = bool(agreed["feedback"])

        async with asyncio.TaskGroup() as group:
            for stream in range(publishers):
                for _ in range(viewers):
                    group.create_task(join(stream), name="join")
        await load.ask("pause", peers=stage.publishers)
        return stage


class Hosted(Contender):
    """A contender that answers offers in a helper process."""

    def __init__(self, name: str, host: Child, workers: Sequence[int]) -> None:
        self.name, self.host = name, host
        self._workers = tuple(workers)

    @override
    def pids(self) -> tuple[int, ...]:
        return self._workers

    @override
    async def publish(self, load: Child, stream: int, codec: str, traffic: str) -> int:
        made = await load.ask("publisher", codec=codec, traffic=traffic)
        answer = await self.host.ask("publish", stream=stream_name(stream), sdp=made["sdp"])
        await load.ask("accept", peer=made["peer"], sdp=answer["sdp"])
        return int(made["peer"])

    @override
    async def view(self, load: Child, stream: int, codec: str) -> tuple[int, dict[str, object]]:
        made = await load.ask("viewer", codec=codec)
        answer = await self.host.ask("view", stream=stream_name(stream), sdp=made["sdp"])
        return int(made["peer"]), await load.ask("accept", peer=made["peer"], sdp=answer["sdp"])


class Embedded(Hosted):
    """The engine of this project, which has walls and names what it drops."""

    @override
    async def wall(self, load: Child, slots: int, codec: str) -> tuple[int, dict[str, object]]:
        made = await load.ask("viewer", codec=codec, slots=slots)
        answer = await self.host.ask("wall", sdp=made["sdp"])
        agreed = await load.ask("accept", peer=made["peer"], sdp=answer["sdp"])
        shown = {str(slot): stream_name(slot) for slot in range(slots)}
        await self.host.ask("assign", session=answer["session"], slots=shown)
        return int(made["peer"]), agreed

    @override
    async def dropped(self) -> str:
        found = await self.host.ask("stats")
        return ", ".join(f"{name}={count}" for name, count in sorted(found["dropped"].items()) if count)


class Janus(Contender):
    """Janus' videoroom, one room a run."""

    name = "janus"

    def __init__(self, server: JanusServer, session: JanusSession, version: str, library: str) -> None:
        self._server, self._session = server, session
        self._version, self._library = version, library

    @override
    def pids(self) -> tuple[int, ...]:
        return (self._server.pid,)

    @override
    def facts(self) -> dict[str, object]:
        return {"janus_version": self._version, "janus_libsrtp": f"{self._library} on {srtp_build()}", "janus_loops": 1}

    async def open(self) -> None:
        """Make the room."""
        await (await VideoRoom.attach(self._session)).create(ROOM)

    @override
    async def publish(self, load: Child, stream: int, codec: str, traffic: str) -> int:
        made = await load.ask("publisher", codec=codec, traffic=traffic)
        room = await VideoRoom.attach(self._session)
        answer = await room.publish(ROOM, stream + 1, made["sdp"])
        await load.ask("accept", peer=made["peer"], sdp=answer)
        return int(made["peer"])

    @override
    async def view(self, load: Child, stream: int, codec: str) -> tuple[int, dict[str, object]]:
        return await self._subscribe(load, codec, stream + 1)

    @override
    async def wall(self, load: Child, slots: int, codec: str) -> tuple[int, dict[str, object]]:
        return await self._subscribe(load, codec, *range(1, slots + 1))

    async def _subscribe(self, load: Child, codec: str, *feeds: int) -> tuple[int, dict[str, object]]:
        room = await VideoRoom.attach(self._session)
        offer = await room.subscribe(ROOM, *feeds)
        made = await load.ask("answer", codec=codec, sdp=offer, slots=len(feeds))
        await room.start(made["sdp"])
        return int(made["peer"]), await load.ask("up", peer=made["peer"])


ROOM = 320600
RELAY_LEGS = 3
"""A core carries about five: decode and encode."""


def stream_name(number: int) -> str:
    """Name the stream of a number."""
    return f"320623/bench{number}"


@contextlib.asynccontextmanager
async def embedded(backend: str, host: str, folder: Path) -> AsyncIterator[Hosted]:
    """Run the embedded engine with one packet path; raises LinkError where another one takes its place."""
    place = folder / f"embedded-{backend}"
    place.mkdir(parents=True, exist_ok=True)
    arguments = ["--host", host, "--folder", str(place), "--backend", backend]
    async with child(backend, "gateway.bench.host_embedded", arguments, folder, "measured") as process:
        facts = await process.ask("facts")
        if facts["backend"] != backend:
            raise LinkError(f"the packet path {backend} cannot be had here")
        yield Embedded(backend, process, facts["workers"])


@contextlib.asynccontextmanager
async def relay(host: str, folder: Path) -> AsyncIterator[Hosted]:
    """Run aiortc's MediaRelay."""
    async with child("relay", "gateway.bench.host_relay", ["--host", host], folder, "measured") as process:
        made = Hosted("relay", process, (process.pid,))
        made.legs = RELAY_LEGS
        yield made


@contextlib.asynccontextmanager
async def janus(host: str, port: int, folder: Path) -> AsyncIterator[Janus]:
    """Run Janus. Raises NeedsError where it is not installed."""
    with started_on("measured"):
        running = janus_server(JanusSetup(folder / "janus", port, host))
        server = await running.__aenter__()
    try:
        info = await server.client.info()
        async with server.client.session() as session:
            made = Janus(server, session, info.version, info.libraries.get("libsrtp", "libsrtp"))
            await made.open()
            yield made
    finally:
        await running.__aexit__(None, None, None)
