"""The only module that touches an MQTT library. It closes the library's traps; everybody else sees this surface.

- A publish that the broker refuses (reason code >= 0x80) raises `RefusedError`, it never "succeeds".
- A message is acknowledged to the broker only by `ack`, after the application has committed.
- No message is dropped for want of room: Receive Maximum is the back-pressure.
"""

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from protocols.errors import LinkError
from protocols.health import LinkReason


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files for mutual TLS; `certificate` and `key` None: the server is verified, we stay anonymous."""

    ca: Path
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Return a client context that verifies the broker against `ca` only; raises ConfigError on bad files."""
        raise AssertionError("body follows")


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
    """What the broker says for us when we vanish, `delay_s` after it noticed (MQTT 5; 3.1.1 has no delay)."""

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
    """The connection failed or ended; `reason` is its one name."""

    code = "mqtt"

    def __init__(self, message: str, reason: LinkReason) -> None:
        super().__init__(message)
        self.reason = reason


class MqttLink:
    """One connection to one broker, from `async with` to its end; a new attempt needs a new object.

    Entering connects (MQTT 5, then 3.1.1 where the broker forces it) and raises MqttError with a named reason.
    `session_expiry_s` 0 starts clean; above 0 the broker keeps subscriptions and unacknowledged messages so long,
    which is also what lets a will be delayed.
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
        raise AssertionError("body follows")

    async def __aenter__(self) -> "MqttLink":
        raise AssertionError("body follows")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raise AssertionError("body follows")

    @property
    def version(self) -> int:
        """Return 5, or 4 for MQTT 3.1.1."""
        raise AssertionError("body follows")

    async def subscribe(self, *topics: str, qos: int = 1) -> None:
        """Subscribe; raises RefusedError when the broker denies one of them, MqttError when the link ends."""
        raise AssertionError("body follows")

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, expiry_s: int | None = None
    ) -> None:
        """Publish and wait for the broker's acknowledgement (QoS 1).

        Raises RefusedError on a reason code >= 0x80, MqttError when the link ends first. Cancelling is safe; the
        message may still go out.
        """
        raise AssertionError("body follows")

    def messages(self) -> AsyncIterator[Message]:
        """Yield received messages in order; raises MqttError when the link ends."""
        raise AssertionError("body follows")

    def ack(self, message: Message) -> None:
        """Tell the broker that `message` is safe; after the end of the link this does nothing (it comes again)."""
        raise AssertionError("body follows")
