"""A wall in front of an engine: one aiortc connection with many slots, each read by its picture's mark."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection

from gateway.ports.media import Layer, MediaEngine, SessionAnswer, Showing, Slot, SlotChanged
from tests.support.peers import Viewer, connected, exchange, until


@dataclass
class Wall:
    """`panes` are the video slots, `sounds` those for sound; `told` has what the engine says of each slot."""

    engine: MediaEngine
    answer: SessionAnswer
    connection: RTCPeerConnection
    panes: list[Viewer]
    sounds: list[Viewer]
    told: dict[tuple[str, int], tuple[str | None, Showing]] = field(default_factory=dict)

    async def show(
        self, index: int, stream: str | None, layer: Layer = Layer.MAIN, priority: int = 2, kind: str = "video"
    ) -> None:
        await self.engine.assign(self.answer.session_id, [Slot(kind, index, stream, layer, priority)])

    async def says(self, index: int, showing: Showing, kind: str = "video") -> None:
        """Wait until the engine says so of a slot."""
        await until(lambda: self.told.get((kind, index), (None, Showing.EMPTY))[1] is showing)


@contextlib.asynccontextmanager
async def wall(engine: MediaEngine, slots: int, *, sounds: int = 0) -> AsyncIterator[Wall]:
    """Hang a wall until the context ends; connected when entered, its slots empty."""
    # With the default policy aiortc starts no second receiver of sound.
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
    answers: list[SessionAnswer] = []
    tasks: list[asyncio.Task[None]] = []

    async def post(offer: str) -> str:
        answers.append(await engine.wall(offer))
        return answers[0].sdp

    events = engine.events()
    try:
        for kind in ["video"] * slots + ["audio"] * sounds:
            connection.addTransceiver(kind, direction="recvonly")
        await exchange(connection, post)
        made = [(transceiver.receiver.track, Viewer(connection)) for transceiver in connection.getTransceivers()]
        tasks += [asyncio.ensure_future(seen.watch(track)) for track, seen in made]
        await connected(connection)
        panes, sounds_heard = ([seen for track, seen in made if track.kind == kind] for kind in ("video", "audio"))
        hung = Wall(engine, answers[0], connection, panes, sounds_heard)

        async def listen() -> None:
            async for event in events:
                if isinstance(event, SlotChanged) and event.session_id == hung.answer.session_id:
                    hung.told[event.kind, event.index] = (event.stream, event.showing)

        tasks.append(asyncio.ensure_future(listen()))
        yield hung
    finally:
        await connection.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
