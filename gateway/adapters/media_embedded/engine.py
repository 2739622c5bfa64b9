"""Control side of the embedded engine: the `media` port on top of a supervised worker process.

**The control loop never touches a packet**: it makes SDP, tells the worker what to do and passes on its events.
"""

import asyncio
import contextlib
import logging
import secrets
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Self

from gateway.adapters.media_embedded import identity, moment, sdp
from gateway.adapters.media_embedded.backends import AUTO, BACKENDS, choose
from gateway.adapters.media_embedded.bridges import Bridges
from gateway.adapters.media_embedded.broadcast import Broadcast
from gateway.adapters.media_embedded.negotiation import Feed, Known, accept, credentials, ssrcs, warm_up, warm_up_later
from gateway.adapters.media_embedded.pictures import Pictures
from gateway.adapters.media_embedded.recordings import Recordings
from gateway.adapters.media_embedded.relay_codecs import check, codec_of, misfits
from gateway.adapters.media_embedded.rules import fragment as fragments
from gateway.adapters.media_embedded.rules import zones
from gateway.adapters.media_embedded.rules.description import SENDING, Agreement, Local, Remote, Track
from gateway.adapters.media_embedded.rules.placement import LEGS_PER_WORKER, Placement
from gateway.adapters.media_embedded.rules.stun import TCP, Address
from gateway.adapters.media_embedded.stills import Stills
from gateway.adapters.media_embedded.summing import summed
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
from gateway.adapters.media_embedded.workers import Crew
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
from protocols.errors import BadMediaError, ConfigError, LinkError, NotFoundError, WrongMomentError
from protocols.ids import split_stream

logger = logging.getLogger(__name__)
CAPABILITIES = frozenset(Capability)
STATS_S = 0.2
CONNECT_S = 15.0
"""An upward session that carries no media keys by then has failed."""


class EmbeddedMediaEngine:
    """`gateway.ports.media.MediaEngine`, embedded. Start it with `async with`; leaving ends the workers.

    `state_dir` keeps the engine's own files (made if absent). `advertise` lists the addresses written into answers as
    host candidates, some of them for one network alone (`rules.zones`). `host` is the address to bind; without one,
    loopback alone binds loopback alone and anything else binds all interfaces. `port` is the first worker's one UDP
    port, each further worker has the next number (0: any free ones, kept over a worker's restart). `tcp` lets peers
    connect to the same numbers by TCP too, where UDP does not pass. `backend` is the wished packet path (`backends`),
    `batch_window_ms` how long packets are collected. `trust` gives the TLS context for relays to and pulls from another
    gateway over https; None trusts the system's authorities. Raises ConfigError for a backend or an address that cannot
    be used, and at the start for a port that is taken.

    Before the start may be set: `workers` that forward packets; `legs_per_worker`, beyond which viewers go to others
    than their stream's home; `uplink_bps` of all relays together; `trust_near`, for TLS towards other replicas.
    """

    def __init__(
        self,
        *,
        state_dir: Path,
        advertise: Sequence[str] = ("127.0.0.1",),
        host: str | None = None,
        port: int = 0,
        backend: str = AUTO,
        batch_window_ms: float = 1.0,
        tcp: bool = True,
        trust: Callable[[], ssl.SSLContext | None] = lambda: None,
    ) -> None:
        if backend not in {AUTO, *BACKENDS}:
            raise ConfigError(f"media backend {backend!r} does not exist; choose one of {AUTO}, {', '.join(BACKENDS)}")
        self.state_dir = state_dir
        self.advertise = tuple(advertise)
        self._backend, self._window_s = backend, batch_window_ms / 1000
        self._tcp = tcp
        self.workers, self.legs_per_worker, self.uplink_bps = 1, LEGS_PER_WORKER, 0
        self._trust = self.trust_near = trust
        self._zones = zones.read(self.advertise)
        self._bind = zones.binding(self._zones.addresses, host)
        self._wished_port = port
        self._broadcast = Broadcast()
        self._sessions: dict[str, Known] = {}
        self._stills = Stills()
        self._coded: dict[str, str | None] = {}
        self._pictures = Pictures(self._stills, self._ask_picture)
        self.recordings = Recordings(state_dir, self._tap, self._recorded)
        self._placement = Placement()
        self._crew = Crew(self._placement, self._heard, self._worker_lost)
        self._bridges = Bridges(self._crew, self._bind, self._wanted_at)
        self._wanted: dict[str, dict[str, frozenset[Layer]]] = {}
        self._wanted_told: dict[str, frozenset[Layer]] = {}
        self._offered: dict[str, frozenset[str]] = {}
        self._identity: identity.Identity | None = None
        self._tasks = Supervisor("media engine")
        self._stats: tuple[float, EngineStats] | None = None

    @property
    def backend(self) -> str:
        """See the port."""
        return self._backend

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this engine can do."""
        return CAPABILITIES

    @property
    def port(self) -> int:
        """The first worker's UDP port; the wished one before the start."""
        return next(iter(self.ports), self._wished_port)

    @property
    def ports(self) -> tuple[int, ...]:
        """The workers' UDP ports; none before the start."""
        return tuple(link.port for link in self._crew.links.values())

    @property
    def worker_pid(self) -> int | None:
        """Process id of the first worker, None while it is not alive."""
        return next(iter(self.worker_pids), None)

    @property
    def worker_pids(self) -> tuple[int | None, ...]:
        """Process ids of all workers, None for those that are being replaced; for the process list and for tests."""
        return tuple(link.process_id for link in self._crew.links.values())

    def worker_of(self, session_id: str) -> str | None:
        """Name the worker that has a session, for tests."""
        return self._placement.member(session_id)

    async def __aenter__(self) -> Self:
        self._identity = identity.load_or_make(self.state_dir / "media-certificate.pem", datetime.now(UTC))
        self._crew.uplink_bps, self._placement.limit = self.uplink_bps, self.legs_per_worker
        path = await self._choose_path()
        ports = [self._wished_port and self._wished_port + number for number in range(self.workers)]
        await self._crew.start(self._identity, self._bind, ports, path, tcp=self._tcp)
        self._bridges.start(self._identity.fingerprint)
        self._tasks.start("warm up", warm_up_later, restart=False)
        return self

    async def _choose_path(self) -> tuple[str, float, str]:
        """Turn the wish for a backend into one that this machine has; what is missing for the best one is said once."""
        chosen = await asyncio.to_thread(choose, self._backend, self.state_dir)
        self._backend = chosen.backend
        if chosen.reason:
            logger.warning("the compiled media backend cannot be used, batched takes its place: %s", chosen.reason)
        return chosen.backend, self._window_s, chosen.library

    async def __aexit__(self, *exc: object) -> None:
        await self._bridges.stop()
        clients = [known.client for known in self._sessions.values() if known.client is not None]
        for known in list(self._sessions.values()):
            self._forget(known, EndReason.SHUTDOWN)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                await asyncio.gather(*(client.hang_up() for client in clients))
        await self._tasks.stop()
        await self.recordings.close()
        await self._stills.close()
        await self._crew.stop()

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
        known.shows.update({f"{slot.kind}/{slot.index}": slot.stream or "" for slot in slots})
        self._sit(known)
        reply, _ = await self._worker(known).request(Assign(session_id, tuple(slots)))
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
        worker = self._place(kind, stream)
        local = self._door(worker, client)
        await warm_up()
        agreed = sdp.answer(offer, local, kind, ssrcs())
        known = Known(secrets.token_hex(16), kind, stream, worker, local, secrets.token_hex(8), address=client)
        known.agree(agreed)
        check(known, self._coded.get(stream))
        await self._open(known, agreed, opened_at, dtls_server=True)
        return SessionAnswer(known.session, stream, agreed.sdp, known.etag)

    def _place(self, kind: SessionKind, stream: str) -> str:
        """Return the worker for a new session; raises LinkError while there is none."""
        if kind is SessionKind.WALL:
            return self._crew.wall()
        return self._crew.viewer(stream) if kind is SessionKind.WHEP else self._crew.home(stream)

    def _door(self, name: str, client: str | None) -> Local:
        """Where a peer that comes to us finds a worker: at the addresses of its zone, by UDP first, then by TCP."""
        worker = self._crew.links[name]
        told = self._zones.told_to(client)
        return self._local([kind + host for kind in (("", TCP) if worker.tcp else ("",)) for host in told], worker.port)

    def _local(self, hosts: Sequence[str], port: int) -> Local:
        if self._identity is None:
            raise AssertionError("the engine is used inside `async with`")
        return Local(credentials(), self._identity.fingerprint, tuple((host, port) for host in hosts))

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
            candidates=agreed.remote.candidates if known.client is not None or known.plain else (),
            plain=known.plain,
        )
        self._sessions[known.session] = known
        self._sit(known)
        try:
            reply, _ = await self._worker(known).request(spec)
        except BaseException:
            self._rise(known)
            self._tell_close(known.session, known.worker)
            raise
        if not reply.ok:
            self._rise(known)
            raise LinkError("the media worker did not take the session")

    def _sit(self, known: Known) -> None:
        """Note what a session uses at its worker: streams are brought there, or stay, while it does."""
        streams = {stream for stream in (known.stream, *known.shows.values()) if stream}
        pictures = sum(1 for slot, stream in known.shows.items() if stream and slot.startswith("video"))
        legs = max(1, pictures) if known.kind in SENDING else 0
        self._bridges.review(self._placement.sit(known.session, known.worker, streams, legs))
        if known.kind is SessionKind.RELAY:
            self._share_uplink()

    def _rise(self, known: Known) -> None:
        if self._sessions.pop(known.session, None) is not None:
            self._bridges.review(self._placement.rise(known.session))
            if known.kind is SessionKind.RELAY:
                self._share_uplink()

    def _share_uplink(self) -> None:
        relays = [known.worker for known in self._sessions.values() if known.kind is SessionKind.RELAY]
        self._crew.share_uplink({worker: relays.count(worker) for worker in self._placement.members})

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
        local = self._door(known.worker, known.address)
        reply, _ = await self._worker(known).request(Restart(session_id, local.credentials))
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
        await self._worker(known).request(Close(session_id, EndReason.CLOSED))

    # -- sessions towards another gateway -------------------------------------------------------------------------

    async def relay(self, stream: str, whip_url: str, token: str, *, near: bool = False) -> str:
        """See the port."""
        kind, trust = (SessionKind.BRIDGE, self.trust_near) if near else (SessionKind.RELAY, self._trust)
        return await self._upward(kind, stream, WhipClient(whip_url, token, verify=trust()))

    async def carry(self, session_id: str, layers: frozenset[Layer]) -> None:
        """See the port."""
        known = self._sessions.get(session_id)
        if known is None:
            raise NotFoundError("no such relay; it may have ended by itself")
        reply, _ = await self._worker(known).request(Carry(session_id, tuple(sorted(layers))))
        if not reply.ok:
            raise NotFoundError("no such relay; it may have ended by itself")

    async def pull(self, stream: str, whep_url: str, token: str) -> str:
        """See the port."""
        return await self._upward(SessionKind.PULL, stream, WhepClient(whep_url, token, verify=self._trust()))

    async def _upward(self, kind: SessionKind, stream: str, client: WhipClient) -> str:
        split_stream(stream)
        opened_at = moment.now()
        session = secrets.token_hex(16)
        worker = self._crew.home(stream)
        self._bridges.review(self._placement.sit(session, worker, [stream], 0))  # the stream stays while we dial
        try:
            reserved, _ = await self._crew.links[worker].request(Reserve(session))
            local = self._local(self._zones.plain, reserved.port)
            await warm_up()
            offer, numbers = sdp.offer(local, kind, ssrcs(), codec := codec_of(await self.stats(), stream))
            answer = await client.offer(offer)
            agreed = accept(answer.sdp, kind, numbers)
            known = Known(session, kind, stream, worker, local, client=client)
            known.agree(agreed)
            check(known, codec)
            zones.check_common(self._bind, [host for host, _ in agreed.remote.candidates])
            await self._open(known, agreed, opened_at, dtls_server=agreed.remote.setup == "active")
            await self._connected(known)
        except BaseException:
            if (made := self._sessions.get(session)) is not None:
                self._rise(made)
            self._bridges.review(self._placement.rise(session))
            self._tell_close(session, worker)
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

    async def hear(self, feed: Feed, agree: Callable[[int], Awaitable[tuple[Address, tuple[Track, ...]]]]) -> None:
        """Take a stream as plain RTP from another engine, which then is its publisher (`SessionKind.WHIP`).

        `agree` is told the port that was opened for it; it has the other engine send there and returns where that one
        hears RTCP, and the tracks with their SSRCs. Nothing is taken from another host. Raises LinkError.
        """
        split_stream(feed.stream)
        worker = self._crew.home(feed.stream)
        try:
            reserved, _ = await self._crew.links[worker].request(Reserve(feed.session, feed.host))
            if not reserved.ok:
                raise ConfigError(f"plain RTP cannot be heard at {feed.host}; name an address of this machine")
            source, tracks = await agree(reserved.port)
            local = self._local((), reserved.port)
            known = Known(feed.session, SessionKind.WHIP, feed.stream, worker, local, plain=True)
            agreed = Agreement("", Remote(credentials(), "", "passive", (source,)), tracks)
            await self._open(known, agreed, feed.opened_at, dtls_server=True)
        except BaseException:
            self._tell_close(feed.session, worker)
            raise

    # -- stills, figures, events ----------------------------------------------------------------------------------

    async def still(
        self, stream: str, *, newer_than: float | None = None, timeout_s: float = 3.0, width: int = 0
    ) -> Still:
        """See the port."""
        return await self._pictures.still(stream, newer_than, timeout_s, width)

    async def stats(self) -> EngineStats:
        """See the port. Raises LinkError while no worker lives."""
        now = moment.now()
        if self._stats is not None and now - self._stats[0] < STATS_S:
            return self._stats[1]
        found = await self._crew.figures()
        stats = summed(found, self._crew.home, self._crew.links, self._crew.restarts)
        stats = replace(stats, recordings=self.recordings.figures())
        if self._broadcast.lost:
            stats.dropped["events"] = self._broadcast.lost
        self._stats = (now, stats)
        return stats

    def events(self) -> AsyncIterator[MediaEvent]:
        """See the port. Events are heard from this call on."""
        return self._broadcast.listen()

    # -- what the worker tells ------------------------------------------------------------------------------------

    def _worker(self, known: Known) -> WorkerLink:
        return self._crew.links[known.worker]

    async def _ask_picture(self, request: Picture, within_s: float) -> tuple[Reply, bytes]:
        return await self._crew.links[self._crew.home(request.stream)].request(request, within_s=within_s)

    async def _tap(self, stream: str, request: Tap | Untap) -> Reply:
        """Lay a tap at a stream's home, which stays there while it is recorded."""
        worker = self._crew.home(stream)
        if isinstance(request, Tap):
            self._bridges.review(self._placement.sit(request.tap, worker, [stream], 0))
        reply, _ = await self._crew.links[worker].request(request)
        return reply

    def _recorded(self, ended: RecordingEnded) -> None:
        self._bridges.review(self._placement.rise(ended.recording))
        self._broadcast.publish(ended)

    def _heard(self, worker: str, answer: Answer) -> None:
        match answer:
            case Up(session):
                if not self._bridges.heard_up(session) and (known := self._sessions.get(session)) is not None:
                    self._up(known)
            case Over(session, reason):
                if not self._bridges.heard_over(session) and (known := self._sessions.get(session)) is not None:
                    self._forget(known, reason)
            case Changed():
                self._changed(worker, answer)
            case Wanted(stream, layers):
                self._want(worker, stream, frozenset(layers))
            case Shows(session, kind, index, stream, showing):
                self._broadcast.publish(SlotChanged(session, kind, index, stream, showing))
            case Reply():
                raise AssertionError("replies are taken by the link")

    def _changed(self, worker: str, told: Changed) -> None:
        if worker != self._placement.home(stream := told.stream):
            return  # of its copies nobody need know
        self._stills.watch(stream, live=told.state is StreamState.LIVE)
        if told.state is StreamState.ABSENT:
            self._coded.pop(stream, None)
        if told.first_frame_s is not None and not self._tasks.running(f"fit[{stream}]"):
            self._tasks.start(f"fit[{stream}]", partial(self._fit, stream), restart=False)
        logger.info("stream changed", extra={"stream": stream, "state": told.state.value})
        self._broadcast.publish(StreamChanged(stream, told.state, told.first_frame_s))

    def _up(self, known: Known) -> None:
        known.up.set()
        if known.kind not in SENDING:
            self._offered[known.stream] = frozenset(known.slots)
            self._bridges.review([known.stream])

    async def _fit(self, stream: str) -> None:
        """End sessions that cannot carry what the picture is coded in: relays are dialled again with it first."""
        self._stats = None
        codec = self._coded[stream] = codec_of(await self.stats(), stream)
        for known in [one for one in self._sessions.values() if one.stream == stream and misfits(one, codec)]:
            logger.warning("session ended for its codec", extra={"kind": known.kind, "stream": stream, "codec": codec})
            self._forget(known, EndReason.REFUSED)
            await self._worker(known).request(Close(known.session, EndReason.REFUSED))

    def _want(self, worker: str, stream: str, layers: frozenset[Layer]) -> None:
        """Note what the legs at one worker want, and tell what all together do."""
        wanted = self._wanted.setdefault(stream, {})
        wanted[worker] = layers
        if not layers:
            del wanted[worker]
        self._tell_wanted(stream)
        self._bridges.review([stream])

    def _tell_wanted(self, stream: str) -> None:
        every = frozenset(layer for worker in self._wanted[stream] for layer in self._wanted_at(stream, worker))
        if every != self._wanted_told.get(stream, frozenset()):
            self._wanted_told[stream] = every
            self._broadcast.publish(LayersWanted(stream, every))
        if not self._wanted[stream]:
            self._wanted.pop(stream)
            self._wanted_told.pop(stream, None)

    def _wanted_at(self, stream: str, worker: str) -> frozenset[Layer]:
        """Return the layers to bring to a worker: of those that there are the wanted ones, or what stands for them."""
        wanted = self._wanted.get(stream, {}).get(worker, frozenset())
        there = frozenset(layer for layer in Layer if layer.value in self._offered.get(stream, ()))
        return wanted & there or (there if wanted and there else wanted)

    def _forget(self, known: Known, reason: EndReason) -> None:
        """Note the end of a session, tell everybody, and hang up at the other gateway."""
        if known.session not in self._sessions:
            return
        self._rise(known)
        if known.kind not in SENDING and not any(
            one.stream == known.stream and one.kind not in SENDING for one in self._sessions.values()
        ):
            self._offered.pop(known.stream, None)
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
            self._tasks.start(name, client.hang_up, restart=False)

    def _worker_lost(self, worker: str, moved: set[str]) -> None:
        gone = [known for known in self._sessions.values() if known.worker == worker]
        streams = {known.stream for known in gone if known.stream}
        sources = {known.stream for known in gone if known.kind not in SENDING}
        for known in gone:
            self._forget(known, EndReason.WORKER_LOST)
        for stream in sources:
            self._stills.watch(stream, live=False)
        for stream in [stream for stream, wanted in self._wanted.items() if worker in wanted]:
            del self._wanted[stream][worker]
            self._tell_wanted(stream)
        self._stats = None
        self._bridges.lost(worker)
        self.recordings.worker_lost(moved)
        sessions = tuple(known.session for known in gone)
        self._broadcast.publish(EngineRestarted(tuple(sorted(streams)), tuple(sorted(sources)), sessions))
        self._bridges.review(moved)

    def _tell_close(self, session: str, worker: str) -> None:
        async def close() -> None:
            with contextlib.suppress(LinkError):
                await self._crew.links[worker].request(Close(session, EndReason.CLOSED))

        name = f"close[{session}]"
        if not self._tasks.running(name):
            self._tasks.start(name, close, restart=False)
