"""The `media` port with Janus for publishers: an external engine, and our worker for everybody who views.

A publisher's offer is answered by Janus' videoroom; the stream goes on to our worker as plain RTP, from where viewers,
stills and relays are served as in the embedded engine. A death of Janus ends its publishers' sessions, is told as
`EngineRestarted`, and needs no restart of ours: viewers stay and see the stream again when its publisher is back.
"""

import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn, Self

from gateway.adapters.media_embedded import moment
from gateway.adapters.media_embedded.broadcast import Broadcast
from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from gateway.adapters.media_embedded.negotiation import Feed
from gateway.adapters.media_embedded.rules import fragment as fragments
from gateway.adapters.media_janus import offers
from gateway.adapters.media_janus.connection import JanusConnection, JanusPlace
from gateway.adapters.media_janus.publication import Publication
from gateway.ports.media import (
    Capability,
    EndReason,
    EngineRestarted,
    EngineStats,
    Layer,
    MediaEvent,
    RecordingEnded,
    SessionAnswer,
    SessionEnded,
    SessionKind,
    Slot,
    Still,
    StreamChanged,
    StreamState,
    TrickleAnswer,
)
from protocols.aio.tasks import Supervisor
from protocols.errors import BadMediaError, LinkError, NeedsError, NotFoundError, SilianError, WrongMomentError
from protocols.ids import split_stream

logger = logging.getLogger(__name__)
CAPABILITIES = frozenset(
    {
        Capability.PUBLISH,
        Capability.PLAY,
        Capability.RELAY,
        Capability.STILL,
        Capability.STATS,
        Capability.EVENTS,
    }
)


class JanusMediaEngine:
    """`gateway.ports.media.MediaEngine` with an external engine. Start it with `async with`.

    `worker` serves whoever views and is started and ended here; `place` says where Janus is. `relay` and `pull` are
    the worker's: another gateway is spoken to by WHIP and WHEP. What is not in `CAPABILITIES` raises NeedsError.
    """

    def __init__(self, worker: EmbeddedMediaEngine, place: JanusPlace) -> None:
        self.worker = worker
        self.connection = JanusConnection(place, self._janus_lost)
        self._publications: dict[str, Publication] = {}
        self._reasons: dict[str, EndReason] = {}
        self._broadcast = Broadcast()
        self._tasks = Supervisor("janus engine")
        self._stack = contextlib.AsyncExitStack()

    @property
    def backend(self) -> str:
        """Which way packets of viewers go: that of our worker."""
        return self.worker.backend

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this engine can do."""
        return CAPABILITIES

    async def __aenter__(self) -> Self:
        """Start both. Raises as the worker does, and NeedsError where Janus is missing."""
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self.worker)
            told = self.worker.events()
            stack.push_async_callback(self._tasks.stop)
            self._tasks.start("events", lambda: self._pass_on(told))
            await stack.enter_async_context(self.connection)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    # -- publishers ---------------------------------------------------------------------------------------------------

    async def publish(self, stream: str, offer: str, *, client: str | None = None) -> SessionAnswer:
        """See the port. The former publisher goes on until the new one is connected. Raises LinkError without Janus."""
        split_stream(stream)
        feed = Feed(secrets.token_hex(16), stream, self.connection.place.heard_at, moment.now())
        made = await Publication.publish(feed, offer, self.connection.standing)
        self._publications[feed.session] = made
        self._tasks.start(f"publication[{feed.session}]", lambda: self._own(made), restart=False)
        return SessionAnswer(feed.session, stream, made.answer, made.etag)

    async def _own(self, made: Publication) -> None:
        """Keep a publication until its end, whoever wants that: the publisher, Janus, the worker or we."""
        reason = EndReason.SHUTDOWN
        try:
            reason = await made.run(self.worker)
        except SilianError as error:
            logger.warning("publication failed", extra={"stream": made.feed.stream, "reason": str(error)})
            reason = EndReason.WORKER_LOST
        finally:
            if reason is not EndReason.SHUTDOWN:
                await self._let_go(made, reason)

    async def _let_go(self, made: Publication, reason: EndReason) -> None:
        """End a publication at Janus and in the worker, and see that its end is told once."""
        session = made.feed.session
        if self._publications.pop(session, None) is None:
            return
        self._reasons[session] = reason
        try:
            await self.worker.end(session)
        except (NotFoundError, LinkError):
            if self._reasons.pop(session, None) is not None:  # the worker has not had it, or is gone itself
                self._broadcast.publish(SessionEnded(session, made.feed.stream, SessionKind.WHIP, reason))
        await made.close()

    async def trickle(self, session_id: str, fragment: str, etag: str | None) -> TrickleAnswer:
        """See the port. Janus cannot be given an ICE restart by fragment: BadMediaError tells to publish again."""
        made = self._publications.get(session_id)
        if made is None:
            return await self.worker.trickle(session_id, fragment, etag)
        tag = (etag or "").strip('"')
        if tag not in {"*", made.etag}:
            raise WrongMomentError("the entity tag is not that of the present ICE session")
        heard = fragments.read(fragment)
        if tag == "*" or (heard.credentials is not None and heard.credentials.ufrag != made.user):
            raise BadMediaError("Janus takes no ICE restart here; end the session and publish again")
        for candidate in offers.candidates(fragment):
            await made.handle.handle.trickle(candidate)
        return TrickleAnswer(None, made.etag)

    async def end(self, session_id: str) -> None:
        """See the port."""
        made = self._publications.get(session_id)
        if made is None:
            await self.worker.end(session_id)
            return
        # The task first: it may be handing the publisher to the worker, which would then keep a session of nobody.
        await self._tasks.cancel(f"publication[{session_id}]")
        await self._let_go(made, EndReason.CLOSED)

    # -- what the worker does -----------------------------------------------------------------------------------------

    async def play(self, stream: str, offer: str, *, client: str | None = None) -> SessionAnswer:
        """See the port."""
        return await self.worker.play(stream, offer, client=client)

    async def relay(self, stream: str, whip_url: str, token: str, *, near: bool = False) -> str:
        """See the port."""
        return await self.worker.relay(stream, whip_url, token, near=near)

    async def carry(self, session_id: str, layers: frozenset[Layer]) -> None:
        """See the port."""
        await self.worker.carry(session_id, layers)

    async def pull(self, stream: str, whep_url: str, token: str) -> str:
        """See the port."""
        return await self.worker.pull(stream, whep_url, token)

    async def still(
        self, stream: str, *, newer_than: float | None = None, timeout_s: float = 3.0, width: int = 0
    ) -> Still:
        """See the port."""
        return await self.worker.still(stream, newer_than=newer_than, timeout_s=timeout_s, width=width)

    async def stats(self) -> EngineStats:
        """See the port. `modes` names the Janus that answers; its restarts count as restarts."""
        found = await self.worker.stats()
        try:
            version = self.connection.standing.info.version
        except LinkError:
            version = "away"
        restarts = found.worker_restarts + self.connection.restarts
        return replace(found, modes={**found.modes, "janus": version}, worker_restarts=restarts)

    def events(self) -> AsyncIterator[MediaEvent]:
        """See the port. Events are heard from this call on."""
        return self._broadcast.listen()

    async def _pass_on(self, told: AsyncIterator[MediaEvent]) -> None:
        async for event in told:
            match event:
                case SessionEnded(session):
                    made = self._publications.pop(session, None)
                    if made is not None:  # another publisher took the stream over, or the worker died
                        self._close_later(made)
                    self._broadcast.publish(replace(event, reason=self._reasons.pop(session, event.reason)))
                case StreamChanged(stream, state):
                    self._note(stream, state)
                    self._broadcast.publish(event)
                case _:
                    self._broadcast.publish(event)

    def _note(self, stream: str, state: StreamState) -> None:
        now = moment.now()
        for made in self._publications.values():
            if made.feed.stream == stream and made.fed:
                made.silent_since = None if state is StreamState.LIVE else made.silent_since or now

    def _close_later(self, made: Publication) -> None:
        async def close() -> None:
            await self._tasks.cancel(f"publication[{made.feed.session}]")
            await made.close()

        self._tasks.start(f"close[{made.feed.session}]", close, restart=False)

    def _janus_lost(self) -> None:
        """End what Janus had and tell everybody, so that publishers are asked again."""
        gone = list(self._publications.values())
        logger.error("janus is lost", extra={"publishers": len(gone)})
        self._broadcast.publish(EngineRestarted(tuple(sorted({made.feed.stream for made in gone}))))

        async def end() -> None:
            for made in gone:
                await self._tasks.cancel(f"publication[{made.feed.session}]")
                await self._let_go(made, EndReason.WORKER_LOST)

        self._tasks.start(f"ends[{self.connection.restarts}]", end, restart=False)

    # -- what needs the embedded engine -------------------------------------------------------------------------------

    async def wall(self, offer: str, *, client: str | None = None) -> SessionAnswer:
        """Raise NeedsError."""
        _needs("walls")

    async def assign(self, session_id: str, slots: Sequence[Slot]) -> None:
        """Raise NeedsError."""
        _needs("walls")

    async def record(self, stream: str, path: Path, *, layer: Layer = Layer.MAIN) -> str:
        """Raise NeedsError."""
        _needs("recording")

    async def stop_recording(self, recording: str) -> RecordingEnded:
        """Raise NeedsError."""
        _needs("recording")

    async def clip(self, stream: str, path: Path, seconds: float, *, layer: Layer = Layer.MAIN) -> RecordingEnded:
        """Raise NeedsError."""
        _needs("recording")


def _needs(what: str) -> NoReturn:
    raise NeedsError(f'{what}: needs media_embedded; set media.engine = "embedded"')
