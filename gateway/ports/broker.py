"""Port `broker`: the MQTT broker that carries the links of one gateway.

Start it with `async with`; inside, `endpoint` is where the gateway itself connects and what nodes are told at their
enrolment. **A node may write only its own branch** (`protocols.topics`), whatever the adapter; the client's certificate
names the node. The contract suite `tests/contracts/broker/` runs on every adapter that starts a broker.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of a client's identity: own certificate (CN = node), its key, and the authority to trust."""

    certificate: Path
    key: Path
    authority: Path


@dataclass(frozen=True, slots=True)
class BrokerEndpoint:
    """How the gateway reaches its broker. `tls` is None only for a configured plain broker on loopback."""

    host: str
    port: int
    tls: TlsFiles | None
    version: int = 5
    """MQTT version that the broker speaks: 5, or 4 (= 3.1.1) where it forces that."""


@dataclass(frozen=True, slots=True)
class BrokerHealth:
    """`production` is False for the embedded broker: shown in health, API and console."""

    kind: str
    production: bool
    up: bool
    restarts: int
    detail: str = ""


class Broker(Protocol):
    """One broker. A death of its process is answered with a restart on the same port, counted."""

    @property
    def endpoint(self) -> BrokerEndpoint:
        """Where to connect; valid from the start of the context to its end, over restarts."""
        ...

    @property
    def health(self) -> BrokerHealth:
        """Present state; never waits."""
        ...

    async def __aenter__(self) -> "Broker":
        """Start and wait until connections are accepted; raises NeedsError or ConfigError with the remedy."""
        ...

    async def __aexit__(self, *exc: object) -> None:
        """Stop it and everything that it started."""
        ...
