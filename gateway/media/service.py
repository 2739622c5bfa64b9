"""Drives demands and relays: asks next hops, keeps sessions in mind, follows the engine's events.

All methods are called in the gateway's loop. Of all this only who is muted is stored (`mutes.py`): a gateway that
restarts has no sessions, its viewers come again, and the tier above renews its leases within 20 s.
"""

import asyncio
import hashlib
import logging
import math
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Self

from gateway.events import CameraChanged, LinkChanged, MediaRestarted, Overflowed
from gateway.media.asking import Answered, Asker
from gateway.media.carrier import Carrier
from gateway.media.chains import Chains, Stage, traceparent
from gateway.media.floors import Floors
from gateway.media.holding import Holding
from gateway.media.judging import Judging
from gateway.media.layers import MAIN_ONLY
from gateway.media.machine import (
    Ask,
    Demand,
    DemandEffect,
    GiveBack,
    Kind,
    Phase,
    Trouble,
)
from gateway.media.needs import KnownCamera, MediaNeeds
from gateway.media.snapshots import Snapshots
from gateway.media.walls import Walls
from gateway.ports.media import (
    EndReason,
    EngineRestarted,
    Layer,
    LayersWanted,
    MediaEvent,
    RecordingEnded,
    SessionAnswer,
    SessionEnded,
    SlotChanged,
    Still,
    StreamChanged,
    StreamState,
    StreamStats,
    TrickleAnswer,
)
from gateway.web.media_tokens import MediaDirection
from protocols.aio.tasks import Supervisor, Work
from protocols.command import Command, MediaPublish, MediaPublished, MediaUnpublish, parse_args
from protocols.errors import ExpiredError, LinkError, NotFoundError, RefusedError, WrongMomentError
from protocols.health import LinkStatus

logger = logging.getLogger(__name__)

INTENT_S = 10.0
"""A viewer who asked for a play token is expected for this long, and the stream is fetched meanwhile."""
LOOK_S = 2.0
"""How often the agents' picture verdicts are compared with the last ones."""
LONGEST_LEASE_S = 300.0
PENDING = 256
"""Clicks whose trace is kept until their stream is asked for."""
REMEMBERED = 4096
"""Streams whose last change is dated."""
UPPER = "upper"
FAULTS = frozenset(EndReason) - {EndReason.CLOSED, EndReason.REPLACED, EndReason.SHUTDOWN}


@dataclass(frozen=True, slots=True)
class Pass:
    """Where and with which token one stream may be opened. `path` starts with `/`, add the gateway's own address."""

    path: str
    token: str
    expires_at: datetime


@dataclass(slots=True)
class Session:
    """One WHIP, WHEP or wall session of this gateway. The token that opened it also ends it, even after its own end."""

    session_id: str
    stream: str
    direction: MediaDirection
    token_hash: bytes
    etag: str


class MediaService:
    """The media room. Use it with `async with`; the engine must be running."""

    def __init__(
        self,
        needs: MediaNeeds,
        *,
        node: str,
        base_url: Callable[[], str],
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`node` is this gateway; `base_url` is where nodes below reach its `/whip`, asked for at each command."""
        self._node = node
        self._base_url = base_url
        self._engine = needs.engine
        self._ways = needs.ways
        self._commands = needs.commands
        self._tokens = needs.tokens
        self._clock = needs.clock
        self._bus = needs.bus
        self._metrics = needs.metrics
        self._chance = chance
        self._demands: dict[str, Demand] = {}
        self._states: dict[str, StreamState] = {}
        self._sessions: dict[str, Session] = {}
        self._verdicts: dict[str, tuple[str | None, datetime]] = {}
        self._intents = 0
        self._wake = asyncio.Event()
        self._supervisor = Supervisor("media", clock=needs.clock)
        self._works = 0
        self.chains = Chains(node)
        self._pending: dict[str, str] = {}
        self._since: dict[str, datetime] = {}
        carry = partial(Carrier, clock=needs.clock, chance=chance, spawn=self._spawn, count=self._dialled)
        self.relays = carry("relay", needs.engine.relay, needs.engine, wanted=self._relay_wanted)
        self.pulls = carry("pull", needs.engine.pull, needs.engine)
        self.judging = Judging(needs.engine.still, self._foreign, self._changed, needs.clock)
        self.walls = Walls(self, needs.engine, needs.clock, needs.bus)
        self.floors = Floors(self, needs.clock, needs.bus, needs.metrics, needs.store)
        self.asker = Asker(needs, node=node, base_url=base_url, pulled=self.pulls.holds)
        self.snapshots = Snapshots(
            needs, wanted=self._is_wanted, state=self.state, hop=self.asker.hop, relays=self.relays
        )

    async def __aenter__(self) -> Self:
        self._supervisor.start("engine events", self._follow_engine)
        self._supervisor.start("links", self._follow_links)
        self._supervisor.start("verdicts", self._follow_pictures)
        self._supervisor.start("judging", self.judging.run)
        self._supervisor.start("floors", self.floors.run)
        self._supervisor.start("mutes", self.floors.mutes.run)
        self._supervisor.start("timer", self._keep_time)
        self._supervisor.start("snapshots", self.snapshots.run)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._supervisor.stop()

    # What other rooms ask.

    def want(self, stream: str, holder: str, kind: Kind, layers: frozenset[Layer] = MAIN_ONLY) -> None:
        """Let `holder` want layers of a stream until `release`; repeating is harmless."""
        demand = self._demands.setdefault(stream, Demand())
        if demand.phase in {Phase.IDLE, Phase.WARM} and self.state(stream) is not StreamState.LIVE:
            trace = traceparent(self._pending.pop(stream, None), secrets.token_bytes(24))
            self.chains.begin(stream, trace, self._clock.now(), self._clock.monotonic())
        self._perform(stream, demand.want(holder, kind, self._clock.monotonic(), layers))

    def clicked(self, stream: str, trace: str | None) -> None:
        """Take the traceparent of a click: the next time that the stream is asked for, it bears this one."""
        if trace is not None and self.state(stream) is not StreamState.LIVE:
            self._pending[stream] = trace
            while len(self._pending) > PENDING:
                del self._pending[next(iter(self._pending))]

    def release(self, stream: str, holder: str) -> None:
        """Let go what `want` held; an unknown holder is ignored."""
        demand = self._demands.get(stream)
        if demand is not None:
            self._perform(stream, demand.release(holder, self._clock.monotonic()))
            self._wake.set()

    def holding(self, kind: Kind) -> Holding:
        """Return the part of this room that another room needs for its own kind of demand."""
        return Holding(self, kind)

    def trouble(self, stream: str) -> Trouble | None:
        """Return why a wanted stream cannot be had, None while all is well."""
        demand = self._demands.get(stream)
        return demand.trouble if demand is not None else None

    def _is_wanted(self, stream: str) -> bool:
        demand = self._demands.get(stream)
        return demand is not None and demand.wanted

    def since(self, stream: str) -> datetime | None:
        """Return since when the stream has been in its present state or trouble, None where nothing changed yet."""
        return self._since.get(stream)

    def judged_since(self, stream: str) -> datetime | None:
        """Return since when its present verdict has been known here."""
        known = self._verdicts.get(stream)
        return known[1] if known is not None else None

    def state(self, stream: str) -> StreamState:
        """Return the stream's state in the engine."""
        return self._states.get(stream, StreamState.ABSENT)

    def stands(self, stream: str) -> bool:
        """Tell whether a stream is an announced camera's, is here, or is fetched from another gateway."""
        here = self.state(stream) is not StreamState.ABSENT
        return here or self._ways.owner(stream) is not None or self.pulls.holds(stream)

    async def still(
        self, stream: str, *, newer_than: float | None = None, timeout_s: float = 3.0, width: int = 0
    ) -> Still:
        """Return the newest decoded picture; raises NotFoundError, which says why, where none comes in time."""
        try:
            return await self._engine.still(stream, newer_than=newer_than, timeout_s=timeout_s, width=width)
        except NotFoundError as error:
            why = self.trouble(stream)
            if why is None:
                raise
            raise NotFoundError(f"{error}; the stream does not come: {why.value}") from error

    def play_pass(self, stream: str, holder: str, life: timedelta | None = None) -> Pass:
        """Let `holder` (user or node) view a stream; the stream is fetched at once, in expectation of the viewer."""
        token, expires_at = self._mint(MediaDirection.PLAY, stream, holder, life)
        return Pass(f"/whep/{stream}", token, expires_at)

    def publish_pass(self, stream: str, holder: str, life: timedelta | None = None) -> Pass:
        """Let `holder` publish a stream."""
        token, expires_at = self._mint(MediaDirection.PUBLISH, stream, holder, life)
        return Pass(f"/whip/{stream}", token, expires_at)

    def wall_pass(self, holder: str) -> Pass:
        """Let a person open a wall."""
        token, expires_at = self._mint(MediaDirection.WALL, "", holder, None)
        return Pass("/wall", token, expires_at)

    def wall_holder(self, token: str | None) -> str:
        """Return whom a wall token was given to; raises NotAuthenticatedError, NotAllowedError."""
        return self._tokens.verify(token, MediaDirection.WALL, "", now=self._clock.now()).holder

    def expect_viewer(self, stream: str) -> None:
        """Fetch a stream for somebody who is about to view it."""
        self._intents += 1
        holder = f"intent-{self._intents}"
        self.want(stream, holder, Kind.VIEWER)
        self._spawn(f"intent[{stream}]", partial(self._forget_intent, stream, holder))

    def keep_pulled(self, stream: str, whep_url: str, token: str) -> None:
        """Fetch a stream from another gateway, again and again, until `drop_pulled`."""
        self.pulls.lease(stream, whep_url, token)
        self._wake.set()

    def drop_pulled(self, stream: str) -> None:
        """End what `keep_pulled` began; an unknown stream is ignored."""
        self.pulls.give_back(stream)

    # What comes over HTTP.

    def now(self) -> datetime:
        """Return this room's time."""
        return self._clock.now()

    async def publish_offer(
        self, stream: str, token: str | None, offer: str, client: str | None = None
    ) -> SessionAnswer:
        """Take a WHIP offer. Raises NotAuthenticatedError, NotAllowedError, BadMediaError."""
        self._tokens.verify(token, MediaDirection.PUBLISH, stream, now=self._clock.now())
        answer = await self._engine.publish(stream, offer, client=client)
        self._remember(answer, MediaDirection.PUBLISH, token)
        return answer

    async def play_offer(self, stream: str, token: str | None, offer: str, client: str | None = None) -> SessionAnswer:
        """Take a WHEP offer and want the stream while the session lasts. Raises as `publish_offer`."""
        self._tokens.verify(token, MediaDirection.PLAY, stream, now=self._clock.now())
        self._intents += 1
        holder = f"joining-{self._intents}"
        self.want(stream, holder, Kind.VIEWER)
        try:
            answer = await self._engine.play(stream, offer, client=client)
            self._remember(answer, MediaDirection.PLAY, token)
            self.want(stream, answer.session_id, Kind.VIEWER)
        finally:
            self.release(stream, holder)
        return answer

    async def wall_offer(self, holder: str, token: str | None, offer: str, client: str | None = None) -> SessionAnswer:
        """Take the offer of a wall whose slots are all empty; raises BadMediaError, NeedsError."""
        answer = await self._engine.wall(offer, client=client)
        self.walls.open(answer.session_id, holder)
        self._remember(answer, MediaDirection.WALL, token)
        return answer

    def opened_by(self, session_id: str, token: str | None) -> bool:
        """Tell whether this very token opened a session that still stands."""
        session = self._sessions.get(session_id)
        return session is not None and token is not None and _hash(token) == session.token_hash

    def session_of(self, session_id: str) -> Session:
        """Return a wall whose holder was checked; raises NotFoundError."""
        session = self._sessions.get(session_id)
        if session is None or session.direction is not MediaDirection.WALL:
            raise NotFoundError(f"no wall {session_id}; it may have ended")
        return session

    async def trickle(self, session: Session, fragment: str, tag: str) -> TrickleAnswer:
        """Pass candidates or an ICE restart (`tag` is `*`) on. Raises WrongMomentError on a stale tag."""
        if tag not in {"*", session.etag}:
            raise WrongMomentError(f"the ICE session is {session.etag}, not {tag}")
        answer = await self._engine.trickle(session.session_id, fragment, tag)
        session.etag = answer.etag
        return answer

    async def hang_up(self, session: Session) -> None:
        """End a session at its client's wish; raises NotFoundError."""
        self._forget(session.session_id)
        await self._engine.end(session.session_id)

    def session(self, direction: MediaDirection, stream: str, session_id: str, token: str | None) -> Session:
        """Return a session that `token` may change; raises NotFoundError, NotAuthenticatedError, NotAllowedError."""
        session = self._sessions.get(session_id)
        if session is None or session.stream != stream or session.direction is not direction:
            self._tokens.verify(token, direction, stream, now=self._clock.now())
            raise NotFoundError(f"no session {session_id} of {stream}; it may have ended")
        if _hash(token) != session.token_hash:
            self._tokens.verify(token, direction, stream, now=self._clock.now())
        return session

    def cameras(self) -> tuple[KnownCamera, ...]:
        """Return the cameras of the subtree."""
        return tuple(self._ways.cameras())

    def camera(self, stream: str) -> KnownCamera:
        """Return one camera; raises NotFoundError."""
        return self._ways.camera(stream)

    async def stream_stats(self) -> dict[str, StreamStats]:
        """Return the engine's figures by stream; none while the media worker is being replaced."""
        try:
            stats = await self._engine.stats()
        except LinkError:
            return {}
        return {stream.stream: stream for stream in stats.streams}

    # What the tier above asks.

    async def on_publish(self, command: Command) -> dict[str, Any]:
        """Carry out `media.publish` of the tier above: relay the stream while the lease lasts.

        Raises ExpiredError, NotFoundError, and RefusedError with the trouble's name: the lease holds all the same.
        """
        args = parse_args(MediaPublish, command.args)
        left = min((args.until - self._clock.now()).total_seconds(), LONGEST_LEASE_S)
        if left <= 0:
            raise ExpiredError(f"the lease of {args.stream} ended at {args.until.isoformat()}")
        if self.asker.hidden_from(args.stream, command.origin):
            self.relays.give_back(args.stream)
            raise RefusedError(f"{args.stream} is not shown to {command.origin}", Trouble.NOT_SHARED)
        if self.asker.hop(args.stream) is None and not self.asker.is_own(args.stream):
            raise NotFoundError(f"no camera {args.stream} below {self._node}")
        layers = MAIN_ONLY if args.layers is None else frozenset(Layer(layer) for layer in args.layers)
        self.clicked(args.stream, args.trace)
        self.relays.lease(args.stream, args.whip_url, args.token, for_s=left, fresh=args.fresh, layers=layers)
        self._wake.set()
        trouble = self.trouble(args.stream)
        if trouble is not None:
            raise RefusedError(f"{args.stream} does not come here either; it is still asked for", trouble)
        return MediaPublished(hops=self.chains.path(args.stream), rests=True).model_dump(mode="json", exclude_none=True)

    async def on_unpublish(self, command: Command) -> dict[str, Any]:
        """Carry out `media.unpublish` of the tier above."""
        args = parse_args(MediaUnpublish, command.args)
        self.relays.give_back(args.stream)
        return {}

    # Effects.

    def _perform(self, stream: str, effects: list[DemandEffect]) -> None:
        for effect in effects:
            match effect:
                case Ask(fresh, layers):
                    self._spawn(f"ask[{stream}]", partial(self._ask, stream, fresh=fresh, layers=layers))
                case GiveBack():
                    self._spawn(f"give back[{stream}]", partial(self.asker.give_back, stream))
        self._wake.set()

    def _relay_wanted(self, stream: str, layers: frozenset[Layer]) -> None:
        if layers:
            self.want(stream, UPPER, Kind.RELAY, layers)
        else:
            self.release(stream, UPPER)

    async def _ask(self, stream: str, *, fresh: bool, layers: frozenset[Layer]) -> None:
        demand = self._demands[stream]
        try:
            trace = self.chains.trace(stream) if layers else None
            answer = await self.asker.ask(stream, fresh=fresh, layers=layers, trace=trace)
        except Exception:  # without an answer the demand would wait for ever
            logger.exception("stream not asked for", extra={"stream": stream})
            answer = Answered(Trouble.FAILED)
        trouble, now = answer.trouble, self._clock.monotonic()
        self._metrics.count("media_requests_total", outcome=trouble or "done")
        if trouble is None and layers:
            self._reached(stream, Stage.ANSWERED)
            self.chains.tell(stream, answer.hops)
        changed = trouble is not demand.trouble
        self._perform(stream, demand.answered(trouble, now, self._chance(), can_rest=answer.rests))
        if changed:
            logger.info("stream wanted", extra={"stream": stream, "reason": trouble or "none"})
            self._changed(stream)

    def _reached(self, stream: str, stage: Stage) -> None:
        seconds = self.chains.mark(stream, stage, self._clock.monotonic())
        if seconds is not None:
            self._metrics.observe("media_hop_seconds", seconds, stage=stage)
            told = {"stream": stream, "stage": stage, "ms": round(seconds * 1000), "trace": self.chains.trace(stream)}
            logger.info("hop", extra=told)

    def _changed(self, stream: str) -> None:
        self._since.pop(stream, None)
        self._since[stream] = self._clock.now()
        while len(self._since) > REMEMBERED:
            del self._since[next(iter(self._since))]
        self._bus.publish(CameraChanged(stream))
        self.walls.stream_changed(stream)

    # Loops.

    async def _follow_engine(self) -> None:
        async for event in self._engine.events():
            self._take(event)

    def _take(self, event: MediaEvent) -> None:
        match event:
            case StreamChanged():
                self._stream_changed(event)
            case SessionEnded():
                self._session_ended(event)
            case EngineRestarted():
                self._engine_restarted(event)
            case LayersWanted(stream, layers):
                demand = self._demands.get(stream)
                if demand is not None:
                    self._perform(stream, demand.told(layers, self._clock.monotonic()))
            case SlotChanged():
                self.walls.changed(event)
            case RecordingEnded():
                return

    def _stream_changed(self, event: StreamChanged) -> None:
        now, former = self._clock.monotonic(), self.state(event.stream)
        if event.state is StreamState.ABSENT:
            self._states.pop(event.stream, None)
        else:
            self._states[event.stream] = event.state
        if event.state is StreamState.LIVE:
            self.snapshots.live(event.stream)
        if event.first_frame_s is not None:
            self._metrics.observe("media_time_to_first_frame_seconds", event.first_frame_s)
        for stage in _stages(event):
            self._reached(event.stream, stage)
        if event.state is former:
            return
        demand = self._demands.get(event.stream)
        if demand is not None:
            demand.source(live=event.state is StreamState.LIVE, now=now)
        self._changed(event.stream)

    def _session_ended(self, event: SessionEnded) -> None:
        logger.info("media session ended", extra={"stream": event.stream, "kind": event.kind, "reason": event.reason})
        if event.reason in FAULTS:
            self._metrics.count("media_session_failures_total", reason=event.reason)
        self._forget(event.session_id)
        self.relays.ended(event.stream, event.session_id)
        self.pulls.ended(event.stream, event.session_id)
        self._wake.set()

    def _engine_restarted(self, event: EngineRestarted) -> None:
        logger.warning("media worker replaced", extra={"streams": len(event.streams)})
        for stream in event.sources:
            demand = self._demands.get(stream)
            if demand is not None:
                self._perform(stream, demand.hurry(self._clock.monotonic(), fresh=True))
        for session_id in event.sessions:
            self._forget(session_id)
        self.relays.lost(event.sessions)
        self.pulls.lost(event.sessions)
        self._bus.publish(MediaRestarted(event.streams, event.sessions))

    async def _follow_links(self) -> None:
        async with self._bus.subscribe(LinkChanged) as changes:
            async for change in changes:
                if isinstance(change, Overflowed):
                    self._hurry(None)
                elif change.status is LinkStatus.UP:
                    self._hurry(change.node)

    def _hurry(self, node: str | None) -> None:
        for stream, demand in self._demands.items():
            if demand.phase is not Phase.IDLE and (node is None or self.asker.hop(stream) == node):
                self._perform(stream, demand.hurry(self._clock.monotonic(), fresh=False))

    async def _follow_pictures(self) -> None:
        while True:
            for camera in self._ways.cameras():
                verdict = camera.picture.verdict if camera.picture is not None else None
                known = self._verdicts.get(camera.stream)
                if known is not None and known[0] == verdict:
                    continue
                self._verdicts[camera.stream] = (verdict, self._clock.now())
                if known is not None:
                    logger.info("picture changed", extra={"stream": camera.stream, "verdict": verdict or "none"})
                    self._bus.publish(CameraChanged(camera.stream))
            await self._clock.sleep(LOOK_S)

    async def _keep_time(self) -> None:
        while True:
            self._wake.clear()
            ends = [at for demand in self._demands.values() if (at := demand.deadline) is not None]
            first = min(*ends, self.relays.deadline, self.pulls.deadline, math.inf)
            left = None if math.isinf(first) else first - self._clock.monotonic()
            await self._clock.wait(self._wake, left)
            self._tick()

    def _tick(self) -> None:
        now = self._clock.monotonic()
        for stream, demand in tuple(self._demands.items()):
            self._perform(stream, demand.tick(now))
            if demand.phase is Phase.IDLE and not demand.wanted:
                del self._demands[stream]
        self.relays.tick()
        self.pulls.tick()

    def _foreign(self) -> list[str]:
        """Return the live streams whose publisher came here by itself: no agent and no gateway speaks for them."""
        published = {s.stream for s in self._sessions.values() if s.direction is MediaDirection.PUBLISH}
        return [s for s in published if self.state(s) is StreamState.LIVE and self._ways.owner(s) is None]

    # Small things.

    def _mint(
        self, direction: MediaDirection, stream: str, holder: str, life: timedelta | None
    ) -> tuple[str, datetime]:
        return self._tokens.mint(direction, stream, holder=holder, now=self._clock.now(), life=life)

    def _remember(self, answer: SessionAnswer, direction: MediaDirection, token: str | None) -> None:
        self._sessions[answer.session_id] = Session(
            answer.session_id, answer.stream, direction, _hash(token), answer.etag
        )

    def _forget(self, session_id: str) -> None:
        session = self._sessions.pop(session_id, None)
        self.walls.forget(session_id)
        self.floors.part(session_id)
        if session is not None:
            self.release(session.stream, session_id)

    async def _forget_intent(self, stream: str, holder: str) -> None:
        try:
            await self._clock.sleep(INTENT_S)
        finally:
            self.release(stream, holder)

    def _dialled(self, kind: str, outcome: str) -> None:
        self._metrics.count("media_dials_total", kind=kind, outcome=outcome)
        self._wake.set()  # one that failed has a time at which it is due again

    def _spawn(self, name: str, work: Work) -> None:
        self._works += 1
        self._supervisor.start(f"{name} {self._works}", work, restart=False)


def _stages(event: StreamChanged) -> tuple[Stage, ...]:
    match event.state:
        case StreamState.STARTING:
            return (Stage.CONNECTED,)
        case StreamState.LIVE if event.first_frame_s is not None:
            return (Stage.CONNECTED, Stage.PACKET, Stage.PICTURE)
        case StreamState.LIVE:
            return (Stage.CONNECTED, Stage.PACKET)
        case _:
            return ()


def _hash(token: str | None) -> bytes:
    return hashlib.sha256((token or "").encode()).digest()
