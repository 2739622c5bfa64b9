"""Control side of the embedded engine: the `media` port on top of a supervised worker process.

**The control loop never touches a packet**: it makes SDP, tells the worker what to do and passes on its events.
"""

import asyncio
import contextlib
import logging
import secrets
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from gateway.adapters.media_embedded import identity, moment, sdp
from gateway.adapters.media_embedded.broadcast import Broadcast
from gateway.adapters.media_embedded.pictures import Pictures
from gateway.adapters.media_embedded.recordings import Recordings
from gateway.adapters.media_embedded.rules import fragment as fragments
from gateway.adapters.media_embedded.rules import zones
from gateway.adapters.media_embedded.rules.description import Agreement, Local
from gateway.adapters.media_embedded.rules.ice import Credentials
from gateway.adapters.media_embedded.rules.stun import TCP
from gateway.adapters.media_embedded.stills import Stills
from gateway.adapters.media_embedded.wire import (
    Answer,
    Assign,
    Carry,
    Changed,
    Close,
    Open,
    Over,
    Picture,
    Reply,
    Reserve,
    Restart,
    Shows,
    Tap,
    Untap,
    Up,
    Wanted,
)
from gateway.adapters.media_embedded.worker_link import WorkerLink
from gateway.ports.media import (
    Capability,
    EndReason,
    EngineRestarted,
    EngineStats,
    Layer,
    LayersWanted,
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
from protocols.aio.tasks import Supervisor
from protocols.aio.whip import WhepClient, WhipClient
from protocols.errors import (
    BadMediaError,
    ConfigError,
    LinkError,
    NotFoundError,
    RefusedError,
    WrongMomentError,
)
from protocols.ids import split_stream

logger = logging.getLogger(__name__)
BACKENDS = ("batched", "reference")
CAPABILITIES = frozenset(Capability)
STATS_S = 0.2
WARM_UP_AFTER_S = 5.0
CONNECT_S = 15.0
"""An upward session that carries no media keys by then has failed."""


@dataclass(slots=True)
class Known:
    """A session as control knows it."""

    session: str
    kind: SessionKind
    stream: str
    local: Local
    etag: str = ""
    mids: tuple[str, ...] = ()
    first_kind: str = "video"
    slots: tuple[str, ...] = ()
    remote: Credentials | None = None
    address: str | None = None
    """Where its HTTP request came from."""
    client: WhipClient | None = None
    up: asyncio.Event = field(default_factory=asyncio.Event)
    over: EndReason | None = None


class EmbeddedMediaEngine:
    """`gateway.ports.media.MediaEngine`, embedded. Start it with `async with`; leaving ends the worker.

    `state_dir` keeps the engine's own files (made if absent). `advertise` lists the addresses written into answers as
    host candidates, some of them for one network alone (`rules.zones`). `host` is the address to bind; without one,
    loopback alone binds loopback alone and anything else binds all interfaces. `port` is the worker's one UDP port (0:
    any free one, kept over a worker's restart). `tcp` lets peers connect to the same number by TCP too, where UDP does
    not pass. `backend` chooses the packet path, `batch_window_ms` how long packets are collected. `trust` gives the TLS
    context for relays to and pulls from another gateway over https; None trusts the system's authorities. Raises
    ConfigError for a backend or an address that cannot be used, and at the start for a port that is taken.
    All relays together send at most `uplink_bps`, if that is set before the start.
    """

    def __init__(
        self,
        *,
        state_dir: Path,
        advertise: Sequence[str] = ("127.0.0.1",),
        host: str | None = None,
        port: int = 0,
        backend: str = "batched",
        batch_window_ms: float = 1.0,
        tcp: bool = True,
        trust: Callable[[], ssl.SSLContext | None] = lambda: None,
    ) -> None:
        if backend not in BACKENDS:
            raise ConfigError(f"media backend {backend!r} does not exist; choose one of {', '.join(BACKENDS)}")
        self.state_dir = state_dir
        self.advertise = tuple(advertise)
        self.backend, self._window_s = backend, batch_window_ms / 1000
        self._tcp = tcp
        self.uplink_bps = 0
        self._trust = trust
        self._zones = zones.read(self.advertise)
        self._bind = zones.binding(self._zones.addresses, host)
        self._wished_port = port
        self._broadcast = Broadcast()
        self._sessions: dict[str, Known] = {}
        self._stills = Stills()
        self._pictures = Pictures(self._stills, self._ask_picture)
        self.recordings = Recordings(state_dir, self._ask_worker, self._broadcast.publish)
        self._link: WorkerLink | None = None
        self._identity: identity.Identity | None = None
        self._tasks = Supervisor("media engine")
        self._stats: tuple[float, EngineStats] | None = None

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this engine can do."""
        return CAPABILITIES

    @property
    def port(self) -> int:
        """The worker's UDP port; the wished one before the start."""
        return self._link.port if self._link is not None else self._wished_port

    @property
    def worker_pid(self) -> int | None:
        """Process id of the living worker, for the process list and for tests."""
        return self._link.process_id if self._link is not None else None

    async def __aenter__(self) -> Self:
        self._identity = identity.load_or_make(self.state_dir / "media-certificate.pem", datetime.now(UTC))
        link = WorkerLink(
            self._identity,
            self._bind,
            self._wished_port,
            (self.backend, self._window_s),
            self._heard,
            self._worker_lost,
            tcp=self._tcp,
            uplink_bps=self.uplink_bps,
        )
        self._link = await link.__aenter__()
        self._tasks.start("warm up", _warm_up_later, restart=False)
        return self

    async def __aexit__(self, *exc: object) -> None:
        clients = [known.client for known in self._sessions.values() if known.client is not None]
        for known in list(self._sessions.values()):
            self._forget(known, EndReason.SHUTDOWN)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                await asyncio.gather(*(_hang_up(client) for client in clients))
        await self._tasks.stop()
        await self.recordings.close()
        await self._stills.close()
        if self._link is not None:
            await self._link.__aexit__()

    # -- viewers and publishers that come to us -------------------------------------------------------------------

    async def publish(self, stream: str, offer: str, *, client: str | None = None) -> SessionAnswer:
        """See the port. The former publisher goes on until the new one is connected."""
        return await self._answer(SessionKind.WHIP, stream, offer, client)

    async def play(self, stream: str, offer: str, *, client: str | None = None) -> SessionAnswer:
        """See the port."""
        return await self._answer(SessionKind.WHEP, stream, offer, client)

    async def wall(self, offer: str, *, client: str | None = None) -> SessionAnswer:
        """See the port."""
        return await self._answer(SessionKind.WALL, "", offer, client)

    async def assign(self, session_id: str, slots: Sequence[Slot]) -> None:
        """See the port. Raises BadIdentityError for a stream that cannot be one."""
        known = self._sessions.get(session_id)
        if known is None or known.kind is not SessionKind.WALL:
            raise NotFoundError("no such wall; make a new one")
        for slot in slots:
            if f"{slot.kind}/{slot.index}" not in known.slots:
                raise BadMediaError(f"the wall has no slot {slot.kind}/{slot.index}; it has {', '.join(known.slots)}")
            if slot.stream is not None:
                split_stream(slot.stream)
        reply, _ = await self._worker().request(Assign(session_id, tuple(slots)))
        if not reply.ok:
            raise NotFoundError("the wall is over; make a new one")

    async def record(self, stream: str, path: Path, *, layer: Layer = Layer.MAIN) -> str:
        """See the port."""
        return await self.recordings.start(stream, path, layer)

    async def stop_recording(self, recording: str) -> RecordingEnded:
        """See the port."""
        return await self.recordings.stop(recording)

    async def clip(self, stream: str, path: Path, seconds: float, *, layer: Layer = Layer.MAIN) -> RecordingEnded:
        """See the port."""
        return await self.recordings.clip(stream, path, seconds, layer)

    async def _answer(self, kind: SessionKind, stream: str, offer: str, client: str | None) -> SessionAnswer:
        if kind is not SessionKind.WALL:
            split_stream(stream)
        opened_at = moment.now()
        local = self._door(client)
        await _warm_up()
        agreed = sdp.answer(offer, local, kind, _ssrcs())
        known = self._known(kind, stream, local, agreed)
        known.address = client
        await self._open(known, agreed, opened_at, dtls_server=True)
        return SessionAnswer(known.session, stream, agreed.sdp, known.etag)

    def _door(self, client: str | None) -> Local:
        """Where a peer that comes to us finds the worker: at the addresses of its zone, by UDP first, then by TCP."""
        worker = self._worker()
        told = self._zones.told_to(client)
        return self._local([kind + host for kind in (("", TCP) if worker.tcp else ("",)) for host in told], worker.port)

    def _local(self, hosts: Sequence[str], port: int) -> Local:
        if self._identity is None:
            raise AssertionError("the engine is used inside `async with`")
        return Local(_credentials(), self._identity.fingerprint, tuple((host, port) for host in hosts))

    def _known(self, kind: SessionKind, stream: str, local: Local, agreed: Agreement) -> Known:
        known = Known(secrets.token_hex(16), kind, stream, local, secrets.token_hex(8))
        self._agree(known, agreed)
        return known

    @staticmethod
    def _agree(known: Known, agreed: Agreement) -> None:
        known.mids = tuple(track.mid for track in agreed.tracks if track.mid)
        known.first_kind = agreed.tracks[0].kind
        known.slots = tuple(track.name for track in agreed.tracks)
        known.remote = agreed.remote.credentials

    async def _open(self, known: Known, agreed: Agreement, opened_at: float, *, dtls_server: bool) -> None:
        spec = Open(
            session=known.session,
            kind=known.kind,
            stream=known.stream,
            local=known.local.credentials,
            remote=agreed.remote.credentials,
            fingerprint=agreed.remote.fingerprint,
            tracks=agreed.tracks,
            opened_at=opened_at,
            dtls_server=dtls_server,
            candidates=agreed.remote.candidates if known.client is not None else (),
        )
        self._sessions[known.session] = known
        try:
            reply, _ = await self._worker().request(spec)
        except BaseException:
            self._sessions.pop(known.session, None)
            self._tell_close(known.session)
            raise
        if not reply.ok:
            self._sessions.pop(known.session, None)
            raise LinkError("the media worker did not take the session")

    async def trickle(self, session_id: str, fragment: str, etag: str | None) -> TrickleAnswer:
        """See the port. Candidates are checked and otherwise ignored: the other side's checks show its addresses."""
        known = self._sessions.get(session_id)
        if known is None or known.client is not None:
            raise NotFoundError("no such session; make a new one")
        tag = (etag or "").strip('"')
        if tag not in {"*", known.etag}:
            raise WrongMomentError("the entity tag is not that of the present ICE session; restart ICE with *")
        heard = fragments.read(fragment)
        if heard.credentials in {None, known.remote}:
            if heard.credentials is None and tag == "*":
                raise BadMediaError("an ICE restart names its ice-ufrag and ice-pwd")
            return TrickleAnswer(None, known.etag)
        if tag != "*":
            raise BadMediaError("the ice-ufrag is not that of the present ICE session; restart ICE with If-Match: *")
        local = self._door(known.address)
        reply, _ = await self._worker().request(Restart(session_id, local.credentials))
        if not reply.ok:
            raise NotFoundError("the session is over; make a new one")
        known.local, known.remote, known.etag = local, heard.credentials, secrets.token_hex(8)
        return TrickleAnswer(fragments.restarted(local, known.mids, known.first_kind), known.etag)

    async def end(self, session_id: str) -> None:
        """See the port."""
        known = self._sessions.get(session_id)
        if known is None:
            raise NotFoundError("no such session; it may have ended by itself")
        self._forget(known, EndReason.CLOSED)
        await self._worker().request(Close(session_id, EndReason.CLOSED))

    # -- sessions towards another gateway -------------------------------------------------------------------------

    async def relay(self, stream: str, whip_url: str, token: str) -> str:
        """See the port."""
        return await self._upward(SessionKind.RELAY, stream, WhipClient(whip_url, token, verify=self._trust()))

    async def carry(self, session_id: str, layers: frozenset[Layer]) -> None:
        """See the port."""
        reply, _ = await self._worker().request(Carry(session_id, tuple(sorted(layers))))
        if not reply.ok:
            raise NotFoundError("no such relay; it may have ended by itself")

    async def pull(self, stream: str, whep_url: str, token: str) -> str:
        """See the port."""
        return await self._upward(SessionKind.PULL, stream, WhepClient(whep_url, token, verify=self._trust()))

    async def _upward(self, kind: SessionKind, stream: str, client: WhipClient) -> str:
        split_stream(stream)
        opened_at = moment.now()
        session = secrets.token_hex(16)
        try:
            reserved, _ = await self._worker().request(Reserve(session))
            local = self._local([host for host in self._zones.plain if ":" not in host], reserved.port)
            await _warm_up()
            offer, ssrcs = sdp.offer(local, kind, _ssrcs())
            answer = await client.offer(offer)
            agreed = _accept(answer.sdp, kind, ssrcs)
            known = Known(session, kind, stream, local, client=client)
            self._agree(known, agreed)
            await self._open(known, agreed, opened_at, dtls_server=agreed.remote.setup == "active")
            await self._connected(known)
        except BaseException:
            self._sessions.pop(session, None)
            self._tell_close(session)
            self._hang_up_later(session, client)
            raise
        return session

    @staticmethod
    async def _connected(known: Known) -> None:
        try:
            async with asyncio.timeout(CONNECT_S):
                await known.up.wait()
        except TimeoutError as error:
            raise LinkError(f"no media connection to the other gateway for {known.stream}") from error
        if known.over is not None:
            raise LinkError(f"the media connection for {known.stream} failed: {known.over.value}")

    # -- stills, figures, events ----------------------------------------------------------------------------------

    async def still(
        self, stream: str, *, newer_than: float | None = None, timeout_s: float = 3.0, width: int = 0
    ) -> Still:
        """See the port."""
        return await self._pictures.still(stream, newer_than, timeout_s, width)

    async def stats(self) -> EngineStats:
        """See the port. Raises LinkError while the worker is being restarted."""
        now = moment.now()
        if self._stats is not None and now - self._stats[0] < STATS_S:
            return self._stats[1]
        figures = await self._worker().figures()
        dropped = dict(figures.dropped)
        if self._broadcast.lost:
            dropped["events"] = self._broadcast.lost
        stats = EngineStats(
            figures.streams,
            figures.sessions,
            dropped,
            self._worker().restarts,
            figures.loop_lag_ms,
            figures.modes,
            figures.lines,
            self.recordings.figures(),
        )
        self._stats = (now, stats)
        return stats

    def events(self) -> AsyncIterator[MediaEvent]:
        """See the port. Events are heard from this call on."""
        return self._broadcast.listen()

    # -- what the worker tells ------------------------------------------------------------------------------------

    def _worker(self) -> WorkerLink:
        if self._link is None:
            raise AssertionError("the engine is used inside `async with`")
        return self._link

    async def _ask_picture(self, request: Picture, within_s: float) -> tuple[Reply, bytes]:
        return await self._worker().request(request, within_s=within_s)

    async def _ask_worker(self, _stream: str, request: Tap | Untap) -> Reply:
        reply, _ = await self._worker().request(request)
        return reply

    def _heard(self, answer: Answer) -> None:
        match answer:
            case Up(session):
                if (known := self._sessions.get(session)) is not None:
                    known.up.set()
            case Over(session, reason):
                if (known := self._sessions.get(session)) is not None:
                    self._forget(known, reason)
            case Changed(stream, state, first_frame_s):
                self._stills.watch(stream, live=state is StreamState.LIVE)
                logger.info("stream changed", extra={"stream": stream, "state": state.value})
                self._broadcast.publish(StreamChanged(stream, state, first_frame_s))
            case Wanted(stream, layers):
                self._broadcast.publish(LayersWanted(stream, frozenset(layers)))
            case Shows(session, kind, index, stream, showing):
                self._broadcast.publish(SlotChanged(session, kind, index, stream, showing))
            case Reply():
                raise AssertionError("replies are taken by the link")

    def _forget(self, known: Known, reason: EndReason) -> None:
        """Note the end of a session, tell everybody, and hang up at the other gateway."""
        if self._sessions.pop(known.session, None) is None:
            return
        known.over = reason
        known.up.set()
        kind = known.kind.value
        logger.info("media session over", extra={"stream": known.stream, "kind": kind, "reason": reason.value})
        self._broadcast.publish(SessionEnded(known.session, known.stream, known.kind, reason))
        client = known.client
        if client is not None and reason is not EndReason.SHUTDOWN:
            self._hang_up_later(known.session, client)

    def _hang_up_later(self, session: str, client: WhipClient) -> None:
        name = f"hang up[{session}]"
        if not self._tasks.running(name):
            self._tasks.start(name, lambda: _hang_up(client), restart=False)

    def _worker_lost(self) -> None:
        streams = tuple(sorted({known.stream for known in self._sessions.values() if known.stream}))
        for known in list(self._sessions.values()):
            self._forget(known, EndReason.WORKER_LOST)
        self._stats = None
        self.recordings.worker_lost()
        self._broadcast.publish(EngineRestarted(streams))

    def _tell_close(self, session: str) -> None:
        async def close() -> None:
            with contextlib.suppress(LinkError):
                await self._worker().request(Close(session, EndReason.CLOSED))

        name = f"close[{session}]"
        if not self._tasks.running(name):
            self._tasks.start(name, close, restart=False)


def _credentials() -> Credentials:
    """Make ICE credentials of 48 and 144 random bits, in ice-chars (RFC 8839 section 5.4)."""
    return Credentials(secrets.token_hex(6), secrets.token_hex(16))


def _ssrcs() -> Iterator[int]:
    """Draw SSRCs, each once (RFC 3550 section 8.1)."""
    drawn = {0}
    while True:
        ssrc = secrets.randbits(32)
        if ssrc not in drawn:
            drawn.add(ssrc)
            yield ssrc


def _accept(text: str, kind: SessionKind, ssrcs: dict[str, int]) -> Agreement:
    try:
        agreed = sdp.accept(text, kind, ssrcs)
    except BadMediaError as error:
        raise RefusedError(f"the other gateway's answer cannot be used: {error}", "bad_answer") from error
    if not agreed.remote.candidates:
        raise RefusedError("the other gateway named no address for media", "bad_answer")
    return agreed


async def _warm_up() -> None:
    """Load the SDP library outside the loop's turn: the first import takes half a second."""
    import sys

    if "aiortc.sdp" not in sys.modules:
        from importlib import import_module

        await asyncio.to_thread(import_module, "aiortc.sdp")


async def _warm_up_later() -> None:
    """Load what the first offer needs when the start is over, so that the first viewer does not wait for it."""
    await asyncio.sleep(WARM_UP_AFTER_S)
    await _warm_up()


async def _hang_up(client: WhipClient) -> None:
    """End the far session; a far end that cannot be reached forgets it by itself."""
    try:
        await client.delete()
    except LinkError as error:
        logger.info("far media session not ended", extra={"url": client.url, "reason": str(error)})
    finally:
        await client.aclose()
