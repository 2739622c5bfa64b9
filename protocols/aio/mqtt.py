"""The only module that touches an MQTT library. It closes the library's traps; everybody else sees this surface.

- A publish that the broker refuses (reason code >= 0x80) raises `RefusedError`, it never "succeeds".
- A message is acknowledged to the broker only by `ack`, after the application has committed.
- No message is dropped for want of room: Receive Maximum is the back-pressure.
- Small packets leave at once (TCP_NODELAY); connecting can be cancelled at any moment without leaving a socket.
- MQTT 3.1.1 is spoken only where the broker forces it: it refuses 5, or answers 3.1.1 while 5 stays unanswered.

aiomqtt drives paho on the asyncio loop; what it would lose is taken from paho's callbacks directly.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from protocols.aio import dial
from protocols.errors import ConfigError, LinkError, RefusedError, SilianError, TooLargeError
from protocols.health import LinkReason

if TYPE_CHECKING:
    import aiomqtt
    import paho.mqtt.client as paho

logger = logging.getLogger(__name__)
V5 = 5
V311 = 4
PROBE_AFTER_S = 1.5
"""A 5 broker answers CONNECT long before; then 3.1.1 is tried beside it (amqtt never answers a 5 CONNECT)."""
TCP_TIMEOUT_S = 4.0
"""A line that is back is tried anew soon, instead of waiting for the kernel's next SYN."""
MEMORY_S = 600.0
"""How long a broker is remembered to speak 3.1.1 only."""
PUBLISH_FLIGHT = 64
_speaks_311: dict[tuple[str, int], float] = {}
_AUTH = {0x86, 0x87, 0x8C}  # bad user name or password, not authorised, bad authentication method (MQTT 5, 3.2.2.2)
_TAKEN_OVER = 0x8E
_BAD_VERSION = 0x84


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files for mutual TLS; `certificate` and `key` None: the server is verified, we stay anonymous."""

    ca: Path
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Return a client context that verifies the broker against `ca` only; raises ConfigError on bad files."""
        try:
            context = ssl.create_default_context(cafile=str(self.ca))
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except OSError as error:
            raise ConfigError(
                f"TLS files of the broker cannot be read ({self.ca}, {self.certificate}): {error}"
            ) from None
        return context


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker is and how to be let in. `server_name` overrides the name checked in its certificate."""

    host: str
    port: int
    tls: TlsFiles | None = None
    username: str | None = None
    password: str | None = None
    server_name: str | None = None


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says for us when we vanish, `delay_s` after it noticed (MQTT 5; 3.1.1 has no delay).

    The delay needs a session that outlives the connection: give `MqttLink` a `session_expiry_s` above it.
    """

    topic: str
    payload: bytes
    retain: bool = True
    delay_s: int = 10


@dataclass(frozen=True, slots=True)
class Message:
    """One received message; give it to `MqttLink.ack` once it is safe (QoS 0 needs none, `ack` ignores it)."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    mid: int


class MqttError(LinkError):
    """The connection failed or ended; `reason` is its one name, `refused`: the machine is up, and nobody listens."""

    code = "mqtt"

    def __init__(self, message: str, reason: LinkReason, *, refused: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.refused = refused


class MqttLink:
    """One connection to one broker, from `async with` to its end; a new attempt needs a new object.

    Entering connects (MQTT 5, then 3.1.1 where the broker forces it) and raises MqttError with a named reason.
    `session_expiry_s` 0 starts clean; above 0 the broker keeps subscriptions and unacknowledged messages so long,
    which is also what lets a will be delayed. Leaving by an exception (or cancelled) sends no DISCONNECT, so that the
    will speaks; leaving normally does.
    """

    def __init__(
        self,
        address: BrokerAddress,
        client_id: str,
        *,
        will: Will | None = None,
        session_expiry_s: int = 0,
        receive_maximum: int = 64,
        keepalive_s: int = 10,
        connect_timeout_s: float = 10.0,
    ) -> None:
        self._address = address
        self._client_id = client_id
        self._will = will
        self._session_expiry_s = session_expiry_s
        self._receive_maximum = receive_maximum
        self._keepalive_s = keepalive_s
        self._timeout_s = connect_timeout_s
        self._wire: _Wire | None = None

    async def __aenter__(self) -> "MqttLink":
        place = (self._address.host, self._address.port)
        if _speaks_311.get(place, 0.0) > time.monotonic():
            try:
                self._wire = await self._attempt(V311)
            except MqttError:
                _speaks_311.pop(place, None)  # perhaps another broker stands there now
                raise
            return self
        self._wire = await self._newest()
        if self._wire.version == V311:
            _speaks_311[place] = time.monotonic() + MEMORY_S
            logger.info("broker speaks MQTT 3.1.1 only", extra={"host": place[0], "port": place[1]})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.close(abort=error is not None)

    @property
    def version(self) -> int:
        """Return 5, or 4 for MQTT 3.1.1."""
        return self._on().version

    @property
    def session_present(self) -> bool:
        """Tell whether the broker still had our session: subscriptions and unacknowledged messages."""
        return self._on().session_present

    async def subscribe(self, *topics: str, qos: int = 1) -> None:
        """Subscribe; raises RefusedError when the broker denies one of them, MqttError when the link ends."""
        await self._on().subscribe(topics, qos, self._timeout_s)

    def unsubscribe(self, *topics: str) -> None:
        """Ask for no more of `topics`; what is on its way may still come. After the end of the link it does nothing."""
        if self._wire is not None:
            self._wire.unsubscribe(topics)

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, expiry_s: int | None = None
    ) -> None:
        """Publish and wait for the broker's acknowledgement (QoS 1).

        Raises RefusedError on a reason code >= 0x80, TooLargeError above the broker's packet limit, MqttError when
        the link ends first. Cancelling is safe; the message may still go out.
        """
        await self._on().publish(topic, payload, qos=qos, retain=retain, expiry_s=expiry_s)

    async def messages(self) -> AsyncIterator[Message]:
        """Yield received messages in order; raises MqttError when the link ends, whatever still waits then."""
        wire = self._on()
        while True:
            message = await wire.inbox.get()
            if wire.end is not None or message is None:
                raise wire.end or MqttError("the link was closed", LinkReason.PEER_CLOSED)
            yield message

    def ack(self, message: Message) -> None:
        """Tell the broker that `message` is safe; after the end of the link this does nothing (it comes again)."""
        if self._wire is not None:
            self._wire.ack(message)

    def _on(self) -> "_Wire":
        if self._wire is None:
            raise MqttError("the link is not connected", LinkReason.PEER_CLOSED)
        return self._wire

    async def _newest(self) -> "_Wire":
        """Connect with MQTT 5, or with 3.1.1 once the broker has shown that it will not speak 5."""
        async with asyncio.TaskGroup() as group:
            attempt = group.create_task(_outcome(self._attempt(V5)), name="mqtt.connect5")
            await asyncio.wait({attempt}, timeout=PROBE_AFTER_S)
            if not attempt.done() and await self._answers_311():
                await asyncio.wait({attempt}, timeout=PROBE_AFTER_S / 3)
                attempt.cancel()
        result = None if attempt.cancelled() else attempt.result()
        if isinstance(result, _Wire):
            return result
        if result is None or isinstance(result, _VersionError):
            return await self._attempt(V311)
        raise result

    async def _attempt(self, version: int) -> "_Wire":
        sock = await self._socket()
        wire = _Wire(version)
        try:
            await wire.connect(sock, self._address, self._client_id, self._options(version))
        except BaseException:
            await wire.close()
            sock.close()
            raise
        return wire

    def _options(self, version: int) -> "_Options":
        return _Options(
            will=self._will,
            session_expiry_s=self._session_expiry_s,
            receive_maximum=self._receive_maximum,
            keepalive_s=self._keepalive_s,
            timeout_s=self._timeout_s,
        )

    async def _socket(self) -> socket.socket:
        """Open the TCP (and TLS) connection without a thread, so that cancelling closes it at once."""
        context = self._address.tls.context() if self._address.tls else None
        try:
            async with asyncio.timeout(self._timeout_s):
                async with asyncio.timeout(TCP_TIMEOUT_S):
                    sock = await dial.tcp(self._address.host, self._address.port)
                return sock if context is None else await dial.tls(sock, context, self._name())
        except TimeoutError:
            raise MqttError(
                f"no answer from {self._where()} within {self._timeout_s:g} s", LinkReason.TIMEOUT
            ) from None
        except ssl.SSLError as error:
            raise MqttError(f"TLS with {self._where()} failed: {error}", LinkReason.TLS) from None
        except OSError as error:
            reason = LinkReason.PEER_CLOSED if isinstance(error, ConnectionError) else LinkReason.TIMEOUT
            refused = isinstance(error, ConnectionRefusedError)
            raise MqttError(f"cannot reach {self._where()}: {error}", reason, refused=refused) from None

    async def _answers_311(self) -> bool:
        """Ask with a hand-made 3.1.1 CONNECT whether the broker answers that; any CONNACK counts."""
        name = f"{self._client_id}-probe".encode()
        body = b"\x00\x04MQTT\x04\x02\x00\x05" + struct.pack("!H", len(name)) + name
        sock: socket.socket | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                sock = await self._socket()
                return (await dial.exchange(sock, bytes((0x10, len(body))) + body, 4))[:1] == b"\x20"
        except (TimeoutError, OSError, MqttError):
            return False
        finally:
            if sock is not None:
                sock.close()

    def _name(self) -> str:
        return self._address.server_name or self._address.host

    def _where(self) -> str:
        return f"{self._address.host}:{self._address.port}"


class _VersionError(MqttError):
    """The broker refused the version of the protocol."""


@dataclass(frozen=True, slots=True)
class _Options:
    will: Will | None
    session_expiry_s: int
    receive_maximum: int
    keepalive_s: int
    timeout_s: float


class _Wire:
    """A connected client of one version, and what aiomqtt would drop: reasons, late acks, the whole inbox."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.session_present = False
        self.inbox: asyncio.Queue[Message | None] = asyncio.Queue()
        self.end: MqttError | None = None
        self._client: aiomqtt.Client | None = None
        self._paho: paho.Client | None = None
        self._publishing: dict[int, asyncio.Future[int]] = {}
        self._subscribing: dict[int, asyncio.Future[list[int]]] = {}
        self._flight = asyncio.Semaphore(PUBLISH_FLIGHT)
        self._packet_limit: int | None = None
        self._closing = False

    async def connect(self, sock: socket.socket, address: BrokerAddress, client_id: str, options: _Options) -> None:
        """Say CONNECT on an open socket and wait for the broker's answer."""
        import aiomqtt

        refused: list[int] = []
        client = self._client = _make_client(self.version, address, client_id, options)
        inner = self._paho = client._client  # noqa: SLF001 - its traps cannot be closed from outside
        inner._create_socket = lambda: sock  # type: ignore[method-assign]  # noqa: SLF001 - paho would connect blocking
        inner.manual_ack_set(on=True)
        inner.max_inflight_messages_set(PUBLISH_FLIGHT)
        self._listen(inner, refused)
        try:
            await client.__aenter__()
        except aiomqtt.MqttError as error:
            raise _connect_error(error, refused, f"{address.host}:{address.port}") from None
        client._disconnected.add_done_callback(self._disconnected)  # noqa: SLF001 - a crashed read ends there alone

    def ack(self, message: Message) -> None:
        """Send the PUBACK, if the link still stands."""
        if message.qos > 0 and self.end is None and self._paho is not None:
            self._paho.ack(message.mid, message.qos)

    async def subscribe(self, topics: tuple[str, ...], qos: int, timeout_s: float) -> None:
        """See MqttLink."""
        if self.end is not None or self._paho is None:
            raise self._ended()
        code, mid = self._paho.subscribe([(topic, qos) for topic in topics])
        if code or mid is None:
            raise self._ended()
        answer = self._subscribing[mid] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout_s):
                codes = await answer
        except TimeoutError:
            raise MqttError("the broker did not answer a subscription", LinkReason.TIMEOUT) from None
        finally:
            self._subscribing.pop(mid, None)
        denied = [topic for topic, one in zip(topics, codes, strict=False) if one >= 0x80]
        if denied:
            raise RefusedError(
                f"the broker refused the subscription to {', '.join(denied)}", f"mqtt_0x{max(codes):02x}"
            )

    def unsubscribe(self, topics: tuple[str, ...]) -> None:
        """See MqttLink."""
        if self.end is None and self._paho is not None:
            self._paho.unsubscribe(list(topics))

    async def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool, expiry_s: int | None) -> None:
        """See MqttLink."""
        if self._packet_limit is not None and len(payload) + len(topic) + 16 > self._packet_limit:
            raise TooLargeError(f"{len(payload)} bytes for {topic}, the broker takes {self._packet_limit}")
        async with self._flight:
            if self.end is not None or self._paho is None:
                raise self._ended()
            info = self._paho.publish(topic, payload, qos, retain, self._expiry(expiry_s))
            if info.rc:
                raise self._ended()
            if qos == 0:
                return
            answer = self._publishing[info.mid] = asyncio.get_running_loop().create_future()
            try:
                code = await answer
            finally:
                self._publishing.pop(info.mid, None)
        if code >= 0x80:
            raise RefusedError(f"the broker refused a publish to {topic} (0x{code:02x})", f"mqtt_0x{code:02x}")

    async def close(self, *, abort: bool = False) -> None:
        """Disconnect and give everything back; never raises. With `abort` just hang up: the will speaks."""
        import aiomqtt

        self._closing = True
        client, inner = self._client, self._paho
        self._client = self._paho = None
        self._finish(MqttError("the link was closed", LinkReason.PEER_CLOSED))
        if client is None or inner is None:
            return
        try:
            if inner.is_connected() and not abort:
                with contextlib.suppress(aiomqtt.MqttError, OSError):
                    await client.__aexit__(None, None, None)
        finally:
            inner._sock_close()  # noqa: SLF001 - nothing public closes a socket whose CONNECT failed
            misc = client._misc_task  # noqa: SLF001 - aiomqtt cancels it and never awaits it
            await asyncio.sleep(0)
            misc = misc or client._misc_task  # noqa: SLF001 - may be made one turn of the loop later
            if misc is not None:
                misc.cancel()
                await asyncio.gather(misc, return_exceptions=True)

    def _listen(self, inner: "paho.Client", refused: list[int]) -> None:
        """Put our ears before aiomqtt's."""
        connected: Callable[..., None] = inner.on_connect  # type: ignore[assignment]  # set by aiomqtt, as version 2
        disconnected: Callable[..., None] = inner.on_disconnect  # type: ignore[assignment]  # likewise

        def on_connect(client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
            if reason.value >= 0x80:
                refused.append(reason.value)
            self.session_present = bool(flags.session_present)
            self._packet_limit = getattr(properties, "MaximumPacketSize", None)
            room = getattr(properties, "ReceiveMaximum", PUBLISH_FLIGHT)
            self._flight = asyncio.Semaphore(min(PUBLISH_FLIGHT, room))
            connected(client, data, flags, reason, properties)

        def on_disconnect(client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
            self._finish(_end_error(reason, from_broker=flags.is_disconnect_packet_from_server))
            disconnected(client, data, flags, reason, properties)

        def on_publish(client: Any, data: Any, mid: int, reason: Any, properties: Any) -> None:
            answer = self._publishing.get(mid)
            if answer is not None and not answer.done():
                answer.set_result(reason.value)

        def on_subscribe(client: Any, data: Any, mid: int, reasons: Any, properties: Any) -> None:
            answer = self._subscribing.get(mid)
            if answer is not None and not answer.done():
                answer.set_result([reason.value for reason in reasons])

        def on_message(client: Any, data: Any, one: Any) -> None:
            self.inbox.put_nowait(Message(one.topic, one.payload, one.qos, one.retain, one.mid))

        inner.on_connect, inner.on_disconnect = on_connect, on_disconnect
        inner.on_publish, inner.on_subscribe, inner.on_message = on_publish, on_subscribe, on_message
        inner.on_unsubscribe = lambda *_: None  # nobody waits for it, and aiomqtt would log each as unexpected

    def _disconnected(self, future: "asyncio.Future[None]") -> None:
        """Notice an end that came by no callback of paho's, and take the exception that nobody else would."""
        cause = None if future.cancelled() else future.exception()
        self._finish(MqttError(f"the connection broke: {cause}", LinkReason.PEER_CLOSED))

    def _finish(self, error: MqttError) -> None:
        """Take the end of the link, once: everybody who waits is told."""
        if self.end is None:
            self.end = error
        waiting: list[asyncio.Future[Any]] = [*self._publishing.values(), *self._subscribing.values()]
        for answer in waiting:
            if not answer.done():
                answer.set_exception(self.end)
                answer.exception()  # its waiter may have been cancelled in this very step: that is no unheard fault
        self.inbox.put_nowait(None)

    def _ended(self) -> MqttError:
        return self.end or MqttError("the link is down", LinkReason.PEER_CLOSED)

    def _expiry(self, seconds: int | None) -> Any:
        if seconds is None or self.version != V5:
            return None
        properties = _properties("PUBLISH")
        properties.MessageExpiryInterval = max(1, seconds)
        return properties


def _make_client(version: int, address: BrokerAddress, client_id: str, options: _Options) -> "aiomqtt.Client":
    import aiomqtt

    will = options.will
    clean = options.session_expiry_s == 0
    will_properties = connect_properties = None
    if version == V5:
        connect_properties = _properties("CONNECT")
        connect_properties.SessionExpiryInterval = options.session_expiry_s
        connect_properties.ReceiveMaximum = options.receive_maximum
        will_properties = _properties("WILLMESSAGE")
        will_properties.WillDelayInterval = will.delay_s if will else 0
    return aiomqtt.Client(
        hostname=address.host,
        port=address.port,
        username=address.username,
        password=address.password,
        identifier=client_id,
        protocol=aiomqtt.ProtocolVersion.V5 if version == V5 else aiomqtt.ProtocolVersion.V311,
        will=aiomqtt.Will(will.topic, will.payload, 1, will.retain, will_properties) if will else None,
        clean_session=None if version == V5 else clean,
        clean_start=clean if version == V5 else 3,  # 3: paho's "not given", the only value it takes below 5
        timeout=options.timeout_s,
        keepalive=options.keepalive_s,
        properties=connect_properties,
    )


def _properties(kind: str) -> Any:
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    return Properties(getattr(PacketTypes, kind))  # type: ignore[no-untyped-call]  # paho has no types here


async def _outcome(attempt: Coroutine[Any, Any, "_Wire"]) -> "_Wire | SilianError":
    """Turn a failed attempt into a value, so that a task group does not wrap it."""
    try:
        return await attempt
    except SilianError as error:
        return error


def _connect_error(error: Exception, refused: list[int], where: str) -> MqttError:
    code = refused[0] if refused else 0
    if code == _BAD_VERSION:
        return _VersionError(f"{where} does not speak this version of MQTT", LinkReason.PEER_CLOSED)
    if code in _AUTH:
        return MqttError(f"{where} does not let us in (0x{code:02x})", LinkReason.AUTH)
    if code:
        return MqttError(f"{where} refused the connection (0x{code:02x})", LinkReason.PEER_CLOSED)
    reason = LinkReason.TIMEOUT if "timed out" in str(error) else LinkReason.PEER_CLOSED
    return MqttError(f"{where} did not accept the connection: {error}", reason)


def _end_error(reason: Any, *, from_broker: bool) -> MqttError:
    if from_broker and reason.value == _TAKEN_OVER:
        return MqttError("another session took over our name", LinkReason.TAKEOVER)
    if not from_broker and "keep alive" in str(reason).lower():
        return MqttError("the broker fell silent", LinkReason.TIMEOUT)
    return MqttError(f"the broker closed the connection: {reason}", LinkReason.PEER_CLOSED)
