"""Port `broker`: the MQTT broker that carries the links of one gateway.

Start it with `async with`; inside, `address` is where the gateway itself connects. **A node may write only its own
branch** (`protocols.topics`), whatever the adapter; the client's certificate names the node. The contract suite
`tests/contracts/broker/` runs on every adapter that starts a broker.
"""

from dataclasses import dataclass
from typing import Protocol

from protocols.aio.mqtt import BrokerAddress


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
    def address(self) -> BrokerAddress:
        """Where the gateway connects, with its own identity; valid inside the context, over restarts."""
        ...

    @property
    def port(self) -> int:
        """The port that nodes are told at their enrolment."""
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
