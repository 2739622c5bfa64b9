"""Streams from the worker where they live to another one where they are watched: once each, and no picture unwatched.

A bridge is a session like that between two gateways, with checks, DTLS and SRTP, made by control without HTTP and over
this machine's own address. It carries the layers that are wanted at its far end, and sound.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from gateway.adapters.media_embedded import moment, sdp
from gateway.adapters.media_embedded.negotiation import credentials, ssrcs, warm_up
from gateway.adapters.media_embedded.rules.description import Agreement, Local
from gateway.adapters.media_embedded.wire import Carry, Close, Open, Reserve
from gateway.adapters.media_embedded.workers import Crew
from gateway.ports.media import EndReason, Layer, SessionKind
from protocols.aio.tasks import Supervisor
from protocols.errors import LinkError, SilianError

logger = logging.getLogger(__name__)
LINGER_S = 5.0
"""A bridge that nobody needs stands so long: whoever switches slots to and fro finds it again."""
AGAIN_S = 0.2
CONNECT_S = 5.0


@dataclass(slots=True)
class Bridge:
    """One session between two workers; `news` is set whenever somebody should look at it again."""

    stream: str
    home: str
    far: str
    sending: str = field(default_factory=lambda: secrets.token_hex(16))
    receiving: str = field(default_factory=lambda: secrets.token_hex(16))
    carried: frozenset[Layer] | None = None
    connected: bool = False
    over: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Bridges:
    """Call `review` for streams whose users, home or wishes changed, `lost` for a worker that died.

    `wanted(stream, worker)` says which layers to bring there. `heard_up` and `heard_over` tell whether a session was
    one of a bridge.
    """

    def __init__(self, crew: Crew, bind: tuple[str, ...], wanted: Callable[[str, str], frozenset[Layer]]) -> None:
        self._crew, self._wanted = crew, wanted
        self._host = inside(bind)
        self._fingerprint = ""
        self._ends: dict[str, Bridge] = {}
        self._standing: dict[tuple[str, str], Bridge] = {}
        self._tasks = Supervisor("media bridges")
        self._stopped = False

    def start(self, fingerprint: str) -> None:
        """Take the fingerprint of the certificate that all workers have."""
        self._fingerprint = fingerprint

    async def stop(self) -> None:
        """Make no more; the workers end what stands."""
        self._stopped = True
        await self._tasks.stop()

    def review(self, streams: Iterable[str]) -> None:
        """Make what is needed, let the others see that something changed."""
        for stream in () if self._stopped else streams:
            for far in self._crew.placement.away(stream):
                name = f"bridge[{stream}>{far}]"
                if not self._tasks.running(name):
                    self._tasks.start(name, partial(self._keep, stream, far), restart=False)
            for (one, _), bridge in self._standing.items():
                if one == stream:
                    bridge.news.set()

    def lost(self, worker: str) -> None:
        """Note that a worker died, and with it all bridges from and to it."""
        for bridge in self._standing.values():
            if worker in {bridge.home, bridge.far}:
                bridge.over = True
                bridge.news.set()

    def heard_up(self, session: str) -> bool:
        """Note that a session has keys; True for one of a bridge, which carries media when its far end has."""
        bridge = self._ends.get(session)
        if bridge is not None and session == bridge.receiving:
            bridge.connected = True
            bridge.news.set()
        return bridge is not None

    def heard_over(self, session: str) -> bool:
        """Note that a session ended; True for one of a bridge."""
        bridge = self._ends.get(session)
        if bridge is not None:
            bridge.over = True
            bridge.news.set()
        return bridge is not None

    async def _keep(self, stream: str, far: str) -> None:
        """Keep a bridge to one worker while it is needed there, whoever dies meanwhile."""
        placement = self._crew.placement
        while far in placement.away(stream):
            bridge = Bridge(stream, placement.home(stream), far)
            self._standing[stream, far] = bridge
            self._ends[bridge.sending] = self._ends[bridge.receiving] = bridge
            try:
                await self._make(bridge)
                logger.info("media bridge up", extra={"stream": stream, "from": bridge.home, "to": far})
                await self._stand(bridge)
            except SilianError as error:
                told = {"stream": stream, "from": bridge.home, "to": far, "reason": str(error)}
                logger.warning("media bridge not made", extra=told)
                await asyncio.sleep(AGAIN_S)
            finally:
                await self._close(bridge)
                self._standing.pop((stream, far), None)
                self._ends.pop(bridge.sending, None)
                self._ends.pop(bridge.receiving, None)

    async def _make(self, bridge: Bridge) -> None:
        opened_at = moment.now()
        near, far = self._crew.links[bridge.home], self._crew.links[bridge.far]
        reserved, _ = await near.request(Reserve(bridge.sending, self._host))
        await warm_up()
        ours = Local(credentials(), self._fingerprint, ((self._host, reserved.port),))
        theirs = Local(credentials(), self._fingerprint, ((self._host, far.port),))
        offer, numbers = sdp.offer(ours, SessionKind.BRIDGE, ssrcs())
        received = sdp.answer(offer, theirs, SessionKind.BRIDGED, ssrcs())
        sent = sdp.accept(received.sdp, SessionKind.BRIDGE, numbers)
        ends = (
            (far, _open(bridge.receiving, SessionKind.BRIDGED, bridge.stream, theirs, received, opened_at)),
            (near, _open(bridge.sending, SessionKind.BRIDGE, bridge.stream, ours, sent, opened_at)),
        )
        for link, spec in ends:
            reply, _ = await link.request(spec)
            if not reply.ok:
                raise LinkError("the media worker did not take the bridge")
        await self._carry(bridge)
        try:
            async with asyncio.timeout(CONNECT_S):
                while not bridge.connected and not bridge.over:
                    bridge.news.clear()
                    await bridge.news.wait()
        except TimeoutError as error:
            raise LinkError("the workers do not reach each other") from error

    async def _stand(self, bridge: Bridge) -> None:
        """Look after a bridge until it ends, its stream lives elsewhere, or nobody has needed it for a while."""
        placement = self._crew.placement
        while not bridge.over and placement.members and placement.home(bridge.stream) == bridge.home:
            bridge.news.clear()
            await self._carry(bridge)
            if bridge.far in placement.away(bridge.stream):
                await bridge.news.wait()
                continue
            try:
                async with asyncio.timeout(LINGER_S):
                    await bridge.news.wait()
            except TimeoutError:
                return

    async def _carry(self, bridge: Bridge) -> None:
        wanted = self._wanted(bridge.stream, bridge.far)
        if wanted != bridge.carried:
            bridge.carried = wanted
            await self._crew.links[bridge.home].request(Carry(bridge.sending, tuple(sorted(wanted))))

    async def _close(self, bridge: Bridge) -> None:
        for worker, session in ((bridge.home, bridge.sending), (bridge.far, bridge.receiving)):
            with contextlib.suppress(LinkError):
                await self._crew.links[worker].request(Close(session, EndReason.CLOSED))


def _open(session: str, kind: SessionKind, stream: str, local: Local, agreed: Agreement, opened_at: float) -> Open:
    sending = kind is SessionKind.BRIDGE
    return Open(
        session=session,
        kind=kind,
        stream=stream,
        local=local.credentials,
        remote=agreed.remote.credentials,
        fingerprint=agreed.remote.fingerprint,
        tracks=agreed.tracks,
        opened_at=opened_at,
        dtls_server=not sending,
        candidates=agreed.remote.candidates if sending else (),
    )


def inside(bind: tuple[str, ...]) -> str:
    """Return the address by which one worker reaches another: loopback, unless they listen on one address alone."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind[0], bind[0])  # noqa: S104 - compared, nothing is bound
