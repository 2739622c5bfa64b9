"""The `media` port over the engines of several replicas; see the package for how.

Before `lead` it is the engine of its own process and nothing more. While a replica leads, each other living replica is
a member as long as its line of events stands: it is lost when the line breaks or says nothing for six seconds, and
then all is as when a worker dies (`EngineRestarted`): its streams get a home among the others and are asked for anew.
"""

import asyncio
import logging
import secrets
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Self

from gateway.adapters.media_embedded.broadcast import Broadcast
from gateway.adapters.media_embedded.rules.description import SENDING
from gateway.adapters.media_embedded.rules.placement import LEGS_PER_WORKER, Placement
from gateway.adapters.media_spread.crossings import Crossings
from gateway.adapters.media_spread.far import FarEngine
from gateway.adapters.media_spread.summing import together_of
from gateway.ports.media import (
    Capability,
    EndReason,
    EngineRestarted,
    EngineStats,
    Layer,
    LayersWanted,
    MediaEngine,
    MediaEvent,
    RecordingEnded,
    SessionAnswer,
    SessionEnded,
    SessionKind,
    Slot,
    SlotChanged,
    Still,
    StreamChanged,
    StreamState,
    TrickleAnswer,
)
from gateway.ports.media_spread import Place
from protocols.aio.tasks import Supervisor
from protocols.errors import LinkError, NotFoundError

logger = logging.getLogger(__name__)
LOOK_S = 1.0
"""How often the living replicas are looked at; a line that broke is tried again as often."""
REMEMBERED = 256
"""Sessions whose end was heard; it may come before the answer that a session was made."""
NEAR = ""
"""Key of the own engine before it is known under which name it leads."""


@dataclass(slots=True)
class _Session:
    """One session of a member; `shows` is what stands in a wall's slots."""

    id: str
    kind: SessionKind
    stream: str
    member: str
    shows: dict[str, str] = field(default_factory=dict)


class SpreadMediaEngine:
    """`gateway.ports.media.MediaEngine` over replicas. Start it with `async with`; then `lead`, once.

    `near` is the engine of this process, `secret` known to the replicas alone, `workers` how many a replica has.
    """

    def __init__(
        self, near: MediaEngine, *, secret: str, trust: Callable[[], ssl.SSLContext], workers: int = 1
    ) -> None:
        self.near = near
        self._secret = secret
        self._trust = trust
        self._me = Place(NEAR, NEAR, "")
        self._members: dict[str, MediaEngine | FarEngine] = {}
        self._places: dict[str, Place] = {}
        self._placement = Placement(LEGS_PER_WORKER * workers)
        self._sessions: dict[str, _Session] = {}
        self._recorded: dict[str, tuple[str, Layer]] = {}
        self._states: dict[str, dict[str, StreamState]] = {}
        self._told: dict[str, StreamState] = {}
        self._wanted: dict[str, dict[str, frozenset[Layer]]] = {}
        self._wanted_told: dict[str, frozenset[Layer]] = {}
        self._broadcast = Broadcast()
        self._crossings = Crossings(self._placement, self._engine, self._url, self._wanted_at, secret)
        self._tasks = Supervisor("media replicas")
        self._over: deque[str] = deque(maxlen=REMEMBERED)
        self.moved = 0
        """Streams with a source that a replica took with it when it was lost."""
        self._take(self._me, near)

    async def __aenter__(self) -> Self:
        await self.near.__aenter__()
        told = self.near.events()
        self._tasks.start("near", partial(self._hear_near, told), restart=False)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._crossings.stop()
        await self._tasks.stop()
        await self.near.__aexit__(*exc)

    def lead(self, me: Place, living: Callable[[], Collection[Place]]) -> None:
        """Place streams over all of `living` from now on; it includes `me`. Nothing may be in use yet."""
        if self._sessions:
            raise AssertionError("a replica that begins to lead has no session yet")
        self._placement.left(self._me.id)
        self._members.clear()
        self._places.clear()
        self._me = me
        self._take(me, self.near)
        self._tasks.start("members", partial(self._look, living))

    @property
    def backend(self) -> str:
        """See the port: that of this process."""
        return self.near.backend

    @property
    def capabilities(self) -> frozenset[Capability]:
        """See the port: members can do the same, or they are none."""
        return self.near.capabilities

    @property
    def crossings(self) -> int:
        """How many streams are brought from one replica to another now."""
        return self._crossings.count

    def streams(self) -> dict[str, int]:
        """Return for each member by name how many streams with a source live there."""
        return {
            place.name: sum(state is not StreamState.ABSENT for state in self._at_home(id_))
            for id_, place in self._places.items()
        }

    def home(self, stream: str) -> Place:
        """Return where a stream lives, or would."""
        return self._places[self._placement.home(stream)]

    def _at_home(self, member: str) -> list[StreamState]:
        known = self._states.get(member, {})
        return [state for stream, state in known.items() if self._placement.home(stream) == member]

    # -- members ------------------------------------------------------------------------------------------------------

    def _take(self, place: Place, engine: MediaEngine | FarEngine) -> None:
        self._members[place.id] = engine
        self._places[place.id] = place
        self._placement.joined(place.id)

    def _engine(self, member: str) -> MediaEngine | FarEngine:
        engine = self._members.get(member)
        if engine is None:
            raise LinkError("the replica that carried this is gone; ask again")
        return engine

    def _url(self, member: str) -> str:
        return self._places[member].url

    async def _look(self, living: Callable[[], Collection[Place]]) -> None:
        while True:
            for place in living():
                name = f"member[{place.id}]"
                if place.id != self._me.id and not self._tasks.running(name):
                    self._tasks.start(name, partial(self._follow, place), restart=False)
            await asyncio.sleep(LOOK_S)

    async def _follow(self, place: Place) -> None:
        """Hold the line of one replica until it breaks."""
        controller = secrets.token_hex(16)
        far = FarEngine(place, controller=controller, name=self._me.name, secret=self._secret, trust=self._trust)
        async with far:
            try:
                async for told in far.line():
                    if isinstance(told, frozenset):
                        self._join(place, far, told)
                    else:
                        self._heard(place.id, told)
            except LinkError as error:
                logger.debug("no line to a replica", extra={"replica": place.name, "error": str(error)})
            finally:
                if self._members.get(place.id) is far:
                    self._lost(place)

    def _join(self, place: Place, far: FarEngine, capabilities: frozenset[Capability]) -> None:
        if capabilities != self.near.capabilities:
            raise LinkError("its engine can do other things")
        self._take(place, far)
        logger.info("replica takes streams", extra={"replica": place.name, "url": place.url})

    def _lost(self, place: Place) -> None:
        """Let a member go: as if all its workers had died."""
        gone = [session for session in self._sessions.values() if session.member == place.id]
        known = self._states.pop(place.id, {})
        home = self._placement.home
        sources = {one.stream for one in gone if one.kind not in SENDING and home(one.stream) == place.id}
        touched = self._placement.left(place.id) | set(known)
        del self._members[place.id], self._places[place.id]
        self.moved += len(sources)
        logger.warning(
            "replica takes no streams any more",
            extra={"replica": place.name, "streams": len(sources), "sessions": len(gone)},
        )
        for session in gone:
            del self._sessions[session.id]
            self._broadcast.publish(SessionEnded(session.id, session.stream, session.kind, EndReason.WORKER_LOST))
        for stream in [stream for stream, wanted in self._wanted.items() if place.id in wanted]:
            self._want(place.id, stream, frozenset())
        self._retell(touched)
        streams = {stream for one in gone for stream in (one.stream, *one.shows.values()) if stream}
        ids = tuple(session.id for session in gone)
        self._broadcast.publish(EngineRestarted(tuple(sorted(streams)), tuple(sorted(sources)), ids))
        self._crossings.lost(place.id)
        self._crossings.review(touched)

    # -- sessions -----------------------------------------------------------------------------------------------------

    def _sit(self, session: _Session, legs: int = 0) -> None:
        """Note what a session uses where; streams are brought there, or stay, while it does."""
        streams = {stream for stream in (session.stream, *session.shows.values()) if stream}
        self._sessions[session.id] = session
        self._changed(self._placement.sit(session.id, session.member, streams, legs))

    def _rise(self, session_id: str) -> _Session | None:
        self._changed(self._placement.rise(session_id))
        return self._sessions.pop(session_id, None)

    def _changed(self, streams: set[str]) -> None:
        self._retell(streams)
        self._crossings.review(streams)

    def _session(self, session_id: str) -> _Session:
        session = self._sessions.get(session_id)
        if session is None:
            raise NotFoundError("no such session; it may have ended by itself")
        return session

    async def publish(self, stream: str, offer: str, *, client: str | None = None) -> SessionAnswer:
        """See the port. It is placed where the stream lives."""
        member = self._placement.home(stream)
        answer = await self._engine(member).publish(stream, offer, client=client)
        self._made(_Session(answer.session_id, SessionKind.WHIP, stream, member))
        return answer

    async def play(self, stream: str, offer: str, *, client: str | None = None) -> SessionAnswer:
        """See the port. A viewer goes where the stream lives, but beside it while that is full."""
        member = self._placement.viewer(stream)
        answer = await self._engine(member).play(stream, offer, client=client)
        self._made(_Session(answer.session_id, SessionKind.WHEP, stream, member), legs=1)
        return answer

    async def wall(self, offer: str, *, client: str | None = None) -> SessionAnswer:
        """See the port. It goes to the replica with the fewest legs."""
        member = self._placement.least()
        answer = await self._engine(member).wall(offer, client=client)
        self._made(_Session(answer.session_id, SessionKind.WALL, "", member), legs=1)
        return answer

    def _made(self, session: _Session, legs: int = 0) -> None:
        """Note a session; raises LinkError where it, or its replica, was lost while it was made."""
        if session.member not in self._members or session.id in self._over:
            raise LinkError("what should carry this is gone; ask again")
        self._sit(session, legs)

    async def assign(self, session_id: str, slots: Sequence[Slot]) -> None:
        """See the port."""
        session = self._session(session_id)
        if session.kind is not SessionKind.WALL:
            raise NotFoundError("no such wall; make a new one")
        await self._engine(session.member).assign(session_id, slots)
        if session_id not in self._sessions:
            raise NotFoundError("the wall is over; make a new one")
        session.shows.update({f"{slot.kind}/{slot.index}": slot.stream or "" for slot in slots})
        pictures = sum(1 for slot, stream in session.shows.items() if stream and slot.startswith("video"))
        self._sit(session, max(1, pictures))

    async def trickle(self, session_id: str, fragment: str, etag: str | None) -> TrickleAnswer:
        """See the port."""
        return await self._engine(self._session(session_id).member).trickle(session_id, fragment, etag)

    async def end(self, session_id: str) -> None:
        """See the port."""
        session = self._session(session_id)
        try:
            await self._engine(session.member).end(session_id)
        except NotFoundError:
            self._rise(session_id)
            raise

    async def carry(self, session_id: str, layers: frozenset[Layer]) -> None:
        """See the port."""
        await self._engine(self._session(session_id).member).carry(session_id, layers)

    async def relay(self, stream: str, whip_url: str, token: str, *, near: bool = False) -> str:
        """See the port. It goes up from where the stream lives."""
        member, hold = self._hold(SessionKind.RELAY, stream)
        try:
            made = await self._engine(member).relay(stream, whip_url, token, near=near)
            self._made(_Session(made, SessionKind.RELAY, stream, member), legs=1)
        finally:
            self._rise(hold)
        return made

    async def pull(self, stream: str, whep_url: str, token: str) -> str:
        """See the port. It comes to where the stream lives."""
        member, hold = self._hold(SessionKind.PULL, stream)
        try:
            made = await self._engine(member).pull(stream, whep_url, token)
            self._made(_Session(made, SessionKind.PULL, stream, member))
        finally:
            self._rise(hold)
        return made

    def _hold(self, kind: SessionKind, stream: str) -> tuple[str, str]:
        """Let a stream stay where it lives while somebody dials for it."""
        member, hold = self._placement.home(stream), f"dialling-{secrets.token_hex(8)}"
        self._changed(self._placement.sit(hold, member, [stream], 0))
        logger.debug("dialling", extra={"kind": kind.value, "stream": stream, "replica": self._places[member].name})
        return member, hold

    # -- recordings, whose files belong to this process ---------------------------------------------------------------

    async def record(self, stream: str, path: Path, *, layer: Layer = Layer.MAIN) -> str:
        """See the port. The stream is brought here for it."""
        name = await self.near.record(stream, path, layer=layer)
        self._begin(name, stream, layer)
        return name

    async def stop_recording(self, recording: str) -> RecordingEnded:
        """See the port."""
        try:
            return await self.near.stop_recording(recording)
        finally:
            self._finish(recording)

    async def clip(self, stream: str, path: Path, seconds: float, *, layer: Layer = Layer.MAIN) -> RecordingEnded:
        """See the port. The stream is brought here for it."""
        name = f"clip-{secrets.token_hex(8)}"
        self._begin(name, stream, layer)
        try:
            return await self.near.clip(stream, path, seconds, layer=layer)
        finally:
            self._finish(name)

    def _begin(self, recording: str, stream: str, layer: Layer) -> None:
        self._recorded[recording] = (stream, layer)
        self._changed(self._placement.sit(recording, self._me.id, [stream], 0))

    def _finish(self, recording: str) -> None:
        self._recorded.pop(recording, None)
        self._changed(self._placement.rise(recording))

    # -- stills, figures, events --------------------------------------------------------------------------------------

    async def still(
        self, stream: str, *, newer_than: float | None = None, timeout_s: float = 3.0, width: int = 0
    ) -> Still:
        """See the port. It is decoded where the stream lives."""
        engine = self._engine(self._placement.home(stream))
        try:
            return await engine.still(stream, newer_than=newer_than, timeout_s=timeout_s, width=width)
        except LinkError as error:
            if engine is self.near:
                raise
            raise NotFoundError(f"no picture of {stream}: {error}") from error

    async def stats(self) -> EngineStats:
        """See the port: every stream once, whichever replica carries it."""
        found = {self._me.id: await self.near.stats()}
        for member, engine in list(self._members.items()):
            if engine is not self.near:
                try:
                    found[member] = await engine.stats()
                except LinkError as error:
                    logger.info("no media figures of a replica", extra={"replica": member, "error": str(error)})
        return together_of(found, self._me.id, self._placement.home)

    def events(self) -> AsyncIterator[MediaEvent]:
        """See the port. Events are heard from this call on."""
        return self._broadcast.listen()

    # -- what members tell --------------------------------------------------------------------------------------------

    async def _hear_near(self, told: AsyncIterator[MediaEvent]) -> None:
        async for event in told:
            self._heard(self._me.id, event)

    def _heard(self, member: str, event: MediaEvent) -> None:
        match event:
            case StreamChanged(stream, state):
                self._stream_changed(member, stream, state, event)
            case SessionEnded(session):
                self._over.append(session)
                self._crossings.ended([session])
                if self._rise(session) is not None:
                    self._broadcast.publish(event)
            case EngineRestarted():
                self._restarted(member, event)
            case LayersWanted(stream, layers):
                self._want(member, stream, layers)
            case SlotChanged():
                self._broadcast.publish(event)
            case RecordingEnded(recording):
                self._finish(recording)
                self._broadcast.publish(event)

    def _stream_changed(self, member: str, stream: str, state: StreamState, event: StreamChanged) -> None:
        known = self._states.setdefault(member, {})
        known[stream] = state
        if state is StreamState.ABSENT:
            del known[stream]
        if member == self._placement.home(stream):
            self._note(stream, state)
            self._broadcast.publish(event)

    def _retell(self, streams: Iterable[str]) -> None:
        """Tell the state of streams that may live elsewhere now."""
        for stream in streams:
            home = self._placement.home(stream)
            state = self._states.get(home, {}).get(stream, StreamState.ABSENT)
            if state is not self._told.get(stream, StreamState.ABSENT):
                self._note(stream, state)
                self._broadcast.publish(StreamChanged(stream, state))

    def _note(self, stream: str, state: StreamState) -> None:
        if state is StreamState.ABSENT:
            self._told.pop(stream, None)
        else:
            self._told[stream] = state

    def _restarted(self, member: str, event: EngineRestarted) -> None:
        """Pass on that a worker died there; copies of streams that live elsewhere are brought again."""
        sources = tuple(stream for stream in event.sources if self._placement.home(stream) == member)
        sessions = tuple(session for session in event.sessions if self._rise(session) is not None)
        self._crossings.lost(member, event.streams)
        self._broadcast.publish(replace(event, sources=sources, sessions=sessions))

    def _want(self, member: str, stream: str, layers: frozenset[Layer]) -> None:
        """Note what the legs at one replica want, and tell what all together do."""
        wanted = self._wanted.setdefault(stream, {})
        wanted[member] = layers
        if not layers:
            del wanted[member]
        every = frozenset(layer for one in wanted.values() for layer in one)
        if every != self._wanted_told.get(stream, frozenset()):
            self._wanted_told[stream] = every
            self._broadcast.publish(LayersWanted(stream, every))
        if not wanted:
            del self._wanted[stream]
            self._wanted_told.pop(stream, None)
        self._crossings.review([stream])

    def _wanted_at(self, stream: str, member: str) -> frozenset[Layer]:
        """Return the layers to bring to a member: what its legs want, and what is recorded here."""
        wanted = self._wanted.get(stream, {}).get(member, frozenset())
        if member == self._me.id:
            wanted |= {layer for recorded, layer in self._recorded.values() if recorded == stream}
        return wanted
