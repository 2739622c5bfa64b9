"""The bus of a gateway with replicas: one JetStream stream for each centre, in as many copies as `bus.copies` says.

The stream is a short memory (`KEEP_S`), not an archive: a member that was cut off goes on after the last message
that it heard. `Nats-Msg-Id` is the id of the first announcement of a message, so a message whose acknowledgement was
lost is stored once within the duplicate window; members know the ids themselves for longer.

JetStream acknowledges before its disk has it unless the servers run with `sync_interval: always`; without that a power
cut can take messages back (Jepsen, NATS 2.12.1). Here that costs delay only: nothing but wake-ups travels.
"""

import asyncio
import contextlib
import logging
import random
import ssl
import struct
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from typing_extensions import override

from gateway.ports.bus import Bus, BusHealth, Ears
from protocols.aio.clock import Clock, new_ulid
from protocols.aio.tasks import Supervisor, together
from protocols.backoff import Backoff

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.js import JetStreamContext
    from nats.js.api import StreamInfo

logger = logging.getLogger(__name__)
KEEP_S = 600.0
KEEP_BYTES = 64 * 1024 * 1024
DUPLICATE_S = 120.0
WAITING_LIMIT = 20_000
"""Announcements kept while the bus is away: more than that is told as missed, and the others read anew."""
BATCH_BYTES = 256 * 1024
KNOWN_IDS = 20_000
ANSWER_S = 5.0
CONNECT_S = 2.0
LOOK_S = 2.0
LEAVE_S = 1.0
RECONNECT = Backoff(base=0.25, cap=2.0, floor=0.1)
FROM, MISSED = "Silian-From", "Silian-Missed"
_HEAD = struct.Struct(">26sI")


@dataclass(frozen=True, slots=True)
class NatsPlace:
    """Where the servers are (`nats://` or `tls://`), and how we are let in: `login` is (user, password) or (token,)."""

    urls: tuple[str, ...]
    tls: ssl.SSLContext | None = None
    login: tuple[str, ...] = ()
    copies: int = 3


@dataclass(slots=True)
class _Batch:
    """What goes out as one message, again and again until it is acknowledged."""

    id: str
    payload: bytes
    announcements: int
    missed: int


@dataclass(slots=True)
class _Heard:
    """Where this member stands in the stream: it begins with the next message after `seq`."""

    stream: str | None = None
    seq: int = 0
    ids: OrderedDict[str, None] = field(default_factory=OrderedDict)

    def new(self, id_: str) -> bool:
        """Note an id; False where it was heard before."""
        if id_ in self.ids:
            return False
        self.ids[id_] = None
        while len(self.ids) > KNOWN_IDS:
            self.ids.popitem(last=False)
        return True


class _LostTrackError(Exception):
    """The session does not deliver what the stream holds: begin a new one."""


class NatsBus(Bus):
    """Contract: `gateway.ports.bus`. One connection at a time, to the next server whenever it ends."""

    def __init__(self, place: NatsPlace, *, centre: str, clock: Clock) -> None:
        self._place = place
        self._clock = clock
        self._stream = f"silian_{centre}"
        self._subject = f"silian.v1.{centre}.events"
        self._member = new_ulid(clock)
        self._ears: list[Ears] = []
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._batch: _Batch | None = None
        self._filled = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._heard = _Heard()
        self._up = False
        self._detail = "not connected yet"
        self._given_up = self._owed_missed = self._missed = 0
        self._tasks = Supervisor("bus", clock=clock)

    @override
    def listen(self, ears: Ears) -> None:
        self._ears.append(ears)

    @override
    def announce(self, id_: str, body: bytes) -> None:
        if len(body) > BATCH_BYTES or len(self._waiting) >= WAITING_LIMIT:
            self._give_up(body)
        else:
            self._waiting.append((id_, body))
        self._empty.clear()
        self._filled.set()

    def _give_up(self, body: bytes) -> None:
        if not self._owed_missed:
            why = f"{len(body)} bytes" if len(body) > BATCH_BYTES else f"{WAITING_LIMIT} wait already"
            logger.warning("announcement given up", extra={"why": why, "remedy": "the other replicas read anew"})
        self._given_up += 1
        self._owed_missed += 1

    @property
    @override
    def health(self) -> BusHealth:
        waiting = len(self._waiting) + (self._batch.announcements if self._batch else 0)
        return BusHealth("nats", self._up, self._detail, waiting, self._given_up, self._missed)

    @override
    async def __aenter__(self) -> Self:
        self._tasks.start("session", self._run)
        return self

    @override
    async def __aexit__(self, *exc: object) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S if self._up else 0):
                await self._empty.wait()
        await self._tasks.stop()

    # one session after the other

    async def _run(self) -> None:
        import nats.errors

        attempt = random.randrange(len(self._place.urls))  # noqa: S311 - members spread over the servers, no secret
        while True:
            url = self._place.urls[attempt % len(self._place.urls)]
            try:
                await self._session(url)
            except (nats.errors.Error, OSError, TimeoutError, _LostTrackError) as error:
                self._down(url, error)
            attempt += 1
            await self._clock.sleep(RECONNECT.delay(min(attempt, 4), random.random()))  # noqa: S311 - jitter

    def _down(self, url: str, error: Exception) -> None:
        detail = f"{url.rpartition('@')[2]}: {_reason(error, self._place.copies)}"
        if self._up or detail != self._detail:
            logger.warning("bus away", extra={"server": url.rpartition("@")[2], "reason": detail})
        self._up, self._detail = False, detail

    async def _session(self, url: str) -> None:
        from nats.aio.client import Client

        client = Client()
        ended = asyncio.Event()
        try:
            async with asyncio.timeout(CONNECT_S):  # the library tries a refused address again and again
                await self._connect(client, url, ended)
            stream = client.jetstream(timeout=ANSWER_S)
            self._take_up(await self._ensure(stream))
            await self._deliver(client, stream)
            if not self._up:
                logger.info("bus joined", extra={"server": url.rpartition("@")[2], "stream": self._stream})
            self._up, self._detail = True, ""
            await together(
                {"bus.publish": self._publish(stream), "bus.look": self._look(stream), "bus.end": _end(ended)}
            )
        finally:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(CONNECT_S):
                    await client.close()

    async def _connect(self, client: "Client", url: str, ended: asyncio.Event) -> None:
        async def lost() -> None:
            ended.set()

        async def fault(error: Exception) -> None:
            logger.debug("bus fault", extra={"error": str(error)})

        options: dict[str, Any] = {}
        if self._place.tls is not None:
            options["tls"] = self._place.tls
        if len(self._place.login) == 2:
            options["user"], options["password"] = self._place.login
        elif self._place.login:
            options["token"] = self._place.login[0]
        await client.connect(
            url,
            name=f"{self._stream}-{self._member}",
            allow_reconnect=False,
            connect_timeout=int(CONNECT_S),
            ping_interval=2,
            max_outstanding_pings=2,
            disconnected_cb=lost,
            closed_cb=lost,
            error_cb=fault,
            **options,
        )

    async def _ensure(self, stream: "JetStreamContext") -> "StreamInfo":
        """Return the stream, made where it is not there; one that an operator made otherwise is taken as it is."""
        from nats.js.api import StorageType, StreamConfig
        from nats.js.errors import NotFoundError

        try:
            return await stream.stream_info(self._stream)
        except NotFoundError:
            wanted = StreamConfig(
                name=self._stream,
                subjects=[self._subject],
                storage=StorageType.FILE,
                num_replicas=self._place.copies,
                max_age=KEEP_S,
                max_bytes=KEEP_BYTES,
                duplicate_window=DUPLICATE_S,
            )
            return await stream.add_stream(wanted)

    def _take_up(self, info: "StreamInfo") -> None:
        """Find where to go on: after the last message heard, or at the end with a word on what was missed."""
        created, first, last = str(info.created), info.state.first_seq, info.state.last_seq
        heard = self._heard
        if heard.stream is None:
            heard.seq = last
        elif heard.stream != created or heard.seq > last:
            heard.seq = last
            self._tell_missed(0)
        elif first > heard.seq + 1:
            self._tell_missed(first - heard.seq - 1)
            heard.seq = first - 1
        heard.stream = created

    async def _deliver(self, client: "Client", stream: "JetStreamContext") -> None:
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

        inbox = client.new_inbox()
        await client.subscribe(inbox, cb=self._take)
        await stream.add_consumer(
            self._stream,
            ConsumerConfig(
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=self._heard.seq + 1,
                ack_policy=AckPolicy.NONE,
                deliver_subject=inbox,
                inactive_threshold=30,
                mem_storage=True,
                num_replicas=1,
            ),
        )

    async def _look(self, stream: "JetStreamContext") -> None:
        """Compare what came with what the stream holds: a consumer dies silently with the server that kept it."""
        behind_at: int | None = None
        while True:
            await self._clock.sleep(LOOK_S)
            info = await stream.stream_info(self._stream)
            if str(info.created) != self._heard.stream:
                raise _LostTrackError("the stream was made anew")
            stuck = info.state.last_seq > self._heard.seq
            if stuck and behind_at == self._heard.seq:
                raise _LostTrackError(f"message {self._heard.seq + 1} did not come")
            behind_at = self._heard.seq if stuck else None

    # hearing

    async def _take(self, message: "Msg") -> None:
        if not message.reply:
            return  # a status of the server, no message of the stream
        seq = message.metadata.sequence.stream
        if seq <= self._heard.seq:
            return
        if seq > self._heard.seq + 1:
            self._tell_missed(seq - self._heard.seq - 1)
        self._heard.seq = seq
        headers = message.headers or {}
        if headers.get(FROM) == self._member:
            return
        if MISSED in headers:
            self._tell_missed(int(headers[MISSED]))
        for id_, body in _unpack(message.data):
            if self._heard.new(id_):
                self._tell(body)

    def _tell(self, body: bytes) -> None:
        for ears in self._ears:
            try:
                ears.heard(body)
            except Exception:
                logger.exception("listener failed", extra={"bus": "nats"})

    def _tell_missed(self, count: int) -> None:
        self._missed += max(count, 1)
        logger.warning("announcements missed", extra={"count": count, "remedy": "the state is read anew"})
        for ears in self._ears:
            try:
                ears.missed(count)
            except Exception:
                logger.exception("listener failed", extra={"bus": "nats"})

    # telling

    async def _publish(self, stream: "JetStreamContext") -> None:
        while True:
            self._batch = self._batch or self._pack()
            if self._batch is None:
                self._filled.clear()
                self._empty.set()
                await self._filled.wait()
                continue
            headers = {"Nats-Msg-Id": self._batch.id, FROM: self._member}
            if self._batch.missed:
                headers[MISSED] = str(self._batch.missed)
            await stream.publish(self._subject, self._batch.payload, timeout=ANSWER_S, headers=headers)
            self._batch = None

    def _pack(self) -> _Batch | None:
        if not self._waiting and not self._owed_missed:
            return None
        missed, self._owed_missed = self._owed_missed, 0
        id_ = self._waiting[0][0] if self._waiting else new_ulid(self._clock)
        parts: list[bytes] = []
        size = 0
        while self._waiting and (not parts or size + len(self._waiting[0][1]) <= BATCH_BYTES):
            one, body = self._waiting.popleft()
            parts.append(_HEAD.pack(one.encode(), len(body)) + body)
            size += len(parts[-1])
        return _Batch(id_, b"".join(parts), len(parts), missed)


async def _end(ended: asyncio.Event) -> None:
    await ended.wait()
    raise ConnectionResetError("the connection ended")


def _unpack(payload: bytes) -> Sequence[tuple[str, bytes]]:
    """Read a message; one that somebody else put there is passed over, with a line in the log."""
    found: list[tuple[str, bytes]] = []
    at = 0
    while at + _HEAD.size <= len(payload):
        id_, length = _HEAD.unpack_from(payload, at)
        at += _HEAD.size + length
        found.append((id_.decode("ascii", "replace"), payload[at - length : at]))
    if at != len(payload):
        logger.warning("message not understood", extra={"bus": "nats", "bytes": len(payload)})
        return ()
    return found


def _reason(error: Exception, copies: int) -> str:
    """Say in a sentence what is wrong and what to do."""
    text = str(error) or type(error).__name__
    if "err_code=10074" in text or "err_code=10005" in text:
        return f"bus.copies = {copies} needs as many JetStream servers in one cluster ({text})"
    if "JetStream" in text and "503" in text:
        return f"JetStream is not there or has no majority of its servers ({text})"
    return text
