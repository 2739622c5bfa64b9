"""A configured broker that somebody else runs: `mqtts://host:8883`, or `mqtt://` on loopback.

Its access list is its operator's work; `deploy/samples/mosquitto.acl` has the lines it needs. The gateway shows its own
identity there.
"""

import asyncio
from typing import Self
from urllib.parse import urlsplit

from typing_extensions import override

from gateway.ports.broker import Broker, BrokerHealth
from gateway.settings import is_loopback
from protocols.aio.mqtt import BrokerAddress, TlsFiles
from protocols.errors import ConfigError

LOOK_EVERY_S = 5.0


def broker_address(url: str, client: TlsFiles) -> BrokerAddress:
    """Read the URL; raises ConfigError for another scheme, a missing host, or plain MQTT beyond loopback."""
    parts = urlsplit(url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise ConfigError(f"broker.url: {url} is not mqtts://host:port")
    if parts.scheme == "mqtt" and not is_loopback(parts.hostname):
        raise ConfigError(f"broker.url: plain MQTT to {parts.hostname} would send alarms in the clear; use mqtts://")
    tls = client if parts.scheme == "mqtts" else None
    port = parts.port or (8883 if tls else 1883)
    return BrokerAddress(parts.hostname, port, tls, parts.username, parts.password)


class UrlBroker(Broker):
    """Contract: `gateway.ports.broker`, without a process of its own; `up` is looked at every few seconds."""

    def __init__(self, address: BrokerAddress) -> None:
        self._address = address
        self._up = False
        self._watch: asyncio.Task[None] | None = None

    @property
    @override
    def address(self) -> BrokerAddress:
        return self._address

    @property
    @override
    def port(self) -> int:
        return self._address.port

    @property
    @override
    def health(self) -> BrokerHealth:
        return BrokerHealth("url", production=True, up=self._up, restarts=0, detail=self._address.host)

    @override
    async def __aenter__(self) -> Self:
        # A configured broker may come later than the gateway: the links keep trying, so the start does not fail.
        self._up = await self._look()
        self._watch = asyncio.ensure_future(self._look_for_ever())
        self._watch.set_name("broker[url]")
        return self

    @override
    async def __aexit__(self, *exc: object) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._up = await self._look()

    async def _look(self) -> bool:
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                _, writer = await asyncio.open_connection(self._address.host, self._address.port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True
